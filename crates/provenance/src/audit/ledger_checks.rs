//! Block header, storage proofs, and the records that they show.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256};
use probity_core::{Finding, Label, records::record_id};

use super::Audit;
use crate::{
    bundle,
    ledger::{Kind, Ledger, revocation_id},
    state_proof::{AccountProof, HeaderSummary},
};

impl Audit<'_> {
    pub(super) fn check_chain(&mut self) {
        let chain = self.sealed.index.chain.clone();
        let expected = self.context.contracts;
        if [chain.registry, chain.challenges, chain.payouts] != expected {
            self.broken("chain.contracts.unknown", bundle::INDEX, "not Probity's contracts");
            return;
        }
        let header = self.file(bundle::HEADER).and_then(HeaderSummary::decode);
        let Some(header) = header else {
            self.broken("chain.header.malformed", bundle::HEADER, "no block header");
            return;
        };
        if (header.hash, header.number) != (chain.block_hash, chain.block) {
            self.broken(
                "chain.header.mismatch",
                bundle::HEADER,
                "another block than the index names",
            );
            return;
        }
        let now = self.context.chain;
        self.chain_label = match now {
            Some(now) if (now.chain_id, now.hash) == (chain.chain_id, header.hash) => {
                Label::Verified
            }
            Some(_) => {
                self.broken(
                    "chain.block.unknown",
                    header.hash,
                    "the chain has another block there",
                );
                return;
            }
            None => Label::Attested,
        };
        let Some(proofs) = self.json_file::<Vec<AccountProof>>(bundle::STATE) else { return };
        for proof in &proofs {
            if let Err(error) = proof.verify(header.state_root) {
                self.broken("chain.proof.invalid", bundle::STATE, error);
                return;
            }
        }
        self.ledger = Ledger::new(&proofs);
        let slots: usize = proofs.iter().map(|proof| proof.storage_proof.len()).sum();
        self.claim(
            "chain.state",
            Label::Verified,
            format!("{slots} storage slots are in the state of block {}", header.hash),
        );
        self.claim_block(&header);
    }

    fn claim_block(&mut self, header: &HeaderSummary) {
        let block = format!(
            "block {} of chain {}, of Unix time {}",
            header.number, self.sealed.index.chain.chain_id, header.timestamp
        );
        let Some(now) = self.context.chain else {
            let exporter = self.sealed.exporter;
            let text =
                format!("it is {block}, says the exporter `{exporter}`; check it with --rpc");
            return self.claim("chain.block", self.chain_label, text);
        };
        if now.events > 0 {
            let text =
                format!("{} events of the {} blocks since are not in it", now.events, now.behind);
            self.findings.push(Finding::warning("chain.block.behind", header.hash, text));
        }
        let text = format!("it is {block}, asked now, {} blocks ago", now.behind);
        self.claim("chain.block", self.chain_label, text);
    }

    /// Whether the registry holds a record of this id, kind and author.
    pub(super) fn check_record(&mut self, id: B256, kind: Kind, author: Address) -> bool {
        let registry = self.sealed.index.chain.registry;
        let stored = self.ledger.record(registry, id);
        let good =
            stored.is_some_and(|stored| stored.kind == kind as u8 && stored.author == author);
        if !good {
            let message = match stored {
                None => "no storage proof shows this record".to_owned(),
                Some(stored) => format!(
                    "expected a {kind:?} of `{author}`, the chain holds kind {} of `{}`",
                    stored.kind, stored.author
                ),
            };
            self.broken("record.not-on-chain", id, message);
        }
        match self.ledger.record(registry, revocation_id(id)) {
            None => self.broken("record.revocation.unproven", id, "it may have been revoked"),
            Some(revocation) if revocation.kind > 0 => {
                let text = format!("{kind:?} {id} was revoked by its author");
                self.findings.push(Finding::warning("record.revoked", id, text));
            }
            Some(_) => {}
        }
        good
    }

    pub(super) fn check_records(&mut self) {
        let records = self.records.clone();
        let mut wanted: Vec<(B256, Kind, Address)> = Vec::new();
        wanted.extend(records.contents.iter().map(|r| (record_id(r), Kind::Content, r.author)));
        wanted.extend(records.opt_outs.iter().map(|r| (record_id(r), Kind::OptOut, r.author)));
        wanted.extend(records.anchors.iter().map(|r| (record_id(r), Kind::Anchor, r.author)));
        wanted.extend(records.datasets.iter().map(|r| (record_id(r), Kind::Dataset, r.author)));
        wanted.extend(records.runs.iter().map(|r| (record_id(r), Kind::Run, r.author)));
        wanted.extend(records.models.iter().map(|r| (record_id(r), Kind::Model, r.author)));
        wanted.extend(records.lineage().map(|r| (record_id(r), Kind::Checkpoint, r.author)));
        wanted.extend(records.model_keys.iter().map(|r| (record_id(r), Kind::ModelKey, r.author)));
        let mut seen = BTreeSet::new();
        for (id, ..) in &wanted {
            if !seen.insert(*id) {
                self.broken("record.duplicate", id, "it is in the bundle twice");
            }
        }
        let total = wanted.len();
        let good = wanted
            .into_iter()
            .filter(|(id, kind, author)| self.check_record(*id, *kind, *author))
            .count();
        if good == total && total > 0 {
            let label = self.chain_label;
            self.claim("records.registered", label, format!("{total} records are on chain"));
        }
    }
}

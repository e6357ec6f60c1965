//! Payout computations, recomputed, and the pools and vaults they agree with.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use probity_core::{Digest, Finding, Label, money::Bps, records::record_id};

use super::{
    Audit,
    data::Manifests,
    signed::{Batches, Statements},
};
use crate::{
    bundle,
    dataset::PayeesByStatement,
    ledger::{self, StoredPool},
    payout::{Before, Computation, Entry, Inputs, PAYOUT_TYPE, Terms, compute},
};

/// What was found about a token's pool.
#[derive(Debug, Clone)]
pub(crate) struct Payout {
    /// The token.
    pub(crate) token: Address,
    /// The pool on chain.
    pub(crate) pool: StoredPool,
    /// The newest accepted computation.
    pub(crate) last: Option<Computation>,
    /// What accounts have claimed.
    pub(crate) claimed: Vec<(Address, u128)>,
}

impl Audit<'_> {
    pub(super) fn check_payouts(
        &mut self,
        statements: &Statements,
        manifests: &Manifests,
        batches: &Batches,
    ) -> Vec<Payout> {
        let payees: PayeesByStatement = batches
            .iter()
            .map(|(digest, batch)| (*digest, batch.predicate.payees.clone()))
            .collect();
        let mut by_token: BTreeMap<Address, Vec<Computation>> = BTreeMap::new();
        let names: Vec<String> = self.sealed.files.keys().cloned().collect();
        for name in names.iter().filter(|name| name.starts_with(bundle::PAYOUTS)) {
            let Some(computation) = self.json_file::<Computation>(name) else { continue };
            self.check_signed(name, &computation, statements);
            by_token.entry(computation.terms.token).or_default().push(computation);
        }
        let vaults = self.sealed.index.chain.vaults.clone();
        let mut payouts = Vec::new();
        for (token, vault) in vaults {
            if (self.context.vault_of)(self.sealed.index.model, token) != vault {
                self.broken("payout.vault.unknown", vault, "not the vault of this model and token");
                continue;
            }
            let mut epochs = by_token.remove(&token).unwrap_or_default();
            epochs.sort_by_key(|epoch| epoch.epoch);
            payouts.extend(self.check_pool(token, vault, &epochs, manifests, &payees));
        }
        let (label, text) = if payouts.is_empty() {
            (Label::Missing, "no revenue is shown; that there is none is the exporter's word")
        } else {
            (Label::Attested, "that the model earned in no other token is the exporter's word")
        };
        self.claim("payout.tokens", label, text);
        for token in by_token.keys() {
            self.broken("payout.pool.unknown", token, "the index names no pool in this token");
        }
        payouts
    }

    /// Somebody stands behind the computation's bytes: the accountant, or whoever disputed a root.
    fn check_signed(&mut self, name: &str, computation: &Computation, statements: &Statements) {
        let digest = self.file(name).map(Digest::of);
        let signed = statements.values().any(|signed| {
            signed.statement.predicate_type == PAYOUT_TYPE
                && digest.is_some_and(|digest| signed.is_about(&digest))
        });
        if !signed {
            let message = format!("nobody signed epoch {}", computation.epoch);
            self.broken("payout.unsigned", name, message);
        }
    }

    fn check_pool(
        &mut self,
        token: Address,
        vault: Address,
        epochs: &[Computation],
        manifests: &Manifests,
        payees: &PayeesByStatement,
    ) -> Option<Payout> {
        let (model, payouts) = (self.sealed.index.model, self.sealed.index.chain.payouts);
        let Some(pool) = self.ledger.pool(payouts, model, token) else {
            self.broken("payout.pool.unproven", token, "no storage proof shows the pool");
            return None;
        };
        let mut previous: Vec<Entry> = vec![];
        let mut before = Before { received: 0, accounted: 0, held: 0 };
        for (position, epoch) in epochs.iter().enumerate() {
            let expected = position as u64 + 1;
            if epoch.epoch != expected {
                self.broken(
                    "payout.epoch.missing",
                    token,
                    format!("epoch {expected} is not in the bundle"),
                );
                return None;
            }
            let known = epoch.before;
            let continues = known.accounted == before.received && known.held == before.held;
            let again = self.recompute(epoch, &previous, manifests, payees);
            if !continues || again.as_ref() != Some(epoch) {
                self.broken(
                    "payout.computation.mismatch",
                    token,
                    format!("epoch {expected} recomputes to another result"),
                );
                return None;
            }
            before =
                Before { received: known.received, accounted: known.received, held: epoch.held };
            previous.clone_from(&epoch.entries);
        }
        self.check_versions(token, epochs);
        let last = epochs.last().cloned();
        self.compare(token, vault, pool, last.as_ref());
        let claimed = self.check_claims(vault, &previous);
        Some(Payout { token, pool, last, claimed })
    }

    /// Epochs are computed from the version that was the head's then, with what was removed by then.
    /// When a root was accepted is not in the chain's state, so what differs from now is a warning.
    fn check_versions(&mut self, token: Address, epochs: &[Computation]) {
        let place = |id: B256| self.records.datasets.iter().position(|d| record_id(d) == id);
        let places: Vec<Option<usize>> =
            epochs.iter().map(|epoch| place(epoch.terms.dataset)).collect();
        let goes_back = places.windows(2).any(|pair| pair[1] < pair[0]);
        let head = self.records.checkpoints.last().map(|head| head.dataset);
        let mut weak = Vec::new();
        if goes_back {
            weak.push("an epoch goes back to an earlier dataset version than the one before it");
        }
        if let Some(last) = epochs.last() {
            if Some(last.terms.dataset) != head {
                weak.push(
                    "the newest epoch is computed from another dataset version than the head's",
                );
            } else if last.removed != self.records.removed_from(last.terms.dataset) {
                weak.push("the newest epoch leaves out other items than challenges removed");
            }
        }
        for text in weak {
            self.findings.push(Finding::warning("payout.dataset.other", token, text));
        }
    }

    fn recompute(
        &self,
        epoch: &Computation,
        previous: &[Entry],
        manifests: &Manifests,
        payees: &PayeesByStatement,
    ) -> Option<Computation> {
        let model =
            self.records.models.iter().find(|model| record_id(*model) == epoch.terms.model)?;
        let dataset = self
            .records
            .datasets
            .iter()
            .find(|dataset| record_id(*dataset) == epoch.terms.dataset)?;
        let terms = Terms {
            model: self.sealed.index.model,
            dataset: epoch.terms.dataset,
            token: epoch.terms.token,
            owner: model.author,
            data: Bps::new(model.dataBps).ok()?,
            treasury: dataset.treasury,
            treasury_share: Bps::new(dataset.treasuryBps).ok()?,
        };
        let removed = self.records.removed_from(epoch.terms.dataset);
        if !epoch.removed.iter().all(|index| removed.contains(index)) {
            return None;
        }
        compute(&Inputs {
            epoch: epoch.epoch,
            terms: &terms,
            before: epoch.before,
            manifest: manifests.get(&epoch.terms.dataset)?,
            payees,
            // What was removed and tainted by then; what that withheld must be the chain's figure.
            removed: &epoch.removed,
            inherited_taint: epoch.inherited_taint,
            previous,
        })
        .ok()
    }

    fn compare(
        &mut self,
        token: Address,
        vault: Address,
        pool: StoredPool,
        last: Option<&Computation>,
    ) {
        let root = last.and_then(|last| last.tree().ok()).map(|tree| tree.root());
        let proved = self.ledger.slot(vault, ledger::VAULT_ROOT_SLOT).map(B256::from);
        let (total, epoch, held, accounted) = last
            .map_or((0, 0, 0, 0), |last| (last.total, last.epoch, last.held, last.before.received));
        let agrees = (pool.funded, pool.epoch, pool.held, pool.accounted)
            == (total, epoch, held, accounted)
            && (epoch == 0 || (root.is_some() && proved == root));
        if agrees {
            if let Some(last) = last {
                let text = format!(
                    "epoch {epoch} recomputes bit for bit from dataset {} and its payees",
                    last.terms.dataset
                );
                self.claim("payout.computed", Label::Verified, text);
            }
            let text = if epoch == 0 {
                format!("{} came in in token {token}; nothing was distributed yet", pool.received)
            } else {
                format!(
                    "its root is the accepted one: {} of {} received in token {token} are distributed",
                    pool.funded, pool.received
                )
            };
            self.claim("payout.accepted", self.chain_label, text);
            if epoch > 1 {
                let text =
                    "that the epochs before were accepted as computed here is the exporter's word";
                self.claim("payout.history", Label::Attested, text);
            }
        } else {
            self.broken("payout.pool.mismatch", token, "the accepted root is not the computed one");
        }
    }

    fn check_claims(&mut self, vault: Address, entries: &[Entry]) -> Vec<(Address, u128)> {
        let mut claimed = Vec::with_capacity(entries.len());
        for entry in entries {
            let slot = ledger::claimed_slot(entry.account);
            match self.ledger.slot(vault, slot) {
                None => {
                    self.broken(
                        "payout.claim.unproven",
                        entry.account,
                        "no storage proof shows it",
                    );
                }
                Some(amount) if amount > U256::from(entry.cumulative) => {
                    self.broken(
                        "payout.claim.excess",
                        entry.account,
                        "more was claimed than computed",
                    );
                }
                Some(amount) => claimed.push((entry.account, amount.saturating_to())),
            }
        }
        let paid: u128 =
            claimed.iter().fold(0, |sum: u128, (_, amount)| sum.saturating_add(*amount));
        if !entries.is_empty() {
            let count = claimed.iter().filter(|(_, amount)| *amount > 0).count();
            let text = format!("{count} of {} payees have claimed {paid}", entries.len());
            self.claim("payout.claimed", self.chain_label, text);
        }
        claimed
    }
}

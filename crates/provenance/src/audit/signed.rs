//! Signed statements and their places in the log.

use std::collections::BTreeMap;

use probity_core::{
    Digest, Label,
    log::{Checkpoint, VerifierKey, leaf_hash},
    statement::{self, Signed},
};

use super::Audit;
use crate::{
    bundle::{self, Inclusions},
    content::Batch,
    optout,
};

/// Checked statements by the digest of their payload.
pub(crate) type Statements = BTreeMap<Digest, Signed>;
/// Contents statements by digest.
pub(crate) type Batches = BTreeMap<Digest, Batch>;

impl Audit<'_> {
    pub(super) fn check_statements(&mut self) -> Statements {
        let mut statements = Statements::new();
        let inclusions: Inclusions = self.json_file(bundle::LOG_INCLUSION).unwrap_or_default();
        let checkpoint = self.check_log();
        let files = self.sealed.files;
        for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with(bundle::STATEMENTS)) {
            let signed = match statement::open(bytes) {
                Ok(signed) => signed,
                Err(error) => {
                    self.broken("statement.malformed", name, error);
                    continue;
                }
            };
            if *name != format!("{}{}.json", bundle::STATEMENTS, signed.digest) {
                self.broken("statement.name.mismatch", name, "it holds another statement");
                continue;
            }
            if !signed.findings.is_empty() {
                self.findings.extend(signed.findings);
                continue;
            }
            let leaf = leaf_hash(Digest::of(bytes).as_bytes());
            let included = checkpoint.as_ref().zip(inclusions.get(&signed.digest)).is_some_and(
                |(checkpoint, proof)| checkpoint.verify_inclusion(&leaf, proof).is_ok(),
            );
            if !included {
                self.broken("log.inclusion.invalid", name, "it is not shown to be in the log");
            }
            statements.insert(signed.digest, signed);
        }
        if !statements.is_empty() {
            let text = format!("{} statements carry their authors' signatures", statements.len());
            self.claim("statements.signed", Label::Verified, text);
        }
        statements
    }

    fn check_log(&mut self) -> Option<Checkpoint> {
        let log = self.sealed.index.log.clone();
        let Ok(key) = log.key.parse::<VerifierKey>() else {
            self.broken("log.key.malformed", bundle::INDEX, "not a verifier key");
            return None;
        };
        let bytes = self.file(bundle::LOG_CHECKPOINT).unwrap_or_default();
        match Checkpoint::verify_origin(bytes, &key, &log.origin) {
            Ok(checkpoint) => {
                let text = format!(
                    "log `{}` of {} statements, signed by its operator's key",
                    checkpoint.origin(),
                    checkpoint.size()
                );
                self.claim("log.checkpoint", Label::Attested, text);
                Some(checkpoint)
            }
            Err(error) => {
                self.broken("log.checkpoint.invalid", bundle::LOG_CHECKPOINT, error);
                None
            }
        }
    }

    /// Content batches, each with its root on chain.
    pub(super) fn check_batches(&mut self, statements: &Statements) -> Batches {
        let mut batches = Batches::new();
        let contents = statements
            .values()
            .filter(|s| s.statement.predicate_type == crate::content::CONTENT_TYPE);
        for signed in contents {
            let batch = match Batch::open(signed) {
                Ok(batch) => batch,
                Err(error) => {
                    self.broken("content.invalid", signed.digest, error);
                    continue;
                }
            };
            let root = batch.root();
            let anchored = self.records.anchors.iter().any(|anchor| {
                anchor.root == root
                    && anchor.author == batch.predicate.author
                    && anchor.size == batch.contents.len() as u64
                    && Digest::from(anchor.statement) == signed.digest
            });
            if !anchored {
                self.broken(
                    "content.not-anchored",
                    signed.digest,
                    "no anchor of its author commits to it",
                );
            }
            batches.insert(signed.digest, batch);
        }
        if !batches.is_empty() {
            let works: usize = batches.values().map(|batch| batch.contents.len()).sum();
            let text = format!(
                "{works} works in {} batches, signed by their authors and anchored",
                batches.len()
            );
            self.claim("contents.registered", self.chain_label, text);
        }
        batches
    }

    /// Works whose opt-outs are signed and registered.
    pub(super) fn check_opt_outs(&mut self, statements: &Statements) -> optout::DenyList {
        let mut backed = optout::DenyList::default();
        for signed in
            statements.values().filter(|s| s.statement.predicate_type == optout::OPT_OUT_TYPE)
        {
            match optout::open(signed) {
                Ok(records) => {
                    let registered =
                        records.iter().all(|record| self.records.opt_outs.contains(record));
                    if !registered {
                        self.broken(
                            "opt-out.not-registered",
                            signed.digest,
                            "not all of its works are on chain",
                        );
                    }
                    backed.extend(records.iter().map(|record| Digest::from(record.digest)));
                }
                Err(error) => self.broken("opt-out.invalid", signed.digest, error),
            }
        }
        backed
    }

    /// The list a manifest was checked against, each entry backed by an opt-out.
    pub(super) fn check_deny_list(
        &mut self,
        commitment: Digest,
        backed: &optout::DenyList,
    ) -> Option<optout::DenyList> {
        let name = bundle::deny_list_name(&commitment);
        let listed: Vec<Digest> = self.json_file(&name)?;
        let mut list = optout::DenyList::default();
        list.extend(listed.iter().copied());
        if list.commitment() != commitment || !list.works().eq(listed.iter()) {
            self.broken("opt-out.list.mismatch", name, "not the list the manifest names");
            return None;
        }
        if let Some(work) = listed.iter().find(|work| !backed.contains(work)) {
            self.broken("opt-out.list.unbacked", name, format!("nobody opted out `{work}`"));
            return None;
        }
        Some(list)
    }
}

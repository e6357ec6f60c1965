//! Signed statements and their places in the log.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest, Finding, Label,
    binding::{KEY_BINDING_TYPE, KeyRing},
    keys::PublicKey,
    log::{Checkpoint, VerifierKey, leaf_hash},
    records::record_id,
    statement::{self, Signed},
};

use super::Audit;
use crate::{
    bundle::{self, Inclusions},
    command::{PROVENANCE_TYPE, Provenance},
    content::Batch,
    erasure::{ERASURE_TYPE, Erasure},
    optout::{self, Evidence, OptOutPredicate},
    reservation::{Decisions, Read},
};

/// Checked statements by the digest of their payload.
pub(crate) type Statements = BTreeMap<Digest, Signed>;
/// When and by whom works were first opted out.
pub(crate) type OptOuts = BTreeMap<Digest, (u64, Address)>;
/// Contents statements by digest.
pub(crate) type Batches = BTreeMap<Digest, Batch>;

/// Every predicate of ours names its author, provenance its builder and a key's binding its account:
/// who must be among the signers.
fn is_signed_by_author(signed: &Signed) -> bool {
    let field = |name: &str| signed.statement.predicate.get(name)?.as_str()?.parse().ok();
    let author: Option<Address> = match signed.statement.predicate_type.as_str() {
        PROVENANCE_TYPE => Provenance::of(&signed.statement).ok().and_then(|said| said.author()),
        KEY_BINDING_TYPE => field("account"),
        _ => field("author"),
    };
    author.is_some_and(|author| signed.signers.contains(&PublicKey::Account(author)))
}

impl<'a> Audit<'a> {
    pub(super) fn check_statements(&mut self) -> Statements {
        let mut statements = Statements::new();
        let inclusions = self.inclusions();
        let checkpoint = self.check_log();
        let (opened, ring) = self.open_statements();
        let mut bound = 0;
        for (name, mut signed) in opened {
            bound += usize::from(ring.resolve_signers(&mut signed) > 0);
            if !is_signed_by_author(&signed) {
                self.broken("statement.author.unsigned", name, "its author did not sign it");
                continue;
            }
            let bytes = self.sealed.files.get(name).map(Vec::as_slice).unwrap_or_default();
            let leaf = leaf_hash(Digest::of(bytes).as_bytes());
            let included = checkpoint.as_ref().zip(inclusions.0.get(&signed.digest)).is_some_and(
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
        if bound > 0 {
            let text = format!(
                "{bound} statements are signed by keys that accounts bound, at times when they did, say their signers"
            );
            self.claim("statements.bound-keys", Label::Attested, text);
        }
        statements
    }

    fn inclusions(&mut self) -> Inclusions {
        let first = bundle::inclusions_name(0);
        if self.file(&first).is_none() {
            self.broken("bundle.file.missing", first, "the audit needs it");
        }
        Inclusions::read(self.sealed.files).unwrap_or_else(|(name, error)| {
            self.broken("bundle.file.malformed", name, error);
            Inclusions::default()
        })
    }

    /// The statements whose signatures hold, and the keys that accounts let sign for them.
    fn open_statements(&mut self) -> (Vec<(&'a String, Signed)>, KeyRing) {
        let (mut opened, mut ring) = (Vec::new(), KeyRing::default());
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
            if signed.statement.predicate_type == KEY_BINDING_TYPE
                && let Err(finding) = ring.add(&signed)
            {
                self.findings.push(finding);
                continue;
            }
            opened.push((name, signed));
        }
        (opened, ring)
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
        let anchors: BTreeSet<B256> = self.records.anchors.iter().map(record_id).collect();
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
            if !anchors.contains(&record_id(&batch.anchor())) {
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

    /// Erasures, each of works of its author. That nothing is kept elsewhere is their word.
    pub(super) fn check_erasures(&mut self, statements: &Statements, batches: &Batches) {
        let mut erased = BTreeSet::new();
        for signed in statements.values().filter(|s| s.statement.predicate_type == ERASURE_TYPE) {
            let erasure = match Erasure::open(signed) {
                Ok(erasure) => erasure,
                Err(error) => {
                    self.broken("erasure.invalid", signed.digest, error);
                    continue;
                }
            };
            let author = erasure.predicate.author;
            let theirs: BTreeSet<Digest> = (batches.values())
                .filter(|batch| batch.predicate.author == author)
                .flat_map(|batch| batch.works.iter().map(|(_, work)| *work))
                .collect();
            if erasure.works.is_disjoint(&theirs) {
                self.broken(
                    "erasure.not-theirs",
                    signed.digest,
                    format!("`{author}` registered none"),
                );
            }
            erased.extend(erasure.works.intersection(&theirs).copied());
        }
        if !erased.is_empty() {
            let text =
                format!("{} works were erased by their authors, by their word", erased.len());
            self.claim("contents.erased", Label::Attested, text);
        }
    }

    /// Registered opt-outs: the record is its author's word, by signature or transaction. Where the
    /// statement behind it is in the bundle, it must say the same.
    pub(super) fn check_opt_outs(&mut self, statements: &Statements) -> OptOuts {
        let records = self.records.opt_outs.clone();
        let registered: BTreeSet<B256> = records.iter().map(record_id).collect();
        for signed in
            statements.values().filter(|s| s.statement.predicate_type == optout::OPT_OUT_TYPE)
        {
            match optout::open(signed) {
                Ok(stated) if stated.iter().any(|of| registered.contains(&record_id(of))) => {}
                Ok(_) => {
                    let message = "none of its works is registered by it";
                    self.broken("opt-out.not-registered", signed.digest, message);
                }
                Err(error) => self.broken("opt-out.invalid", signed.digest, error),
            }
        }
        let registry = self.sealed.index.chain.registry;
        let mut found = OptOuts::new();
        for record in records.iter().filter(|record| optout::is_of_training(record)) {
            let Some(stored) = self.ledger.record(registry, record_id(record)) else { continue };
            let earlier = found.entry(record.digest.into()).or_insert((stored.time, record.author));
            *earlier = (*earlier).min((stored.time, record.author));
        }
        found
    }

    /// The documents that opt-outs rest on, read again. An opt-out stands by its author's word; that
    /// others' documents say the same is more. More documents never lift what one reserves.
    pub(super) fn check_evidence(&mut self, statements: &Statements) {
        let (mut verified, mut missing) = (0, 0);
        for signed in
            statements.values().filter(|s| s.statement.predicate_type == optout::OPT_OUT_TYPE)
        {
            let said = signed.statement.predicate::<OptOutPredicate>(optout::OPT_OUT_TYPE);
            let evidence = said.map(|said| said.evidence).unwrap_or_default();
            if evidence.is_empty() {
                continue;
            }
            let (read, is_whole) = self.read_evidence(&evidence);
            if Decisions::of(read.statements).reserve_training() {
                verified += 1;
            } else if is_whole {
                let message = "the documents it names do not reserve training";
                let code = "opt-out.evidence.not-reserving";
                self.findings.push(Finding::warning(code, signed.digest, message));
            } else {
                missing += 1;
            }
        }
        if verified > 0 {
            let text =
                format!("{verified} opt-outs rest on documents that reserve training, read again");
            self.claim("opt-outs.evidence", Label::Verified, text);
        }
        if missing > 0 {
            let text = format!(
                "{missing} opt-outs name documents that are not in the bundle or are not read here"
            );
            self.claim("opt-outs.evidence.missing", Label::Missing, text);
        }
    }

    /// What the documents say that are in the bundle, and whether all are.
    fn read_evidence(&mut self, evidence: &[Evidence]) -> (Read, bool) {
        let (mut all, mut is_whole) = (Read::default(), true);
        for Evidence { source, digest, location } in evidence {
            let name = bundle::reservation_name(digest);
            let Some(bytes) = self.file(&name) else {
                is_whole = false;
                continue;
            };
            if Digest::of(bytes) != *digest {
                self.broken("opt-out.evidence.mismatch", name, "not the document it is named for");
                continue;
            }
            match source.read(bytes, location.as_deref().unwrap_or_default()) {
                Some(Ok(read)) => all.extend(read),
                Some(Err(error)) => {
                    let code = "opt-out.evidence.malformed";
                    self.findings.push(Finding::warning(code, name, error));
                }
                None => is_whole = false,
            }
        }
        (all, is_whole)
    }

    /// The list a manifest was checked against, each entry backed by an opt-out.
    pub(super) fn check_deny_list(
        &mut self,
        commitment: Digest,
        backed: &OptOuts,
    ) -> Option<optout::DenyList> {
        let name = bundle::deny_list_name(&commitment);
        let listed = self.decoded_file(&name, optout::DenyList::works_from_json)?;
        let mut list = optout::DenyList::default();
        list.extend(listed.iter().copied());
        if list.commitment() != commitment || !list.works().eq(listed.iter()) {
            self.broken("opt-out.list.mismatch", name, "not the list the manifest names");
            return None;
        }
        if let Some(work) = listed.iter().find(|work| !backed.contains_key(work)) {
            self.broken("opt-out.list.unbacked", name, format!("nobody opted out `{work}`"));
            return None;
        }
        Some(list)
    }
}

//! Opt-outs: reservations against training, as a list that proves who is *not* on it.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest,
    absence::SortedSet,
    json::{self, JsonError},
    keys::PublicKey,
    records::OptOut,
    statement::{Signed, StatementError},
};
use serde::{Deserialize, Serialize};

use crate::{content::tag, reservation::Source};

/// Predicate type of an opt-out. Its subjects are the works.
pub const OPT_OUT_TYPE: &str = "https://probity.dev/opt-out/v1";
/// What `Registry.anchor` calls an opt-out list.
pub const OPT_OUT_SUBJECT: B256 = tag(b"opt-out");
/// The scope of a reservation against training.
pub const SCOPE_TRAIN: &str = "ai-train";

/// Largest list of opted-out works that is decoded, in bytes: some sixteen million.
pub const MAX_LIST_BYTES: usize = 1 << 30;

/// A reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptOutPredicate {
    /// Who reserves.
    pub author: Address,
    /// What is reserved: [`SCOPE_TRAIN`].
    pub scope: String,
    /// When it was signed, Unix seconds.
    pub time: u64,
    /// What it rests on, where it was imported; nothing where the author says so here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// A document that reserves the works, kept as an object. Whoever has its bytes can read it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What it is.
    pub source: Source,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Path of the works' URL, where the document tells paths apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// Why an opt-out is refused.
#[derive(Debug, thiserror::Error)]
pub enum OptOutError {
    /// Malformed statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The author's signature is missing.
    #[error("the author `{0}` did not sign the opt-out")]
    AuthorUnsigned(Address),
    /// Another scope.
    #[error("expected scope `{SCOPE_TRAIN}`, got `{0}`")]
    ScopeUnknown(String),
}

/// Reads a checked opt-out statement: the on-chain records it stands for, one per work.
pub fn open(signed: &Signed) -> Result<Vec<OptOut>, OptOutError> {
    let predicate: OptOutPredicate = signed.statement.predicate(OPT_OUT_TYPE)?;
    if predicate.scope != SCOPE_TRAIN {
        return Err(OptOutError::ScopeUnknown(predicate.scope));
    }
    if !signed.signers.contains(&PublicKey::Account(predicate.author)) {
        return Err(OptOutError::AuthorUnsigned(predicate.author));
    }
    let record = |digest: Digest| OptOut {
        digest: digest.into(),
        scope: tag(SCOPE_TRAIN.as_bytes()),
        statement: signed.digest.into(),
        author: predicate.author,
    };
    Ok(signed.statement.subject.iter().map(|subject| record(subject.digest.sha256)).collect())
}

/// Whether a record reserves a work against training.
pub fn is_of_training(record: &OptOut) -> bool {
    record.scope == tag(SCOPE_TRAIN.as_bytes())
}

/// The deny list: the works nobody may train on.
///
/// An opt-out stands whoever signed it; a false one is answered by challenging it, not by training.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DenyList(BTreeSet<Digest>);

impl DenyList {
    /// Adds opted-out works.
    pub fn extend(&mut self, works: impl IntoIterator<Item = Digest>) {
        self.0.extend(works);
    }

    /// Whether a work is on the list.
    pub fn contains(&self, work: &Digest) -> bool {
        self.0.contains(work)
    }

    /// Decodes an untrusted list, as bundles have it: the digests in JSON, in any order.
    pub fn works_from_json(bytes: &[u8]) -> Result<Vec<Digest>, JsonError> {
        json::decode_within(bytes, MAX_LIST_BYTES)
    }

    /// The list's commitment, against which absence is proved.
    pub fn commitment(&self) -> Digest {
        self.sorted().commitment()
    }

    /// The list as a set that proves membership and absence.
    pub fn sorted(&self) -> SortedSet {
        self.0.iter().copied().collect()
    }

    /// The works in ascending order.
    pub fn works(&self) -> impl ExactSizeIterator<Item = &Digest> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opt_outs_from_before_evidence_keep_their_bytes() {
        let old = r#"{"author":"0x00000000000000000000000000000000000000aa","scope":"ai-train","time":7}"#;
        let predicate: OptOutPredicate = serde_json::from_str(old).unwrap();
        assert_eq!(serde_json::to_string(&predicate).unwrap(), old);
        let evidence =
            Evidence { source: Source::Aipref, digest: Digest::of(b"x"), location: None };
        let new = OptOutPredicate { evidence: vec![evidence], ..predicate };
        let json = serde_json::to_string(&new).unwrap();
        assert!(json.contains(r#""evidence":[{"source":"aipref","digest":"#), "{json}");
        assert_eq!(serde_json::from_str::<OptOutPredicate>(&json).unwrap(), new);
    }
}

//! Erased works: what their author says is gone. Digests stay, and every proof over them.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use probity_core::{
    Digest,
    keys::PublicKey,
    statement::{Signed, StatementError},
};
use serde::{Deserialize, Serialize};

/// Predicate type of an erasure. Its subjects are the works.
pub const ERASURE_TYPE: &str = "https://probity.dev/erasure/v1";

/// Somebody's word that works, and the salts of those that had any, are deleted where they keep them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasurePredicate {
    /// The works' author.
    pub author: Address,
    /// When it was signed, Unix seconds.
    pub time: u64,
}

/// Why an erasure is refused.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// Malformed statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The author's signature is missing.
    #[error("the author `{0}` did not sign the erasure")]
    AuthorUnsigned(Address),
}

/// An erasure whose statement was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// What the author said.
    pub predicate: ErasurePredicate,
    /// What is gone.
    pub works: BTreeSet<Digest>,
}

impl Erasure {
    /// Reads a checked statement.
    pub fn open(signed: &Signed) -> Result<Self, ErasureError> {
        let predicate: ErasurePredicate = signed.statement.predicate(ERASURE_TYPE)?;
        if !signed.signers.contains(&PublicKey::Account(predicate.author)) {
            return Err(ErasureError::AuthorUnsigned(predicate.author));
        }
        let works = signed.statement.subject.iter().map(|subject| subject.digest.sha256).collect();
        Ok(Self { predicate, works })
    }
}

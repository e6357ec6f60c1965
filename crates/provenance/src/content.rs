//! Works and their batches.
//!
//! A creator signs one statement for a batch of works under the same terms. Each work then has its
//! own content record, derived from the statement, and one Merkle root over the records' ids goes
//! on chain, whatever their number.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest,
    dsse::{DsseError, Envelope},
    keys::SecretKey,
    licence::{LicenceError, LicenceTerms},
    merkle::{self, StandardTree},
    money::Bps,
    records::{Anchor, Content, record_id},
    statement::{Signed, Statement, StatementError},
};
use serde::{Deserialize, Serialize};

/// Predicate type of a batch of contents.
pub const CONTENT_TYPE: &str = "https://probity.dev/content/v1";
/// What `Registry.anchor` calls a batch of contents: the tag, padded with zeros.
pub const CONTENT_SUBJECT: B256 = tag(b"content");

/// A short ASCII tag as a word, padded with zeros on the right.
pub const fn tag(text: &[u8]) -> B256 {
    let mut word = [0; 32];
    let mut i = 0;
    while i < text.len() {
        word[i] = text[i];
        i += 1;
    }
    B256::new(word)
}

/// Somebody who earns from a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payee {
    /// Where the money goes.
    pub account: Address,
    /// Part of the content's share.
    pub bps: Bps,
}

/// What a creator says about a batch of works. The works are the statement's subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContentPredicate {
    /// Whoever made the works or holds the rights.
    pub author: Address,
    /// Terms that all works of the batch are under.
    pub licence: LicenceTerms,
    /// Media type of the works.
    pub media_type: String,
    /// Who earns; the parts add up to 10,000.
    pub payees: Vec<Payee>,
    /// When it was signed, Unix seconds.
    pub time: u64,
}

/// Why contents are refused.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// Malformed statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Malformed licence.
    #[error(transparent)]
    Licence(#[from] LicenceError),
    /// Splits that lose or invent money.
    #[error("payees' parts must add up to 10000 basis points, got `{0}`")]
    SplitSum(u32),
    /// The same payee twice.
    #[error("payee `{0}` is named twice")]
    PayeeTwice(Address),
    /// The same work twice in one batch.
    #[error("work `{0}` is in the batch twice")]
    WorkTwice(Digest),
    /// The author's signature is missing.
    #[error("the author `{0}` did not sign the statement")]
    AuthorUnsigned(Address),
}

/// Checks that payees are distinct and their parts make the whole.
pub fn check_payees(payees: &[Payee]) -> Result<(), ContentError> {
    let sum: u32 = payees.iter().map(|payee| u32::from(payee.bps.get())).sum();
    if sum != u32::from(Bps::WHOLE.get()) {
        return Err(ContentError::SplitSum(sum));
    }
    let mut seen = BTreeSet::new();
    match payees.iter().find(|payee| !seen.insert(payee.account)) {
        Some(twice) => Err(ContentError::PayeeTwice(twice.account)),
        None => Ok(()),
    }
}

/// A batch whose statement was checked.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What the author said.
    pub predicate: ContentPredicate,
    /// The works' names and digests, in the statement's order.
    pub works: Vec<(String, Digest)>,
    /// The works' content records, in the same order.
    pub contents: Vec<Content>,
    /// Digest of the statement.
    pub statement: Digest,
}

impl Batch {
    /// Signs a statement over works.
    pub fn sign(
        predicate: &ContentPredicate,
        works: Vec<(String, Digest)>,
        key: &SecretKey,
    ) -> Result<(Self, Envelope), ContentError> {
        let statement = Statement::new(CONTENT_TYPE, works, predicate)?;
        let envelope = statement.sign(&[key])?;
        let signed = Signed {
            statement,
            digest: envelope.payload_digest(),
            signers: vec![
                key.public().map_err(|error| StatementError::Dsse(DsseError::Key(error)))?,
            ],
            findings: vec![],
        };
        Ok((Self::open(&signed)?, envelope))
    }

    /// Reads a checked statement and derives the content records.
    pub fn open(signed: &Signed) -> Result<Self, ContentError> {
        let predicate: ContentPredicate = signed.statement.predicate(CONTENT_TYPE)?;
        predicate.licence.check()?;
        check_payees(&predicate.payees)?;
        let author = probity_core::keys::PublicKey::Account(predicate.author);
        if !signed.signers.contains(&author) {
            return Err(ContentError::AuthorUnsigned(predicate.author));
        }
        let licence = predicate.licence.id()?;
        let mut seen = BTreeSet::new();
        let mut works = Vec::with_capacity(signed.statement.subject.len());
        let mut contents = Vec::with_capacity(works.capacity());
        for subject in &signed.statement.subject {
            let digest = subject.digest.sha256;
            if !seen.insert(digest) {
                return Err(ContentError::WorkTwice(digest));
            }
            works.push((subject.name.clone(), digest));
            contents.push(Content {
                digest: digest.into(),
                licence: licence.into(),
                statement: signed.digest.into(),
                supersedes: B256::ZERO,
                author: predicate.author,
            });
        }
        Ok(Self { predicate, works, contents, statement: signed.digest })
    }

    /// What its author registers on chain.
    pub fn anchor(&self) -> Anchor {
        Anchor {
            subject: CONTENT_SUBJECT,
            root: self.root(),
            size: self.contents.len() as u64,
            statement: self.statement.into(),
            author: self.predicate.author,
        }
    }

    /// The Merkle root over the content ids that goes on chain.
    pub fn root(&self) -> B256 {
        let leaves = self.contents.iter().map(|content| batch_leaf(record_id(content))).collect();
        // A statement has at least one subject, so the tree is never empty.
        StandardTree::new(leaves).map_or(B256::ZERO, |tree| tree.root())
    }
}

/// The leaf of a content in its batch's tree.
pub fn batch_leaf(content: B256) -> B256 {
    merkle::leaf(&(content,))
}

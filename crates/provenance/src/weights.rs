//! What the items of a dataset weigh: by contribution, by curators' votes, by usage logs, or fixed.
//!
//! The formula and its parameters are part of the policy and so of the dataset's manifest; the
//! statements that votes and usage are counted from are named there too.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy_primitives::Address;
use probity_core::{
    Digest,
    keys::PublicKey,
    statement::{Signed, StatementError},
};
use serde::{Deserialize, Serialize};

/// Predicate type of votes for works and of logs of their use. The works are its subjects.
pub const TALLY_TYPE: &str = "https://probity.dev/tally/v1";

/// How an item's weight is computed. Sums saturate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "formula", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Formula {
    /// Each item weighs the same.
    #[serde(rename = "contribution/v1")]
    Contribution {
        /// Weight of an item.
        #[serde(default = "one")]
        per_item: u64,
    },
    /// `base + perVote * votes`, one vote of each curator at most.
    #[serde(rename = "votes/v1")]
    Votes {
        /// Weight of an item without a vote.
        base: u64,
        /// Weight of a vote.
        per_vote: u64,
        /// Whose votes count.
        curators: BTreeSet<Address>,
    },
    /// `base + perUse * min(uses, maxUses)`.
    #[serde(rename = "usage/v1")]
    Usage {
        /// Weight of an item that was never used.
        base: u64,
        /// Weight of a use.
        per_use: u64,
        /// Uses beyond this many do not count.
        max_uses: u64,
        /// Whose logs count.
        meters: BTreeSet<Address>,
    },
    /// Agreed beforehand, by author.
    #[serde(rename = "fixed/v1")]
    Fixed {
        /// Weight of each item of these authors.
        authors: BTreeMap<Address, u64>,
        /// Weight of each item of anybody else.
        others: u64,
    },
}

fn one() -> u64 {
    1
}

impl Default for Formula {
    fn default() -> Self {
        Self::Contribution { per_item: 1 }
    }
}

impl Formula {
    /// Its name with its version, as the manifest has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Contribution { .. } => "contribution/v1",
            Self::Votes { .. } => "votes/v1",
            Self::Usage { .. } => "usage/v1",
            Self::Fixed { .. } => "fixed/v1",
        }
    }

    /// What is counted, and whose statements count.
    pub fn counts(&self) -> Option<(Counted, &BTreeSet<Address>)> {
        match self {
            Self::Votes { curators, .. } => Some((Counted::Votes, curators)),
            Self::Usage { meters, .. } => Some((Counted::Usage, meters)),
            Self::Contribution { .. } | Self::Fixed { .. } => None,
        }
    }

    /// An item's weight.
    pub fn weight(&self, author: Address, work: &Digest, tallies: &Tallies) -> u64 {
        match self {
            Self::Contribution { per_item } => *per_item,
            Self::Votes { base, per_vote, .. } => {
                base.saturating_add(per_vote.saturating_mul(tallies.of(work)))
            }
            Self::Usage { base, per_use, max_uses, .. } => {
                base.saturating_add(per_use.saturating_mul(tallies.of(work).min(*max_uses)))
            }
            Self::Fixed { authors, others } => authors.get(&author).copied().unwrap_or(*others),
        }
    }
}

/// What a statement counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Counted {
    /// A curator's votes: 1 for a work, 0 against it; the newest statement about a work counts.
    Votes,
    /// How often works were used in a period; periods add up.
    Usage,
}

/// What a voter or a meter says of the works that are the statement's subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TallyPredicate {
    /// Who says it.
    pub author: Address,
    /// What is counted.
    pub counted: Counted,
    /// The counts, in the subjects' order.
    pub counts: Vec<u64>,
    /// When it was signed, Unix seconds.
    pub time: u64,
}

/// Why a statement is no tally.
#[derive(Debug, thiserror::Error)]
pub enum TallyError {
    /// Malformed statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Counts that do not fit the works.
    #[error("expected a count for each of `{works}` works, got `{counts}`")]
    Count {
        /// Subjects.
        works: usize,
        /// Counts.
        counts: usize,
    },
    /// A vote is 0 or 1.
    #[error("expected a vote of 0 or 1, got `{0}`")]
    Vote(u64),
    /// The author's signature is missing.
    #[error("the author `{0}` did not sign the statement")]
    AuthorUnsigned(Address),
}

/// A checked statement of votes or usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// What it says.
    pub predicate: TallyPredicate,
    /// The works, in the counts' order.
    pub works: Vec<Digest>,
    /// Digest of the statement.
    pub statement: Digest,
}

impl Tally {
    /// Reads a checked statement.
    pub fn open(signed: &Signed) -> Result<Self, TallyError> {
        let predicate: TallyPredicate = signed.statement.predicate(TALLY_TYPE)?;
        if !signed.signers.contains(&PublicKey::Account(predicate.author)) {
            return Err(TallyError::AuthorUnsigned(predicate.author));
        }
        let works: Vec<Digest> =
            signed.statement.subject.iter().map(|subject| subject.digest.sha256).collect();
        predicate.check(works.len())?;
        Ok(Self { predicate, works, statement: signed.digest })
    }
}

impl TallyPredicate {
    /// Whether it can be about this many works.
    pub fn check(&self, works: usize) -> Result<(), TallyError> {
        if works != self.counts.len() {
            return Err(TallyError::Count { works, counts: self.counts.len() });
        }
        let vote = self.counts.iter().find(|count| **count > 1);
        match vote {
            Some(vote) if self.counted == Counted::Votes => Err(TallyError::Vote(*vote)),
            _ => Ok(()),
        }
    }
}

/// Votes or uses of works, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tallies {
    statements: Vec<Digest>,
    sums: HashMap<Digest, u64>,
}

impl Tallies {
    /// Counts what a formula counts. Others' statements, and statements of something else, are left
    /// out.
    pub fn count(formula: &Formula, tallies: &[Tally]) -> Self {
        let Some((counted, authors)) = formula.counts() else { return Self::default() };
        let is_meant = |tally: &&Tally| {
            tally.predicate.counted == counted && authors.contains(&tally.predicate.author)
        };
        let meant: Vec<&Tally> = tallies.iter().filter(is_meant).collect();
        let mut votes: BTreeMap<(Address, Digest), u64> = BTreeMap::new();
        for tally in &meant {
            for (work, count) in tally.works.iter().zip(&tally.predicate.counts) {
                let sum = votes.entry((tally.predicate.author, *work)).or_default();
                *sum = match counted {
                    Counted::Votes => *count,
                    Counted::Usage => sum.saturating_add(*count),
                };
            }
        }
        let mut sums: HashMap<Digest, u64> = HashMap::new();
        for ((_, work), count) in votes {
            let sum = sums.entry(work).or_default();
            *sum = sum.saturating_add(count);
        }
        Self { statements: meant.iter().map(|tally| tally.statement).collect(), sums }
    }

    /// The statements counted, in order.
    pub fn statements(&self) -> &[Digest] {
        &self.statements
    }

    /// A work's sum.
    pub fn of(&self, work: &Digest) -> u64 {
        self.sums.get(work).copied().unwrap_or_default()
    }
}

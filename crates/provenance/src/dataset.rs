//! Datasets: which contents enter, with what weight, and why others do not.

mod build;
mod difference;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest,
    json::{self, JsonError},
    merkle::StandardTree,
    records::DatasetItem,
};
use serde::{Deserialize, Serialize};

use crate::{
    content::{Batch, Payee},
    near::{Fingerprint, NearPolicy, Resemblance},
    optout::DenyList,
    weights::{Formula, Tallies},
};

pub use difference::Difference;

/// Predicate type of the curator's statement about a manifest.
pub const DATASET_TYPE: &str = "https://probity.dev/dataset/v1";

/// Largest manifest that is decoded, in bytes: some three million works. Decoded it takes up to twice its
/// size, because every value of it is shorter than its text.
pub const MAX_MANIFEST_BYTES: usize = 1 << 30;

/// Works that challenges removed from earlier versions, with their authors: registered again by the
/// same author they stay out, while the rightful author of a stolen work may register it.
pub type RemovedWorks = BTreeSet<(Address, Digest)>;

/// What a curator says of a dataset version. The statement's subject is the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatasetPredicate {
    /// The curator.
    pub author: Address,
    /// The manifest's name.
    pub name: String,
    /// Commitment to the opt-out list it was checked against.
    pub deny_list: Digest,
    /// When it was signed, Unix seconds.
    pub time: u64,
}

/// What a curator accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// SPDX expressions accepted, exactly as the terms write them; empty accepts every licence
    /// whose terms allow training.
    #[serde(default)]
    pub licences: BTreeSet<String>,
    /// The model will be used commercially.
    #[serde(default)]
    pub commercial: bool,
    /// Most items of one author; 0 is no limit.
    #[serde(default)]
    pub max_items_per_author: u64,
    /// Most items of an author who has none in the version before; 0 is no limit.
    #[serde(default)]
    pub max_items_per_new_author: u64,
    /// Most items of all such authors together, so that many names gain no more than one; 0 is no
    /// limit.
    #[serde(default)]
    pub max_items_of_new_authors: u64,
    /// Which works count as near duplicates; without it none do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<NearPolicy>,
    /// What items weigh.
    #[serde(default)]
    pub weights: Formula,
}

/// Why a content is not in the dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Exclusion {
    /// On the deny list.
    OptedOut,
    /// The licence is not one the policy accepts.
    LicenceNotAccepted {
        /// Its SPDX expression.
        spdx: String,
    },
    /// The licence does not permit training.
    TrainingNotPermitted {
        /// Its SPDX expression.
        spdx: String,
    },
    /// The licence does not permit the commercial use the policy asks for.
    CommercialNotPermitted {
        /// Its SPDX expression.
        spdx: String,
    },
    /// The curator chose among registered works, and not this one.
    NotSelected,
    /// The same bytes came before.
    ExactDuplicate {
        /// Content id of the first.
        of: B256,
    },
    /// It resembles one that is in.
    NearDuplicate {
        /// Content id of that one.
        of: B256,
        /// By which method, and how much.
        resemblance: Resemblance,
    },
    /// The author has as many items as the policy admits.
    AuthorOverCap,
    /// The author is new, and has as many items as the policy admits of a new one.
    NewAuthorOverCap,
    /// New authors together have as many items as the policy admits.
    NewAuthorsOverCap,
    /// The policy's formula gives it no weight.
    WithoutWeight,
    /// Removed from an earlier version by a challenge.
    RemovedByChallenge,
}

/// A content that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// Its id.
    pub content: B256,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Its author.
    pub author: Address,
    /// Why.
    #[serde(flatten)]
    pub exclusion: Exclusion,
}

/// A content that is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Position, from 0.
    pub index: u64,
    /// Content id.
    pub content: B256,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Its author.
    pub author: Address,
    /// Digest of the statement that registered it.
    pub statement: Digest,
    /// Its part of the total weight.
    pub weight: u64,
}

impl Item {
    /// The leaf of the dataset's tree.
    pub fn leaf(&self) -> B256 {
        self.record().leaf()
    }

    /// As the contracts see it.
    pub fn record(&self) -> DatasetItem {
        DatasetItem { index: self.index, content: self.content, weight: self.weight }
    }
}

/// A dataset version: everything that decides what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// A name for people.
    pub name: String,
    /// The rules it was built by.
    pub policy: Policy,
    /// Root of the deny list it was checked against.
    pub deny_list: Digest,
    /// Statements whose contents were considered, in order.
    pub sources: Vec<Digest>,
    /// Statements of votes or usage that the weights were computed from, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tallies: Vec<Digest>,
    /// What is in.
    pub items: Vec<Item>,
    /// What is not, and why.
    pub excluded: Vec<Excluded>,
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// Nothing passed the policy.
    #[error("no content passed the policy; {0} were excluded")]
    Empty(usize),
    /// No canonical form.
    #[error(transparent)]
    Json(#[from] JsonError),
}

/// Where near duplicates are known from.
#[derive(Debug, Clone, Copy)]
pub enum Resemblances<'a> {
    /// What the works are compared by. A work that is not in it resembles nothing.
    Computed(&'a BTreeMap<Digest, Fingerprint>),
    /// Exclusions that a manifest names. They count where the policy and what was accepted before
    /// permit them; whether the works are so alike, and which others are, only the works show.
    Claimed(&'a [Excluded]),
}

/// Everything a dataset is built from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What was registered, in order.
    pub batches: &'a [Batch],
    /// Opted-out works.
    pub deny_list: &'a DenyList,
    /// What challenges removed from earlier versions.
    pub removed: &'a RemovedWorks,
    /// Works that the curator did not choose.
    pub not_selected: &'a BTreeSet<Digest>,
    /// Authors of the version before.
    pub known_authors: &'a BTreeSet<Address>,
    /// Near duplicates.
    pub resemblances: Resemblances<'a>,
    /// Votes and usage.
    pub tallies: &'a Tallies,
}

impl Manifest {
    /// Applies a policy to what was registered. Deterministic: the same inputs give the same bytes.
    pub fn build(name: &str, policy: &Policy, inputs: &Inputs<'_>) -> Result<Self, DatasetError> {
        let (items, excluded) = build::apply(policy, inputs);
        if items.is_empty() {
            return Err(DatasetError::Empty(excluded.len()));
        }
        Ok(Self {
            name: name.to_owned(),
            policy: policy.clone(),
            deny_list: inputs.deny_list.commitment(),
            sources: inputs.batches.iter().map(|batch| batch.statement).collect(),
            tallies: inputs.tallies.statements().to_vec(),
            items,
            excluded,
        })
    }

    /// Who has items in it.
    pub fn authors(&self) -> BTreeSet<Address> {
        self.items.iter().map(|item| item.author).collect()
    }

    /// The canonical bytes that [`Manifest::digest`] is over.
    pub fn to_json(&self) -> Result<Vec<u8>, DatasetError> {
        Ok(json::canonical(self)?)
    }

    /// Decodes an untrusted manifest of up to [`MAX_MANIFEST_BYTES`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, JsonError> {
        json::decode_within(bytes, MAX_MANIFEST_BYTES)
    }

    /// The manifest's digest, as the dataset record names it.
    pub fn digest(&self) -> Result<Digest, DatasetError> {
        Ok(Digest::of(&self.to_json()?))
    }

    /// Sum of the items' weights; saturates, and a saturated sum is refused by the record.
    pub fn total_weight(&self) -> u64 {
        self.items.iter().fold(0, |sum, item| sum.saturating_add(item.weight))
    }

    /// The tree that challenges prove items against.
    pub fn tree(&self) -> Result<StandardTree, DatasetError> {
        StandardTree::new(self.items.iter().map(Item::leaf).collect())
            .map_err(|_| DatasetError::Empty(self.excluded.len()))
    }

    /// How many contents were excluded for each reason, by its name.
    pub fn exclusion_counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for excluded in &self.excluded {
            *counts.entry(excluded.exclusion.name()).or_default() += 1;
        }
        counts
    }
}

impl Exclusion {
    /// The reason's name, as in the manifest.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OptedOut => "opted-out",
            Self::LicenceNotAccepted { .. } => "licence-not-accepted",
            Self::TrainingNotPermitted { .. } => "training-not-permitted",
            Self::CommercialNotPermitted { .. } => "commercial-not-permitted",
            Self::NotSelected => "not-selected",
            Self::ExactDuplicate { .. } => "exact-duplicate",
            Self::NearDuplicate { .. } => "near-duplicate",
            Self::AuthorOverCap => "author-over-cap",
            Self::NewAuthorOverCap => "new-author-over-cap",
            Self::NewAuthorsOverCap => "new-authors-over-cap",
            Self::WithoutWeight => "without-weight",
            Self::RemovedByChallenge => "removed-by-challenge",
        }
    }
}

/// Who earns from each statement's contents: what payouts need beside the manifest.
pub type PayeesByStatement = BTreeMap<Digest, Vec<Payee>>;

//! Datasets: which contents enter, with what weight, and why others do not.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest,
    json::{self, JsonError},
    merkle::StandardTree,
    records::{DatasetItem, record_id},
};
use serde::{Deserialize, Serialize};

use crate::{
    content::{Batch, Payee},
    optout::DenyList,
};

/// Predicate type of the curator's statement about a manifest.
pub const DATASET_TYPE: &str = "https://probity.dev/dataset/v1";

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
    /// The same bytes came before.
    ExactDuplicate {
        /// Content id of the first.
        of: B256,
    },
    /// The author has as many items as the policy admits.
    AuthorOverCap,
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

impl Manifest {
    /// Applies a policy to batches, in order. Deterministic: the same inputs give the same bytes.
    ///
    /// Each accepted content weighs 1.
    pub fn build(
        name: &str,
        policy: &Policy,
        batches: &[Batch],
        deny_list: &DenyList,
        removed: &RemovedWorks,
    ) -> Result<Self, DatasetError> {
        let mut builder = Builder {
            policy,
            deny_list,
            removed,
            first_by_digest: BTreeMap::new(),
            items_by_author: BTreeMap::new(),
            items: vec![],
            excluded: vec![],
        };
        for batch in batches {
            builder.add(batch);
        }
        let Builder { items, excluded, .. } = builder;
        if items.is_empty() {
            return Err(DatasetError::Empty(excluded.len()));
        }
        Ok(Self {
            name: name.to_owned(),
            policy: policy.clone(),
            deny_list: deny_list.commitment(),
            sources: batches.iter().map(|batch| batch.statement).collect(),
            items,
            excluded,
        })
    }

    /// The canonical bytes that [`Manifest::digest`] is over.
    pub fn to_json(&self) -> Result<Vec<u8>, DatasetError> {
        Ok(json::canonical(self)?)
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
            Self::ExactDuplicate { .. } => "exact-duplicate",
            Self::AuthorOverCap => "author-over-cap",
            Self::RemovedByChallenge => "removed-by-challenge",
        }
    }
}

struct Builder<'a> {
    policy: &'a Policy,
    deny_list: &'a DenyList,
    removed: &'a RemovedWorks,
    first_by_digest: BTreeMap<Digest, B256>,
    items_by_author: BTreeMap<Address, u64>,
    items: Vec<Item>,
    excluded: Vec<Excluded>,
}

impl Builder<'_> {
    fn add(&mut self, batch: &Batch) {
        let refused = self.licence_exclusion(batch);
        for content in &batch.contents {
            let (id, digest) = (record_id(content), Digest::from(content.digest));
            let exclusion =
                refused.clone().or_else(|| self.content_exclusion(digest, content.author));
            if let Some(exclusion) = exclusion {
                let author = content.author;
                self.excluded.push(Excluded { content: id, digest, author, exclusion });
                continue;
            }
            self.first_by_digest.insert(digest, id);
            *self.items_by_author.entry(content.author).or_default() += 1;
            self.items.push(Item {
                index: self.items.len() as u64,
                content: id,
                digest,
                author: content.author,
                statement: batch.statement,
                weight: 1,
            });
        }
    }

    fn licence_exclusion(&self, batch: &Batch) -> Option<Exclusion> {
        let terms = &batch.predicate.licence;
        let spdx = terms.spdx.clone();
        if !terms.allows_training() {
            Some(Exclusion::TrainingNotPermitted { spdx })
        } else if self.policy.commercial && !terms.commercial {
            Some(Exclusion::CommercialNotPermitted { spdx })
        } else if !self.policy.licences.is_empty() && !self.policy.licences.contains(&spdx) {
            Some(Exclusion::LicenceNotAccepted { spdx })
        } else {
            None
        }
    }

    fn content_exclusion(&self, digest: Digest, author: Address) -> Option<Exclusion> {
        let cap = self.policy.max_items_per_author;
        if self.deny_list.contains(&digest) {
            Some(Exclusion::OptedOut)
        } else if self.removed.contains(&(author, digest)) {
            Some(Exclusion::RemovedByChallenge)
        } else if let Some(first) = self.first_by_digest.get(&digest) {
            Some(Exclusion::ExactDuplicate { of: *first })
        } else if cap > 0 && self.items_by_author.get(&author).is_some_and(|count| *count >= cap) {
            Some(Exclusion::AuthorOverCap)
        } else {
            None
        }
    }
}

/// Who earns from each statement's contents: what payouts need beside the manifest.
pub type PayeesByStatement = BTreeMap<Digest, Vec<Payee>>;

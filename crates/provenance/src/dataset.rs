//! Datasets: which contents enter, with what weight, and why others do not.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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
    near::{Fingerprint, NearIndex, NearPolicy, Resemblance},
    optout::DenyList,
    weights::{Formula, Tallies},
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
        let mut builder = Builder::new(policy, inputs);
        for batch in inputs.batches {
            builder.add(batch);
        }
        let Builder { items, excluded, .. } = builder;
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

struct Builder<'a> {
    policy: &'a Policy,
    inputs: &'a Inputs<'a>,
    near: Near<'a>,
    first_by_digest: HashMap<Digest, B256>,
    items_by_author: BTreeMap<Address, u64>,
    items_of_new_authors: u64,
    items: Vec<Item>,
    excluded: Vec<Excluded>,
}

/// How resemblance to what is in already is found out.
enum Near<'a> {
    /// The policy does not ask.
    Ignored,
    Search(Box<NearIndex<'a>>, &'a BTreeMap<Digest, Fingerprint>),
    Claims {
        policy: &'a NearPolicy,
        claims: HashMap<B256, (B256, &'a Resemblance)>,
        accepted: HashSet<B256>,
    },
}

impl<'a> Near<'a> {
    fn new(policy: &'a Policy, from: Resemblances<'a>) -> Self {
        let Some(policy) = &policy.near else { return Self::Ignored };
        match from {
            Resemblances::Computed(prints) => {
                Self::Search(Box::new(NearIndex::new(policy)), prints)
            }
            Resemblances::Claimed(excluded) => {
                let claim = |excluded: &'a Excluded| match &excluded.exclusion {
                    Exclusion::NearDuplicate { of, resemblance } => {
                        Some((excluded.content, (*of, resemblance)))
                    }
                    _ => None,
                };
                let claims = excluded.iter().filter_map(claim).collect();
                Self::Claims { policy, claims, accepted: HashSet::new() }
            }
        }
    }

    fn exclusion(&self, content: B256, digest: &Digest) -> Option<Exclusion> {
        let (of, resemblance) = match self {
            Self::Ignored => return None,
            Self::Search(index, prints) => index.search(prints.get(digest)?)?,
            Self::Claims { policy, claims, accepted } => {
                let (of, resemblance) = *claims.get(&content)?;
                let holds = accepted.contains(&of) && policy.accepts(resemblance);
                holds.then(|| (of, resemblance.clone()))?
            }
        };
        Some(Exclusion::NearDuplicate { of, resemblance })
    }

    fn accept(&mut self, content: B256, digest: &Digest) {
        match self {
            Self::Ignored => {}
            Self::Search(index, prints) => {
                if let Some(print) = prints.get(digest) {
                    index.insert(content, print);
                }
            }
            Self::Claims { accepted, .. } => {
                accepted.insert(content);
            }
        }
    }
}

impl<'a> Builder<'a> {
    fn new(policy: &'a Policy, inputs: &'a Inputs<'a>) -> Self {
        Self {
            policy,
            inputs,
            near: Near::new(policy, inputs.resemblances),
            first_by_digest: HashMap::new(),
            items_by_author: BTreeMap::new(),
            items_of_new_authors: 0,
            items: vec![],
            excluded: vec![],
        }
    }

    fn add(&mut self, batch: &Batch) {
        let refused = self.licence_exclusion(batch);
        for content in &batch.contents {
            let (id, digest, author) =
                (record_id(content), Digest::from(content.digest), content.author);
            let weight = self.policy.weights.weight(author, &digest, self.inputs.tallies);
            let exclusion = self
                .choice_exclusion(&digest)
                .or_else(|| refused.clone())
                .or_else(|| self.work_exclusion(id, digest, author))
                .or_else(|| self.author_exclusion(author))
                .or_else(|| (weight == 0).then_some(Exclusion::WithoutWeight));
            if let Some(exclusion) = exclusion {
                self.excluded.push(Excluded { content: id, digest, author, exclusion });
                continue;
            }
            self.near.accept(id, &digest);
            self.first_by_digest.insert(digest, id);
            *self.items_by_author.entry(author).or_default() += 1;
            self.items_of_new_authors += u64::from(self.is_new(author));
            self.items.push(Item {
                index: self.items.len() as u64,
                content: id,
                digest,
                author,
                statement: batch.statement,
                weight,
            });
        }
    }

    fn is_new(&self, author: Address) -> bool {
        !self.inputs.known_authors.contains(&author)
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

    fn choice_exclusion(&self, digest: &Digest) -> Option<Exclusion> {
        self.inputs.not_selected.contains(digest).then_some(Exclusion::NotSelected)
    }

    fn work_exclusion(&self, content: B256, digest: Digest, author: Address) -> Option<Exclusion> {
        if self.inputs.deny_list.contains(&digest) {
            Some(Exclusion::OptedOut)
        } else if self.inputs.removed.contains(&(author, digest)) {
            Some(Exclusion::RemovedByChallenge)
        } else if let Some(first) = self.first_by_digest.get(&digest) {
            Some(Exclusion::ExactDuplicate { of: *first })
        } else {
            self.near.exclusion(content, &digest)
        }
    }

    fn author_exclusion(&self, author: Address) -> Option<Exclusion> {
        let has = self.items_by_author.get(&author).copied().unwrap_or_default();
        let reached = |count: u64, cap: u64| cap > 0 && count >= cap;
        let is_new = self.is_new(author);
        if reached(has, self.policy.max_items_per_author) {
            Some(Exclusion::AuthorOverCap)
        } else if is_new && reached(has, self.policy.max_items_per_new_author) {
            Some(Exclusion::NewAuthorOverCap)
        } else if is_new && reached(self.items_of_new_authors, self.policy.max_items_of_new_authors)
        {
            Some(Exclusion::NewAuthorsOverCap)
        } else {
            None
        }
    }
}

/// Who earns from each statement's contents: what payouts need beside the manifest.
pub type PayeesByStatement = BTreeMap<Digest, Vec<Payee>>;

/// What changed from one version to another. Items are told by their contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Items of the second only.
    pub added: Vec<Item>,
    /// Items of the first only, each with why the second excludes it, if it names it.
    pub removed: Vec<(Item, Option<Exclusion>)>,
    /// Items with another weight: content, before, after.
    pub reweighted: Vec<(B256, u64, u64)>,
    /// Whether the policy is another.
    pub policy_changed: bool,
    /// Whether another opt-out list was checked.
    pub deny_list_changed: bool,
}

impl Difference {
    /// From one version to another.
    pub fn between(before: &Manifest, after: &Manifest) -> Self {
        let by_content = |manifest: &Manifest| -> HashMap<B256, u64> {
            manifest.items.iter().map(|item| (item.content, item.weight)).collect()
        };
        let (old, new) = (by_content(before), by_content(after));
        let why: HashMap<B256, &Exclusion> =
            after.excluded.iter().map(|e| (e.content, &e.exclusion)).collect();
        let removed = before.items.iter().filter(|item| !new.contains_key(&item.content));
        let kept = before.items.iter().filter_map(|item| {
            let weight = *new.get(&item.content)?;
            (weight != item.weight).then_some((item.content, item.weight, weight))
        });
        Self {
            added: (after.items.iter())
                .filter(|item| !old.contains_key(&item.content))
                .cloned()
                .collect(),
            removed: removed
                .map(|item| (item.clone(), why.get(&item.content).map(|why| (*why).clone())))
                .collect(),
            reweighted: kept.collect(),
            policy_changed: before.policy != after.policy,
            deny_list_changed: before.deny_list != after.deny_list,
        }
    }

    /// Whether the items are the same, with the same weights.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.reweighted.is_empty()
    }
}

//! Applying a policy, work by work.

use std::collections::{BTreeMap, HashMap, HashSet};

use alloy_primitives::{Address, B256};
use probity_core::{Digest, records::record_id};

use super::{Excluded, Exclusion, Inputs, Item, Policy, Resemblances};
use crate::{
    content::Batch,
    near::{Fingerprint, NearIndex, NearPolicy, Resemblance},
};

/// What is in, and what is not.
pub(super) fn apply(policy: &Policy, inputs: &Inputs<'_>) -> (Vec<Item>, Vec<Excluded>) {
    let mut builder = Builder::new(policy, inputs);
    for batch in inputs.batches {
        builder.add(batch);
    }
    (builder.items, builder.excluded)
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

//! Curators: building a dataset from registered works.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes};
use probity_chain::{Receipt, Registry, convert};
use probity_core::{
    Digest,
    absence::{AbsenceError, AbsenceProof},
    json::{self, JsonError},
    keys::SecretKey,
    records::{Anchor, Court, Dataset, OptOut, record_id},
    statement::Statement,
};
use probity_provenance::{
    content::Batch,
    dataset::{
        DATASET_TYPE, DatasetPredicate, Inputs, Manifest, PayeesByStatement, Policy, RemovedWorks,
        Resemblances,
    },
    near::Fingerprint,
    optout::{self, DenyList, OPT_OUT_SUBJECT},
    weights::{Counted, TALLY_TYPE, Tallies, Tally, TallyPredicate},
};

use serde::{Deserialize, Serialize};

use crate::{NodeError, Workspace};

/// A proof that a work is not on an opt-out list. That the list is the one meant is for the reader to
/// compare: datasets name theirs in their manifest, anchors on chain hold them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbsentWork {
    /// Digest of the work.
    pub work: Digest,
    /// Commitment to the list.
    pub list: Digest,
    /// The proof.
    pub proof: AbsenceProof,
}

impl AbsentWork {
    /// Checks the proof, offline.
    pub fn verify(&self) -> Result<(), AbsenceError> {
        self.proof.verify(&self.work, &self.list)
    }
}

/// What a dataset record needs beside its manifest.
#[derive(Debug, Clone)]
pub struct DatasetPlan {
    /// A name for people.
    pub name: String,
    /// What is accepted.
    pub policy: Policy,
    /// The version it follows, or zero.
    pub previous: B256,
    /// Data-DAO treasury, or zero.
    pub treasury: Address,
    /// Its part of the data's share, in 1/10,000.
    pub treasury_bps: u16,
    /// Who decides challenges.
    pub court: Court,
}

impl Workspace {
    /// Applies a policy to everything registered. Changes nothing.
    /// `previous` is the version it follows, or zero.
    pub async fn plan_dataset(
        &self,
        name: &str,
        policy: &Policy,
        previous: B256,
    ) -> Result<Manifest, NodeError> {
        let batches = self.anchored().await?;
        self.apply_policy(name, policy, previous, &batches, &BTreeSet::new()).await
    }

    /// As [`Workspace::plan_dataset`], of chosen works only. Of statements that registered others
    /// too, the others are left out.
    pub async fn plan_dataset_of(
        &self,
        name: &str,
        policy: &Policy,
        previous: B256,
        works: &BTreeSet<Digest>,
    ) -> Result<Manifest, NodeError> {
        let mut batches = self.anchored().await?;
        batches.retain(|batch| batch.works.iter().any(|(_, work)| works.contains(work)));
        let all = batches.iter().flat_map(|batch| batch.works.iter().map(|(_, work)| *work));
        let others = all.filter(|work| !works.contains(work)).collect();
        self.apply_policy(name, policy, previous, &batches, &others).await
    }

    /// Those of the works that somebody registered.
    pub async fn registered(
        &self,
        works: &BTreeSet<Digest>,
    ) -> Result<BTreeSet<Digest>, NodeError> {
        let batches = self.anchored().await?;
        let all = batches.iter().flat_map(|batch| batch.works.iter().map(|(_, work)| *work));
        Ok(all.filter(|work| works.contains(work)).collect())
    }

    async fn apply_policy(
        &self,
        name: &str,
        policy: &Policy,
        previous: B256,
        batches: &[Batch],
        not_selected: &BTreeSet<Digest>,
    ) -> Result<Manifest, NodeError> {
        let deny_list = self.deny_list().await?;
        let removed = self.removed_before(previous).await?;
        let known_authors = self.authors_of(previous).await?;
        // Works on the deny list do not enter anyway, and may be erased.
        let passed_over =
            not_selected.iter().chain(deny_list.works()).copied().collect::<BTreeSet<_>>();
        let fingerprints = self.fingerprints(policy, batches, &passed_over).await?;
        let tallies = Tallies::count(&policy.weights, &self.tallies().await?);
        let inputs = Inputs {
            batches,
            deny_list: &deny_list,
            removed: &removed,
            not_selected,
            known_authors: &known_authors,
            resemblances: Resemblances::Computed(&fingerprints),
            tallies: &tallies,
        };
        Ok(Manifest::build(name, policy, &inputs)?)
    }

    pub(crate) async fn authors_of(&self, version: B256) -> Result<BTreeSet<Address>, NodeError> {
        if version.is_zero() {
            return Ok(BTreeSet::new());
        }
        let record = self.dataset(version).await?;
        Ok(self.manifest(&record.manifest.into()).await?.authors())
    }

    /// What the works are compared by, if the policy asks for near duplicates.
    async fn fingerprints(
        &self,
        policy: &Policy,
        batches: &[Batch],
        passed_over: &BTreeSet<Digest>,
    ) -> Result<BTreeMap<Digest, Fingerprint>, NodeError> {
        let mut fingerprints = BTreeMap::new();
        let Some(near) = &policy.near else { return Ok(fingerprints) };
        for batch in batches {
            let media_type = &batch.predicate.media_type;
            for (_, work) in &batch.works {
                if passed_over.contains(work) || fingerprints.contains_key(work) {
                    continue;
                }
                let bytes = self.work(work).await?;
                if let Some(fingerprint) = near.fingerprint(media_type, &bytes) {
                    fingerprints.insert(*work, fingerprint);
                }
            }
        }
        Ok(fingerprints)
    }

    /// Votes and usage, in the log's order.
    async fn tallies(&self) -> Result<Vec<Tally>, NodeError> {
        let signed = self.statements_of(TALLY_TYPE).await?;
        Ok(signed.iter().filter_map(|signed| Tally::open(signed).ok()).collect())
    }

    /// Signs and logs votes for works, or a log of their use.
    pub async fn publish_tally(
        &mut self,
        author: &SecretKey,
        counted: Counted,
        counts: &BTreeMap<Digest, u64>,
    ) -> Result<Digest, NodeError> {
        let predicate = TallyPredicate {
            author: author.address()?,
            counted,
            counts: counts.values().copied().collect(),
            time: self.now(),
        };
        predicate.check(counts.len())?;
        let works = counts.keys().map(|work| (work.to_string(), *work));
        let envelope = Statement::new(TALLY_TYPE, works, &predicate)?.sign(&[author])?;
        let digest = envelope.payload_digest();
        self.publish(&[envelope]).await?;
        Ok(digest)
    }

    /// The opted-out works of all registered opt-outs.
    pub async fn deny_list(&self) -> Result<DenyList, NodeError> {
        let mut list = DenyList::default();
        for row in self.index.records("opt-out", None, u32::MAX).await? {
            let Ok(record) = Self::body::<OptOut>(&row) else { continue };
            if optout::is_of_training(&record) {
                list.extend([Digest::from(record.digest)]);
            }
        }
        Ok(list)
    }

    /// Proves that a work is not on the present opt-out list; `None` where it is.
    pub async fn prove_not_opted_out(&self, work: Digest) -> Result<Option<AbsentWork>, NodeError> {
        self.sync().await?;
        let list = self.deny_list().await?;
        if list.contains(&work) {
            return Ok(None);
        }
        let proof = list.sorted().prove_absence(&work)?;
        Ok(Some(AbsentWork { work, list: list.commitment(), proof }))
    }

    /// Works that challenges removed from a version or from those before it.
    pub(crate) async fn removed_before(&self, version: B256) -> Result<RemovedWorks, NodeError> {
        let mut removed = RemovedWorks::new();
        let mut version = version;
        while !version.is_zero() {
            let record = self.dataset(version).await?;
            let manifest = self.manifest(&record.manifest.into()).await?;
            let gone = self.removed_items(version, &manifest).await?;
            let items = manifest.items.iter().filter(|item| gone.contains(&item.index));
            removed.extend(items.map(|item| (item.author, item.digest)));
            version = record.previous;
        }
        Ok(removed)
    }

    /// Signs, logs and registers a dataset version; anchors the deny list it was checked against.
    /// Refused where somebody opted out since it was planned.
    pub async fn register_dataset(
        &mut self,
        curator: &SecretKey,
        manifest: &Manifest,
        plan: &DatasetPlan,
    ) -> Result<(B256, Dataset, Receipt), NodeError> {
        let (bytes, digest) = (manifest.to_json()?, manifest.digest()?);
        let author = curator.address()?;
        self.publish_deny_list(curator, manifest).await?;
        self.objects.put(bytes).await?;
        let subject = [("manifest".to_owned(), digest)];
        let predicate = DatasetPredicate {
            author,
            name: manifest.name.clone(),
            deny_list: manifest.deny_list,
            time: self.now(),
        };
        let envelope = Statement::new(DATASET_TYPE, subject, &predicate)?.sign(&[curator])?;
        let dataset = Dataset {
            root: manifest.tree()?.root(),
            items: manifest.items.len() as u64,
            totalWeight: manifest.total_weight(),
            manifest: digest.into(),
            previous: plan.previous,
            treasury: plan.treasury,
            treasuryBps: plan.treasury_bps,
            court: plan.court.clone(),
            author,
        };
        let call =
            Registry::registerDatasetCall { dataset: convert(&dataset)?, signature: Bytes::new() };
        let registry = self.chain().contracts().registry;
        let receipt = self.publish_and_send(curator, envelope, registry, &call).await?;
        Ok((record_id(&dataset), dataset, receipt))
    }

    /// Keeps the list as an object and stores its commitment on chain.
    async fn publish_deny_list(
        &self,
        curator: &SecretKey,
        manifest: &Manifest,
    ) -> Result<(), NodeError> {
        self.sync().await?;
        let list = self.deny_list().await?;
        if list.commitment() != manifest.deny_list {
            return Err(NodeError::PlanStale(manifest.name.clone()));
        }
        let works: Vec<&Digest> = list.works().collect();
        let bytes = json::canonical(&works)?;
        let statement = self.objects.put(bytes).await?;
        let anchor = Anchor {
            subject: OPT_OUT_SUBJECT,
            root: manifest.deny_list.into(),
            size: works.len() as u64,
            statement: statement.into(),
            author: curator.address()?,
        };
        if !self.is_registered(record_id(&anchor)).await? {
            self.anchor(curator, &anchor).await?;
        }
        Ok(())
    }

    /// A manifest by the digest its record names.
    pub async fn manifest(&self, digest: &Digest) -> Result<Manifest, NodeError> {
        Ok(Manifest::from_json(&self.objects.get(digest).await?)?)
    }

    /// A dataset record by id.
    pub async fn dataset(&self, id: B256) -> Result<Dataset, NodeError> {
        self.record(id).await
    }

    /// A record by id, from the index as of now.
    pub(crate) async fn record<R: serde::de::DeserializeOwned>(
        &self,
        id: B256,
    ) -> Result<R, NodeError> {
        self.sync().await?;
        let unknown = || NodeError::Unknown(id.to_string());
        let found = self.index.record(&crate::indexer::text(&id)).await?.ok_or_else(unknown)?;
        let record = found.record.body.get("record").cloned().unwrap_or_default();
        Ok(serde_json::from_value(record).map_err(JsonError::from)?)
    }

    /// Who earns from the contents of a manifest.
    pub(crate) async fn payees(&self, manifest: &Manifest) -> Result<PayeesByStatement, NodeError> {
        let mut payees = PayeesByStatement::new();
        for source in &manifest.sources {
            let (signed, _) = self.statement(source).await?;
            payees.insert(*source, Batch::open(&signed)?.predicate.payees);
        }
        Ok(payees)
    }
}

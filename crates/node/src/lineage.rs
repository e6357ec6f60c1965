//! Where a model comes from, collected from the index and the statements that are here.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use probity_core::{
    Digest, Label,
    records::{Checkpoint, Dataset, Model, Run, record_id},
};
use probity_provenance::{
    bom::{self, About},
    content::{Batch, ContentError},
    lineage::{Lineage, Node, NodeKind, Relation},
    training::{
        CHECKPOINT_TYPE, CheckpointPredicate, MODEL_TYPE, ModelPredicate, RUN_TYPE, RunPredicate,
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{NodeError, Workspace, indexer::text};

impl Workspace {
    /// A model's lineage: its checkpoints and everything that they come from.
    pub async fn lineage(&self, model: B256) -> Result<Lineage, NodeError> {
        self.sync().await?;
        let mut lineage = Lineage::new(model);
        let mut left: Vec<Checkpoint> = Vec::new();
        for link in self.index.links_to(&text(&model)).await? {
            if link.rel == "model"
                && let Ok(id) = link.from.parse()
            {
                left.push(self.record(id).await?);
            }
        }
        while let Some(checkpoint) = left.pop() {
            if !self.add_checkpoint(&mut lineage, &checkpoint).await? {
                continue;
            }
            for parent in &checkpoint.parents {
                lineage.relate(
                    &record_id(&checkpoint).to_string(),
                    Relation::MadeFrom,
                    &parent.to_string(),
                );
                left.push(self.record(*parent).await?);
            }
        }
        self.add_model(&mut lineage, model).await?;
        lineage.nodes.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        lineage.edges.sort_unstable();
        Ok(lineage)
    }

    /// The bill of materials of a model's newest checkpoint (CycloneDX 1.6).
    pub async fn bill_of_materials(&self, model: B256) -> Result<Value, NodeError> {
        let lineage = self.lineage(model).await?;
        let (record, head, ..) = self.head(model).await?;
        let said = self.said::<ModelPredicate>(record.statement, MODEL_TYPE).await?;
        let (about, files) = self.checkpoint_statement(&head.statement.into()).await?;
        let checkpoint = record_id(&head).to_string();
        let about = About {
            name: said.as_ref().map_or("unnamed", |said| &said.name),
            description: said.as_ref().map_or("", |said| &said.description),
            checkpoint: &checkpoint,
            digest: about.digest,
            files: &files,
            metrics: &about.metrics,
            time: about.time,
        };
        Ok(bom::cyclonedx(&about, &lineage))
    }

    /// What a record's statement says, if it is here and signed by who made the record.
    async fn said<P: DeserializeOwned>(
        &self,
        statement: B256,
        kind: &str,
    ) -> Result<Option<P>, NodeError> {
        let digest = Digest::from(statement);
        if self.index.statement(&digest).await?.is_none() {
            return Ok(None);
        }
        let (signed, _) = self.statement(&digest).await?;
        let good = signed.findings.is_empty();
        Ok(signed.statement.predicate(kind).ok().filter(|_| good))
    }

    async fn add_model(&self, lineage: &mut Lineage, id: B256) -> Result<(), NodeError> {
        let record: Model = self.record(id).await?;
        let said = self.said::<ModelPredicate>(record.statement, MODEL_TYPE).await?;
        let mut facts = facts([("owner", record.author.to_string())]);
        facts.extend(said.as_ref().map(|said| ("for".to_owned(), said.description.clone())));
        let label = label(said.as_ref());
        let name = said.map_or_else(|| "unnamed".to_owned(), |said| said.name);
        lineage.add(Node { id: id.to_string(), kind: NodeKind::Model, label, name, facts });
        Ok(())
    }

    /// Adds a checkpoint with its run and dataset. False where it was there.
    async fn add_checkpoint(
        &self,
        lineage: &mut Lineage,
        checkpoint: &Checkpoint,
    ) -> Result<bool, NodeError> {
        let id = record_id(checkpoint).to_string();
        let said = self.said(checkpoint.statement, CHECKPOINT_TYPE).await?;
        let said: Option<CheckpointPredicate> = said;
        let mut facts = facts([
            ("files' digest", checkpoint.digest.to_string()),
            ("trainer", checkpoint.author.to_string()),
        ]);
        facts.extend(said.iter().flat_map(|said| said.metrics.clone()));
        let label = label(said.as_ref());
        let name = Digest::from(checkpoint.digest).to_string().chars().take(12).collect();
        let node = Node { id: id.clone(), kind: NodeKind::Checkpoint, label, name, facts };
        if !lineage.add(node) {
            return Ok(false);
        }
        lineage.relate(&id, Relation::CheckpointOf, &checkpoint.model.to_string());
        if checkpoint.model != lineage.model {
            self.add_model(lineage, checkpoint.model).await?;
        }
        let run: Run = self.record(checkpoint.run).await?;
        lineage.relate(&id, Relation::CameOutOf, &checkpoint.run.to_string());
        self.add_run(lineage, checkpoint.run, &run).await?;
        self.add_datasets(lineage, checkpoint.dataset).await?;
        Ok(true)
    }

    async fn add_run(&self, lineage: &mut Lineage, id: B256, run: &Run) -> Result<(), NodeError> {
        let said: Option<RunPredicate> = self.said(run.statement, RUN_TYPE).await?;
        let config = said.as_ref().map(|said| &said.config);
        let field = |name: &str| config.and_then(|config| config.get(name)).cloned();
        let mut facts = facts([("trainer", run.author.to_string())]);
        if let Some(Value::Array(command)) = field("command") {
            let words = command.iter().filter_map(Value::as_str);
            facts.insert("command".to_owned(), words.collect::<Vec<_>>().join(" "));
        }
        if let Some(seed) = field("seed") {
            let seed = seed.as_str().map_or_else(|| seed.to_string(), str::to_owned);
            facts.insert("seed".to_owned(), seed);
        }
        let name = field("builder").and_then(|builder| builder.as_str().map(str::to_owned));
        let name = name.unwrap_or_else(|| "unknown".to_owned());
        let label = label(said.as_ref());
        lineage.add(Node { id: id.to_string(), kind: NodeKind::Run, label, name, facts });
        lineage.relate(&id.to_string(), Relation::TrainedOn, &run.dataset.to_string());
        Ok(())
    }

    /// Adds a dataset version with its licences, and those before it.
    async fn add_datasets(&self, lineage: &mut Lineage, id: B256) -> Result<(), NodeError> {
        let versions = self.versions(id).await?;
        let count = versions.len();
        for (index, record) in versions.iter().enumerate() {
            let id = record_id(record).to_string();
            let manifest = self.manifest(&record.manifest.into()).await.ok();
            let mut facts = facts([
                ("curator", record.author.to_string()),
                ("items", record.items.to_string()),
                ("version", (count - index).to_string()),
            ]);
            if let Some(manifest) = &manifest {
                let removed = self.removed_items(record_id(record), manifest).await?.len();
                facts.insert("removed by challenges".to_owned(), removed.to_string());
            }
            let label = label(manifest.as_ref());
            let name = manifest.as_ref().map_or("unknown", |manifest| &manifest.name).to_owned();
            if !lineage.add(Node { id: id.clone(), kind: NodeKind::Dataset, label, name, facts }) {
                break;
            }
            if !record.previous.is_zero() {
                lineage.relate(&id, Relation::Follows, &record.previous.to_string());
            }
            self.add_licences(lineage, &id, record).await?;
        }
        Ok(())
    }

    /// The licences of a dataset's items, as their authors state them: the same expression under other
    /// terms is another licence.
    async fn add_licences(
        &self,
        lineage: &mut Lineage,
        id: &str,
        record: &Dataset,
    ) -> Result<(), NodeError> {
        let Ok(manifest) = self.manifest(&record.manifest.into()).await else { return Ok(()) };
        let used: BTreeSet<Digest> = manifest.items.iter().map(|item| item.statement).collect();
        for source in &used {
            if self.index.statement(source).await?.is_none() {
                continue;
            }
            let licence = Batch::open(&self.statement(source).await?.0)?.predicate.licence;
            let terms = licence.id().map_err(ContentError::from)?.to_string();
            let train = serde_json::to_value(licence.train).unwrap_or_default();
            let yes = |is_so: bool| if is_so { "yes" } else { "no" }.to_owned();
            let facts = facts([
                ("training", train.as_str().unwrap_or_default().to_owned()),
                ("commercial use", yes(licence.commercial)),
                ("derivatives", yes(licence.derivatives)),
                ("authors are named", yes(licence.attribution)),
                ("share of revenue", format!("{} of 10000", licence.revenue_share.get())),
            ]);
            let (id_of, name, label) = (terms.clone(), licence.spdx, Label::Attested);
            lineage.add(Node { id: id_of, kind: NodeKind::Licence, label, name, facts });
            lineage.relate(id, Relation::HasWorksUnder, &terms);
        }
        Ok(())
    }
}

/// What a record says is on chain; what its statement says counts where it is here.
fn label<P>(said: Option<&P>) -> Label {
    if said.is_some() { Label::Verified } else { Label::Missing }
}

fn facts<const N: usize>(facts: [(&str, String); N]) -> BTreeMap<String, String> {
    facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect()
}

//! `explain`: from any id to the model behind it, and the six questions answered.

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest,
    keys::{PublicKey, SecretKey},
    records::{Anchor, Dataset, Licence, Model, ModelKey, OptOut, record_id},
};
use probity_provenance::{
    audit::Report,
    dataset::Manifest,
    inference::{INFERENCE_TYPE, InferencePredicate},
    optout::{OPT_OUT_SUBJECT, OPT_OUT_TYPE},
    training::{CHECKPOINT_TYPE, MODEL_TYPE, RUN_TYPE},
};
use probity_store::index::Link;
use serde::{Deserialize, Serialize};

use crate::{NodeError, Workspace, evidence::audit_bundle, indexer::text};

/// What an id names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// The id in full.
    pub id: String,
    /// What it is, in words.
    pub is: String,
}

/// An explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What was asked about.
    pub subject: Subject,
    /// The audit of the model behind it.
    pub report: Report,
}

impl Workspace {
    /// Explains a record, a statement, a work, a file or an account.
    pub async fn explain(&self, id: &str, exporter: &SecretKey) -> Result<Explanation, NodeError> {
        self.sync().await?;
        let (subject, model) = self.resolve(id).await?;
        let files = self.export_bundle(model, exporter).await?;
        // The chain is at hand, so its block is checked rather than believed.
        let report = audit_bundle(&files, Some(self.chain())).await?;
        Ok(Explanation { subject, report })
    }

    /// The model behind an id.
    pub async fn resolve(&self, id: &str) -> Result<(Subject, B256), NodeError> {
        let id = id.trim().to_ascii_lowercase();
        if let Ok(account) = id.parse::<Address>() {
            return self.resolve_account(account).await;
        }
        if let Ok(digest) = id.trim_start_matches("0x").parse::<Digest>()
            && let Some(found) = self.resolve_digest(&digest).await?
        {
            return Ok(found);
        }
        self.resolve_record(&id).await
    }

    async fn resolve_record(&self, id: &str) -> Result<(Subject, B256), NodeError> {
        let prefix = if id.starts_with("0x") { id.to_owned() } else { format!("0x{id}") };
        if prefix.len() < 6 {
            return Err(NodeError::Unknown(id.to_owned()));
        }
        let found = self.index.find(&prefix).await.map_err(|error| match error {
            probity_store::index::IndexError::NotFound(_) => NodeError::Unknown(id.to_owned()),
            other => other.into(),
        })?;
        let record = found.record;
        let full: B256 = record.id.parse().map_err(|_| NodeError::Unknown(id.to_owned()))?;
        let subject = Subject {
            id: record.id.clone(),
            is: format!("{} of {} in block {}", record.kind, record.author, record.block),
        };
        let model = match record.kind.as_str() {
            "model" => Some(full),
            "checkpoint" | "run" | "dataset" => self.model_of(full).await?,
            "model-key" => {
                let key: ModelKey = self.record(full).await?;
                self.model_of(key.checkpoint).await?
            }
            "content" => {
                let content: probity_core::records::Content = self.record(full).await?;
                self.model_of_work(&content.digest.into()).await?.map(|(_, model)| model)
            }
            "anchor" => self.model_of_anchor(&self.record(full).await?).await?,
            "opt-out" => {
                let opt_out: OptOut = self.record(full).await?;
                self.model_of_work(&opt_out.digest.into()).await?.map(|(_, model)| model)
            }
            "licence" => self.model_of_licence(&self.record(full).await?).await?,
            _ => None,
        };
        model.map(|model| (subject, model)).ok_or_else(|| NodeError::NoModel(id.to_owned()))
    }

    /// Follows lineage upwards: run and dataset to the checkpoint, checkpoint to the model. Others may
    /// have trained on the same data: a model whose statement is in this log comes first.
    async fn model_of(&self, id: B256) -> Result<Option<B256>, NodeError> {
        let mut models: Vec<B256> = Vec::new();
        let named = |links: Vec<Link>| {
            let models = links.into_iter().filter(|link| link.rel == "model");
            models.filter_map(|link| link.to.parse().ok()).collect::<Vec<B256>>()
        };
        models.extend(named(self.index.links_from(&text(&id)).await?));
        for link in self.index.links_to(&text(&id)).await? {
            models.extend(named(self.index.links_from(&link.from).await?));
        }
        for model in &models {
            let record: Model = self.record(*model).await?;
            if self.index.statement(&record.statement.into()).await?.is_some() {
                return Ok(Some(*model));
            }
        }
        Ok(models.first().copied())
    }

    async fn resolve_digest(&self, digest: &Digest) -> Result<Option<(Subject, B256)>, NodeError> {
        let id = digest.to_string();
        if let Some((is, model)) = self.model_of_work(digest).await? {
            return Ok(Some((Subject { id, is }, model)));
        }
        if let Some(row) = self.index.statement(digest).await? {
            let model = self.model_of_statement(digest).await?;
            let is = format!("statement {} by {}", row.predicate_type, row.author);
            return Ok(model.map(|model| (Subject { id, is }, model)));
        }
        for row in self.index.statements_about(digest).await? {
            if let Some(model) = self.model_of_statement(&row.digest).await? {
                let is = format!("subject of statement {} by {}", row.predicate_type, row.author);
                return Ok(Some((Subject { id, is }, model)));
            }
        }
        self.resolve_inference(&id, B256::from(*digest)).await
    }

    /// A key, its inputs or outputs by the digest that the chain and the proofs have, or what a proof
    /// was for.
    async fn resolve_inference(
        &self,
        id: &str,
        digest: B256,
    ) -> Result<Option<(Subject, B256)>, NodeError> {
        let id = id.to_owned();
        for signed in self.statements_of(INFERENCE_TYPE).await? {
            let said = signed.statement.predicate::<InferencePredicate>(INFERENCE_TYPE);
            let Ok(said) = said else { continue };
            let named = [
                (said.proved.output, "outputs"),
                (said.proved.input, "inputs"),
                (said.proved.context, "context"),
            ];
            let is_it = |(named, _): &&(B256, &str)| *named == digest && !digest.is_zero();
            if let Some((_, what)) = named.iter().find(is_it) {
                let is = format!("{what} of an inference, proved by `{}`", said.author);
                return Ok(Some((Subject { id, is }, said.model)));
            }
        }
        for row in self.index.records("model-key", None, u32::MAX).await? {
            let Ok(key) = Self::body::<ModelKey>(&row) else { continue };
            if key.key == digest
                && let Some(model) = self.model_of(key.checkpoint).await?
            {
                let is = format!("model key of checkpoint {}", key.checkpoint);
                return Ok(Some((Subject { id, is }, model)));
            }
        }
        Ok(None)
    }

    /// The datasets whose manifests are here, with them. Others are other parties'.
    async fn known_datasets(&self) -> Result<Vec<(Dataset, Manifest)>, NodeError> {
        let mut known = Vec::new();
        for row in self.index.records("dataset", None, u32::MAX).await? {
            let Ok(dataset) = Self::body::<Dataset>(&row) else { continue };
            if let Ok(manifest) = self.manifest(&dataset.manifest.into()).await {
                known.push((dataset, manifest));
            }
        }
        Ok(known)
    }

    /// The model behind a batch of contents or an opt-out list.
    async fn model_of_anchor(&self, anchor: &Anchor) -> Result<Option<B256>, NodeError> {
        if anchor.subject != OPT_OUT_SUBJECT {
            return self.model_of_statement(&anchor.statement.into()).await;
        }
        for (dataset, manifest) in self.known_datasets().await? {
            if B256::from(manifest.deny_list) == anchor.root {
                return self.model_of(record_id(&dataset)).await;
            }
        }
        Ok(None)
    }

    async fn model_of_licence(&self, licence: &Licence) -> Result<Option<B256>, NodeError> {
        for batch in self.anchored().await? {
            if batch.contents.first().is_some_and(|content| content.licence == licence.terms)
                && let Some(model) = self.model_of_statement(&batch.statement).await?
            {
                return Ok(Some(model));
            }
        }
        Ok(None)
    }

    /// A work's dataset, and the model trained on it.
    async fn model_of_work(&self, work: &Digest) -> Result<Option<(String, B256)>, NodeError> {
        for (dataset, manifest) in self.known_datasets().await? {
            let name = &manifest.name;
            let item = manifest.items.iter().find(|item| item.digest == *work);
            let excluded = manifest.excluded.iter().find(|excluded| excluded.digest == *work);
            let is = match (item, excluded) {
                (Some(item), _) => format!(
                    "work of {}, item {} of dataset `{name}` with weight {} of {}",
                    item.author,
                    item.index,
                    item.weight,
                    manifest.total_weight()
                ),
                (None, Some(excluded)) => format!(
                    "work of {}, left out of dataset `{name}`: {}",
                    excluded.author,
                    excluded.exclusion.name()
                ),
                (None, None) => continue,
            };
            if let Some(model) = self.model_of(record_id(&dataset)).await? {
                return Ok(Some((is, model)));
            }
        }
        Ok(None)
    }

    /// The model that a statement is about, through the record that names it.
    async fn model_of_statement(&self, digest: &Digest) -> Result<Option<B256>, NodeError> {
        let Some(row) = self.index.statement(digest).await? else { return Ok(None) };
        let (signed, _) = self.statement(digest).await?;
        let kind = match row.predicate_type.as_str() {
            MODEL_TYPE => "model",
            CHECKPOINT_TYPE => "checkpoint",
            RUN_TYPE => "run",
            _ => "",
        };
        let word = format!("{:?}", B256::from(*digest));
        for record in self.index.records(kind, None, u32::MAX).await? {
            let field = |name| record.body.get("record")?.get(name)?.as_str().map(str::to_owned);
            // Anybody can name a statement; only its author's record is what it is about.
            let author = field("author").and_then(|author| author.parse::<Address>().ok());
            let is_authors = author.is_some_and(|a| PublicKey::Account(a).key_id() == row.author);
            if !is_authors || field("statement").as_deref() != Some(&word) {
                continue;
            }
            let Ok(id) = record.id.parse::<B256>() else { continue };
            return if kind == "model" { Ok(Some(id)) } else { self.model_of(id).await };
        }
        for (dataset, manifest) in self.known_datasets().await? {
            if manifest.sources.contains(digest) || signed.is_about(&dataset.manifest.into()) {
                return self.model_of(record_id(&dataset)).await;
            }
        }
        if signed.statement.predicate_type == OPT_OUT_TYPE {
            for subject in &signed.statement.subject {
                if let Some((_, model)) = self.model_of_work(&subject.digest.sha256).await? {
                    return Ok(Some(model));
                }
            }
        }
        let model = signed.statement.predicate.get("model").and_then(|model| model.as_str());
        Ok(model.and_then(|model| model.parse().ok()))
    }

    async fn resolve_account(&self, account: Address) -> Result<(Subject, B256), NodeError> {
        let id = text(&account);
        for money in self.index.money_of_account(&id).await? {
            if let Ok(model) = money.model.parse() {
                let is =
                    format!("account; {} {} of token {}", money.kind, money.amount, money.token);
                return Ok((Subject { id, is }, model));
            }
        }
        for row in self.index.records_by(&id, None, u32::MAX).await? {
            let Ok(record) = row.id.parse::<B256>() else { continue };
            let model =
                if row.kind == "model" { Some(record) } else { self.model_of(record).await? };
            if let Some(model) = model {
                let is = format!("account; author of {} {}", row.kind, row.id);
                return Ok((Subject { id, is }, model));
            }
        }
        Err(NodeError::NoModel(id))
    }
}

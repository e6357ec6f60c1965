//! The licences of everything a model was made from.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::B256;
use probity_core::{
    Digest,
    money::Bps,
    records::{Checkpoint, Model, record_id},
};
use probity_provenance::{
    content::Batch,
    permission::{Kind, Node},
};

use crate::{NodeError, Workspace};

/// A lineage being gathered; each thing is in it once.
struct Lineage {
    nodes: Vec<Node>,
    places: BTreeMap<String, usize>,
}

impl Lineage {
    fn place(&mut self, kind: Kind, id: String) -> usize {
        *self.places.entry(id.clone()).or_insert_with(|| {
            self.nodes.push(Node { kind, id, terms: None, made_from: vec![] });
            self.nodes.len() - 1
        })
    }

    fn connect(&mut self, from: usize, to: usize) {
        if let Some(node) = self.nodes.get_mut(from) {
            node.made_from.push(to);
        }
    }
}

impl Workspace {
    /// Everything a model's newest checkpoint was made from, down to the works and their terms;
    /// the model comes first. What this workspace knows nothing of is in it as unknown.
    pub async fn licence_lineage(&self, model: B256) -> Result<Vec<Node>, NodeError> {
        self.sync().await?;
        let (_, head, _, _) = self.head(model).await?;
        let mut lineage = Lineage { nodes: vec![], places: BTreeMap::new() };
        let root = lineage.place(Kind::Model, model.to_string());
        let first = record_id(&head);
        let place = lineage.place(Kind::Checkpoint, first.to_string());
        lineage.connect(root, place);
        let mut waiting = VecDeque::from([(place, head)]);
        while let Some((place, checkpoint)) = waiting.pop_front() {
            self.add_dataset(&mut lineage, place, checkpoint.dataset).await?;
            for parent in checkpoint.parents {
                let known = lineage.places.contains_key(&parent.to_string());
                let record = self.record::<Checkpoint>(parent).await.ok();
                let kind = if record.is_some() { Kind::Checkpoint } else { Kind::Unknown };
                let at = lineage.place(kind, parent.to_string());
                lineage.connect(place, at);
                waiting.extend(record.filter(|_| !known).map(|record| (at, record)));
            }
        }
        Ok(lineage.nodes)
    }

    /// The part of a model's revenue that goes to its data.
    pub async fn revenue_share(&self, model: B256) -> Result<Bps, NodeError> {
        let record: Model = self.record(model).await?;
        Ok(Bps::new(record.dataBps)?)
    }

    async fn add_dataset(
        &self,
        lineage: &mut Lineage,
        checkpoint: usize,
        dataset: B256,
    ) -> Result<(), NodeError> {
        let known = lineage.places.contains_key(&dataset.to_string());
        let sources = if known { None } else { self.sources_of(dataset).await.ok() };
        let kind = if known || sources.is_some() { Kind::Dataset } else { Kind::Unknown };
        let place = lineage.place(kind, dataset.to_string());
        lineage.connect(checkpoint, place);
        for statement in sources.unwrap_or_default() {
            let batch = self.statement(&statement).await.ok();
            let batch = batch.and_then(|(signed, _)| Batch::open(&signed).ok());
            let kind = if batch.is_some() { Kind::Works } else { Kind::Unknown };
            let works = lineage.place(kind, statement.to_string());
            if let (Some(node), Some(batch)) = (lineage.nodes.get_mut(works), batch) {
                node.terms = Some((batch.predicate.author, batch.predicate.licence));
            }
            lineage.connect(place, works);
        }
        Ok(())
    }

    /// The statements whose works are in a dataset. Items that challenges removed count: the model
    /// was trained on them.
    async fn sources_of(&self, dataset: B256) -> Result<BTreeSet<Digest>, NodeError> {
        let record = self.dataset(dataset).await?;
        let manifest = self.manifest(&Digest::from(record.manifest)).await?;
        Ok(manifest.items.iter().map(|item| item.statement).collect())
    }
}

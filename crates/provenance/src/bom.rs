//! A model as a bill of materials: CycloneDX 1.6 (ECMA-424) with its model card, datasets, base models
//! and files.

use std::collections::{BTreeMap, BTreeSet};

use probity_core::{Digest, clock::rfc3339};
use serde_json::{Value, json};

use crate::{
    lineage::{Lineage, Node, NodeKind, Relation},
    training::ModelFile,
};

/// What is said of a model beside its lineage.
#[derive(Debug, Clone)]
pub struct About<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is for.
    pub description: &'a str,
    /// The newest checkpoint's record id.
    pub checkpoint: &'a str,
    /// The digest of that checkpoint's files.
    pub digest: Digest,
    /// Its files.
    pub files: &'a [ModelFile],
    /// Measured results.
    pub metrics: &'a BTreeMap<String, String>,
    /// When it was registered, Unix seconds.
    pub time: u64,
}

/// The bill of materials of a model's newest checkpoint. The same model gives the same bytes.
pub fn cyclonedx(about: &About<'_>, lineage: &Lineage) -> Value {
    let model = &lineage.model.to_string();
    let datasets: Vec<&Node> = of_kind(lineage, NodeKind::Dataset).collect();
    let bases: Vec<&Node> =
        of_kind(lineage, NodeKind::Checkpoint).filter(|node| is_base(lineage, node)).collect();
    let mut components: Vec<Value> = datasets.iter().map(|node| dataset(node, lineage)).collect();
    components.extend(bases.iter().map(|node| base(node)));
    components.extend(about.files.iter().map(file));
    let mut depends: Vec<String> = components.iter().filter_map(reference).collect();
    depends.sort_unstable();
    let timestamp = rfc3339(about.time);
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(about.checkpoint)),
        "version": 1,
        "metadata": {
            "timestamp": timestamp,
            "tools": { "components": [{
                "type": "application", "name": "probity", "version": env!("CARGO_PKG_VERSION"),
            }] },
            "component": component(about, lineage, &datasets),
        },
        "components": components,
        "dependencies": [{ "ref": model, "dependsOn": depends }],
    })
}

fn of_kind(lineage: &Lineage, kind: NodeKind) -> impl Iterator<Item = &Node> {
    lineage.nodes.iter().filter(move |node| node.kind == kind)
}

/// Whether a checkpoint is of another model.
fn is_base(lineage: &Lineage, node: &Node) -> bool {
    let model = lineage.model.to_string();
    let is_own = |edge: &&crate::lineage::Edge| {
        edge.relation == Relation::CheckpointOf && edge.to == model && edge.from == node.id
    };
    !lineage.edges.iter().any(|edge| is_own(&edge))
}

fn reference(component: &Value) -> Option<String> {
    component.get("bom-ref").and_then(Value::as_str).map(str::to_owned)
}

fn component(about: &About<'_>, lineage: &Lineage, datasets: &[&Node]) -> Value {
    let card = json!({
        "modelParameters": {
            "datasets": datasets.iter().map(|node| json!({ "ref": node.id })).collect::<Vec<_>>(),
        },
        "quantitativeAnalysis": {
            "performanceMetrics": about.metrics.iter()
                .map(|(name, value)| json!({ "type": name, "value": value }))
                .collect::<Vec<_>>(),
        },
    });
    json!({
        "type": "machine-learning-model",
        "bom-ref": lineage.model.to_string(),
        "name": about.name,
        "version": about.checkpoint,
        "description": about.description,
        "modelCard": card,
        "properties": [
            // Over the listing of names, sizes and digests; no hash of any one file.
            { "name": "probity:filesDigest", "value": about.digest.to_string() },
            { "name": "probity:checkpoint", "value": about.checkpoint },
        ],
    })
}

fn dataset(node: &Node, lineage: &Lineage) -> Value {
    let under = |edge: &&crate::lineage::Edge| {
        edge.relation == Relation::HasWorksUnder && edge.from == node.id
    };
    let of = |edge: &crate::lineage::Edge| lineage.nodes.iter().find(|node| node.id == edge.to);
    let terms: Vec<&Node> = lineage.edges.iter().filter(under).filter_map(of).collect();
    let names: BTreeSet<&str> = terms.iter().map(|node| node.name.as_str()).collect();
    let licences: Vec<&str> = names.into_iter().collect();
    let mut value = json!({
        "type": "data",
        "bom-ref": node.id,
        "name": node.name,
        "version": node.facts.get("version").map_or("1", String::as_str),
        "data": [{ "type": "dataset", "name": node.name }],
        "properties": properties(node),
    });
    // What the expressions do not say: the terms of each.
    if let Some(said) = value.get_mut("properties").and_then(Value::as_array_mut) {
        for licence in &terms {
            let facts = licence.facts.iter().map(|(name, fact)| format!("{name} {fact}"));
            let text = format!("{}: {}", licence.name, facts.collect::<Vec<_>>().join(", "));
            said.push(json!({ "name": "probity:licence", "value": text }));
        }
    }
    // The standard has one expression for a component, or a list of names.
    let licences = match licences.as_slice() {
        [] => return value,
        [one] => json!([{ "expression": one }]),
        many => many.iter().map(|name| json!({ "license": { "name": name } })).collect(),
    };
    if let Some(fields) = value.as_object_mut() {
        fields.insert("licenses".to_owned(), licences);
    }
    value
}

fn base(node: &Node) -> Value {
    json!({
        "type": "machine-learning-model",
        "bom-ref": node.id,
        "name": node.name,
        "version": node.id,
        "properties": properties(node),
    })
}

fn file(file: &ModelFile) -> Value {
    json!({
        "type": "file",
        "bom-ref": format!("file:{}", file.name),
        "name": file.name,
        "hashes": [{ "alg": "SHA-256", "content": file.sha256.to_string() }],
        "properties": [{ "name": "probity:size", "value": file.size.to_string() }],
    })
}

fn properties(node: &Node) -> Value {
    let label = [("label".to_owned(), node.label.to_string())];
    let facts = node.facts.clone().into_iter().chain(label);
    facts
        .map(|(name, value)| json!({ "name": format!("probity:{name}"), "value": value }))
        .collect()
}

/// A UUID made of a checkpoint's id (RFC 9562 §5.8: version 8, the maker's own).
fn uuid(checkpoint: &str) -> String {
    let digest = Digest::of(checkpoint.as_bytes()).to_string();
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default().to_owned();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

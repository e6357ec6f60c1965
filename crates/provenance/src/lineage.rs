//! Where a model comes from: checkpoints, the runs they came out of, the datasets they were trained on
//! and the licences of these, the checkpoints they were made from, and what those come from.

mod svg;

use std::{collections::BTreeMap, fmt::Write as _};

use alloy_primitives::B256;
use probity_core::{Label, finding::plain};
use serde::{Deserialize, Serialize};

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// Terms of works.
    Licence,
    /// A dataset version.
    Dataset,
    /// A training run.
    Run,
    /// A checkpoint.
    Checkpoint,
    /// A model.
    Model,
}

/// Something that a model comes from, or the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its record id in hexadecimal; of a licence, the digest of its terms.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// How much stands behind what is said of it.
    pub label: Label,
    /// A name for people.
    pub name: String,
    /// What else is said of it.
    pub facts: BTreeMap<String, String>,
}

/// How two nodes are related.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// A checkpoint is one of a model's.
    CheckpointOf,
    /// A checkpoint came out of a run.
    CameOutOf,
    /// A run trained on a dataset.
    TrainedOn,
    /// A checkpoint was made from another.
    MadeFrom,
    /// A dataset version follows another.
    Follows,
    /// A dataset has works under a licence.
    HasWorksUnder,
}

impl Relation {
    fn words(self) -> &'static str {
        match self {
            Self::CheckpointOf => "is a checkpoint of",
            Self::CameOutOf => "came out of",
            Self::TrainedOn => "trained on",
            Self::MadeFrom => "was made from",
            Self::Follows => "follows",
            Self::HasWorksUnder => "has works under",
        }
    }
}

/// A relation between two nodes, by their ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    /// From.
    pub from: String,
    /// How.
    pub relation: Relation,
    /// To.
    pub to: String,
}

/// A model's lineage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The model's record id.
    pub model: B256,
    /// Everything it comes from, and it.
    pub nodes: Vec<Node>,
    /// How they are related.
    pub edges: Vec<Edge>,
}

impl Lineage {
    /// A lineage without anything in it.
    pub fn new(model: B256) -> Self {
        Self { model, nodes: Vec::new(), edges: Vec::new() }
    }

    /// Adds a node; what others call it and say of it is made safe to show. False where it is there
    /// already.
    pub fn add(&mut self, mut node: Node) -> bool {
        if self.nodes.iter().any(|known| (known.kind, &known.id) == (node.kind, &node.id)) {
            return false;
        }
        node.name = plain(&node.name);
        node.facts = node.facts.iter().map(|(name, fact)| (plain(name), plain(fact))).collect();
        self.nodes.push(node);
        true
    }

    /// Relates two nodes.
    pub fn relate(&mut self, from: &str, relation: Relation, to: &str) {
        let edge = Edge { from: from.to_owned(), relation, to: to.to_owned() };
        if !self.edges.contains(&edge) {
            self.edges.push(edge);
        }
    }

    /// The lineage in words: each node with what it comes from.
    pub fn text(&self) -> String {
        let name = |id: &str| {
            let node = self.nodes.iter().find(|node| node.id == id);
            node.map_or_else(|| id.to_owned(), title)
        };
        let mut text = String::new();
        for node in self.nodes.iter().rev() {
            // Writing to a string does not fail.
            writeln!(text, "[{}] {}", node.label, title(node)).unwrap_or_default();
            for (name, fact) in &node.facts {
                writeln!(text, "    {name}: {fact}").unwrap_or_default();
            }
            for edge in self.edges.iter().filter(|edge| edge.from == node.id) {
                writeln!(text, "    {} {}", edge.relation.words(), name(&edge.to))
                    .unwrap_or_default();
            }
        }
        text
    }

    /// The lineage as a picture: SVG 1.1 without scripts, styles from elsewhere, or links.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }
}

fn title(node: &Node) -> String {
    let kind = match node.kind {
        NodeKind::Licence => return format!("licence {}, terms {}", node.name, node.id),
        NodeKind::Dataset => "dataset",
        NodeKind::Run => "run",
        NodeKind::Checkpoint => "checkpoint",
        NodeKind::Model => "model",
    };
    format!("{kind} `{}` {}", node.name, node.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(kind: NodeKind, id: &str, name: &str) -> Node {
        let facts = BTreeMap::from([("<fact>".to_owned(), "\"a\" & b\u{1b}[31m".to_owned())]);
        Node { id: id.to_owned(), kind, label: Label::Verified, name: name.to_owned(), facts }
    }

    fn lineage() -> Lineage {
        let mut lineage = Lineage::new(B256::ZERO);
        for (kind, id, name) in [
            (NodeKind::Licence, "CC0-1.0", "CC0-1.0"),
            (NodeKind::Dataset, "0xd1", "</text><script>alert(1)</script>"),
            (NodeKind::Run, "0xr1", "probity-mlp/1"),
            (NodeKind::Checkpoint, "0xc1", "c1"),
            (NodeKind::Model, "0xm1", "m1"),
        ] {
            assert!(lineage.add(node(kind, id, name)));
        }
        assert!(!lineage.add(node(NodeKind::Run, "0xr1", "again")));
        lineage.relate("0xc1", Relation::CameOutOf, "0xr1");
        lineage.relate("0xc1", Relation::CameOutOf, "0xr1");
        lineage.relate("0xr1", Relation::TrainedOn, "0xd1");
        lineage.relate("0xd1", Relation::HasWorksUnder, "CC0-1.0");
        lineage
    }

    #[test]
    fn words_name_each_relation_once() {
        let text = lineage().text();
        assert_eq!(text.matches("came out of run `probity-mlp/1` 0xr1").count(), 1, "{text}");
        assert!(text.contains("has works under licence CC0-1.0"));
        assert!(!text.contains('\u{1b}'), "others' words do not steer a terminal");
    }

    #[test]
    fn the_picture_is_escaped_and_has_no_script() {
        let svg = lineage().svg();
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
        assert!(!svg.contains("<script") && svg.contains("&lt;/text&gt;&lt;script&gt;"), "{svg}");
        assert!(svg.contains("&quot;a&quot; &amp; b"));
        for forbidden in ["href", "onload", "javascript", "<style", "<foreignObject", "\u{1b}"] {
            assert!(!svg.contains(forbidden), "{forbidden}");
        }
        assert_eq!(svg.matches("<path").count(), 3 + 1, "an edge each, and the arrow's head");
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    }
}

//! Whether a use of a model is permitted by the licences of everything it was made from, and if
//! not, the shortest way to what forbids it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::Address;
use probity_core::{
    licence::{LicenceTerms, Permission},
    money::Bps,
};
use serde::{Deserialize, Serialize};
use spdx::{Expression, LicenseReq};

/// What somebody wants to do with a model that was trained on the works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Use {
    /// Earn money with it.
    pub commercial: bool,
    /// Publish models that were made from it.
    pub derivatives: bool,
    /// The part of the revenue that goes to the data.
    pub revenue_share: Bps,
}

/// Something in a lineage: a model, a checkpoint, a dataset or a batch of works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its record id or its statement's digest, in hexadecimal.
    pub id: String,
    /// Its terms, and who set them; only works have any.
    pub terms: Option<(Address, LicenceTerms)>,
    /// Positions of what it was made from.
    pub made_from: Vec<usize>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The model that is asked about.
    Model,
    /// A version of it, or a parent.
    Checkpoint,
    /// A dataset version.
    Dataset,
    /// Works under the same terms.
    Works,
    /// Something whose origin is not known here.
    Unknown,
}

/// Why works forbid a use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Obstacle {
    /// The terms deny training.
    TrainingDenied,
    /// The terms permit training under constraints that only their author can judge.
    TrainingConstrained,
    /// The terms or the licence forbid commercial use.
    NonCommercial,
    /// The terms or the licence forbid derivatives.
    NoDerivatives,
    /// The terms ask for more of the revenue than the data gets.
    RevenueShare {
        /// What they ask for.
        asked: Bps,
    },
    /// Nobody here knows what this was made from.
    OriginUnknown,
}

/// A way from the model to something that forbids the use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Positions from the model to the forbidding node.
    pub path: Vec<usize>,
    /// Why it forbids.
    pub obstacle: Obstacle,
}

/// The answer about a use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// What forbids it, nearest first; empty where it is permitted.
    pub conflicts: Vec<Conflict>,
    /// Authors who must be named.
    pub attribution: BTreeSet<Address>,
    /// Copyleft expressions, whose terms may pass on to what is made from the works.
    pub copyleft: BTreeSet<String>,
}

impl Answer {
    /// Whether nothing forbids the use.
    pub fn is_permitted(&self) -> bool {
        self.conflicts.is_empty()
    }
}

/// Decides about a use of the first node. Any graph has an answer, cycles and dangling positions
/// included.
pub fn decide(lineage: &[Node], intended: Use) -> Answer {
    let mut answer =
        Answer { conflicts: vec![], attribution: BTreeSet::new(), copyleft: BTreeSet::new() };
    let (order, from) = breadth_first(lineage);
    for position in order {
        let Some(node) = lineage.get(position) else { continue };
        if let Some((author, terms)) = &node.terms {
            answer.note_obligations(*author, terms);
        }
        if let Some(obstacle) = obstacle(node, intended) {
            answer.conflicts.push(Conflict { path: path_to(position, &from), obstacle });
        }
    }
    answer
}

impl Answer {
    fn note_obligations(&mut self, author: Address, terms: &LicenceTerms) {
        if terms.attribution {
            self.attribution.insert(author);
        }
        let is_copyleft = |expression: Expression| {
            expression.requirements().any(|requirement| {
                requirement.req.license.id().is_some_and(spdx::LicenseId::is_copyleft)
                    || has_element(&requirement.req, "SA")
            })
        };
        if Expression::parse(&terms.spdx).is_ok_and(is_copyleft) {
            self.copyleft.insert(terms.spdx.clone());
        }
    }
}

/// Where each position but the first was reached from.
type Predecessors = BTreeMap<usize, usize>;

/// Positions in order of their distance from the first node.
fn breadth_first(lineage: &[Node]) -> (Vec<usize>, Predecessors) {
    let mut from = Predecessors::new();
    let mut seen = BTreeSet::from([0]);
    let mut waiting = VecDeque::from([0]);
    let mut order = Vec::new();
    while let Some(position) = waiting.pop_front() {
        order.push(position);
        let made_from = lineage.get(position).map(|node| node.made_from.as_slice());
        for next in made_from.unwrap_or_default() {
            if seen.insert(*next) {
                from.insert(*next, position);
                waiting.push_back(*next);
            }
        }
    }
    (order, from)
}

fn path_to(mut position: usize, from: &Predecessors) -> Vec<usize> {
    let mut path = vec![position];
    while let Some(before) = from.get(&position) {
        position = *before;
        path.push(position);
    }
    path.reverse();
    path
}

/// What forbids the use, by the terms or by the licence they name, whichever is stricter.
fn obstacle(node: &Node, intended: Use) -> Option<Obstacle> {
    let Some((_, terms)) = &node.terms else {
        return (node.kind == Kind::Unknown).then_some(Obstacle::OriginUnknown);
    };
    // Of `A OR B` one is enough, of `A AND B` both must permit it.
    let permits = |element| {
        Expression::parse(&terms.spdx)
            .is_ok_and(|expression| expression.evaluate(|licence| !has_element(licence, element)))
    };
    match terms.train {
        Permission::Deny => Some(Obstacle::TrainingDenied),
        Permission::Constrained => Some(Obstacle::TrainingConstrained),
        Permission::Allow if intended.commercial && !(terms.commercial && permits("NC")) => {
            Some(Obstacle::NonCommercial)
        }
        Permission::Allow if intended.derivatives && !(terms.derivatives && permits("ND")) => {
            Some(Obstacle::NoDerivatives)
        }
        Permission::Allow => (terms.revenue_share > intended.revenue_share)
            .then_some(Obstacle::RevenueShare { asked: terms.revenue_share }),
    }
}

/// Whether a Creative Commons licence has an element (`BY`, `NC`, `ND`, `SA`); the terms of others
/// are not in their names.
fn has_element(licence: &LicenseReq, element: &str) -> bool {
    let name = licence.license.to_string();
    name.starts_with("CC-") && name.split('-').any(|part| part == element)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn works(spdx: &str, change: impl FnOnce(&mut LicenceTerms)) -> Node {
        let mut terms = LicenceTerms::open(spdx).unwrap();
        change(&mut terms);
        let terms = Some((Address::repeat_byte(1), terms));
        Node { kind: Kind::Works, id: spdx.to_owned(), terms, made_from: vec![] }
    }

    fn made(kind: Kind, made_from: &[usize]) -> Node {
        Node { kind, id: String::new(), terms: None, made_from: made_from.to_vec() }
    }

    const ALL: Use = Use { commercial: true, derivatives: true, revenue_share: Bps::ZERO };

    fn obstacles(node: Node, intended: Use) -> Vec<Obstacle> {
        let answer = decide(&[made(Kind::Model, &[1]), node], intended);
        answer.conflicts.into_iter().map(|conflict| conflict.obstacle).collect()
    }

    #[test]
    fn the_stricter_of_terms_and_licence_decides() {
        let open = |_: &mut LicenceTerms| ();
        assert_eq!(obstacles(works("CC-BY-4.0", open), ALL), []);
        assert_eq!(obstacles(works("CC-BY-NC-4.0", open), ALL), [Obstacle::NonCommercial]);
        assert_eq!(obstacles(works("CC-BY-ND-4.0", open), ALL), [Obstacle::NoDerivatives]);
        // Either will do; both must.
        assert_eq!(obstacles(works("CC-BY-NC-4.0 OR MIT", open), ALL), []);
        let both = works("CC-BY-NC-4.0 AND MIT", open);
        assert_eq!(obstacles(both, ALL), [Obstacle::NonCommercial]);
        let terms = works("MIT", |terms| terms.commercial = false);
        assert_eq!(obstacles(terms, ALL), [Obstacle::NonCommercial]);
        let modest = Use { commercial: false, derivatives: false, ..ALL };
        assert_eq!(obstacles(works("CC-BY-NC-ND-4.0", open), modest), []);
    }

    #[test]
    fn training_and_revenue_are_asked_for() {
        let denied = works("MIT", |terms| terms.train = Permission::Deny);
        assert_eq!(obstacles(denied, ALL), [Obstacle::TrainingDenied]);
        let constrained = works("MIT", |terms| terms.train = Permission::Constrained);
        assert_eq!(obstacles(constrained, ALL), [Obstacle::TrainingConstrained]);
        let asked = Bps::new(500).unwrap();
        let paid = |terms: &mut LicenceTerms| terms.revenue_share = asked;
        assert_eq!(obstacles(works("MIT", paid), ALL), [Obstacle::RevenueShare { asked }]);
        assert_eq!(obstacles(works("MIT", paid), Use { revenue_share: asked, ..ALL }), []);
    }

    #[test]
    fn the_shortest_way_to_each_conflict_comes_first() {
        let lineage = [
            made(Kind::Model, &[1, 9]),
            made(Kind::Checkpoint, &[2, 3]),
            // A parent that is its own ancestor.
            made(Kind::Checkpoint, &[1, 4]),
            made(Kind::Dataset, &[5]),
            made(Kind::Dataset, &[5, 6]),
            works("MIT", |_| ()),
            works("CC-BY-NC-SA-4.0", |terms| terms.attribution = false),
            made(Kind::Unknown, &[]),
        ];
        let answer = decide(&lineage, ALL);
        let conflict = Conflict { path: vec![0, 1, 2, 4, 6], obstacle: Obstacle::NonCommercial };
        assert_eq!(answer.conflicts, [conflict]);
        assert_eq!(answer.attribution, BTreeSet::from([Address::repeat_byte(1)]));
        assert_eq!(answer.copyleft, BTreeSet::from(["CC-BY-NC-SA-4.0".to_owned()]));
        let unknown = decide(&[made(Kind::Model, &[1]), made(Kind::Unknown, &[])], ALL);
        assert_eq!(unknown.conflicts[0].obstacle, Obstacle::OriginUnknown);
        assert!(decide(&[], ALL).is_permitted());
    }
}

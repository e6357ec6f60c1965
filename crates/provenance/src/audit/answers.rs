//! The six questions, answered from what the audit checked.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use probity_core::{Digest, Label, finding::plain, records::record_id};
use serde::{Deserialize, Serialize};

use super::{
    Audit,
    data::Manifests,
    inference::Inference,
    money::Payout,
    signed::{Batches, Statements},
};
use crate::training::{
    CHECKPOINT_TYPE, CheckpointPredicate, MODEL_TYPE, ModelPredicate, RUN_TYPE, RunPredicate,
};

/// What one always wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Which model produced this?
    Model,
    /// On which data, under which licences?
    Data,
    /// Who ran it?
    Operator,
    /// Which policy constrained it?
    Policy,
    /// What proof or attestation exists?
    Evidence,
    /// Who got paid?
    Payments,
}

impl Question {
    /// The question in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Model => "Which model produced this?",
            Self::Data => "On which data, under which licences?",
            Self::Operator => "Who ran it?",
            Self::Policy => "Which policy constrained it?",
            Self::Evidence => "What proof or attestation exists?",
            Self::Payments => "Who got paid?",
        }
    }
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// How strong it is.
    pub label: Label,
    /// What it says.
    pub text: String,
}

/// An answer, in points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// The points, the main one first.
    pub points: Vec<Point>,
}

/// What the checks found.
pub(super) struct Facts {
    pub(super) statements: Statements,
    pub(super) batches: Batches,
    pub(super) manifests: Manifests,
    pub(super) inferences: Vec<Inference>,
    pub(super) payouts: Vec<Payout>,
}

pub(super) fn answer(audit: &Audit<'_>, facts: &Facts) -> Vec<Answer> {
    let answer = |question, points: Vec<Point>| {
        let missing = || vec![point(Label::Missing, "nothing in this bundle tells")];
        Answer { question, points: if points.is_empty() { missing() } else { points } }
    };
    vec![
        answer(Question::Model, model(audit, facts)),
        answer(Question::Data, data(audit, facts)),
        answer(Question::Operator, operator(audit, facts)),
        answer(Question::Policy, policy(audit, facts)),
        answer(Question::Evidence, evidence(audit)),
        answer(Question::Payments, payments(audit, facts)),
    ]
}

fn point(label: Label, text: impl Into<String>) -> Point {
    Point { label, text: plain(&text.into()) }
}

/// The label of a claim by name, or `Missing` where the check did not get there.
fn label_of(audit: &Audit<'_>, name: &str) -> Label {
    let claims = audit.claims.iter().filter(|claim| claim.name == name);
    claims.map(|claim| claim.label).min().unwrap_or(Label::Missing)
}

/// The predicate of the statement that a record names.
fn predicate<P: serde::de::DeserializeOwned>(
    facts: &Facts,
    kind: &str,
    statement: B256,
) -> Option<P> {
    facts.statements.get(&Digest::from(statement))?.statement.predicate(kind).ok()
}

fn model(audit: &Audit<'_>, facts: &Facts) -> Vec<Point> {
    let mut points = Vec::new();
    for model in &audit.records.models {
        let name = predicate::<ModelPredicate>(facts, MODEL_TYPE, model.statement);
        let name = name.map_or("unnamed".to_owned(), |name| name.name);
        let text = format!("model `{name}` {} of `{}`", record_id(model), model.author);
        points.push(point(label_of(audit, "records.registered"), text));
    }
    if let Some(head) = audit.records.checkpoints.last() {
        let text = format!("checkpoint {}, files' digest {}", record_id(head), head.digest);
        points.push(point(label_of(audit, "checkpoint.files"), text));
        let said = predicate::<CheckpointPredicate>(facts, CHECKPOINT_TYPE, head.statement);
        for (name, value) in said.iter().flat_map(|said| &said.metrics) {
            points.push(point(Label::Attested, format!("{name} = {value}, says the trainer")));
        }
    }
    for inference in &facts.inferences {
        let proved = inference.said.proved;
        let text = format!(
            "outputs {} of inputs {} were made by checkpoint {}, quantised",
            proved.output, proved.input, inference.checkpoint
        );
        // The proof holds; how well its key is tied to the checkpoint decides.
        points.push(point(inference.tie, text));
    }
    points
}

fn data(audit: &Audit<'_>, facts: &Facts) -> Vec<Point> {
    let mut points = Vec::new();
    for claim in audit.claims.iter().filter(|claim| claim.name == "checkpoint.parents") {
        points.push(point(claim.label, claim.text.clone()));
    }
    for (id, manifest) in &facts.manifests {
        let mut licences: BTreeMap<&str, usize> = BTreeMap::new();
        let mut authors: BTreeMap<Address, usize> = BTreeMap::new();
        for item in &manifest.items {
            *authors.entry(item.author).or_default() += 1;
            if let Some(batch) = facts.batches.get(&item.statement) {
                *licences.entry(&batch.predicate.licence.spdx).or_default() += 1;
            }
        }
        let label = label_of(audit, "dataset.manifest");
        let text = format!(
            "dataset `{}` {id}: {} items of {} authors",
            manifest.name,
            manifest.items.len(),
            authors.len()
        );
        points.push(point(label, text));
        for (licence, count) in licences {
            let text = format!("{count} items under {licence}, say their authors");
            points.push(point(Label::Attested, text));
        }
        for (reason, count) in manifest.exclusion_counts() {
            points.push(point(
                label_of(audit, "dataset.policy"),
                format!("{count} works left out: {reason}"),
            ));
        }
        points.push(point(
            Label::Asserted,
            "that the authors hold the rights they claim, and that labels are right, is not proven",
        ));
    }
    points
}

fn operator(audit: &Audit<'_>, facts: &Facts) -> Vec<Point> {
    let mut points = Vec::new();
    for run in &audit.records.runs {
        let text = format!("`{}` committed to the run before its checkpoint", run.author);
        points.push(point(label_of(audit, "run.committed-first"), text));
        let said = predicate::<RunPredicate>(facts, RUN_TYPE, run.statement);
        let Some(said) = said else { continue };
        let text = format!("configuration {}", said.config);
        points.push(point(label_of(audit, "run.commitment"), text));
    }
    let of_commands = ["run.provenance", "run.log"];
    for claim in audit.claims.iter().filter(|claim| of_commands.contains(&claim.name.as_str())) {
        points.push(point(claim.label, claim.text.clone()));
    }
    if audit.records.checkpoints.last().is_some() {
        points.push(point(
            label_of(audit, "checkpoint.trained"),
            "that the run was not started before, and gave exactly these weights, is the trainer's word",
        ));
    }
    for inference in &facts.inferences {
        let (who, proved) = (inference.said.author, inference.said.proved);
        let text = format!("`{who}` made outputs {} and proved them, by its word", proved.output);
        points.push(point(Label::Attested, text));
    }
    points
}

fn policy(audit: &Audit<'_>, facts: &Facts) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for manifest in facts.manifests.values() {
        let licences = if manifest.policy.licences.is_empty() {
            "every licence that permits training".to_owned()
        } else {
            manifest.policy.licences.iter().cloned().collect::<Vec<_>>().join(", ")
        };
        let text = format!(
            "dataset policy of `{}`: {licences}; commercial use {}; opt-outs and exact duplicates left out",
            manifest.name,
            if manifest.policy.commercial { "required" } else { "not required" }
        );
        points.push(point(label_of(audit, "dataset.policy"), text));
    }
    points.push(point(Label::Missing, "no policy on the model's use is registered"));
    points
}

fn evidence(audit: &Audit<'_>) -> Vec<Point> {
    let mut points: Vec<Point> =
        audit.claims.iter().map(|claim| point(claim.label, claim.text.clone())).collect();
    points.push(point(
        Label::Missing,
        "no zero-knowledge proof, TEE attestation or re-execution of the training run",
    ));
    points
}

fn payments(audit: &Audit<'_>, facts: &Facts) -> Vec<Point> {
    let mut points = Vec::new();
    for payout in &facts.payouts {
        let pool = payout.pool;
        let text = format!(
            "token {}: {} came in, {} distributed, {} withheld",
            payout.token, pool.received, pool.funded, pool.held
        );
        points.push(point(label_of(audit, "payout.accepted"), text));
        let Some(last) = &payout.last else { continue };
        for entry in &last.entries {
            let claimed = payout.claimed.iter().find(|(account, _)| *account == entry.account);
            let claimed = claimed.map_or(0, |(_, amount)| *amount);
            let text = format!(
                "`{}` was due {} and has claimed {claimed}",
                entry.account, entry.cumulative
            );
            points.push(point(label_of(audit, "payout.claimed"), text));
        }
    }
    points
}

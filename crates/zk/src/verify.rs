//! The verifier.

use std::collections::HashMap;

use crate::{
    ModelKey, Rejection, Statement,
    lookup::{self, Fingerprint},
    opening,
    operations::Walk,
    plan::Plan,
    transcript::{Messages, Tag},
};

/// First bytes of a proof, and its kind.
pub const PROOF_HEADER: &[u8; 5] = b"PZP1\0";

/// Accepts exactly if the proof shows that the key's model maps the statement's inputs to its
/// outputs. Total and deterministic; memory grows with key and statement, not with the proof.
pub fn verify(key: &ModelKey, statement: &Statement, proof: &[u8]) -> Result<(), Rejection> {
    let network = key.network();
    let plan = Plan::new(network, statement.batch)?;
    statement.check(network)?;
    let body = proof.strip_prefix(PROOF_HEADER).ok_or(Rejection::Version)?;
    let mut messages = Messages::new(statement.transcript(key.digest()), body);

    let rows = plan.witness.rows(network.row_bits);
    let (witness, gamma) = messages.points(Tag::Witness, rows)?;
    let alpha = messages.challenge(Tag::LookupShift);
    let leaf = lookup::verify(&mut messages, plan.leaf_bits)?;

    let needed = plan.operations.iter().map(|plan| plan.bits).max().unwrap_or(0);
    let extra = needed.saturating_sub(plan.leaf_bits);
    let mut point: Vec<_> = (0..extra).map(|_| messages.challenge(Tag::Extend)).collect();
    point.extend_from_slice(&leaf.point);

    let mut walk = Walk { network, plan: &plan, statement, claims: vec![], read: HashMap::new() };
    let (values, batching) = walk.at_point(&mut messages, &point)?;
    lookup::check_leaves(network, &plan, &Fingerprint { gamma, alpha }, &leaf, &values)?;
    let batching = walk.terms(&mut messages, &values, batching)?;
    let vectors = [key.rows(), witness.as_slice()];
    opening::verify(&mut messages, &walk.claims, batching, network.row_bits, vectors)?;
    messages.finish()
}

//! The verifier of proofs that hide nothing, and what both verifiers share.

use std::collections::HashMap;

use crate::{
    ModelKey, Network, Rejection, Stage, Statement,
    curve::G1Affine,
    field::Fr,
    lookup::{self, Fingerprint},
    opening::{self, Reduced},
    operations::Walk,
    plan::Plan,
    transcript::{Dialogue, Messages, Tag},
};

/// First bytes of a proof, before its stage.
const MAGIC: &[u8; 4] = b"PZP1";

/// First bytes of a proof of a stage.
pub fn proof_header(stage: Stage) -> [u8; 5] {
    let [a, b, c, d] = *MAGIC;
    [a, b, c, d, stage as u8]
}

/// What a proof's first bytes say it is.
pub fn proof_stage(proof: &[u8]) -> Option<Stage> {
    proof.strip_prefix(MAGIC)?.first().and_then(|byte| Stage::from_byte(*byte))
}

/// The messages of a proof of the stage demanded.
pub(crate) fn body(proof: &[u8], expected: Stage) -> Result<&[u8], Rejection> {
    match proof_stage(proof) {
        Some(got) if got != expected => Err(Rejection::Stage { expected, got }),
        _ => proof.strip_prefix(&proof_header(expected)).ok_or(Rejection::Version),
    }
}

/// Accepts exactly if the proof shows that the key's model maps the statement's inputs to its
/// outputs. Total and deterministic; memory grows with key and statement, not with the proof.
/// Neither a hiding proof nor a hiding key is accepted: [`crate::verify_hiding`] takes them.
pub fn verify(key: &ModelKey, statement: &Statement, proof: &[u8]) -> Result<(), Rejection> {
    let network = key.network();
    let plan = Plan::new(network, statement.batch)?;
    statement.check(network)?;
    if key.stage() != Stage::Succinct {
        return Err(Rejection::Stage { expected: key.stage(), got: Stage::Succinct });
    }
    let body = body(proof, Stage::Succinct)?;
    let mut messages = Messages::new(statement.transcript(key.digest()), body);
    let rows = plan.witness.rows(network.row_bits);
    let (witness, gamma) = messages.points(Tag::Witness, rows)?;
    let reduced = checks(&mut messages, network, &plan, statement, gamma)?;
    let rows: [&[G1Affine]; 2] = [key.rows(), &witness];
    opening::verify(&mut messages, &reduced, rows)?;
    messages.finish()
}

/// All checks between the witness's commitment and its opening (reference §4 to §6, C).
pub(crate) fn checks<D: Dialogue>(
    messages: &mut D,
    network: &Network,
    plan: &Plan,
    statement: &Statement,
    gamma: Fr,
) -> Result<Reduced<D::Value>, Rejection> {
    let alpha = messages.challenge(Tag::LookupShift);
    let leaf = lookup::verify(messages, plan.leaf_bits)?;

    let needed = plan.operations.iter().map(|plan| plan.bits).max().unwrap_or(0);
    let extra = needed.saturating_sub(plan.leaf_bits);
    let mut point: Vec<_> = (0..extra).map(|_| messages.challenge(Tag::Extend)).collect();
    point.extend_from_slice(&leaf.point);

    let mut walk = Walk { network, plan, statement, claims: vec![], read: HashMap::new() };
    let (values, batching) = walk.at_point(messages, &point)?;
    let fingerprint = Fingerprint { gamma, alpha };
    lookup::check_leaves(messages, network, plan, &fingerprint, leaf, &values)?;
    let batching = walk.terms(messages, &values, batching)?;
    opening::reduce(messages, &walk.claims, batching, network.row_bits)
}

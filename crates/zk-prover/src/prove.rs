//! The prover.

use probity_zk::{
    Model, ModelError, Statement,
    lookup::Fingerprint,
    plan::{BatchError, Plan},
    transcript::Tag,
};

use crate::{
    ceremony::commit_small, lookup, opening, operations::Walk, outgoing::Outgoing,
    setup::ProvingKey, witness::Witness,
};

/// Why nothing was proved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// An input that the model cannot be run on.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A batch that is empty or too large.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// Runs the model on a batch of inputs and proves the outputs.
pub fn prove(
    key: &ProvingKey,
    context: [u8; 32],
    input: &[i8],
) -> Result<(Statement, Vec<u8>), ProveError> {
    let model: &Model = &key.model;
    let network = model.network();
    let size = network.input.len();
    if input.is_empty() || !input.len().is_multiple_of(size) {
        let expected = size * (input.len() / size).max(1);
        return Err(ModelError::Input { expected, got: input.len() }.into());
    }
    let batch = u32::try_from(input.len() / size).map_err(|_| BatchError::Size(u32::MAX))?;
    let plan = Plan::new(network, batch)?;
    let witness = Witness::new(model, &plan, input)?;
    let output = witness.result.clone();
    let statement = Statement { context, batch, input: input.to_vec(), output };
    let outgoing = Outgoing::new(statement.transcript(key.key.digest()));
    let proof = prove_witness(key, &witness, outgoing);
    Ok((statement, proof))
}

/// Writes the proof of a witness; it verifies only if the witness is right.
pub(crate) fn prove_witness(
    key: &ProvingKey,
    witness: &Witness<'_>,
    mut outgoing: Outgoing,
) -> Vec<u8> {
    let (network, plan) = (key.model.network(), witness.plan);
    let rows: Vec<_> = witness.values.chunks(1 << network.row_bits).map(commit_small).collect();
    let gamma = outgoing.points(Tag::Witness, &rows);
    let alpha = outgoing.challenge(Tag::LookupShift);
    let leaf = lookup::prove(&mut outgoing, witness, &Fingerprint { gamma, alpha });

    let needed = plan.operations.iter().map(|plan| plan.bits).max().unwrap_or(0);
    let extra = needed.saturating_sub(plan.leaf_bits);
    let mut point: Vec<_> = (0..extra).map(|_| outgoing.challenge(Tag::Extend)).collect();
    point.extend(leaf);

    let mut walk = Walk { key, witness, claims: vec![] };
    let batching = walk.at_point(&mut outgoing, &point);
    let batching = walk.terms(&mut outgoing, &point, batching);
    opening::prove(
        &mut outgoing,
        &walk.claims,
        batching,
        network.row_bits,
        &key.values,
        &witness.values,
    );
    outgoing.finish()
}

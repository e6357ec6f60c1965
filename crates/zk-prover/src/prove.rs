//! The prover.

use probity_zk::{
    ModelError, Rejection, Stage, Statement,
    field::Fr,
    lookup::Fingerprint,
    plan::{BatchError, Plan},
    transcript::Tag,
};

use crate::{
    ceremony::commit_small,
    hiding::batch,
    lookup,
    opening::{self, Folded, Vectors},
    operations::Walk,
    outgoing::Outgoing,
    setup::ProvingKey,
    witness::Witness,
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
    /// The key hides its weights, the proof would not.
    #[error("a hiding key takes hiding proofs alone")]
    HidingKey,
    /// A value of the key that is beyond what a range proof can show, or padding that is not zero.
    #[error("a weight lies outside of what a range proof shows")]
    Range,
    /// The proof's own messages cannot be read back.
    #[error("the proof cannot be completed")]
    Replay(#[from] Rejection),
}

/// Runs the model on a batch of inputs and proves the outputs. The proof hides nothing.
pub fn prove(
    key: &ProvingKey,
    context: [u8; 32],
    input: &[i8],
) -> Result<(Statement, Vec<u8>), ProveError> {
    let network = key.model.network();
    let batch = batch(network, input)?;
    if key.key.stage() != Stage::Succinct {
        return Err(ProveError::HidingKey);
    }
    let plan = Plan::new(network, batch)?;
    let witness = Witness::new(&key.model, &plan, input)?;
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
    let row = 1 << key.model.network().row_bits;
    let rows: Vec<_> = witness.values.chunks(row).map(commit_small).collect();
    let gamma = outgoing.points(Tag::Witness, &rows);
    let folded = argue(key, witness, &mut outgoing, gamma);
    opening::open(&mut outgoing, &folded);
    outgoing.finish()
}

/// All messages between the witness's commitment and its opening.
pub(crate) fn argue(
    key: &ProvingKey,
    witness: &Witness<'_>,
    outgoing: &mut Outgoing,
    gamma: Fr,
) -> Folded {
    let (network, plan) = (key.model.network(), witness.plan);
    let alpha = outgoing.challenge(Tag::LookupShift);
    let leaf = lookup::prove(outgoing, witness, &Fingerprint { gamma, alpha });

    let needed = plan.operations.iter().map(|plan| plan.bits).max().unwrap_or(0);
    let extra = needed.saturating_sub(plan.leaf_bits);
    let mut point: Vec<_> = (0..extra).map(|_| outgoing.challenge(Tag::Extend)).collect();
    point.extend(leaf);

    let mut walk = Walk { key, witness, claims: vec![] };
    let batching = walk.at_point(outgoing, &point);
    let batching = walk.terms(outgoing, &point, batching);
    let vectors = Vectors { key: &key.values, witness: &witness.values, input: &witness.input };
    opening::reduce(outgoing, &walk.claims, batching, network.row_bits, vectors)
}

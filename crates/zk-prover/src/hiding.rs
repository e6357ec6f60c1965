//! Hiding proofs (reference §8), prover's side.

use std::fmt;

use ff::Field;
use probity_zk::{
    HidingStatement, ModelError, Network, Rejection, Stage,
    curve::G1Affine,
    field::{Fr, eq_table},
    hiding::{Answers, InnerProduct, PAD_ROW, Relation, pad_count, replay},
    opening::{RowGroup, Vector},
    plan::{BatchError, Plan},
    proof_header,
    transcript::{Tag, Transcript},
};
use zeroize::Zeroizing;

use crate::{
    ProveError, ProvingKey,
    ceremony::{blind, commit, commit_small},
    masks::{Masks, Secret, Seed, Stream},
    opening::{Folded, divide, evaluate, symmetric},
    outgoing::{Outgoing, Recorded},
    prove::argue,
    witness::{Witness, pad_input},
};

/// Inputs, and what opens their commitment. It stays with their owner: who has it knows the inputs.
#[derive(Clone, PartialEq, Eq)]
pub struct InputOpening {
    values: Zeroizing<Vec<i8>>,
    seed: Seed,
}

impl fmt::Debug for InputOpening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InputOpening(<{} values>)", self.values.len())
    }
}

impl InputOpening {
    /// Inputs one after the other, and fresh randomness. The same of both gives the same commitment.
    pub fn new(values: Vec<i8>, seed: Seed) -> Self {
        Self { values: Zeroizing::new(values), seed }
    }

    /// The inputs.
    pub fn values(&self) -> &[i8] {
        &self.values
    }

    /// The randomness.
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// Commits the inputs to a network: what a hiding statement says of them.
    pub fn commit(&self, network: &Network) -> Result<Vec<G1Affine>, ProveError> {
        let plan = Plan::hiding(network, batch(network, &self.values)?)?;
        let padded = Zeroizing::new(pad_input(network, plan.batch_bits, &self.values));
        Ok(self.rows(network, &padded).0)
    }

    /// The commitments of the padded inputs' rows, and what blinds them.
    pub(crate) fn rows(&self, network: &Network, padded: &[i32]) -> (Vec<G1Affine>, Secret) {
        let shape: Vec<u8> =
            network.input.dimensions().iter().flat_map(|size| size.to_be_bytes()).collect();
        let values: Zeroizing<Vec<u8>> =
            Zeroizing::new(self.values.iter().map(|value| value.cast_unsigned()).collect());
        let about: [&[u8]; 3] = [&[network.row_bits], &shape, &values];
        let rows = padded.chunks(1 << network.row_bits);
        let blinding =
            Stream::new(&self.seed, b"probity-zk/1/hiding input", &about).take(rows.len());
        (rows.zip(blinding.iter()).map(|(row, b)| blind(commit_small(row), *b)).collect(), blinding)
    }
}

/// How many inputs the values are.
pub(crate) fn batch(network: &Network, input: &[i8]) -> Result<u32, ProveError> {
    let size = network.input.len();
    if input.is_empty() || !input.len().is_multiple_of(size) {
        let expected = size * (input.len() / size).max(1);
        return Err(ModelError::Input { expected, got: input.len() }.into());
    }
    Ok(u32::try_from(input.len() / size).map_err(|_| BatchError::Size(u32::MAX))?)
}

/// Runs the model on a batch of inputs and proves the outputs, showing nothing else of the inputs,
/// nor of the weights if the key hides them. `seed` is fresh randomness.
pub fn prove_hiding(
    key: &ProvingKey,
    context: [u8; 32],
    input: &InputOpening,
    seed: &Seed,
) -> Result<(HidingStatement, Vec<u8>), ProveError> {
    let network = key.model.network();
    let batch = batch(network, &input.values)?;
    let plan = Plan::hiding(network, batch)?;
    let witness = Witness::new(&key.model, &plan, &input.values)?;
    let (rows, input_blinding) = input.rows(network, &witness.input);
    let statement = HidingStatement { context, batch, input: rows, output: witness.result.clone() };
    let hidden = Hidden::new(key, &plan, &statement, input_blinding, seed)?;
    let proof = hidden.prove(&witness, &statement)?;
    Ok((statement, proof))
}

/// What a hiding proof is made with, beside the witness.
pub(crate) struct Hidden<'a> {
    pub(crate) key: &'a ProvingKey,
    pub(crate) masks: Masks,
    pub(crate) input_blinding: Secret,
    pub(crate) transcript: Transcript,
}

impl<'a> Hidden<'a> {
    pub(crate) fn new(
        key: &'a ProvingKey,
        plan: &Plan,
        statement: &HidingStatement,
        input_blinding: Secret,
        seed: &Seed,
    ) -> Result<Self, ProveError> {
        let network = key.model.network();
        let (digest, batch) = (*key.key.digest(), statement.batch.to_be_bytes());
        let [input, output] =
            [statement.input_commitment(), statement.outputs().output_commitment()];
        let about: [&[u8]; 5] = [&digest, &statement.context, &batch, &input, &output];
        let stream = Stream::new(seed, b"probity-zk/1/hiding masks", &about);
        let pads = pad_count(network, plan, statement.batch)?;
        let rows = plan.witness.rows(network.row_bits);
        let masks = Masks::new(stream, pads, rows, 1 << network.row_bits);
        Ok(Self { key, masks, input_blinding, transcript: statement.transcript(&digest) })
    }

    /// Writes the proof of a witness; it verifies only if the witness is right.
    pub(crate) fn prove(
        &self,
        witness: &Witness<'_>,
        statement: &HidingStatement,
    ) -> Result<Vec<u8>, ProveError> {
        self.prove_to(self.outgoing(proof_header(Stage::Hiding)), witness, statement)
    }

    /// An empty proof of a kind.
    pub(crate) fn outgoing(&self, header: [u8; 5]) -> Outgoing {
        Outgoing::masked(header, self.transcript.clone(), self.masks.pads.clone())
    }

    pub(crate) fn prove_to(
        &self,
        outgoing: Outgoing,
        witness: &Witness<'_>,
        statement: &HidingStatement,
    ) -> Result<Vec<u8>, ProveError> {
        let argue = |outgoing: &mut Outgoing, gamma| argue(self.key, witness, outgoing, gamma);
        self.complete(outgoing, &witness.values, argue, |messages, answers| {
            replay(&self.key.key, statement, messages, answers)
        })
    }

    /// Commits pads and `values`, argues about them, and shows what the arguments leave: `replay` reads
    /// that from the messages as the verifier reads them.
    pub(crate) fn complete(
        &self,
        mut outgoing: Outgoing,
        values: &[i32],
        argue: impl FnOnce(&mut Outgoing, Fr) -> Folded,
        replay: impl FnOnce(&[u8], Recorded) -> Result<Relation, Rejection>,
    ) -> Result<Vec<u8>, ProveError> {
        let masks = &self.masks;
        let row = 1 << self.key.model.network().row_bits;
        outgoing.points(Tag::Pads, &commit_rows(&masks.pads, &masks.pad_blinding));
        let rows = values.chunks(row).zip(masks.row_blinding.iter());
        let rows: Vec<_> = rows.map(|(row, b)| blind(commit_small(row), *b)).collect();
        let gamma = outgoing.points(Tag::Witness, &rows);
        let folded = argue(&mut outgoing, gamma);
        let (messages, answers) = outgoing.so_far();
        let relation = replay(messages, answers)?;
        let inner = self.answer(&mut outgoing, &relation);
        self.open(&mut outgoing, &folded, &relation, &inner);
        Ok(outgoing.finish())
    }

    /// The products' argument: everything becomes an inner product.
    fn answer(&self, outgoing: &mut Outgoing, relation: &Relation) -> InnerProduct {
        let pads = &self.masks.pads;
        let mut cross = [pads[0], pads[1]];
        for ([i, j], coefficient) in &relation.products {
            cross[0] += pads[i + 1] * pads[j + 1] * coefficient;
            cross[1] += (pads[i + 1] * pads[*j] + pads[*i] * pads[j + 1]) * coefficient;
        }
        let opener = outgoing.scalars(Tag::Products, &cross);
        let factors: Vec<Fr> =
            relation.factors.iter().map(|pad| pads[pad + 1] + opener * pads[*pad]).collect();
        let batching = outgoing.scalars(Tag::Factors, &factors);
        relation.inner_product(&Answers { cross, opener, factors, batching })
    }

    /// Opens the inner product, with fresh vectors added so that nothing need be hidden after them.
    fn open(
        &self,
        outgoing: &mut Outgoing,
        folded: &Folded,
        relation: &Relation,
        inner: &InnerProduct,
    ) {
        let masks = &self.masks;
        let eq = eq_table(&folded.point);
        let mut fresh = commit_rows(&masks.fresh_row, &masks.fresh_blinding[..1]);
        fresh.extend(commit_rows(&masks.fresh_pads, &masks.fresh_blinding[1..]));
        outgoing.points(Tag::Fresh, &fresh);
        let fresh_value = dot(&masks.fresh_row, &eq) + dot(&masks.fresh_pads, &inner.weights);
        let xi = outgoing.scalars(Tag::FreshValue, &[fresh_value]);

        // The folded row, then the pads' rows: what is opened, its weights, its blinding.
        let row = add(&folded.combine(&inner.rows), &masks.fresh_row, xi);
        let pads = add(&masks.pads, &masks.fresh_pads, xi);
        let mut opened = vec![(row, eq)];
        let weights = inner.weights.chunks(PAD_ROW);
        opened.extend(pads.chunks(PAD_ROW).zip(weights).map(|(p, w)| (p.to_vec(), w.to_vec())));
        let of_rows = self.row_blinding(&relation.groups, &inner.rows);
        let blinding = std::iter::once(&of_rows).chain(masks.pad_blinding.iter());
        let blinding = blinding.zip(masks.fresh_blinding.iter()).map(|(b, fresh)| b + xi * fresh);
        self::open(outgoing, &opened, &blinding.collect::<Vec<_>>());
    }

    /// What blinds the folded rows' combination.
    fn row_blinding(&self, groups: &[RowGroup], weights: &[Fr]) -> Fr {
        let none = Secret::default();
        let mut sum = Fr::ZERO;
        for (group, weight) in groups.iter().zip(weights) {
            let rows = match group.vector {
                Vector::Key => self.key.blinding.as_ref().unwrap_or(&none),
                Vector::Witness => &self.masks.row_blinding,
                Vector::Input => &self.input_blinding,
            };
            let own = rows.iter().skip(group.row);
            sum += weight * own.zip(&group.fold).map(|(b, factor)| b * factor).sum::<Fr>();
        }
        sum
    }
}

/// Opens `Σ ⟨vector, weights⟩` of polynomials that need no hiding any more.
pub(crate) fn open(outgoing: &mut Outgoing, opened: &[(Vec<Fr>, Vec<Fr>)], blinding: &[Fr]) {
    let length = opened.iter().map(|(p, _)| p.len()).max().unwrap_or(0);
    let mut s = vec![Fr::ZERO; length.next_power_of_two()];
    for (p, w) in opened {
        let size = p.len().next_power_of_two();
        let [mut p, mut w] = [p.clone(), w.clone()];
        p.resize(size, Fr::ZERO);
        w.resize(size, Fr::ZERO);
        s.iter_mut().zip(symmetric(&p, &w)).for_each(|(sum, value)| *sum += value);
    }
    let beta = outgoing.points(Tag::Symmetric, &[commit(&s)]);
    let inverse = beta.invert().unwrap_or(Fr::ZERO);
    let mut polynomials: Vec<&[Fr]> = opened.iter().map(|(p, _)| p.as_slice()).collect();
    polynomials.insert(1, &s);
    let ends: Vec<_> =
        polynomials.iter().map(|p| [beta, inverse].map(|x| evaluate(p, x))).collect();
    let mu = outgoing.scalars(Tag::Ends, ends.as_flattened());
    let (mut mix, mut sum, mut blind) = (Fr::ONE, vec![Fr::ZERO; s.len()], Fr::ZERO);
    let mut blinding = blinding.iter();
    for (index, polynomial) in polynomials.iter().enumerate() {
        sum.iter_mut().zip(*polynomial).for_each(|(sum, value)| *sum += mix * value);
        // S is made of what is open already: it is not blinded.
        if index != 1 {
            blind += mix * blinding.next().copied().unwrap_or(Fr::ZERO);
        }
        mix *= mu;
    }
    outgoing.scalars(Tag::Blinding, &[blind]);
    let quotient = divide(divide(sum, beta), inverse);
    outgoing.points(Tag::Quotient, &[commit(&quotient)]);
}

fn commit_rows(values: &[Fr], blinding: &[Fr]) -> Vec<G1Affine> {
    values.chunks(PAD_ROW).zip(blinding).map(|(row, b)| blind(commit(row), *b)).collect()
}

fn dot(a: &[Fr], b: &[Fr]) -> Fr {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `a + factor · b`.
fn add(a: &[Fr], b: &[Fr], factor: Fr) -> Vec<Fr> {
    a.iter().zip(b).map(|(a, b)| a + factor * b).collect()
}

//! Hiding proofs: complete, sound, and simulated without a witness. `docs/reference/zk-protocol.md` §8.

mod range;
mod simulator;
mod vectors;

use std::collections::HashSet;

use ff::Field;
use probity_zk::{
    HidingStatement, Model, Rejection, Stage,
    curve::{G1Affine, POINT_BYTES},
    field::Fr,
    model::Weights,
    plan::Plan,
    proof_header, proof_stage,
    transcript::Tag,
    verify, verify_hiding,
};
use zeroize::Zeroizing;

use super::{attention, model, network, off_subgroup, pattern, shape};
use crate::{
    InputOpening, ProveError, ProvingKey, Seed,
    hiding::Hidden,
    outgoing::{Alteration, Outgoing},
    prove, prove_hiding,
    witness::Witness,
};

fn seed(byte: u8) -> Seed {
    Zeroizing::new([byte; 32])
}

/// A key, committed inputs, and their honest proof.
struct Case {
    key: ProvingKey,
    plan: Plan,
    input: InputOpening,
    statement: HidingStatement,
    proof: Vec<u8>,
}

impl Case {
    fn new(key: ProvingKey, batch: u32) -> Self {
        let network = key.model.network();
        let plan = Plan::hiding(network, batch).unwrap();
        let values = pattern(network.input.len() * batch as usize, 3);
        let input = InputOpening::new(values, seed(2));
        let (statement, proof) = prove_hiding(&key, [9; 32], &input, &seed(3)).unwrap();
        assert_eq!(statement.input, input.commit(network).unwrap());
        let case = Self { key, plan, input, statement, proof };
        assert_eq!(case.check(&case.proof), Ok(()));
        case
    }

    /// Weights that anyone may know.
    fn open(batch: u32) -> Self {
        Self::new(ProvingKey::new(model()).unwrap(), batch)
    }

    fn hidden(batch: u32) -> Self {
        Self::new(ProvingKey::hiding(model(), &seed(1)).unwrap(), batch)
    }

    fn check(&self, proof: &[u8]) -> Result<(), Rejection> {
        verify_hiding(self.key.model_key(), &self.statement, proof)
    }

    fn witness(&self) -> Witness<'_> {
        Witness::new(&self.key.model, &self.plan, self.input.values()).unwrap()
    }

    /// A prover about a statement whose input is committed as the witness has it.
    fn prover(&self, witness: &Witness<'_>, statement: &mut HidingStatement) -> Hidden<'_> {
        let (rows, blinding) = self.input.rows(self.key.model.network(), &witness.input);
        statement.input = rows;
        Hidden::new(&self.key, &self.plan, statement, blinding, &seed(4)).unwrap()
    }

    /// What is said to the proof of a witness that was tampered with, its input committed as it is.
    fn cheat(&self, tamper: impl FnOnce(&mut Witness<'_>)) -> Rejection {
        let (mut witness, mut statement) = (self.witness(), self.statement.clone());
        tamper(&mut witness);
        let proof = self.prover(&witness, &mut statement).prove(&witness, &statement).unwrap();
        verify_hiding(self.key.model_key(), &statement, &proof).unwrap_err()
    }

    /// What is said to a prover that changes the values of a message.
    fn alter(&self, tag: Tag, change: Alteration) -> Result<(), Rejection> {
        let (witness, mut statement) = (self.witness(), self.statement.clone());
        let prover = self.prover(&witness, &mut statement);
        let mut outgoing = prover.outgoing(proof_header(Stage::Hiding));
        outgoing.alter = Some((tag, change));
        let proof = prover.prove_to(outgoing, &witness, &statement).unwrap();
        verify_hiding(self.key.model_key(), &statement, &proof)
    }

    fn at(&self, column: usize, index: usize) -> usize {
        self.plan.witness.get(column).offset + index
    }
}

/// Every input gives the same output.
fn without_weights() -> Model {
    let zero = |weights: &Weights| Weights {
        terms: weights.terms.iter().map(|values| vec![0; values.len()]).collect(),
        ..weights.clone()
    };
    Model::new(network(), model().weights().iter().map(zero).collect()).unwrap()
}

/// A proof's words but for its header.
fn words(proof: &[u8]) -> Vec<[u8; 32]> {
    proof[5..].as_chunks::<32>().0.to_vec()
}

#[test]
fn hiding_proofs_verify() {
    let block = ProvingKey::hiding(attention::model(9), &seed(1)).unwrap();
    for case in [Case::open(3), Case::hidden(1), Case::hidden(3), Case::new(block, 2)] {
        assert_eq!(proof_stage(&case.proof), Some(Stage::Hiding));
        // What is proved is what the model computes.
        let size = case.key.model.network().input.len();
        let outputs = case
            .input
            .values()
            .chunks(size)
            .flat_map(|one| case.key.model.run(one).unwrap().outputs.last().unwrap().clone());
        assert_eq!(case.statement.output, outputs.collect::<Vec<_>>());
    }
}

#[test]
fn a_stage_is_never_taken_for_the_other() {
    let (case, hidden) = (Case::open(1), Case::hidden(1));
    let (plain, proof) = prove(&case.key, [9; 32], case.input.values()).unwrap();
    let other = |expected, got| Err(Rejection::Stage { expected, got });
    let [succinct, hiding] = [Stage::Succinct, Stage::Hiding];
    assert_eq!(verify(case.key.model_key(), &plain, &case.proof), other(succinct, hiding));
    assert_eq!(case.check(&proof), other(hiding, succinct));
    // Nor with the stage's byte changed, whatever else was proved.
    let swap = |proof: &[u8]| {
        let mut proof = proof.to_vec();
        proof[4] ^= 1;
        proof
    };
    assert!(verify(case.key.model_key(), &plain, &swap(&case.proof)).is_err());
    assert!(case.check(&swap(&proof)).is_err());
    let mut unknown = case.proof.clone();
    unknown[4] = 2;
    assert_eq!(case.check(&unknown), Err(Rejection::Version));
    // A hiding key takes no proof that would show its weights.
    let refused = prove(&hidden.key, [9; 32], hidden.input.values());
    assert_eq!(refused.unwrap_err(), ProveError::HidingKey);
    assert_eq!(verify(hidden.key.model_key(), &plain, &proof), other(hiding, succinct));
    assert!(verify_hiding(hidden.key.model_key(), &case.statement, &case.proof).is_err());
    assert!(verify_hiding(case.key.model_key(), &hidden.statement, &hidden.proof).is_err());
}

#[test]
fn every_word_of_a_hiding_proof_counts() {
    let case = Case::open(1);
    for at in (5..case.proof.len()).step_by(32) {
        let mut proof = case.proof.clone();
        proof[at + 31] ^= 1;
        assert!(case.check(&proof).is_err(), "byte {at}");
    }
    // Dropped, repeated and reordered words, more and less.
    let words = words(&case.proof).len();
    for word in [0, 9, words / 2, words - 4] {
        let (from, to) = (5 + 32 * word, 37 + 32 * word);
        let dropped = [&case.proof[..from], &case.proof[to..]].concat();
        assert!(case.check(&dropped).is_err());
        let repeated = [&case.proof[..to], &case.proof[from..]].concat();
        assert!(case.check(&repeated).is_err());
        let mut swapped = case.proof.clone();
        swapped.copy_within(from..to, to);
        assert!(case.check(&swapped).is_err());
    }
    assert_eq!(case.check(&case.proof[..5]), Err(Rejection::ProofLength));
    assert_eq!(case.check(&case.proof[..case.proof.len() - 1]), Err(Rejection::ProofLength));
    assert_eq!(case.check(&[&case.proof[..], &[0]].concat()), Err(Rejection::ProofLength));
    let mut stray = case.proof.clone();
    stray[5..5 + POINT_BYTES].copy_from_slice(&off_subgroup());
    assert_eq!(case.check(&stray), Err(Rejection::PointEncoding { at: 0 }));
    let scalars = 5 + POINT_BYTES * (1 + case.plan.witness.rows(super::ROW_BITS));
    let mut order = case.proof.clone();
    order[scalars..scalars + 32].fill(0xff);
    assert!(matches!(case.check(&order), Err(Rejection::ScalarEncoding { .. })));
}

#[test]
fn a_hiding_transcript_that_leaves_a_message_out() {
    let case = Case::open(1);
    let (witness, mut statement) = (case.witness(), case.statement.clone());
    let prover = case.prover(&witness, &mut statement);
    let honest = prover.prove(&witness, &statement).unwrap();
    let mut omitted = 0;
    loop {
        let mut outgoing = prover.outgoing(proof_header(Stage::Hiding));
        outgoing.omit = Some(omitted);
        let proof = prover.prove_to(outgoing, &witness, &statement).unwrap();
        let verdict = verify_hiding(case.key.model_key(), &statement, &proof);
        // Nothing answers the last message: leaving it out changes nothing.
        let last = proof == honest;
        assert_eq!(verdict.is_ok(), last, "message {omitted}");
        if last {
            break;
        }
        omitted += 1;
    }
    assert!(omitted > 60, "{omitted}");
}

#[test]
fn hidden_values_that_the_tables_do_not_hold() {
    let case = Case::hidden(2);
    let plan = &case.plan.operations;
    let output = |operation: usize| plan[operation].output.unwrap();
    for (operation, y) in [(0, 1), (7, -3), (3, 0), (5, 128)] {
        let rejection = case.cheat(|w| {
            w.outputs[operation][1] += y + 1;
            w.values[case.at(output(operation), 1)] += y + 1;
        });
        assert_eq!(rejection, Rejection::Relation, "{operation}");
    }
    let [low, high] = [plan[6].remainder[0], plan[6].remainder[1]];
    let rejection = case.cheat(|w| {
        w.values[case.at(low, 2)] += 256;
        w.values[case.at(high, 2)] -= 1;
    });
    assert_eq!(rejection, Rejection::Relation);
    let counts = case.plan.bytes.unwrap().multiplicity;
    for change in [1, -1] {
        let rejection = case.cheat(|w| w.values[case.at(counts, 7)] += change);
        assert_eq!(rejection, Rejection::Relation);
    }
    // An output that the operation does not give, without a table.
    let rejection = case.cheat(|w| {
        w.outputs[2][0] += 1;
        w.values[case.at(output(2), 0)] += 1;
    });
    assert_eq!(rejection, Rejection::Relation);
}

/// Counts of the byte table as if the tampered input were looked up honestly.
fn look_up(case: &Case, witness: &mut Witness<'_>, old: i32, new: i32) {
    let counts = case.plan.bytes.unwrap().multiplicity;
    let at = |value: i32| case.at(counts, usize::try_from((value + 128).rem_euclid(256)).unwrap());
    witness.values[at(old)] -= 1;
    witness.values[at(new)] += 1;
}

#[test]
fn committed_inputs_are_bytes_and_their_padding_is_zero() {
    // Without weights nothing but the lookups depends on the input.
    let case = Case::new(ProvingKey::new(without_weights()).unwrap(), 3);
    // Index 7 is padding of the columns, the last that of the batch.
    let last = case.witness().input.len() - 1;
    for (index, value) in [(0, 128), (0, 300), (0, -129), (7, 1), (7, -128), (last, 5)] {
        let rejection = case.cheat(|w| {
            let old = w.input[index];
            w.input[index] = value;
            if w.valid[index] == 1 {
                look_up(&case, w, old, value);
            }
        });
        assert_eq!(rejection, Rejection::Relation, "{index} {value}");
    }
    // What is no int8 is not looked up as one that it equals modulo 256 or modulo the table.
    let rejection = case.cheat(|w| w.input[0] += 256);
    assert_eq!(rejection, Rejection::Relation);
    // Another input of bytes than the outputs are of.
    let case = Case::open(3);
    let rejection = case.cheat(|w| {
        let old = w.input[1];
        w.input[1] ^= 1;
        let new = w.input[1];
        look_up(&case, w, old, new);
    });
    assert_eq!(rejection, Rejection::Relation);
}

#[test]
fn hiding_statements_that_were_not_proved() {
    let case = Case::open(3);
    let key = case.key.model_key();
    let (_, blinding) = case.input.rows(case.key.model.network(), &case.witness().input);
    let reject = |change: &dyn Fn(&mut HidingStatement)| {
        let mut statement = case.statement.clone();
        change(&mut statement);
        // The old proof, and that of a prover who knew the false statement all along.
        assert!(verify_hiding(key, &statement, &case.proof).is_err());
        let prover =
            Hidden::new(&case.key, &case.plan, &statement, blinding.clone(), &seed(4)).unwrap();
        let proof = prover.prove(&case.witness(), &statement);
        proof.map_or_else(|_| Err(Rejection::Version), |p| verify_hiding(key, &statement, &p))
    };
    assert_eq!(reject(&|s| s.output[0] += 1), Err(Rejection::Relation));
    assert_eq!(reject(&|s| s.output.swap(0, 3)), Err(Rejection::Relation));
    // Another input's commitment: everything holds of what was committed before.
    assert_eq!(reject(&|s| s.input.swap(0, 1)), Err(Rejection::Opening));
    assert_eq!(reject(&|s| s.input[0] = G1Affine::default()), Err(Rejection::Opening));
    assert!(reject(&|s| s.input.truncate(1)).is_err());
    assert!(reject(&|s| s.output.truncate(8)).is_err());
    assert!(reject(&|s| s.batch = 2).is_err());
    let replayed = HidingStatement { context: [8; 32], ..case.statement.clone() };
    assert!(verify_hiding(key, &replayed, &case.proof).is_err());
}

#[test]
fn other_weights_than_a_hiding_key_s() {
    let case = Case::hidden(1);
    let forge = |change: &dyn Fn(&mut Vec<Weights>)| {
        let mut weights = case.key.model.weights().to_vec();
        change(&mut weights);
        let model = Model::new(network(), weights).unwrap();
        // With the key's own blinding: only the weights differ.
        let forged = ProvingKey::with_hiding_key(model, case.key.key.clone(), &seed(1)).unwrap();
        let forged = ProvingKey { blinding: case.key.blinding.clone(), ..forged };
        let (statement, proof) = prove_hiding(&forged, [9; 32], &case.input, &seed(3)).unwrap();
        verify_hiding(case.key.model_key(), &statement, &proof)
    };
    assert_eq!(forge(&|_| ()), Ok(()));
    assert_eq!(forge(&|w| w[0].terms[0][3] += 1), Err(Rejection::Opening));
    assert_eq!(forge(&|w| w[5].bias[2] += 1), Err(Rejection::Opening));
    assert_eq!(forge(&|w| w.swap(6, 7)), Err(Rejection::Opening));
    // The right weights with other randomness.
    let other = ProvingKey::with_hiding_key(model(), case.key.key.clone(), &seed(7)).unwrap();
    let (statement, proof) = prove_hiding(&other, [9; 32], &case.input, &seed(3)).unwrap();
    let verdict = verify_hiding(case.key.model_key(), &statement, &proof);
    assert_eq!(verdict, Err(Rejection::Opening));
}

#[test]
fn messages_of_a_cheating_prover() {
    let case = Case::open(1);
    let bump: Alteration = |values| values[0] += Fr::ONE;
    for tag in [
        Tag::LookupLayer,
        Tag::Inverses,
        Tag::Round,
        Tag::AtPoint,
        Tag::AfterA,
        Tag::AfterB,
        Tag::Groups,
        Tag::Products,
        Tag::Factors,
        Tag::FreshValue,
        Tag::Ends,
        Tag::Blinding,
    ] {
        assert!(case.alter(tag, bump).is_err(), "{tag:?}");
    }
    let second: Alteration = |values| values[1] += Fr::ONE;
    assert_eq!(case.alter(Tag::Products, second), Err(Rejection::Relation));
    // No inverse of zero: a root whose denominator vanishes.
    let zero: Alteration = |values| values[2..].fill(Fr::ZERO);
    assert!(case.alter(Tag::LookupLayer, zero).is_err());
    assert_eq!(case.alter(Tag::AtPoint, |_| ()), Ok(()));
}

#[test]
fn masks_that_are_missing_or_zero() {
    let case = Case::open(1);
    let (witness, mut statement) = (case.witness(), case.statement.clone());
    let mut prover = case.prover(&witness, &mut statement);
    let key = case.key.model_key();
    // Pads are committed, but nothing is masked with them.
    let none = vec![Fr::ZERO; prover.masks.pads.len()].into();
    let outgoing = Outgoing::masked(proof_header(Stage::Hiding), prover.transcript.clone(), none);
    let proof = prover.prove_to(outgoing, &witness, &statement).unwrap();
    assert_eq!(verify_hiding(key, &statement, &proof), Err(Rejection::Relation));
    // Zero pads, committed as such, hide nothing and prove nothing false.
    prover.masks.pads = vec![Fr::ZERO; prover.masks.pads.len()].into();
    prover.masks.fresh_pads = prover.masks.pads.clone();
    let proof = prover.prove(&witness, &statement).unwrap();
    assert_eq!(verify_hiding(key, &statement, &proof), Ok(()));
    statement.output[0] += 1;
    let mut false_prover = case.prover(&witness, &mut statement);
    false_prover.masks.pads = prover.masks.pads.clone();
    let proof = false_prover.prove(&witness, &statement).unwrap();
    assert_eq!(verify_hiding(key, &statement, &proof), Err(Rejection::Relation));
}

#[test]
fn proofs_of_one_statement_share_no_word() {
    let case = Case::hidden(2);
    let own = words(&case.proof);
    let distinct: HashSet<_> = own.iter().collect();
    assert_eq!(distinct.len(), own.len(), "a proof repeats no word");
    let prove = |context: [u8; 32], input: &InputOpening, randomness: u8| {
        prove_hiding(&case.key, context, input, &seed(randomness)).unwrap()
    };
    let again = InputOpening::new(case.input.values().to_vec(), seed(5));
    let others = [
        prove([9; 32], &case.input, 4),
        // A seed used twice still gives other masks to another context and another commitment.
        prove([8; 32], &case.input, 3),
        prove([9; 32], &again, 3),
    ];
    for (statement, other) in &others {
        assert_eq!(statement.output, case.statement.output);
        assert!(words(other).iter().all(|word| !distinct.contains(word)));
    }
    // Nor does it with the proof that hides nothing.
    let plain = ProvingKey::new(model()).unwrap();
    let (_, plain) = crate::prove(&plain, [9; 32], case.input.values()).unwrap();
    assert!(words(&plain).iter().all(|word| !distinct.contains(word)));
    // The same inputs committed twice, and other keys of the same weights.
    assert!(others[2].0.input.iter().all(|row| !case.statement.input.contains(row)));
    let key = ProvingKey::hiding(model(), &seed(8)).unwrap();
    let rows: HashSet<_> = key.key.rows().iter().map(G1Affine::to_uncompressed).collect();
    assert!(case.key.key.rows().iter().all(|row| !rows.contains(&row.to_uncompressed())));
}

#[test]
fn masked_words_are_spread_over_the_field() {
    // Of each proof the top bits of the masked scalars: by chance 2^-8 of them have the top six bits
    // clear that small integers have. Eight proofs of some 800 words.
    let case = Case::open(1);
    let (mut small, mut all) = (0usize, 0usize);
    for randomness in 10..18 {
        let (_, proof) = prove_hiding(&case.key, [9; 32], &case.input, &seed(randomness)).unwrap();
        let points = POINT_BYTES * (1 + case.plan.witness.rows(super::ROW_BITS));
        // Behind the masked scalars come two commitments, and what opens them.
        let scalars = proof[5 + points..proof.len() - 640].as_chunks::<32>().0;
        all += scalars.len();
        small += scalars.iter().filter(|word| word[0] == 0).count();
    }
    // 115 values of the first byte are possible: about all / 116 are zero, give or take 3 sigma.
    let expected = all / 116;
    assert!(all > 3000, "{all}");
    assert!(small.abs_diff(expected) < 3 * (expected.isqrt() + 1), "{small} of {all}");
}

#[test]
fn inputs_with_the_same_output_give_proofs_of_one_shape() {
    let key = ProvingKey::new(without_weights()).unwrap();
    let proofs = [vec![0i8; 70], vec![127; 70], pattern(70, 4)].map(|values| {
        let input = InputOpening::new(values, seed(2));
        prove_hiding(&key, [9; 32], &input, &seed(3)).unwrap()
    });
    let (first, proof) = &proofs[0];
    for (statement, other) in &proofs[1..] {
        assert_eq!(statement.output, first.output);
        assert_eq!(statement.input.len(), first.input.len());
        assert_eq!(other.len(), proof.len());
        assert!(statement.input.iter().all(|row| !first.input.contains(row)));
        assert!(words(other).iter().all(|word| !words(proof).contains(word)));
    }
}

#[test]
fn inputs_and_their_randomness_are_not_shown() {
    let case = Case::open(1);
    assert_eq!(format!("{:?}", case.input), "InputOpening(<70 values>)");
    let key = format!("{:?}", Case::hidden(1).key.blinding);
    assert!(key.contains("Secret(<"), "{key}");
    let wrong = InputOpening::new(vec![1; 69], seed(1)).commit(case.key.model.network());
    assert!(matches!(wrong, Err(ProveError::Model(_))));
}

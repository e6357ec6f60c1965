//! The simulator of §8.6: it knows key and statement, not a word of weights or inputs, and chooses
//! the challenges. What it writes has the distribution of a proof; the verifier accepts it.

use ff::Field;
use group::{Curve, Group};
use probity_zk::{
    HidingStatement, ModelKey, Rejection,
    curve::{G1Affine, G1Projective, blinding_base, encode_point},
    field::{Fr, eq_table},
    hiding::{Answers, PAD_ROW, Relation, pad_count, replay, verify_with_coins},
    opening::Vector,
    plan::Plan,
    range::{RangePlan, range_pads, replay_range, verify_range_with_coins},
    transcript::{Coins, Tag},
    verify_hiding,
};

use super::{Case, seed};
use crate::{
    ceremony::{blind, commit},
    hiding::open,
    masks::Stream,
    outgoing::{Outgoing, Recorded},
};

/// Challenges chosen beforehand, and how much was heard of the prover.
struct Listening {
    answers: Recorded,
    exchanges: usize,
    bytes: usize,
}

impl Coins for &mut Listening {
    fn exchange(&mut self, tag: Tag, data: &[u8]) -> Fr {
        self.exchanges += 1;
        self.bytes += data.len();
        self.answers.exchange(tag, data)
    }
}

pub(super) struct Simulator<'a> {
    key: &'a ModelKey,
    /// What is proved: an inference, or the key's range.
    statement: Option<&'a HidingStatement>,
    pads: usize,
    /// The witness's.
    rows: usize,
    random: Stream,
    answers: Vec<Fr>,
}

impl<'a> Simulator<'a> {
    pub(super) fn new(key: &'a ModelKey, statement: &'a HidingStatement, randomness: u8) -> Self {
        let network = key.network();
        let plan = Plan::hiding(network, statement.batch).unwrap();
        let pads = pad_count(network, &plan, statement.batch).unwrap();
        Self::start(key, Some(statement), pads, plan.witness.rows(network.row_bits), randomness)
    }

    pub(super) fn of_range(key: &'a ModelKey, randomness: u8) -> Self {
        let network = key.network();
        let plan = RangePlan::new(network).unwrap();
        let pads = range_pads(network, &plan).unwrap();
        Self::start(key, None, pads, plan.witness.rows(network.row_bits), randomness)
    }

    fn start(
        key: &'a ModelKey,
        statement: Option<&'a HidingStatement>,
        pads: usize,
        rows: usize,
        randomness: u8,
    ) -> Self {
        let mut random = Stream::new(&seed(randomness), b"simulator", &[]);
        let answers = random.take(1000).to_vec();
        Self { key, statement, pads, rows, random, answers }
    }

    fn replay(&self, messages: &[u8], coins: impl Coins) -> Result<Relation, Rejection> {
        match self.statement {
            Some(statement) => replay(self.key, statement, messages, coins),
            None => replay_range(self.key, messages, coins),
        }
    }

    /// What the verifier says under the simulator's challenges.
    pub(super) fn verdict(&self, messages: &[u8]) -> Result<(), Rejection> {
        match self.statement {
            Some(statement) => verify_with_coins(self.key, statement, messages, self.coins()),
            None => verify_range_with_coins(self.key, messages, self.coins()),
        }
    }

    fn coins(&self) -> Recorded {
        Recorded::new(self.answers.clone())
    }

    fn points(&mut self, count: usize) -> Vec<G1Affine> {
        let scalars = self.random.take(count);
        scalars.iter().map(|s| (G1Projective::generator() * s).to_affine()).collect()
    }

    /// Random commitments and random scalars: everything up to the groups' values.
    fn first_part(&mut self) -> (Vec<u8>, usize) {
        let rows = self.pads.div_ceil(PAD_ROW) + self.rows;
        let mut messages: Vec<u8> = self.points(rows).iter().flat_map(encode_point).collect();
        // More than are read: how many are follows from the network.
        messages.extend(self.random.take(self.pads).iter().flat_map(Fr::to_bytes_be));
        let mut coins = Listening { answers: self.coins(), exchanges: 0, bytes: 0 };
        assert!(self.replay(&messages, &mut coins).is_err());
        messages.truncate(coins.bytes);
        (messages, coins.exchanges)
    }

    fn folded_commitment(
        &self,
        messages: &[u8],
        relation: &Relation,
        weights: &[Fr],
    ) -> G1Projective {
        let pads = relation.pads().div_ceil(PAD_ROW);
        let point = |i: usize| {
            let from = 96 * (pads + i);
            probity_zk::curve::decode_point(&messages[from..from + 96]).unwrap()
        };
        let witness: Vec<_> = (0..self.rows).map(point).collect();
        let mut sum = G1Projective::identity();
        for (group, weight) in relation.groups.iter().zip(weights) {
            let rows = match group.vector {
                Vector::Key => self.key.rows(),
                Vector::Witness => &witness,
                Vector::Input => self.statement.map_or(&[][..], |statement| &statement.input),
            };
            for (row, factor) in rows[group.row..].iter().zip(&group.fold) {
                sum += G1Projective::from(*row) * (weight * factor);
            }
        }
        sum
    }

    /// The messages, which are accepted under the coins.
    pub(super) fn run(&mut self) -> Vec<u8> {
        let (messages, exchanges) = self.first_part();
        let relation = self.replay(&messages, self.coins()).unwrap();
        let mut coins = self.coins();
        for _ in 0..exchanges {
            coins.exchange(Tag::Round, &[]);
        }
        let mut outgoing = Outgoing::scripted(&messages, coins);

        let cross = [self.random.take(1)[0], self.random.take(1)[0]];
        let opener = outgoing.scalars(Tag::Products, &cross);
        let factors = self.random.take(relation.factors.len()).to_vec();
        let batching = outgoing.scalars(Tag::Factors, &factors);
        let inner = relation.inner_product(&Answers { cross, opener, factors, batching });

        // What is opened is random; the fresh commitments are what they must then be.
        let xi = self.answers[exchanges + 3];
        let inverse = xi.invert().unwrap();
        let eq = eq_table(&relation.point);
        let row = self.random.take(eq.len()).to_vec();
        let pads = self.random.take(relation.pads()).to_vec();
        let dot = |a: &[Fr], b: &[Fr]| a.iter().zip(b).map(|(a, b)| a * b).sum::<Fr>();
        let value = dot(&row, &eq) + dot(&pads, &inner.weights);
        let mut opened = vec![(row, eq)];
        let chunks = pads.chunks(PAD_ROW).zip(inner.weights.chunks(PAD_ROW));
        opened.extend(chunks.map(|(p, w)| (p.to_vec(), w.to_vec())));
        let blinding = self.random.take(opened.len()).to_vec();
        let mut committed = vec![self.folded_commitment(&messages, &relation, &inner.rows)];
        for i in 0..opened.len() - 1 {
            let bytes = &messages[96 * i..96 * (i + 1)];
            committed.push(probity_zk::curve::decode_point(bytes).unwrap().into());
        }
        let fresh = opened.iter().zip(&blinding).zip(&committed).map(|(((p, _), b), own)| {
            ((G1Projective::from(blind(commit(p), *b)) - own) * inverse).to_affine()
        });
        outgoing.points(Tag::Fresh, &fresh.collect::<Vec<_>>());
        outgoing.scalars(Tag::FreshValue, &[(value - inner.value) * inverse]);
        open(&mut outgoing, &opened, &blinding);
        outgoing.so_far().0.to_vec()
    }
}

#[test]
fn simulated_proofs_are_accepted_without_a_witness() {
    for case in [Case::hidden(1), Case::open(2)] {
        let key = case.key.model_key();
        // A false output, and commitments that nobody can open: there is no witness to be known.
        let mut statement = case.statement.clone();
        statement.output[0] += 1;
        let mut random = Stream::new(&seed(50), b"rows", &[]);
        for row in &mut statement.input {
            *row = (blinding_base() * random.take(1)[0]).to_affine();
        }
        let mut simulated = vec![];
        for randomness in [51, 52] {
            let mut simulator = Simulator::new(key, &statement, randomness);
            let messages = simulator.run();
            assert_eq!(simulator.verdict(&messages), Ok(()));
            // It looks as proofs do, and shares nothing with another one.
            assert_eq!(messages.len(), case.proof.len() - 5);
            // Under challenges that are not the simulator's to choose it proves nothing.
            let proof = [&case.proof[..5], &messages].concat();
            assert!(verify_hiding(key, &statement, &proof).is_err());
            let other = Recorded::new(simulator.random.take(1000).to_vec());
            assert!(verify_with_coins(key, &statement, &messages, other).is_err());
            // One word changed is not what it simulated.
            for at in [31, messages.len() / 2, messages.len() - 97 - 32] {
                let mut changed = messages.clone();
                changed[at] ^= 1;
                assert!(simulator.verdict(&changed).is_err());
            }
            simulated.push(messages);
        }
        let [a, b] = [0, 1].map(|i: usize| simulated[i].as_chunks::<32>().0);
        assert!(a.iter().all(|word| !b.contains(word)));
    }
}

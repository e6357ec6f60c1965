//! The fractions' tree of the lookups, prover's side.

use ff::Field;
use probity_zk::{
    field::{Fr, from_i64},
    lookup::{Fingerprint, INPUT_OFFSET},
    plan::Column,
    transcript::Tag,
};
use rayon::prelude::*;

use crate::{outgoing::Outgoing, witness::Witness};

/// Below this length, splitting work costs more than it saves.
const PARALLEL: usize = 1 << 11;

/// Numerators and denominators of a layer.
pub(crate) struct Layer {
    numerators: Vec<Fr>,
    denominators: Vec<Fr>,
}

impl Layer {
    /// 0/1 everywhere.
    pub(crate) fn new(bits: u32) -> Self {
        let size = 1 << bits;
        Self { numerators: vec![Fr::ZERO; size], denominators: vec![Fr::ONE; size] }
    }

    /// Fills a segment.
    pub(crate) fn put(&mut self, column: Column, value: impl Fn(usize) -> (Fr, Fr) + Sync) {
        let range = column.offset..column.offset + (1 << column.bits);
        let numerators = self.numerators[range.clone()].par_iter_mut();
        let denominators = self.denominators[range].par_iter_mut();
        numerators.zip(denominators).enumerate().with_min_len(PARALLEL).for_each(|(i, (n, d))| {
            (*n, *d) = value(i);
        });
    }
}

/// Proves that the witness's lookups add up to zero; returns the point among the leaves.
pub(crate) fn prove(
    outgoing: &mut Outgoing,
    witness: &Witness<'_>,
    fingerprint: &Fingerprint,
) -> Vec<Fr> {
    prove_tree(outgoing, leaves(witness, fingerprint))
}

/// Proves that fractions add up to zero; returns the point among them.
pub(crate) fn prove_tree(outgoing: &mut Outgoing, leaves: Layer) -> Vec<Fr> {
    let mut layers = vec![leaves];
    while let Some(layer) = layers.last().filter(|layer| layer.numerators.len() > 2) {
        let above = halve(layer);
        layers.push(above);
    }
    let mut point = vec![];
    for (index, layer) in layers.into_iter().rev().enumerate() {
        if layer.numerators.len() < 2 {
            break;
        }
        let batch = if index == 0 { Fr::ZERO } else { outgoing.challenge(Tag::LookupBatch) };
        let (mut next, values) = prove_layer(outgoing, layer, &point, batch);
        let t = outgoing.scalars(Tag::LookupLayer, &values);
        if index == 0 {
            let [_, _, q0, q1] = values;
            outgoing.nonzero([q0, q1]);
        }
        next.insert(0, t);
        point = next;
    }
    point
}

fn leaves(witness: &Witness<'_>, fingerprint: &Fingerprint) -> Layer {
    let (plan, network) = (witness.plan, witness.network);
    let mut layer = Layer::new(plan.leaf_bits);
    let mut put = |leaf: usize, value: &(dyn Fn(usize) -> (Fr, Fr) + Sync)| {
        layer.put(plan.leaves.get(leaf), value);
    };
    let bytes: Vec<Fr> = (0..256).map(|byte| fingerprint.byte(Fr::from(byte))).collect();
    let element = |value: i32| from_i64(i64::from(value));
    if let Some(input) = plan.input {
        let (values, valid) = (witness.committed_input(input), &witness.valid);
        let byte = |i: usize| (values[i] + i32::from(INPUT_OFFSET)).unsigned_abs() as usize & 255;
        let hidden = |i: usize| fingerprint.input(element(values[i]), element(valid[i]));
        if let Some(padding) = input.hidden {
            put(input.leaves, &|i| (Fr::ONE, hidden(i)));
            let count = -Fr::from(padding.count as u64);
            put(padding.zero, &|_| (count, fingerprint.input(Fr::ZERO, Fr::ZERO)));
        } else {
            put(input.leaves, &|i| (Fr::ONE, bytes[byte(i)]));
        }
    }
    for (index, (operation, plan_of)) in network.operations.iter().zip(&plan.operations).enumerate()
    {
        for (leaf, column) in plan_of.byte_leaves.iter().zip(&plan_of.remainder) {
            let values = witness.column(*column);
            put(*leaf, &|i| (Fr::ONE, bytes[values[i].unsigned_abs() as usize & 255]));
        }
        if let (Some(leaf), Some(table)) = (plan_of.table_leaves, operation.table) {
            let (us, ys) = (&witness.quotients[index], &witness.outputs[index]);
            put(leaf, &|i| {
                let entry = fingerprint.entry(usize::from(table), element(us[i]), element(ys[i]));
                (Fr::ONE, entry)
            });
        }
    }
    if let Some(table) = plan.bytes {
        let counts = witness.column(table.multiplicity);
        put(table.leaves, &|i| (-element(counts[i]), bytes[i & 255]));
    }
    for (index, (table, plan_of)) in network.tables.iter().zip(&plan.tables).enumerate() {
        let counts = witness.column(plan_of.multiplicity);
        put(plan_of.leaves, &|i| {
            let u = table.min() + i64::try_from(i).unwrap_or(0);
            let result = from_i64(witness.model.entry(index, u).unwrap_or(0));
            (-element(counts[i]), fingerprint.entry(index, from_i64(u), result))
        });
    }
    layer
}

fn halve(layer: &Layer) -> Layer {
    let half = layer.numerators.len() / 2;
    let (p0, p1) = layer.numerators.split_at(half);
    let (q0, q1) = layer.denominators.split_at(half);
    let index = (0..half).into_par_iter().with_min_len(PARALLEL);
    let (numerators, denominators) =
        index.map(|x| (p0[x] * q1[x] + p1[x] * q0[x], q0[x] * q1[x])).unzip();
    Layer { numerators, denominators }
}

/// Proves a layer from its children at `point`; returns the sumcheck's point and `p0 p1 q0 q1`.
fn prove_layer(
    outgoing: &mut Outgoing,
    layer: Layer,
    point: &[Fr],
    batch: Fr,
) -> (Vec<Fr>, [Fr; 4]) {
    let mut p0 = layer.numerators;
    let mut q0 = layer.denominators;
    let half = p0.len() / 2;
    let p1 = p0.split_off(half);
    let q1 = q0.split_off(half);
    // p0 q1 + p1 q0 + λ q0 q1 = (p0 + λ q0) q1 + p1 q0 needs two products instead of three.
    p0.par_iter_mut().zip(&q0).with_min_len(PARALLEL).for_each(|(p, q)| *p += batch * q);
    let mut factors = [p0, p1, q0, q1];

    let tables = eq_suffixes(point);
    let mut claim = None;
    let mut next = Vec::with_capacity(point.len());
    for (z, eq) in point.iter().zip(tables.iter().rev().skip(1)) {
        let [constant, quadratic] = layer_round(&factors, eq);
        // The claim gives s(1): it is (1 − z) s(0) + z s(1).
        let one = match claim {
            None => layer_at_one(&factors, eq),
            Some(claim) => {
                let inverse: Fr = z.invert().unwrap_or(Fr::ZERO);
                (claim - (Fr::ONE - z) * constant) * inverse
            }
        };
        let linear = one - constant - quadratic;
        let challenge = outgoing.scalars(Tag::Round, &[linear, quadratic]);
        claim = Some((quadratic * challenge + linear) * challenge + constant);
        for factor in &mut factors {
            bind(factor, challenge);
        }
        next.push(challenge);
    }
    let [p0, p1, q0, q1] = factors.map(|factor| factor.first().copied().unwrap_or(Fr::ZERO));
    (next, [p0 - batch * q0, p1, q0, q1])
}

/// `eq` tables of every suffix of a point, from the empty one on.
fn eq_suffixes(point: &[Fr]) -> Vec<Vec<Fr>> {
    let mut tables = vec![vec![Fr::ONE]];
    for coordinate in point.iter().rev() {
        let last = tables.last().map_or(&[][..], Vec::as_slice);
        let high: Vec<Fr> =
            last.par_iter().with_min_len(PARALLEL).map(|eq| eq * coordinate).collect();
        let low = last.par_iter().zip(&high).with_min_len(PARALLEL).map(|(eq, high)| eq - high);
        let mut table: Vec<Fr> = low.collect();
        table.extend(high);
        tables.push(table);
    }
    tables
}

/// Values at 0 and leading coefficients of `Σ_x eq(x) (a q1 + p1 q0)(X, x)`.
fn layer_round([a, p1, q0, q1]: &[Vec<Fr>; 4], eq: &[Fr]) -> [Fr; 2] {
    let half = eq.len();
    let term = |x: usize| {
        let constant = a[x] * q1[x] + p1[x] * q0[x];
        let slope = |factor: &[Fr]| factor[x + half] - factor[x];
        let quadratic = slope(a) * slope(q1) + slope(p1) * slope(q0);
        [eq[x] * constant, eq[x] * quadratic]
    };
    sum(half, term)
}

fn layer_at_one([a, p1, q0, q1]: &[Vec<Fr>; 4], eq: &[Fr]) -> Fr {
    let half = eq.len();
    let [one, _] = sum(half, |x| {
        let y = x + half;
        [eq[x] * (a[y] * q1[y] + p1[y] * q0[y]), Fr::ZERO]
    });
    one
}

fn sum(count: usize, term: impl Fn(usize) -> [Fr; 2] + Sync + Send) -> [Fr; 2] {
    let add = |a: [Fr; 2], b: [Fr; 2]| [a[0] + b[0], a[1] + b[1]];
    if count <= PARALLEL {
        return (0..count).map(term).fold([Fr::ZERO; 2], add);
    }
    (0..count).into_par_iter().with_min_len(PARALLEL).map(term).reduce(|| [Fr::ZERO; 2], add)
}

fn bind(factor: &mut Vec<Fr>, challenge: Fr) {
    let half = factor.len() / 2;
    let (low, high) = factor.split_at_mut(half);
    low.par_iter_mut().zip(high).with_min_len(PARALLEL).for_each(|(low, high)| {
        *low += challenge * (*high - *low);
    });
    factor.truncate(half);
}

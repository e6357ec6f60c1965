//! Lookups by logarithmic derivatives over a GKR tree of fractions, verifier's side (reference §4).

use ff::Field;

use crate::{
    Rejection,
    field::{Fr, eq_index, from_i64},
    network::Network,
    operations::AtPoint,
    plan::{Column, Plan},
    sumcheck,
    table::evaluate_index,
    transcript::{Dialogue, Tag},
    value::Value,
};

/// What the fractions' tree ends in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafClaim<V = Fr> {
    /// A point among the leaves.
    pub point: Vec<Fr>,
    /// The numerators' extension there.
    pub numerator: V,
    /// The denominators' extension there.
    pub denominator: V,
}

/// Verifies the tree down to its leaves.
pub(crate) fn verify<D: Dialogue>(
    messages: &mut D,
    leaf_bits: u32,
) -> Result<LeafClaim<D::Value>, Rejection> {
    // Without lookups there is one leaf, 0/1.
    let (mut point, mut claim) = (vec![], [Fr::ZERO, Fr::ONE].map(D::Value::from));
    let layers = leaf_bits as usize;
    for layer in 0..layers {
        let batch = if layer == 0 { Fr::ZERO } else { messages.challenge(Tag::LookupBatch) };
        let [numerator, denominator] = claim;
        let claimed = numerator + denominator * batch;
        let (mut next, left) = sumcheck::verify_with_eq(messages, claimed, &point)?;
        let ([p0, p1, q0, q1], t) = messages.array::<4>(Tag::LookupLayer)?;
        let sum = p0.times(&q1) + p1.times(&q0);
        if layer == 0 {
            messages.nonzero([&q0, &q1], Rejection::LookupDenominator)?;
            messages.zero(sum, Rejection::LookupSum)?;
        } else {
            let children = sum + q0.times(&q1) * batch;
            messages.zero(left - children, Rejection::LookupLayer(layer))?;
        }
        claim = [p0 * (Fr::ONE - t) + p1 * t, q0 * (Fr::ONE - t) + q1 * t];
        next.insert(0, t);
        point = next;
    }
    let [numerator, denominator] = claim;
    Ok(LeafClaim { point, numerator, denominator })
}

/// Domain of the byte table's tuples; table `k` has `k + 2`.
const BYTES_DOMAIN: u64 = 1;

/// What makes an input's value a byte.
pub const INPUT_OFFSET: u8 = 128;

/// How tuples become denominators.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint {
    /// Compresses a tuple.
    pub gamma: Fr,
    /// Shifts it.
    pub alpha: Fr,
}

impl Fingerprint {
    /// Denominator of a byte.
    pub fn byte<V: Value>(&self, value: V) -> V {
        V::from(self.alpha + Fr::from(BYTES_DOMAIN)) + value * self.gamma
    }

    /// Denominator of table `table` holding `result` at `u`.
    pub fn entry<V: Value>(&self, table: usize, u: V, result: V) -> V {
        let domain = Fr::from(table as u64 + BYTES_DOMAIN + 1);
        V::from(self.alpha + domain) + (u + result * self.gamma) * self.gamma
    }

    /// Denominator of a range proof's chunk: of a table's entry where `mask` is 1, of the tuple that only
    /// zero satisfies where it is 0.
    pub fn chunk<V: Value>(&self, value: V, mask: Fr) -> V {
        V::from(self.alpha + Fr::from(BYTES_DOMAIN) * mask) + value * self.gamma
    }

    /// Denominator of a committed input's value: of the byte `value + 128` where `mask` is 1, of the
    /// tuple that only zero satisfies where it is 0.
    pub fn input<V: Value>(&self, value: V, mask: Fr) -> V {
        let valid = Fr::from(BYTES_DOMAIN) + self.gamma * Fr::from(u64::from(INPUT_OFFSET));
        V::from(self.alpha + valid * mask) + value * self.gamma
    }
}

/// Whether the leaves' extensions, made from the values at their suffixes of the point, are what
/// the tree ended in.
pub(crate) fn check_leaves<D: Dialogue>(
    messages: &mut D,
    network: &Network,
    plan: &Plan,
    fingerprint: &Fingerprint,
    claim: LeafClaim<D::Value>,
    values: &AtPoint<D::Value>,
) -> Result<(), Rejection> {
    let LeafClaim { point, numerator, denominator } = claim;
    let mut leaves = Leaves::<D::Value>::new(&point);
    if let (Some(input), Some((value, mask))) = (plan.input, &values.input) {
        let own = fingerprint.input(value.clone(), *mask);
        leaves.add(plan.leaves.get(input.leaves), Fr::ONE, own);
        if let Some(padding) = input.hidden {
            let count = -Fr::from(padding.count as u64);
            let zero = fingerprint.input(Fr::ZERO, Fr::ZERO);
            leaves.add(plan.leaves.get(padding.zero), count, zero);
        }
    }
    for ((operation, plan_of), value) in
        network.operations.iter().zip(&plan.operations).zip(&values.operations)
    {
        for (leaf, byte) in plan_of.byte_leaves.iter().zip(&value.remainder) {
            leaves.add(plan.leaves.get(*leaf), Fr::ONE, fingerprint.byte(byte.clone()));
        }
        if let (Some(leaf), Some(table)) = (plan_of.table_leaves, operation.table) {
            let (u, y) = (value.quotient.clone(), value.output.clone());
            let entry = fingerprint.entry(usize::from(table), u, y);
            leaves.add(plan.leaves.get(leaf), Fr::ONE, entry);
        }
    }
    if let (Some(table), Some(count)) = (plan.bytes, &values.bytes) {
        let column = plan.leaves.get(table.leaves);
        let index = evaluate_index(leaves.own(column));
        leaves.add(column, count.clone() * -Fr::ONE, fingerprint.byte(index));
    }
    for (index, ((table, plan_of), (count, listed))) in
        network.tables.iter().zip(&plan.tables).zip(&values.tables).enumerate()
    {
        let column = plan.leaves.get(plan_of.leaves);
        let own = leaves.own(column);
        let u = D::Value::from(evaluate_index(own) + from_i64(table.min()));
        let result = listed.clone().unwrap_or_else(|| table.evaluate(own).into());
        leaves.add(column, count.clone() * -Fr::ONE, fingerprint.entry(index, u, result));
    }
    leaves.check(messages, numerator, denominator)
}

/// Sums segments, each in its place; places without a segment hold 0/1.
pub(crate) struct Leaves<'a, V> {
    point: &'a [Fr],
    numerator: V,
    denominator: V,
}

impl<'a, V: Value> Leaves<'a, V> {
    pub(crate) fn new(point: &'a [Fr]) -> Self {
        Self { point, numerator: Fr::ZERO.into(), denominator: Fr::ONE.into() }
    }

    fn split(&self, column: Column) -> (&'a [Fr], &'a [Fr]) {
        self.point.split_at(self.point.len().saturating_sub(column.bits as usize))
    }

    fn own(&self, column: Column) -> &'a [Fr] {
        self.split(column).1
    }

    /// Whether the sums are what the tree ended in.
    pub(crate) fn check<D: Dialogue<Value = V>>(
        self,
        messages: &mut D,
        numerator: V,
        denominator: V,
    ) -> Result<(), Rejection> {
        messages.zero(self.numerator - numerator, Rejection::LookupLeaves)?;
        messages.zero(self.denominator - denominator, Rejection::LookupLeaves)
    }

    pub(crate) fn add(
        &mut self,
        column: Column,
        numerator: impl Into<V>,
        denominator: impl Into<V>,
    ) {
        let at = eq_index(self.split(column).0, column.offset >> column.bits);
        let add = |sum: &mut V, value: V| {
            *sum = std::mem::replace(sum, Fr::ZERO.into()) + value * at;
        };
        add(&mut self.numerator, numerator.into());
        add(&mut self.denominator, denominator.into() - V::from(Fr::ONE));
    }
}

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
    transcript::{Messages, Tag},
};

/// What the fractions' tree ends in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafClaim {
    /// A point among the leaves.
    pub point: Vec<Fr>,
    /// The numerators' extension there.
    pub numerator: Fr,
    /// The denominators' extension there.
    pub denominator: Fr,
}

/// Verifies the tree down to its leaves.
pub(crate) fn verify(messages: &mut Messages<'_>, leaf_bits: u32) -> Result<LeafClaim, Rejection> {
    // Without lookups there is one leaf, 0/1.
    let (mut point, mut claim) = (vec![], [Fr::ZERO, Fr::ONE]);
    let layers = leaf_bits as usize;
    for layer in 0..layers {
        let batch = if layer == 0 { Fr::ZERO } else { messages.challenge(Tag::LookupBatch) };
        let [numerator, denominator] = claim;
        let claimed = numerator + batch * denominator;
        let (mut next, left) = sumcheck::verify_with_eq(messages, claimed, &point)?;
        let ([p0, p1, q0, q1], t) = messages.array::<4>(Tag::LookupLayer)?;
        let sum = p0 * q1 + p1 * q0;
        if layer == 0 {
            root(sum, q0 * q1)?;
        } else if left != sum + batch * q0 * q1 {
            return Err(Rejection::LookupLayer(layer));
        }
        claim = [p0 + t * (p1 - p0), q0 + t * (q1 - q0)];
        next.insert(0, t);
        point = next;
    }
    let [numerator, denominator] = claim;
    Ok(LeafClaim { point, numerator, denominator })
}

fn root(numerator: Fr, denominator: Fr) -> Result<(), Rejection> {
    if bool::from(denominator.is_zero()) {
        Err(Rejection::LookupDenominator)
    } else if bool::from(numerator.is_zero()) {
        Ok(())
    } else {
        Err(Rejection::LookupSum)
    }
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
    pub fn byte(&self, value: Fr) -> Fr {
        self.alpha + Fr::from(BYTES_DOMAIN) + self.gamma * value
    }

    /// Denominator of table `table` holding `result` at `u`.
    pub fn entry(&self, table: usize, u: Fr, result: Fr) -> Fr {
        let domain = Fr::from(table as u64 + BYTES_DOMAIN + 1);
        self.alpha + domain + self.gamma * (u + self.gamma * result)
    }
}

/// Whether the leaves' extensions, made from the values at their suffixes of the point, are what
/// the tree ended in.
pub(crate) fn check_leaves(
    network: &Network,
    plan: &Plan,
    fingerprint: &Fingerprint,
    claim: &LeafClaim,
    values: &AtPoint,
) -> Result<(), Rejection> {
    let mut leaves = Leaves { point: &claim.point, numerator: Fr::ZERO, denominator: Fr::ONE };
    if let (Some(input), Some(value)) = (plan.input, values.input) {
        let byte = fingerprint.byte(value + Fr::from(u64::from(INPUT_OFFSET)));
        leaves.add(plan.leaves.get(input.leaves), Fr::ONE, byte);
    }
    for ((operation, plan_of), value) in
        network.operations.iter().zip(&plan.operations).zip(&values.operations)
    {
        for (leaf, byte) in plan_of.byte_leaves.iter().zip(&value.remainder) {
            leaves.add(plan.leaves.get(*leaf), Fr::ONE, fingerprint.byte(*byte));
        }
        if let (Some(leaf), Some(table)) = (plan_of.table_leaves, operation.table) {
            let entry = fingerprint.entry(usize::from(table), value.quotient, value.output);
            leaves.add(plan.leaves.get(leaf), Fr::ONE, entry);
        }
    }
    if let (Some(table), Some(count)) = (plan.bytes, values.bytes) {
        let column = plan.leaves.get(table.leaves);
        let index = evaluate_index(leaves.own(column));
        leaves.add(column, -count, fingerprint.byte(index));
    }
    for (index, ((table, plan_of), (count, listed))) in
        network.tables.iter().zip(&plan.tables).zip(&values.tables).enumerate()
    {
        let column = plan.leaves.get(plan_of.leaves);
        let own = leaves.own(column);
        let u = evaluate_index(own) + from_i64(table.min());
        let result = listed.unwrap_or_else(|| table.evaluate(own));
        leaves.add(column, -*count, fingerprint.entry(index, u, result));
    }
    if leaves.numerator == claim.numerator && leaves.denominator == claim.denominator {
        Ok(())
    } else {
        Err(Rejection::LookupLeaves)
    }
}

/// Sums segments, each in its place; places without a segment hold 0/1.
struct Leaves<'a> {
    point: &'a [Fr],
    numerator: Fr,
    denominator: Fr,
}

impl<'a> Leaves<'a> {
    fn split(&self, column: Column) -> (&'a [Fr], &'a [Fr]) {
        self.point.split_at(self.point.len().saturating_sub(column.bits as usize))
    }

    fn own(&self, column: Column) -> &'a [Fr] {
        self.split(column).1
    }

    fn add(&mut self, column: Column, numerator: Fr, denominator: Fr) {
        let at = eq_index(self.split(column).0, column.offset >> column.bits);
        self.numerator += at * numerator;
        self.denominator += at * (denominator - Fr::ONE);
    }
}

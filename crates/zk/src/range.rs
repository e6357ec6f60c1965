//! Range proofs of keys that hide their weights (reference §8.7): every weight, bias and listed entry is
//! an integer of 48 bits, and zero where it is padding or the table's entry at 0.

use alloy_primitives::U256;
use ff::Field;

use crate::{
    ModelKey, Network, Rejection, Term, Window,
    field::{Fr, less_than, powers},
    hiding::{Masked, Relation, Rows, count_pads},
    labels::{SUMMED, product_indices},
    lookup::{self, Fingerprint, LeafClaim, Leaves},
    network::bits,
    opening::{self, Claim, Reduced, Vector},
    operations::{cut, last},
    plan::{Column, Columns, Plan, Sizes},
    table::{Table, evaluate_index},
    transcript::{Coins, Dialogue, Messages, Tag, Transcript},
    value::Value,
    weights,
};

/// First bytes of a range proof; the last one is the stage's.
pub const RANGE_HEADER: [u8; 5] = *b"PZR1\x01";
/// What its transcript starts with.
const RANGE_PROTOCOL: &[u8] = b"probity-zk/1/range";
/// Chunks of a value.
pub const CHUNKS: usize = 3;
/// Bits of a chunk.
pub const CHUNK_BITS: u32 = 16;
/// Bits of a value's magnitude: it lies from −2^47 to 2^47 − 1, which its chunks count from 0.
pub const VALUE_BITS: u32 = 47;
/// Bits of what is added before a shift, so that it rounds.
const ROUNDING_BITS: u32 = 23;
/// Bits of a tensor's magnitude beyond which equations of integers could wrap around the field.
const MAX_BITS: u32 = 250;

/// A column of the key, and what shows its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeColumn {
    /// Where it lies among the key's.
    pub column: Column,
    /// Its dimensions in the order in which it has them; what is beyond them is padding.
    pub sizes: Vec<u32>,
    /// Its chunks, the lowest first, among the witness's columns.
    pub chunks: [usize; CHUNKS],
    /// Their lookups, among the leaves.
    pub leaves: [usize; CHUNKS],
    /// Where a table's column has the entry at 0.
    pub zero: Option<usize>,
}

impl RangeColumn {
    /// Values that are not padding.
    pub fn len(&self) -> usize {
        self.sizes.iter().map(|size| *size as usize).product()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether each place of the column is no padding.
    pub fn mask(&self) -> Vec<bool> {
        self.sizes.iter().fold(vec![true], |mask, size| {
            let own = |valid: bool| (0..1u32 << bits(*size)).map(move |i| valid && i < *size);
            mask.into_iter().flat_map(own).collect()
        })
    }

    /// The mask's extension.
    pub fn mask_at(&self, point: &[Fr]) -> Fr {
        let (_, parts) = cut(point, &self.sizes);
        parts.iter().zip(&self.sizes).map(|(part, size)| less_than(part, *size as usize)).product()
    }
}

/// Places of a range proof's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangePlan {
    /// The key's columns.
    pub columns: Vec<RangeColumn>,
    /// How often each chunk's value is looked up, among the witness's columns.
    pub counts: usize,
    /// The values of chunks, among the leaves.
    pub table: usize,
    /// The leaf of the tuple that padded positions look up.
    pub zero: usize,
    /// Padded positions, those of all chunks.
    pub padding: usize,
    /// Chunks and counts.
    pub witness: Columns,
    /// Lookups and what they look up.
    pub leaves: Columns,
    /// Bits of the leaves' index.
    pub leaf_bits: u32,
}

impl RangePlan {
    /// Places everything for the key of a network that was checked.
    pub fn new(network: &Network) -> Result<Self, Rejection> {
        let key = Plan::new(network, 1)?;
        let (mut witness, mut leaves) = (Sizes::default(), Sizes::default());
        let mut columns = vec![];
        for (index, sizes, zero) in key_columns(network, &key) {
            let column = key.key.get(index);
            let chunks = [(); CHUNKS].map(|()| witness.add(column.bits));
            let leaves = [(); CHUNKS].map(|()| leaves.add(column.bits));
            columns.push(RangeColumn { column, sizes, chunks, leaves, zero });
        }
        let counts = witness.add(CHUNK_BITS);
        let (table, zero) = (leaves.add(CHUNK_BITS), leaves.add(0));
        let padded = |column: &RangeColumn| (1usize << column.column.bits) - column.len();
        let padding = CHUNKS * columns.iter().map(padded).sum::<usize>();
        let [witness, leaves] = [witness, leaves].map(|sizes| sizes.place());
        let leaf_bits = leaves.len().next_power_of_two().trailing_zeros();
        Ok(Self { columns, counts, table, zero, padding, witness, leaves, leaf_bits })
    }
}

/// The key's columns in the order of the network: number, dimensions as they lie there, and where a
/// table's has the entry at 0.
fn key_columns(network: &Network, plan: &Plan) -> Vec<(usize, Vec<u32>, Option<usize>)> {
    let mut columns = vec![];
    for (operation, places) in network.operations.iter().zip(&plan.operations) {
        for (term, column) in operation.terms.iter().zip(&places.weights) {
            let shape = term.weights(&operation.shape, network.tensor(term.input()));
            if let (Some(shape), Some(column)) = (shape, column) {
                let order = weights::order(&shape).into_iter();
                let sizes = order.filter_map(|i| shape.get(i).copied()).collect();
                columns.push((*column, sizes, None));
            }
        }
        let sizes = operation.bias_axes().and_then(|axes| operation.shape.dimensions().get(axes));
        if let (Some(sizes), Some(column)) = (sizes, places.bias) {
            columns.push((column, sizes.to_vec(), None));
        }
    }
    for (table, places) in network.tables.iter().zip(&plan.tables) {
        if let Some(column) = places.values {
            columns.push((column, vec![1 << table.bits()], table.index(0)));
        }
    }
    columns
}

/// Starts the transcript of a key's range proof.
pub fn range_transcript(key: &ModelKey) -> Transcript {
    let mut transcript = Transcript::starting(RANGE_PROTOCOL);
    transcript.exchange(Tag::Statement, key.digest());
    transcript
}

/// How many pads a range proof uses.
pub fn range_pads(network: &Network, plan: &RangePlan) -> Result<usize, Rejection> {
    count_pads(|messages| checks(messages, network, plan, Fr::ZERO))
}

/// Accepts exactly if the proof shows that what the key commits to is integers from −2^47 to 2^47 − 1,
/// zero at padded places and at listed tables' entries for 0, and no equation of the network's can then
/// wrap around the field: proofs under the key are about a network of integers. Total and
/// deterministic, as [`crate::verify`] is.
pub fn verify_range(key: &ModelKey, proof: &[u8]) -> Result<(), Rejection> {
    let body = proof.strip_prefix(&RANGE_HEADER).ok_or(Rejection::Version)?;
    cannot_wrap(key.network())?;
    verify_range_with_coins(key, body, range_transcript(key))
}

/// The interactive verifier of the weights' range, as [`crate::hiding::verify_with_coins`] is of
/// inferences.
pub fn verify_range_with_coins<C: Coins>(
    key: &ModelKey,
    messages: &[u8],
    coins: C,
) -> Result<(), Rejection> {
    let plan = RangePlan::new(key.network())?;
    let mut masked = Masked::new(Messages::new(coins, messages));
    let (rows, relation) = relation(&mut masked, key, &plan)?;
    masked.verify(&relation, [key.rows(), &rows.witness, &[]], &rows.pads)
}

/// The relation that the messages so far leave to be shown: what a prover replays.
pub fn replay_range<C: Coins>(
    key: &ModelKey,
    messages: &[u8],
    coins: C,
) -> Result<Relation, Rejection> {
    let plan = RangePlan::new(key.network())?;
    let mut masked = Masked::new(Messages::new(coins, messages));
    let (_, relation) = relation(&mut masked, key, &plan)?;
    masked.finish()?;
    Ok(relation)
}

fn relation<C: Coins>(
    masked: &mut Masked<'_, C>,
    key: &ModelKey,
    plan: &RangePlan,
) -> Result<(Rows, Relation), Rejection> {
    let network = key.network();
    let rows = plan.witness.rows(network.row_bits);
    let (rows, gamma) = masked.rows(range_pads(network, plan)?, rows)?;
    let reduced = checks(masked, network, plan, gamma)?;
    Ok((rows, Relation::new(masked, reduced)?))
}

/// All checks between the commitments and their opening.
fn checks<D: Dialogue>(
    messages: &mut D,
    network: &Network,
    plan: &RangePlan,
    gamma: Fr,
) -> Result<Reduced<D::Value>, Rejection> {
    let fingerprint = Fingerprint { gamma, alpha: messages.challenge(Tag::LookupShift) };
    let LeafClaim { point, numerator, denominator } = lookup::verify(messages, plan.leaf_bits)?;
    let (values, batching) = messages.scalars(Tag::AtPoint, CHUNKS * plan.columns.len() + 1)?;
    let (of_columns, rest) = values.as_chunks::<CHUNKS>();
    let counts = rest.first().cloned().unwrap_or_else(|| Fr::ZERO.into());

    let mut leaves = Leaves::<D::Value>::new(&point);
    let mut claims = vec![];
    let claim = |vector, column: Column, value| {
        let point = last(&point, column.bits).to_vec();
        Claim { vector, column, point, value }
    };
    for (place, chunks) in plan.columns.iter().zip(of_columns) {
        let mask = place.mask_at(last(&point, place.column.bits));
        for ((chunk, leaf), column) in chunks.iter().zip(place.leaves).zip(place.chunks) {
            leaves.add(plan.leaves.get(leaf), Fr::ONE, fingerprint.chunk(chunk.clone(), mask));
            claims.push(claim(Vector::Witness, plan.witness.get(column), chunk.clone()));
        }
        claims.push(claim(Vector::Key, place.column, joined(chunks, mask)));
        if let Some(zero) = place.zero {
            claims.push(claim_at_entry(place.column, zero));
        }
    }
    claims.push(claim(Vector::Witness, plan.witness.get(plan.counts), counts.clone()));
    let table = plan.leaves.get(plan.table);
    let looked_up = fingerprint.chunk(evaluate_index(last(&point, table.bits)), Fr::ONE);
    leaves.add(table, counts * -Fr::ONE, looked_up);
    let padding = -Fr::from(plan.padding as u64);
    leaves.add(plan.leaves.get(plan.zero), padding, fingerprint.chunk(Fr::ZERO, Fr::ZERO));
    leaves.check(messages, numerator, denominator)?;
    opening::reduce(messages, &claims, batching, network.row_bits)
}

/// The value that chunks make up: they start at −2^47 where there is one, at 0 where there is none.
pub fn joined<V: Value>(chunks: &[V; CHUNKS], mask: Fr) -> V {
    let least = V::from(-mask * Fr::from(1 << VALUE_BITS));
    let weights = powers(Fr::from(1 << CHUNK_BITS), CHUNKS);
    chunks.iter().zip(weights).fold(least, |sum, (chunk, weight)| sum + chunk.clone() * weight)
}

/// The claim that a table's entry is zero.
pub fn claim_at_entry<V: Value>(column: Column, entry: usize) -> Claim<V> {
    let bit = |i: u32| if entry >> i & 1 == 1 { Fr::ONE } else { Fr::ZERO };
    let point = (0..column.bits).rev().map(bit).collect();
    Claim { vector: Vector::Key, column, point, value: Fr::ZERO.into() }
}

/// Refuses networks in which sums of weights in this range, times whatever tensors then hold, could wrap
/// around the field.
pub fn cannot_wrap(network: &Network) -> Result<(), Rejection> {
    let power = |bits: u32| U256::from(1u8) << bits as usize;
    // Each tensor's largest magnitude, saturating far beyond the limit.
    let mut tensors = vec![power(7)];
    for (index, operation) in network.operations.iter().enumerate() {
        let terms = operation.terms.iter().map(|term| reach(network, &tensors, term));
        // The bias is one more, and what rounds.
        let sum = terms.fold(power(VALUE_BITS) + power(ROUNDING_BITS), U256::saturating_add);
        if sum >= power(MAX_BITS) {
            return Err(Rejection::Bounds(index));
        }
        let table = operation.table.and_then(|table| network.tables.get(usize::from(table)));
        tensors.push(match table {
            None => sum,
            Some(Table::Clamp { low, .. }) => power(u32::from(*low)),
            Some(Table::Listed { .. }) => power(VALUE_BITS),
        });
    }
    Ok(())
}

/// The largest magnitude of a term.
fn reach(network: &Network, tensors: &[U256], term: &Term) -> U256 {
    let shape = |tensor: u16| network.tensor(usize::from(tensor)).dimensions();
    let of = |tensor: u16| tensors.get(usize::from(tensor)).copied().unwrap_or(U256::MAX);
    let weight = |input: u16| of(input).saturating_mul(U256::from(1u8) << VALUE_BITS as usize);
    let times = |value: U256, counts: &mut dyn Iterator<Item = u32>| {
        counts.fold(value, |product, count| product.saturating_mul(U256::from(count)))
    };
    let summed = |indices: &[(u8, u32)]| -> Vec<u32> {
        indices.iter().filter(|(label, _)| *label >= SUMMED).map(|(_, size)| *size).collect()
    };
    let taps = |window: &Window| window.kernel.map(u32::from).into_iter();
    match term {
        Term::Scale { input, coefficient } => {
            times(of(*input), &mut std::iter::once(coefficient.unsigned_abs()))
        }
        Term::Dense { input, kept } => {
            times(weight(*input), &mut shape(*input).iter().skip(usize::from(*kept)).copied())
        }
        Term::Conv { input, window } => {
            let channels = shape(*input).iter().take(1).copied();
            times(weight(*input), &mut channels.chain(taps(window)))
        }
        Term::Window { input, coefficient, window } => {
            let coefficient = std::iter::once(coefficient.unsigned_abs());
            times(of(*input), &mut coefficient.chain(taps(window)))
        }
        Term::Product { inputs: [a, b], coefficient, labels } => {
            let counts = summed(&product_indices(labels, [shape(*a), shape(*b)]));
            let coefficient = std::iter::once(coefficient.unsigned_abs());
            times(of(*a).saturating_mul(of(*b)), &mut coefficient.chain(counts))
        }
        Term::Arrange { input, coefficient, labels } => {
            let counts = summed(&labels.of(shape(*input)).collect::<Vec<_>>());
            let coefficient = std::iter::once(coefficient.unsigned_abs());
            times(of(*input), &mut coefficient.chain(counts))
        }
    }
}

//! Range proofs of keys that hide their weights (reference §8.7), prover's side.

use ff::Field;
use probity_zk::{
    field::{Fr, eq_table, from_i64},
    lookup::Fingerprint,
    opening::{Claim, Vector},
    operations::last,
    plan::Column,
    range::{
        CHUNK_BITS, CHUNKS, RANGE_HEADER, RangePlan, VALUE_BITS, cannot_wrap, claim_at_entry,
        joined, range_pads, range_transcript, replay_range,
    },
    transcript::Tag,
};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::{
    ProveError, ProvingKey, Seed,
    fold::inner_product,
    hiding::Hidden,
    lookup::{self, Layer},
    masks::{Masks, Secret, Stream},
    opening::{self, Folded, Vectors},
    outgoing::Outgoing,
};

/// Proves that what a key commits to are integers of 48 bits, and zero where they have to be; it shows
/// nothing else of them. `seed` is fresh randomness.
pub fn prove_range(key: &ProvingKey, seed: &Seed) -> Result<Vec<u8>, ProveError> {
    cannot_wrap(key.model.network())?;
    let plan = RangePlan::new(key.model.network())?;
    let witness = RangeWitness::new(key, &plan)?;
    witness.prove(key, seed)
}

/// The chunks of a key's values, and how often each is looked up.
pub(crate) struct RangeWitness<'a> {
    pub(crate) plan: &'a RangePlan,
    /// The committed vector.
    pub(crate) values: Zeroizing<Vec<i32>>,
}

impl<'a> RangeWitness<'a> {
    pub(crate) fn new(key: &ProvingKey, plan: &'a RangePlan) -> Result<Self, ProveError> {
        let mut values = Zeroizing::new(vec![0; plan.witness.len()]);
        let mut counts = vec![0; 1 << CHUNK_BITS];
        for place in &plan.columns {
            let own = &key.values[place.column.offset..][..1 << place.column.bits];
            for (i, (value, valid)) in own.iter().zip(place.mask()).enumerate() {
                let chunks = chunks(*value, valid).ok_or(ProveError::Range)?;
                for (chunk, column) in chunks.into_iter().zip(place.chunks) {
                    values[plan.witness.get(column).offset + i] = i32::from(chunk);
                    counts[usize::from(chunk)] += i32::from(valid);
                }
            }
        }
        let at = plan.witness.get(plan.counts).offset;
        values[at..at + counts.len()].copy_from_slice(&counts);
        Ok(Self { plan, values })
    }

    fn column(&self, column: usize) -> &[i32] {
        let place = self.plan.witness.get(column);
        &self.values[place.offset..][..1 << place.bits]
    }

    /// Writes the proof; it verifies only if the witness is right.
    pub(crate) fn prove(&self, key: &ProvingKey, seed: &Seed) -> Result<Vec<u8>, ProveError> {
        let prover = self.prover(key, seed)?;
        self.prove_to(prover.outgoing(RANGE_HEADER), &prover)
    }

    pub(crate) fn prover<'k>(
        &self,
        key: &'k ProvingKey,
        seed: &Seed,
    ) -> Result<Hidden<'k>, ProveError> {
        let network = key.model.network();
        let pads = range_pads(network, self.plan)?;
        let stream = Stream::new(seed, b"probity-zk/1/range masks", &[key.key.digest()]);
        let rows = self.plan.witness.rows(network.row_bits);
        Ok(Hidden {
            key,
            masks: Masks::new(stream, pads, rows, 1 << network.row_bits),
            input_blinding: Secret::default(),
            transcript: range_transcript(&key.key),
        })
    }

    pub(crate) fn prove_to(
        &self,
        outgoing: Outgoing,
        hidden: &Hidden<'_>,
    ) -> Result<Vec<u8>, ProveError> {
        let argue = |outgoing: &mut Outgoing, gamma| self.argue(hidden.key, outgoing, gamma);
        hidden.complete(outgoing, &self.values, argue, |messages, answers| {
            replay_range(&hidden.key.key, messages, answers)
        })
    }

    /// All messages between the commitments and their opening.
    fn argue(&self, key: &ProvingKey, outgoing: &mut Outgoing, gamma: Fr) -> Folded {
        let alpha = outgoing.challenge(Tag::LookupShift);
        let leaves = self.leaves(&Fingerprint { gamma, alpha });
        let point = lookup::prove_tree(outgoing, leaves);

        let plan = self.plan;
        let (mut claims, mut values) = (vec![], vec![]);
        let mut table = (0, vec![Fr::ONE]);
        for place in &plan.columns {
            let own = last(&point, place.column.bits);
            if table.0 != place.column.bits {
                table = (place.column.bits, eq_table(own));
            }
            let chunks = place.chunks.map(|column| inner_product(self.column(column), &table.1));
            values.extend(chunks);
            let claim = |vector, column: Column, value| Claim {
                vector,
                column,
                point: own.to_vec(),
                value,
            };
            for (column, value) in place.chunks.into_iter().zip(chunks) {
                claims.push(claim(Vector::Witness, plan.witness.get(column), value));
            }
            claims.push(claim(Vector::Key, place.column, joined(&chunks, place.mask_at(own))));
            if let Some(zero) = place.zero {
                claims.push(claim_at_entry(place.column, zero));
            }
        }
        let own = last(&point, CHUNK_BITS).to_vec();
        let value = inner_product(self.column(plan.counts), &eq_table(&own));
        values.push(value);
        let column = plan.witness.get(plan.counts);
        claims.push(Claim { vector: Vector::Witness, column, point: own, value });
        let batching = outgoing.scalars(Tag::AtPoint, &values);
        let vectors = Vectors { key: &key.values, witness: &self.values, input: &[] };
        opening::reduce(outgoing, &claims, batching, key.model.network().row_bits, vectors)
    }

    fn leaves(&self, fingerprint: &Fingerprint) -> Layer {
        let plan = self.plan;
        let element = |value: i32| from_i64(i64::from(value));
        let entries: Vec<Fr> = (0..1 << CHUNK_BITS)
            .into_par_iter()
            .map(|i| fingerprint.chunk(Fr::from(i), Fr::ONE))
            .collect();
        let mut layer = Layer::new(plan.leaf_bits);
        for place in &plan.columns {
            let mask = place.mask();
            for (leaf, column) in place.leaves.into_iter().zip(place.chunks) {
                let values = self.column(column);
                layer.put(plan.leaves.get(leaf), |i| {
                    let entry = usize::try_from(values[i]).ok();
                    let entry = entry.filter(|_| mask[i]).and_then(|chunk| entries.get(chunk));
                    let valid = Fr::from(u64::from(mask[i]));
                    let other = || fingerprint.chunk(element(values[i]), valid);
                    (Fr::ONE, entry.copied().unwrap_or_else(other))
                });
            }
        }
        let counts = self.column(plan.counts);
        layer.put(plan.leaves.get(plan.table), |i| (-element(counts[i]), entries[i]));
        let padding = -Fr::from(plan.padding as u64);
        let none = fingerprint.chunk(Fr::ZERO, Fr::ZERO);
        layer.put(plan.leaves.get(plan.zero), |_| (padding, none));
        layer
    }
}

/// A value's chunks, the lowest first; `None` if it lies outside the range or is not zero where it is
/// padding.
fn chunks(value: i64, valid: bool) -> Option<[u16; CHUNKS]> {
    if !valid {
        return (value == 0).then_some([0; CHUNKS]);
    }
    let shifted = value.checked_add(1 << VALUE_BITS).and_then(|v| u64::try_from(v).ok())?;
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| u16::try_from(shifted >> (16 * i) & 0xffff));
    let (a, b, c, d) = (a.ok()?, b.ok()?, c.ok()?, d.ok()?);
    (d == 0).then_some([a, b, c])
}

//! An operand of a product, laid out over the product's indices.

use ff::Field;
use probity_zk::{
    Labels,
    field::{Fr, eq_table, from_i64},
    network::bits,
};

/// Where the bits of an operand's index go: into a product's index, or folded at the output's point.
pub(crate) struct Layout<'a> {
    /// Per dimension: bits, and either the place in the product's index or the point's part.
    dimensions: Vec<(u32, Result<u32, &'a [Fr]>)>,
    /// Bits of the product's index that the operand lacks, as places and counts.
    repeated: Vec<(u32, u32)>,
    /// Bits of all indices.
    bits: u32,
}

impl<'a> Layout<'a> {
    pub(crate) fn new(
        labels: Labels,
        from: &[u32],
        indices: &[(u8, u32)],
        parts: &[&'a [Fr]],
    ) -> Self {
        // Places from the least significant bit on; the first index is the most significant.
        let mut place = 0;
        let mut places = vec![];
        for (label, size) in indices.iter().rev() {
            places.push((*label, place, bits(*size)));
            place += bits(*size);
        }
        let repeated = places.iter().filter(|(label, ..)| !labels.has(*label));
        let repeated = repeated.map(|(_, place, count)| (*place, *count)).collect();
        let dimension = |(label, size): (u8, u32)| {
            let found = places.iter().find(|(own, ..)| *own == label).map(|(_, place, _)| *place);
            let part = || parts.get(usize::from(label)).copied().unwrap_or_default();
            (bits(size), found.ok_or_else(part))
        };
        Self { dimensions: labels.of(from).map(dimension).collect(), repeated, bits: place }
    }

    /// The operand over batch and indices.
    pub(crate) fn fold(&self, tensor: &[i32], variables: usize, batch_bits: usize) -> Vec<Fr> {
        // Each value's place, and what it is multiplied with: `None` stands for one.
        let mut spots: Vec<(usize, Option<Fr>)> = vec![(0, None)];
        for (count, place) in &self.dimensions {
            let eq = place.err().map(eq_table);
            let spread = |(at, factor): (usize, Option<Fr>)| {
                let eq = eq.as_deref();
                (0..1usize << count).map(move |i| match (place, eq.and_then(|eq| eq.get(i))) {
                    (Ok(place), _) => (at | i << place, factor),
                    (Err(_), eq) => (at, eq.map(|eq| factor.map_or(*eq, |factor| factor * eq))),
                })
            };
            spots = spots.into_iter().flat_map(spread).collect();
        }
        let mut folded = vec![Fr::ZERO; 1 << variables];
        for (batch, values) in tensor.chunks(spots.len()).enumerate().take(1 << batch_bits) {
            for ((at, factor), value) in spots.iter().zip(values).filter(|(_, value)| **value != 0)
            {
                let value = from_i64(i64::from(*value));
                folded[batch << self.bits | at] += factor.map_or(value, |factor| factor * value);
            }
        }
        self.repeat(&mut folded);
        folded
    }

    /// What does not depend on an index is the same all along it.
    fn repeat(&self, folded: &mut [Fr]) {
        for (place, count) in &self.repeated {
            let mask = ((1usize << count) - 1) << place;
            for at in 0..folded.len() {
                folded[at] = folded[at & !mask];
            }
        }
    }
}

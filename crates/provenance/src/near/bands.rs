//! Search among `MinHash` codes by locality-sensitive hashing in bands (Broder 1997; Leskovec,
//! Rajaraman, Ullman, "Mining of Massive Datasets", §3.4).
//!
//! The codes are ISCC's 256 bits: 64 minima, four bits of each (ISO 24138, text and data codes),
//! stored by bit position. Two codes match in a place where all four bits agree; the part of the
//! shingles that two texts share is about `(matches / 64 - 1/16) / (15/16)`.

/// An ISCC `MinHash` code: 64 minima of four bits.
pub(super) type MinHash = [u8; 32];

/// Places of a code.
pub(super) const PLACES: u32 = 64;
/// Bands of four places, 16 bits, each.
const BANDS: usize = 16;
const BUCKETS: usize = 1 << 16;

/// The code as four words, one for each bit of the minima.
fn words(code: &MinHash) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(code.as_chunks::<8>().0) {
        *word = u64::from_be_bytes(*bytes);
    }
    words
}

/// In how many of the 64 places two codes agree.
pub(super) fn matches(a: &MinHash, b: &MinHash) -> u32 {
    let differing = words(a).iter().zip(words(b)).fold(0, |set, (x, y)| set | (x ^ y));
    differing.count_zeros()
}

/// The four places of a band as one number.
fn band(words: &[u64; 4], index: usize) -> usize {
    words.iter().fold(0, |key, word| key << 4 | (word >> (4 * index) & 15) as usize)
}

/// An index over `MinHash` codes that grows. It finds a code that agrees in all four places of one
/// band at least: with 48 of 64 places in common that is missed about twice in a thousand times.
#[derive(Debug, Clone, Default)]
pub(super) struct BandIndex {
    codes: Vec<MinHash>,
    /// For each band and value, the positions of the codes that have it; empty before the first.
    buckets: Vec<Vec<u32>>,
}

impl BandIndex {
    /// Adds a code; it gets the next position, from 0. More than `u32::MAX` are not kept.
    pub(super) fn insert(&mut self, code: MinHash) {
        let Ok(position) = u32::try_from(self.codes.len()) else { return };
        let words = words(&code);
        self.codes.push(code);
        self.buckets.resize(BANDS * BUCKETS, vec![]);
        for index in 0..BANDS {
            if let Some(bucket) = self.buckets.get_mut(index * BUCKETS + band(&words, index)) {
                bucket.push(position);
            }
        }
    }

    /// Calls `found` with the position and matches of codes that agree in at least `min_matches`
    /// places; a code may be reported several times.
    pub(super) fn search(
        &self,
        code: &MinHash,
        min_matches: u32,
        found: &mut impl FnMut(u32, u32),
    ) {
        let words = words(code);
        for index in 0..BANDS {
            let bucket = self.buckets.get(index * BUCKETS + band(&words, index));
            for position in bucket.into_iter().flatten() {
                let Some(held) = self.codes.get(*position as usize) else { continue };
                let count = matches(held, code);
                if count >= min_matches {
                    found(*position, count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(code: &MinHash) -> Vec<u8> {
        let bit = |at: usize| code[at / 8] >> (7 - at % 8) & 1;
        (0..64).map(|at| (0..4).fold(0, |place, word| place << 1 | bit(64 * word + at))).collect()
    }

    proptest! {
        #[test]
        fn matches_are_equal_places(a: MinHash, b: MinHash, kept in 0usize..32) {
            let mut b = b;
            b[..kept].copy_from_slice(&a[..kept]);
            let equal = places(&a).iter().zip(places(&b)).filter(|(x, y)| **x == *y).count();
            prop_assert_eq!(matches(&a, &b) as usize, equal);
        }

        /// Fewer than 16 differing places cannot touch every band.
        #[test]
        fn fifteen_changed_places_are_always_found(
            code: MinHash,
            changed in prop::collection::btree_set(0usize..64, 0..16),
        ) {
            let mut other = code;
            for at in &changed {
                other[at / 8] ^= 1 << (7 - at % 8);
            }
            let mut index = BandIndex::default();
            index.insert([0; 32]);
            index.insert(other);
            let mut found = vec![];
            index.search(&code, PLACES - 15, &mut |position, count| found.push((position, count)));
            prop_assert!(found.contains(&(1, PLACES - u32::try_from(changed.len()).unwrap())));
        }
    }
}

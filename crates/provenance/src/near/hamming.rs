//! Search among 64-bit codes by Hamming distance: multi-index hashing (Norouzi, Punjani, Fleet,
//! "Fast Exact Search in Hamming Space with Multi-Index Hashing", 2014).

/// Parts that a code is cut into, of 16 bits each.
const PARTS: usize = 4;
const BUCKETS: usize = 1 << 16;

/// Largest radius searched by parts; beyond it every code is compared.
pub const MAX_INDEXED_RADIUS: u32 = 11;

/// An index over 64-bit codes that grows. Positions are those of insertion, from 0.
///
/// Two codes within distance `r` agree in one of their four parts up to distance `r / 4`: only the
/// buckets that near a part of the query are looked into. Exact, whatever the codes are; fast where
/// they are spread, and no slower than comparing every code four times where somebody made all of
/// them share a part.
///
/// ```
/// use probity_provenance::near::HammingIndex;
/// let mut index = HammingIndex::default();
/// index.insert(0b1010);
/// index.insert(u64::MAX);
/// let mut found = vec![];
/// index.search(0b1000, 3, &mut |position, distance| found.push((position, distance)));
/// assert_eq!(found, [(0, 1)]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct HammingIndex {
    len: usize,
    /// For each part and value, the codes that have it; empty before the first. The codes are in each of
    /// their four buckets: looking them up elsewhere takes longer than all else of a search.
    buckets: Vec<Vec<u64>>,
    /// Their positions, apart: they are looked at for what is found only.
    positions: Vec<Vec<u32>>,
}

/// The 16 bits of a part.
fn part(code: u64, index: usize) -> u16 {
    let bytes = code.to_le_bytes();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
    u16::from_le_bytes([byte(2 * index), byte(2 * index + 1)])
}

fn bucket(index: usize, value: u16) -> usize {
    index * BUCKETS + usize::from(value)
}

/// Calls `visit` with every value within `radius` of `value`.
fn neighbours(value: u16, radius: u32, from: u32, visit: &mut impl FnMut(u16)) {
    visit(value);
    if radius == 0 {
        return;
    }
    for bit in from..16 {
        neighbours(value ^ (1 << bit), radius - 1, bit + 1, visit);
    }
}

impl HammingIndex {
    /// How many codes it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a code; it gets the next position. More than `u32::MAX` are not kept.
    pub fn insert(&mut self, code: u64) {
        let Ok(position) = u32::try_from(self.len) else { return };
        self.len += 1;
        self.buckets.resize(PARTS * BUCKETS, vec![]);
        self.positions.resize(PARTS * BUCKETS, vec![]);
        for index in 0..PARTS {
            let bucket = bucket(index, part(code, index));
            let (codes, positions) = (self.buckets.get_mut(bucket), self.positions.get_mut(bucket));
            if let (Some(codes), Some(positions)) = (codes, positions) {
                codes.push(code);
                positions.push(position);
            }
        }
    }

    /// Calls `found` with the position and distance of every code within `radius` of `code`, once
    /// each, in no order that means anything.
    pub fn search(&self, code: u64, radius: u32, found: &mut impl FnMut(u32, u32)) {
        if radius > MAX_INDEXED_RADIUS {
            for bucket in 0..BUCKETS.min(self.buckets.len()) {
                self.look(bucket, code, radius, &mut |_, position, distance| {
                    found(position, distance);
                });
            }
            return;
        }
        for index in 0..PARTS {
            if let Some(near) = part_radius(radius, index) {
                self.search_part(index, near, code, radius, found);
            }
        }
    }

    /// Looks into the buckets that are near a part of the code; what an earlier part finds is left out.
    fn search_part(
        &self,
        index: usize,
        near: u32,
        code: u64,
        radius: u32,
        found: &mut impl FnMut(u32, u32),
    ) {
        let mut consider = |held: u64, position: u32, distance: u32| {
            if first_part(held ^ code, radius) == Some(index) {
                found(position, distance);
            }
        };
        neighbours(part(code, index), near, 0, &mut |value| {
            self.look(bucket(index, value), code, radius, &mut consider);
        });
    }

    /// Calls `found` with each code of a bucket that is near enough, its position and distance.
    fn look(&self, bucket: usize, code: u64, radius: u32, found: &mut impl FnMut(u64, u32, u32)) {
        let Some(codes) = self.buckets.get(bucket) else { return };
        let mut hit = |at: usize| {
            let positions = self.positions.get(bucket);
            let position = positions.and_then(|positions| positions.get(at));
            if let (Some(held), Some(position)) = (codes.get(at), position) {
                found(*held, *position, (held ^ code).count_ones());
            }
        };
        // By eights without a branch: the compiler makes vectors of it.
        let (eights, rest) = codes.as_chunks::<8>();
        for (number, eight) in eights.iter().enumerate() {
            let distances = eight.map(|held| (held ^ code).count_ones());
            if distances.iter().fold(u32::MAX, |least, distance| least.min(*distance)) <= radius {
                let near =
                    distances.iter().enumerate().filter(|(_, distance)| **distance <= radius);
                near.for_each(|(at, _)| hit(8 * number + at));
            }
        }
        for (at, held) in rest.iter().enumerate() {
            if (held ^ code).count_ones() <= radius {
                hit(8 * eights.len() + at);
            }
        }
    }
}

/// How far a part is searched. With `r = 4q + a`, the first `a + 1` parts up to `q` and the others
/// up to `q - 1` miss nothing: a code that is farther in every part is at least `r + 1` away.
fn part_radius(radius: u32, index: usize) -> Option<u32> {
    let (near, rest) = (radius / 4, radius % 4);
    if index <= rest as usize { Some(near) } else { near.checked_sub(1) }
}

/// The first part through which a difference is found: each code is reported once.
fn first_part(difference: u64, radius: u32) -> Option<usize> {
    (0..PARTS).find(|index| {
        let distance = part(difference, *index).count_ones();
        part_radius(radius, *index).is_some_and(|near| distance <= near)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(codes: &[u64], query: u64, radius: u32) -> Vec<(u32, u32)> {
        let mut index = HammingIndex::default();
        for code in codes {
            index.insert(*code);
        }
        let mut found = vec![];
        index.search(query, radius, &mut |position, distance| found.push((position, distance)));
        found.sort_unstable();
        found
    }

    proptest! {
        /// Codes around the query, so that many are near, and near in each possible part.
        #[test]
        fn finds_what_comparing_every_code_finds(
            query: u64,
            flips in prop::collection::vec(prop::collection::vec(0u32..64, 0..16), 0..60),
            others in prop::collection::vec(any::<u64>(), 0..20),
            radius in 0u32..20,
        ) {
            let near = flips.iter().map(|bits| bits.iter().fold(query, |code, bit| code ^ (1 << bit)));
            let codes: Vec<u64> = near.chain(others).collect();
            let expected: Vec<(u32, u32)> = (0u32..)
                .zip(&codes)
                .map(|(position, code)| (position, (code ^ query).count_ones()))
                .filter(|(_, distance)| *distance <= radius)
                .collect();
            prop_assert_eq!(sorted(&codes, query, radius), expected);
        }
    }
}

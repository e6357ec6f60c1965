//! Which index each dimension of an operand runs over, as in `einsum` (reference §1).

use crate::network::{MAX_DIMENSIONS, bits, bits_of};

/// Labels below this name the output's dimensions; those from here on, indices that are summed.
pub const SUMMED: u8 = 4;
/// Most bits of a product's indices, the output's and those summed.
const MAX_PRODUCT_BITS: u32 = 32;
/// Most labels of both kinds.
const LABELS: u8 = 8;
const NONE: u8 = 255;

/// One label for each dimension of an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Labels([u8; MAX_DIMENSIONS]);

impl Labels {
    /// Labels of as many dimensions as there are; more than four do not fit any operand.
    pub fn new(labels: &[u8]) -> Self {
        let label = |i: usize| labels.get(i).copied().unwrap_or(NONE);
        Self(std::array::from_fn(label))
    }

    /// A byte for each of four dimensions, 255 where there is none.
    pub fn bytes(self) -> [u8; MAX_DIMENSIONS] {
        self.0
    }

    /// The labels of an operand's dimensions.
    pub fn of(&self, dimensions: &[u32]) -> impl Iterator<Item = (u8, u32)> + Clone {
        self.0.into_iter().zip(dimensions.to_vec())
    }

    /// Whether a dimension of the operand has this label.
    pub fn has(&self, label: u8) -> bool {
        self.0.contains(&label)
    }

    /// Whether there is a label for each dimension, none twice, and dimensions named after the
    /// output's have their size.
    pub fn fit(&self, output: &[u32], operand: &[u32]) -> bool {
        let (used, rest) = self.0.split_at(operand.len().min(MAX_DIMENSIONS));
        let twice = |i: usize, label: &u8| used.iter().skip(i + 1).any(|other| other == label);
        rest.iter().all(|label| *label == NONE)
            && used.iter().enumerate().all(|(i, label)| *label < LABELS && !twice(i, label))
            && self.of(operand).all(|(label, size)| {
                label >= SUMMED || output.get(usize::from(label)) == Some(&size)
            })
    }

    /// Size of the dimension with this label.
    pub fn size(&self, label: u8, operand: &[u32]) -> Option<u32> {
        self.of(operand).find(|(own, _)| *own == label).map(|(_, size)| size)
    }
}

/// The indices that a product's sumcheck runs over, behind the batch's: those of the output that both
/// operands have, then those that are summed. Each with its size, by ascending label.
pub fn product_indices(labels: &[Labels; 2], operands: [&[u32]; 2]) -> Vec<(u8, u32)> {
    let [a, b] = labels;
    let index = |label: u8| {
        let sizes = [a.size(label, operands[0]), b.size(label, operands[1])];
        match sizes {
            [Some(size), Some(_)] => Some((label, size)),
            [Some(size), None] | [None, Some(size)] if label >= SUMMED => Some((label, size)),
            _ => None,
        }
    };
    (0..LABELS).filter_map(index).collect()
}

/// Whether a product of such operands has a value for every position of the output, and sums over
/// dimensions of one size.
pub fn product_fits(labels: &[Labels; 2], output: &[u32], operands: [&[u32]; 2]) -> bool {
    let [a, b] = labels;
    let covered = |(label, size): (u8, &u32)| *size == 1 || a.has(label) || b.has(label);
    let summed = |(label, size): &(u8, u32)| if *label < SUMMED { 0 } else { bits(*size) };
    let indices = product_indices(labels, operands);
    let work = bits_of(output) + indices.iter().map(summed).sum::<u32>();
    let same = |label: u8| {
        let sizes = [a.size(label, operands[0]), b.size(label, operands[1])];
        !matches!(sizes, [Some(a), Some(b)] if a != b)
    };
    a.fit(output, operands[0])
        && b.fit(output, operands[1])
        && (0u8..).zip(output).all(covered)
        && (0..LABELS).all(same)
        && work <= MAX_PRODUCT_BITS
}

/// Bits of indices.
pub fn index_bits(indices: &[(u8, u32)]) -> u32 {
    indices.iter().map(|(_, size)| bits(*size)).sum()
}

/// Walks over all values of the indices of an output and of operands: calls `visit` with the place
/// in the output and in each operand, row-major and without padding.
pub fn walk<const N: usize>(
    output: &[u32],
    operands: [(&Labels, &[u32]); N],
    mut visit: impl FnMut(usize, [usize; N]),
) {
    let mut loops: Vec<Loop<N>> = vec![];
    for label in 0..LABELS {
        let of_output = output.get(usize::from(label)).copied();
        let of_operands = operands.iter().find_map(|(labels, sizes)| labels.size(label, sizes));
        let Some(size) = of_output.or(of_operands) else { continue };
        let steps = operands.map(|(labels, sizes)| stride(sizes, |i| labels.0[i] == label));
        loops.push(Loop { size, output: stride(output, |i| i == usize::from(label)), steps });
    }
    descend(&loops, 0, [0; N], &mut visit);
}

/// One index: its size, and how far a step of it leads.
struct Loop<const N: usize> {
    size: u32,
    output: usize,
    steps: [usize; N],
}

/// Row-major distance between neighbours along the dimension that `is` picks; 0 without one.
fn stride(sizes: &[u32], is: impl Fn(usize) -> bool) -> usize {
    let place = (0..sizes.len().min(MAX_DIMENSIONS)).find(|i| is(*i));
    place.map_or(0, |place| sizes.iter().skip(place + 1).map(|size| *size as usize).product())
}

fn descend<const N: usize>(
    loops: &[Loop<N>],
    at: usize,
    places: [usize; N],
    visit: &mut impl FnMut(usize, [usize; N]),
) {
    let Some((first, rest)) = loops.split_first() else { return visit(at, places) };
    for i in 0..first.size as usize {
        let places = std::array::from_fn(|n| places[n] + i * first.steps[n]);
        descend(rest, at + i * first.output, places, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `out[t, h, s] = Σ_d a[t, h, d] · b[s, h, d]`.
    #[test]
    fn scores_of_attention() {
        let (output, a, b) = ([2, 3, 5], [2, 3, 4], [5, 3, 4]);
        let labels = [Labels::new(&[0, 1, 4]), Labels::new(&[2, 1, 4])];
        assert!(product_fits(&labels, &output, [&a, &b]));
        assert_eq!(product_indices(&labels, [&a, &b]), [(1, 3), (4, 4)]);
        let mut visits = vec![];
        walk(&output, [(&labels[0], &a), (&labels[1], &b)], |at, places| visits.push((at, places)));
        assert_eq!(visits.len(), 2 * 3 * 5 * 4);
        // t = 1, h = 2, s = 3, d = 1.
        assert!(visits.contains(&(15 + 10 + 3, [12 + 8 + 1, 36 + 8 + 1])));
    }

    #[test]
    fn labels_that_do_not_fit() {
        let fits = |a: &[u8], b: &[u8]| {
            let labels = [Labels::new(a), Labels::new(b)];
            product_fits(&labels, &[2, 3], [&[2, 4], &[4, 3]])
        };
        assert!(fits(&[0, 4], &[4, 1]));
        // Twice the same, another size, none, one too large, an output that nothing covers.
        for (a, b) in [([0, 0], [4, 1]), ([1, 4], [4, 0]), ([0, 255], [4, 1]), ([0, 8], [4, 1])] {
            assert!(!fits(&a, &b), "{a:?} {b:?}");
        }
        assert!(!fits(&[0, 4], &[4, 5]));
        assert!(!fits(&[0], &[4, 1]));
        assert!(!fits(&[0, 4, 5], &[4, 1]));
        // Summed together, they must be of one size.
        assert!(!fits(&[4, 5], &[4, 1]));
        assert!(fits(&[0, 5], &[4, 1]));
    }
}

//! Labels that contradict their neighbourhood: candidates for a challenge, not proof.

use crate::Sample;

/// A sample whose nearest neighbours all bear another label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlier {
    /// Its position.
    pub index: usize,
    /// The label its neighbours agree on.
    pub expected: u8,
    /// Positions of the neighbours, nearest first.
    pub neighbours: Vec<usize>,
    /// Squared Euclidean distance to the nearest.
    pub distance: u64,
}

/// Samples whose `count` nearest neighbours (squared Euclidean distance, the earlier one first among
/// equals) all bear one label, and not the sample's own. Nearest first. Time O(n² · features).
///
/// ```
/// use probity_compute::{Sample, outliers};
///
/// let sample = |x, label| Sample { features: vec![x, 0], label };
/// let samples = [sample(1, 0), sample(2, 0), sample(3, 7), sample(4, 0), sample(90, 7)];
/// let found = outliers(&samples, 3);
/// assert_eq!(found.len(), 1);
/// assert_eq!((found[0].index, found[0].expected), (2, 0));
/// ```
pub fn outliers(samples: &[Sample], count: usize) -> Vec<Outlier> {
    let mut found: Vec<Outlier> =
        (0..samples.len()).filter_map(|index| outlier(samples, index, count)).collect();
    found.sort_by_key(|outlier| (outlier.distance, outlier.index));
    found
}

fn outlier(samples: &[Sample], index: usize, count: usize) -> Option<Outlier> {
    let own = samples.get(index)?;
    let mut nearest: Vec<(u64, usize)> = Vec::with_capacity(count + 1);
    for (other, sample) in samples.iter().enumerate().filter(|(other, _)| *other != index) {
        let place = (distance(own, sample), other);
        let at = nearest.partition_point(|known| *known < place);
        if at < count {
            nearest.insert(at, place);
            nearest.truncate(count);
        }
    }
    let (distance, first) = *nearest.first()?;
    let expected = samples.get(first)?.label;
    let agree = nearest.iter().all(|(_, other)| samples[*other].label == expected);
    (agree && expected != own.label && nearest.len() == count).then(|| Outlier {
        index,
        expected,
        neighbours: nearest.into_iter().map(|(_, other)| other).collect(),
        distance,
    })
}

/// Missing features count as zero.
fn distance(a: &Sample, b: &Sample) -> u64 {
    let length = a.features.len().max(b.features.len());
    let value =
        |sample: &Sample, at: usize| u64::from(sample.features.get(at).copied().unwrap_or(0));
    (0..length).map(|at| value(a, at).abs_diff(value(b, at)).pow(2)).sum()
}

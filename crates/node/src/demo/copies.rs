//! Near duplicates: copies that differ a little, and what the curator finds of them.

use std::collections::BTreeSet;

use probity_core::Digest;
use probity_provenance::{
    dataset::{Exclusion, Manifest},
    near::{NearPolicy, PictureRule, Resemblance},
};

use super::{Samples, Story};
use crate::NodeError;

/// Side of the digits.
const SIDE: usize = 8;
/// The digits' brightest value.
const WHITE: u8 = 16;
/// Copies with a few changed pixels, mirrored ones, and turned ones: this many of each.
const EACH: usize = 10;
/// Pixels changed in a copy.
const CHANGED: usize = 4;

/// Real digits of different people differ by more than this; what was changed a little does not.
pub(super) fn policy() -> NearPolicy {
    let rule = PictureRule { max_distance: 7, max_difference: 180, sample_max: WHITE };
    NearPolicy { image: Some(rule), ..NearPolicy::default() }
}

/// Copies of some rows: other bytes, the same pictures to the eye.
pub(super) fn of(rows: &[String]) -> Vec<String> {
    // Beyond those that are opted out: nobody has to see these again.
    let originals = rows.iter().skip(30).step_by(3).take(3 * EACH);
    let altered = originals.enumerate().filter_map(|(at, row)| {
        let (pixels, label) = parse(row)?;
        let pixels = match at / EACH {
            0 => noisy(pixels, at),
            1 => mirrored(&pixels),
            _ => turned(&pixels),
        };
        let pixels: Vec<String> = pixels.iter().map(u8::to_string).collect();
        Some(format!("{},{label}\n", pixels.join(",")))
    });
    altered.collect()
}

fn parse(row: &str) -> Option<(Vec<u8>, &str)> {
    let (pixels, label) = row.trim_end().rsplit_once(',')?;
    let pixels: Vec<u8> =
        pixels.split(',').map(|value| value.parse().ok()).collect::<Option<_>>()?;
    (pixels.len() == SIDE * SIDE).then_some((pixels, label))
}

fn noisy(mut pixels: Vec<u8>, seed: usize) -> Vec<u8> {
    for change in 0..CHANGED {
        let at = (seed * 31 + change * 17 + 9) % pixels.len().max(1);
        if let Some(pixel) = pixels.get_mut(at) {
            *pixel = if *pixel < WHITE { *pixel + 1 } else { WHITE - 1 };
        }
    }
    pixels
}

fn mirrored(pixels: &[u8]) -> Vec<u8> {
    pixels.chunks(SIDE).flat_map(|row| row.iter().rev().copied()).collect()
}

fn turned(pixels: &[u8]) -> Vec<u8> {
    let source = |cell: usize| (SIDE - 1 - cell % SIDE) * SIDE + cell / SIDE;
    (0..SIDE * SIDE).filter_map(|cell| pixels.get(source(cell)).copied()).collect()
}

impl Story<'_> {
    /// How many of the copies were found, and how many works that are none.
    pub(super) fn show_copies(
        &mut self,
        manifest: &Manifest,
        samples: &Samples,
    ) -> Result<(), NodeError> {
        let originals: BTreeSet<Digest> =
            samples.rows.iter().map(|row| Digest::of(row.as_bytes())).collect();
        // Mallory's fake labels are no rows of the file either, and no copies.
        let dave = self.address("dave")?;
        let is_copy = |author, digest| author == dave && !originals.contains(digest);
        let near: Vec<_> = (manifest.excluded.iter())
            .filter_map(|excluded| match &excluded.exclusion {
                Exclusion::NearDuplicate { of, resemblance } => Some((excluded, of, resemblance)),
                _ => None,
            })
            .collect();
        let caught = near.iter().filter(|(e, ..)| is_copy(e.author, &e.digest)).count();
        let missed =
            manifest.items.iter().filter(|item| is_copy(item.author, &item.digest)).count();
        self.done(format!(
            "of {} altered copies {caught} were found; {} true works were taken for copies",
            caught + missed,
            near.len() - caught
        ));
        let first = near.iter().find(|(e, ..)| is_copy(e.author, &e.digest));
        if let Some((excluded, of, Resemblance::IsccImage { view, distance, difference, .. })) =
            first
        {
            self.done(format!(
                "for example {} ({view:?}) resembles {of}: {distance} of 64 bits and {difference} grey levels apart",
                excluded.digest
            ));
        }
        Ok(())
    }
}

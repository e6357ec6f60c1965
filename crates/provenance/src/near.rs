//! Near duplicates: works that resemble one that is in already, as candidates with evidence that
//! anybody with the two works recomputes.
//!
//! Pictures are compared by ISCC image codes (as they are, turned, mirrored and cropped) and then by
//! small grey copies; texts and other files by ISCC's `MinHash` codes. A resemblance says nothing
//! about who copied whom: the first registered stays.

mod bands;
mod codes;
mod hamming;
mod picture;

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

use bands::{BandIndex, PLACES};
pub use codes::{CodeError, ImageCode, ShingleCode};
pub use hamming::{HammingIndex, MAX_INDEXED_RADIUS};
use picture::Grey;
pub use picture::{Picture, PictureError, View};

/// Texts beyond this are compared as other files are, in bytes.
const MAX_TEXT: usize = 4 << 20;
/// Shorter texts have no shingle (ISO 24138: 13 characters after collapsing).
const MIN_TEXT: usize = 13;
/// Sides of pictures that are written as a line of numbers.
const SAMPLE_SIDES: std::ops::RangeInclusive<usize> = 4..=64;

/// Which resemblances a curator leaves out. Kinds that are not named are not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NearPolicy {
    /// Pictures: PNG, JPEG, and lines of k × k grey values with a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<PictureRule>,
    /// Texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<ShingleRule>,
    /// Everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<ShingleRule>,
}

/// When pictures resemble each other: both bounds hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PictureRule {
    /// Most bits of 64 in which the ISCC image codes differ.
    pub max_distance: u32,
    /// Most that 8 × 8 grey copies differ: the sum of the differences of their values (0 to 255).
    pub max_difference: u32,
    /// The value of white in lines of grey values.
    #[serde(default = "white")]
    pub sample_max: u8,
}

fn white() -> u8 {
    255
}

/// When texts or files resemble each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShingleRule {
    /// Fewest of the 64 minima that agree: 48 is about 73 % of the shingles in common.
    pub min_matches: u32,
}

/// What a work is compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fingerprint {
    /// A picture.
    Picture(Box<Picture>),
    /// A text.
    Text(ShingleCode),
    /// Anything else.
    Data(ShingleCode),
}

/// How a work resembles another: what was computed from the two, and how far apart it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Resemblance {
    /// ISCC image codes of views of the two, and the difference of the views' small grey copies.
    IsccImage {
        /// How this work was looked at.
        view: View,
        /// Its code, so looked at.
        code: ImageCode,
        /// How the other was looked at.
        of_view: View,
        /// The other's code.
        of_code: ImageCode,
        /// In how many bits the codes differ.
        distance: u32,
        /// How much the small copies differ.
        difference: u32,
    },
    /// ISCC text codes.
    IsccText {
        /// This work's code.
        code: ShingleCode,
        /// The other's code.
        of_code: ShingleCode,
        /// In how many of 64 minima they agree.
        matches: u32,
    },
    /// ISCC data codes.
    IsccData {
        /// This work's code.
        code: ShingleCode,
        /// The other's code.
        of_code: ShingleCode,
        /// In how many of 64 minima they agree.
        matches: u32,
    },
}

impl NearPolicy {
    /// All kinds, with the bounds that `docs/reference/dataset.md` shows, for
    /// whoever asks without a policy of their own.
    pub fn all_kinds() -> Self {
        let shingles = ShingleRule { min_matches: 48 };
        Self {
            image: Some(PictureRule { max_distance: 7, max_difference: 180, sample_max: white() }),
            text: Some(shingles),
            data: Some(shingles),
        }
    }

    /// What a work is compared by under this policy; nothing if the policy does not compare its
    /// kind, or it is too small, flat or damaged to be compared.
    pub fn fingerprint(&self, media_type: &str, bytes: &[u8]) -> Option<Fingerprint> {
        if self.image.is_some()
            && media_type.starts_with("image/")
            && let Some(picture) = Grey::decode(bytes).ok().as_ref().and_then(picture)
        {
            return Some(picture);
        }
        if media_type.starts_with("text/")
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            if let Some(grey) = self.image.and_then(|rule| sample(text, rule.sample_max)) {
                return picture(&grey);
            }
            if bytes.len() <= MAX_TEXT {
                return self.text.and_then(|_| text_code(text));
            }
        }
        self.data.and_then(|_| ShingleCode::of_data(bytes).ok().map(Fingerprint::Data))
    }

    /// How a work resembles another under this policy, most alike first; nothing if it does not.
    pub fn compare(&self, this: &Fingerprint, other: &Fingerprint) -> Option<Resemblance> {
        let mut index = NearIndex::new(self);
        index.insert(B256::ZERO, other);
        index.search(this).map(|(_, found)| found)
    }

    /// Whether evidence is what this policy leaves out, as far as it can be told without the works:
    /// the figures follow from the codes, and keep the bounds.
    pub fn accepts(&self, evidence: &Resemblance) -> bool {
        match evidence {
            Resemblance::IsccImage { view, code, of_view, of_code, distance, difference } => {
                let looked_at = *of_view == View::AsIs || *view == View::AsIs && of_view.is_crop();
                looked_at
                    && code.distance(*of_code) == *distance
                    && self.image.is_some_and(|rule| {
                        *distance <= rule.max_distance && *difference <= rule.max_difference
                    })
            }
            Resemblance::IsccText { code, of_code, matches } => {
                self.text.is_some_and(|rule| rule.accepts(code, of_code, *matches))
            }
            Resemblance::IsccData { code, of_code, matches } => {
                self.data.is_some_and(|rule| rule.accepts(code, of_code, *matches))
            }
        }
    }
}

impl Resemblance {
    /// Orders resemblances of one method, the most alike first: how much small pictures differ and then
    /// their codes, or in how many minima texts or files do not agree.
    pub fn unlikeness(&self) -> (u32, u32) {
        match self {
            Self::IsccImage { distance, difference, .. } => (*difference, *distance),
            Self::IsccText { matches, .. } | Self::IsccData { matches, .. } => {
                (PLACES.saturating_sub(*matches), 0)
            }
        }
    }
}

impl ShingleRule {
    fn accepts(self, code: &ShingleCode, of_code: &ShingleCode, matches: u32) -> bool {
        code.main == of_code.main
            && bands::matches(&code.digest, &of_code.digest) == matches
            && matches >= self.min_matches
    }
}

fn text_code(text: &str) -> Option<Fingerprint> {
    if iscc_lib::text_collapse(text).chars().count() < MIN_TEXT {
        return None;
    }
    ShingleCode::of_text(text).ok().map(Fingerprint::Text)
}

fn picture(grey: &Grey) -> Option<Fingerprint> {
    Picture::of(grey).ok().map(|picture| Fingerprint::Picture(Box::new(picture)))
}

/// A line of k × k grey values and a label.
fn sample(text: &str, white: u8) -> Option<Grey> {
    let values = text.trim_end().split(',').map(|value| value.trim().parse::<u8>().ok());
    let largest = SAMPLE_SIDES.end();
    let mut values: Vec<u8> = values.take(largest * largest + 2).collect::<Option<_>>()?;
    values.pop()?;
    let side = values.len().isqrt();
    if side * side != values.len() || !SAMPLE_SIDES.contains(&side) || white == 0 {
        return None;
    }
    let level = |value: u8| u32::from(value.min(white)) * 255 / u32::from(white);
    let pixels = values.into_iter().map(|value| u8::try_from(level(value)).unwrap_or(u8::MAX));
    Some(Grey { width: side, height: side, pixels: pixels.collect() })
}

/// Fingerprints of what is in a dataset, searched by resemblance.
#[derive(Debug)]
pub struct NearIndex<'a> {
    policy: &'a NearPolicy,
    pictures: Vec<(B256, &'a Picture)>,
    whole: HammingIndex,
    whole_of: Vec<u32>,
    crops: HammingIndex,
    crop_of: Vec<(u32, View)>,
    texts: Shingles,
    data: Shingles,
}

#[derive(Debug, Default)]
struct Shingles {
    index: BandIndex,
    held: Vec<(B256, ShingleCode)>,
}

impl Shingles {
    fn insert(&mut self, content: B256, code: ShingleCode) {
        self.index.insert(code.digest);
        self.held.push((content, code));
    }

    /// The most alike, the earliest among equals.
    fn search(&self, code: &ShingleCode, rule: ShingleRule) -> Option<(B256, ShingleCode, u32)> {
        let mut best: Option<(u32, u32)> = None;
        self.index.search(&code.digest, rule.min_matches, &mut |position, matches| {
            let found = (PLACES - matches, position);
            best = Some(best.map_or(found, |best| best.min(found)));
        });
        let (missing, position) = best?;
        let (content, held) = self.held.get(position as usize)?;
        Some((*content, *held, PLACES - missing))
    }
}

/// A pair of views that resemble each other; ordered by how much, then by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    difference: u32,
    distance: u32,
    picture: u32,
    view: View,
    of_view: View,
}

impl<'a> NearIndex<'a> {
    /// An empty index.
    pub fn new(policy: &'a NearPolicy) -> Self {
        Self {
            policy,
            pictures: vec![],
            whole: HammingIndex::default(),
            whole_of: vec![],
            crops: HammingIndex::default(),
            crop_of: vec![],
            texts: Shingles::default(),
            data: Shingles::default(),
        }
    }

    /// Adds a content.
    pub fn insert(&mut self, content: B256, fingerprint: &'a Fingerprint) {
        match fingerprint {
            Fingerprint::Text(code) => self.texts.insert(content, *code),
            Fingerprint::Data(code) => self.data.insert(content, *code),
            Fingerprint::Picture(picture) => {
                let Ok(position) = u32::try_from(self.pictures.len()) else { return };
                self.pictures.push((content, picture));
                if let Some(code) = picture.code() {
                    self.whole.insert(code.0);
                    self.whole_of.push(position);
                }
                for (view, code) in picture.codes().filter(|(view, _)| view.is_crop()) {
                    self.crops.insert(code.0);
                    self.crop_of.push((position, view));
                }
            }
        }
    }

    /// The content that a work resembles most, and how; the earliest among equals.
    pub fn search(&self, fingerprint: &Fingerprint) -> Option<(B256, Resemblance)> {
        match fingerprint {
            Fingerprint::Picture(picture) => self.search_pictures(picture),
            Fingerprint::Text(code) => {
                let (content, of_code, matches) = self.texts.search(code, self.policy.text?)?;
                Some((content, Resemblance::IsccText { code: *code, of_code, matches }))
            }
            Fingerprint::Data(code) => {
                let (content, of_code, matches) = self.data.search(code, self.policy.data?)?;
                Some((content, Resemblance::IsccData { code: *code, of_code, matches }))
            }
        }
    }

    /// Each turn and crop of the picture against whole pictures, and the picture against crops.
    fn search_pictures(&self, picture: &Picture) -> Option<(B256, Resemblance)> {
        let rule = self.policy.image?;
        let whole = |found: u32| Some((*self.whole_of.get(found as usize)?, View::AsIs));
        let crop = |found: u32| self.crop_of.get(found as usize).copied();
        let mut best: Option<Hit> = None;
        for (view, code) in picture.codes() {
            let small = picture.small(view);
            let mut consider = |found: Option<(u32, View)>, distance: u32| {
                let Some((position, of_view)) = found else { return };
                let Some((_, other)) = self.pictures.get(position as usize) else { return };
                let difference = picture::difference(&small, &other.small(of_view));
                if difference <= rule.max_difference {
                    let hit = Hit { difference, distance, picture: position, view, of_view };
                    best = Some(best.map_or(hit, |best| best.min(hit)));
                }
            };
            let radius = rule.max_distance;
            self.whole.search(code.0, radius, &mut |at, distance| consider(whole(at), distance));
            if view == View::AsIs {
                self.crops.search(code.0, radius, &mut |at, distance| consider(crop(at), distance));
            }
        }
        let Hit { difference, distance, picture: position, view, of_view } = best?;
        let (content, other) = self.pictures.get(position as usize)?;
        let code_of = |picture: &Picture, wanted: View| {
            picture.codes().find(|(view, _)| *view == wanted).map(|(_, code)| code)
        };
        let (code, of_code) = (code_of(picture, view)?, code_of(other, of_view)?);
        let found = Resemblance::IsccImage { view, code, of_view, of_code, distance, difference };
        Some((*content, found))
    }
}

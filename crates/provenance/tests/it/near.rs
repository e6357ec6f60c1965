//! Resemblances: what is found, what is not, and evidence that cannot be changed.

use std::io::Cursor;

use alloy_primitives::B256;
use image::{DynamicImage, GrayImage, ImageFormat, Luma, imageops};
use probity_provenance::near::{
    Fingerprint, NearIndex, NearPolicy, PictureRule, Resemblance, ShingleRule, View,
};
use proptest::prelude::*;

fn policy() -> NearPolicy {
    NearPolicy {
        image: Some(PictureRule { max_distance: 10, max_difference: 640, sample_max: 16 }),
        text: Some(ShingleRule { min_matches: 44 }),
        data: Some(ShingleRule { min_matches: 44 }),
    }
}

/// A picture of overlapping soft discs, another one for each seed.
fn scene(seed: u32) -> GrayImage {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let discs: Vec<[u32; 4]> =
        (0..12).map(|_| [next(240), next(180), 20 + next(60), next(256)]).collect();
    GrayImage::from_fn(240, 180, |x, y| {
        let inside = |disc: &&[u32; 4]| {
            let (dx, dy) = (disc[0].abs_diff(x), disc[1].abs_diff(y));
            dx * dx + dy * dy < disc[2] * disc[2]
        };
        Luma([discs.iter().rev().find(inside).map_or(128, |disc| u8::try_from(disc[3]).unwrap())])
    })
}

fn encode(picture: &GrayImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    DynamicImage::ImageLuma8(picture.clone()).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(picture: &GrayImage) -> Fingerprint {
    policy().fingerprint("image/png", &encode(picture, ImageFormat::Png)).unwrap()
}

fn views(evidence: &Resemblance) -> (View, View) {
    let Resemblance::IsccImage { view, of_view, .. } = evidence else { panic!("{evidence:?}") };
    (*view, *of_view)
}

#[test]
fn turned_mirrored_and_recompressed_pictures_resemble() {
    for seed in 0..8 {
        let (original, policy) = (scene(seed), policy());
        let print = png(&original);
        let turned = [
            (imageops::rotate90(&original), View::Turned270),
            (imageops::rotate180(&original), View::Turned180),
            (imageops::rotate270(&original), View::Turned90),
            (imageops::flip_horizontal(&original), View::Mirrored),
            (imageops::flip_vertical(&original), View::UpsideDown),
        ];
        for (copy, undone_by) in turned {
            let evidence = policy.compare(&png(&copy), &print).unwrap();
            assert_eq!(views(&evidence), (undone_by, View::AsIs), "{seed}");
            assert!(policy.accepts(&evidence));
        }
        let smaller = imageops::resize(&original, 100, 75, imageops::FilterType::Triangle);
        let jpeg = encode(&smaller, ImageFormat::Jpeg);
        let jpeg = policy.fingerprint("image/jpeg", &jpeg).unwrap();
        assert_eq!(views(&policy.compare(&jpeg, &print).unwrap()), (View::AsIs, View::AsIs));
    }
}

#[test]
fn crops_resemble_in_both_directions() {
    for seed in 0..8 {
        let (original, policy) = (scene(seed), policy());
        let print = png(&original);
        for (x, y, wanted) in [
            (24, 18, View::Centre80),
            (0, 0, View::TopLeft80),
            (48, 0, View::TopRight80),
            (0, 36, View::BottomLeft80),
            (48, 36, View::BottomRight80),
        ] {
            let crop = png(&imageops::crop_imm(&original, x, y, 192, 144).to_image());
            assert_eq!(views(&policy.compare(&crop, &print).unwrap()), (View::AsIs, wanted));
            assert_eq!(views(&policy.compare(&print, &crop).unwrap()), (wanted, View::AsIs));
        }
    }
}

#[test]
fn other_pictures_do_not_resemble() {
    let prints: Vec<Fingerprint> = (0..40).map(|seed| png(&scene(seed))).collect();
    for (at, print) in prints.iter().enumerate() {
        let others = prints.iter().skip(at + 1);
        assert_eq!(others.filter(|other| policy().compare(print, other).is_some()).count(), 0);
    }
}

#[test]
fn digits_with_a_few_changed_pixels_resemble() {
    let digits = include_str!("../../../../examples/digits/digits.csv");
    let policy = NearPolicy {
        image: Some(PictureRule { max_distance: 7, max_difference: 160, sample_max: 16 }),
        ..NearPolicy::default()
    };
    let row = digits.lines().nth(3).unwrap();
    let print = policy.fingerprint("text/csv", row.as_bytes()).unwrap();
    let mut values: Vec<u8> = row.split(',').map(|value| value.parse().unwrap()).collect();
    for at in [10, 20, 33, 40, 50] {
        values[at] = if values[at] < 16 { values[at] + 1 } else { 15 };
    }
    // Another label makes no other picture.
    values[64] = (values[64] + 1) % 10;
    let text: Vec<String> = values.iter().map(u8::to_string).collect();
    let copy = policy.fingerprint("text/csv", text.join(",").as_bytes()).unwrap();
    let evidence = policy.compare(&copy, &print).unwrap();
    let Resemblance::IsccImage { difference, .. } = evidence else { panic!() };
    // Five pixels, one of sixteen levels each.
    assert!((75..=80).contains(&difference), "{difference}");
    let other = policy.fingerprint("text/csv", digits.lines().next().unwrap().as_bytes()).unwrap();
    assert_eq!(policy.compare(&other, &print), None);
}

const TEXT: &str = "It was the best of times, it was the worst of times, it was the age of wisdom, \
    it was the age of foolishness, it was the epoch of belief, it was the epoch of incredulity, \
    it was the season of Light, it was the season of Darkness, it was the spring of hope, it was \
    the winter of despair, we had everything before us, we had nothing before us, we were all \
    going direct to Heaven, we were all going direct the other way.";

#[test]
fn edited_texts_resemble_and_other_texts_do_not() {
    let policy = policy();
    let print = |text: &str| policy.fingerprint("text/plain", text.as_bytes()).unwrap();
    let original = print(TEXT);
    for copy in [TEXT.to_uppercase(), TEXT.replace("despair", "sorrow"), format!("{TEXT}\nTHE END")]
    {
        assert!(policy.compare(&print(&copy), &original).is_some(), "{copy}");
    }
    let other: String = TEXT.split(' ').rev().collect::<Vec<_>>().join(" ");
    assert_eq!(policy.compare(&print(&other), &original), None);
    assert_eq!(policy.fingerprint("text/plain", b"too short"), None);
}

#[test]
fn evidence_that_was_changed_is_not_accepted() {
    let policy = policy();
    let print = png(&scene(1));
    let good = policy.compare(&png(&imageops::flip_horizontal(&scene(1))), &print).unwrap();
    assert!(policy.accepts(&good));
    let json = serde_json::to_value(&good).unwrap();
    assert_eq!(serde_json::from_value::<Resemblance>(json.clone()).unwrap(), good);
    let text = |text: &str| {
        serde_json::Value::from(policy.fingerprint("text/plain", text.as_bytes()).map(|print| {
            let Fingerprint::Text(code) = print else { panic!() };
            code.to_string()
        }))
    };
    let changes = [
        ("code", "ISCC:EEAZZZZZZZZZZZZZ".into()),
        ("ofCode", "ISCC:EEAZZZZZZZZZZZZZ".into()),
        ("code", text(TEXT)),
        ("distance", (json["distance"].as_u64().unwrap() + 1).into()),
        ("difference", 641.into()),
        ("view", "centre-of-the-world".into()),
        ("ofView", "turned90".into()),
        ("method", "iscc-text".into()),
    ];
    for (field, value) in changes {
        let mut changed = json.clone();
        changed[field] = value;
        let accepted = serde_json::from_value::<Resemblance>(changed.clone())
            .is_ok_and(|evidence| policy.accepts(&evidence));
        assert!(!accepted, "{changed}");
    }
    assert!(!NearPolicy::default().accepts(&good));
}

proptest! {
    /// Any bytes have a fingerprint or none.
    #[test]
    fn any_bytes_are_compared_without_panic(
        media_type in prop::sample::select(vec!["image/png", "image/jpeg", "text/plain", "text/csv", "x/y"]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        kept in 0usize..4000,
        at in 0usize..4000,
    ) {
        let policy = policy();
        let mut picture = encode(&scene(3), ImageFormat::Png);
        picture.truncate(kept.max(8));
        if let Some(byte) = picture.get_mut(at) {
            *byte ^= 0x40;
        }
        let mut index = NearIndex::new(&policy);
        let prints: Vec<Fingerprint> = [&bytes, &picture]
            .into_iter()
            .filter_map(|bytes| policy.fingerprint(media_type, bytes))
            .collect();
        for print in &prints {
            index.insert(B256::ZERO, print);
        }
        for print in &prints {
            let found = index.search(print);
            prop_assert!(found.is_none_or(|(_, evidence)| policy.accepts(&evidence)));
        }
    }
}

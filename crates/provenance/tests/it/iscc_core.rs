//! ISCC codes against `iscc-core`, the reference implementation in Python.

use std::process::Command;

use probity_provenance::near::{Fingerprint, NearPolicy, PictureRule, Resemblance, ShingleCode};

const SCRIPT: &str = "\
import json, sys, iscc_core
given = json.load(open(sys.argv[1]))
print(json.dumps({
    'texts': [iscc_core.gen_text_code_v0(text, bits=256)['iscc'] for text in given['texts']],
    'data': [iscc_core.gen_data_code_v0(__import__('io').BytesIO(bytes(data)), bits=256)['iscc']
             for data in given['data']],
    'images': [iscc_core.gen_image_code_v0(pixels, bits=64)['iscc'] for pixels in given['images']],
}))
";

/// Digits as lines of values; written out, so that the reduction to 32 × 32 pixels is checked too.
fn digits() -> Vec<(String, Vec<u8>)> {
    let rows = include_str!("../../../../examples/digits/digits.csv").lines().step_by(9);
    let enlarged = |row: &str| {
        let values: Vec<u32> = row.split(',').map(|value| value.parse().unwrap()).collect();
        let pixel = |at: usize| values[(at / 32 / 4) * 8 + at % 32 / 4] * 255 / 16;
        (0..1024).map(|at| u8::try_from(pixel(at)).unwrap()).collect()
    };
    rows.map(|row| (row.to_owned(), enlarged(row))).collect()
}

/// A picture's own code, from its resemblance to itself.
fn image_code(row: &str) -> String {
    let rule = PictureRule { max_distance: 0, max_difference: 0, sample_max: 16 };
    let policy = NearPolicy { image: Some(rule), ..NearPolicy::default() };
    let print: Fingerprint = policy.fingerprint("text/csv", row.as_bytes()).unwrap();
    match policy.compare(&print, &print) {
        Some(Resemblance::IsccImage { code, .. }) => code.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_reference_gives_the_same_codes() {
    let texts: Vec<String> = ["", "a", "Ärger im Bücherregal, 第二章\u{0301}", "x\r\n\ty — “z”"]
        .map(str::to_owned)
        .into_iter()
        .chain((1..40).map(|n| format!("{n} of the {} words; ", n * n).repeat(n)))
        .collect();
    let byte = |n: usize, seed: usize| u8::try_from((n * n / 7 + n * seed) % 251).unwrap();
    let data: Vec<Vec<u8>> =
        (0..12).map(|seed| (0..seed * 1500).map(|n| byte(n, seed)).collect()).collect();
    let digits = digits();
    let images: Vec<&Vec<u8>> = digits.iter().map(|(_, pixels)| pixels).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("given.json");
    let given = serde_json::json!({ "texts": texts, "data": data, "images": images });
    std::fs::write(&path, given.to_string()).unwrap();
    let python = probity_testkit::python().unwrap();
    let output = Command::new(python).args(["-c", SCRIPT]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |text: &String| ShingleCode::of_text(text).unwrap().to_string();
    let of_data = |data: &Vec<u8>| ShingleCode::of_data(data).unwrap().to_string();
    let ours = serde_json::json!({
        "texts": texts.iter().map(text).collect::<Vec<_>>(),
        "data": data.iter().map(of_data).collect::<Vec<_>>(),
        "images": digits.iter().map(|(row, _)| image_code(row)).collect::<Vec<_>>(),
    });
    assert_eq!(ours, theirs);
}

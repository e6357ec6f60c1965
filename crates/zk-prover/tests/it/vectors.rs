//! The committed vectors: made again byte for byte, and verified from their bytes alone.

use std::fs;

use probity_zk::{ModelKey, Statement, verify};
use serde_json::Value;

use crate::cases;

fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().strip_prefix("0x").unwrap().as_bytes();
    let (pairs, _) = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(byte).collect()
}

#[test]
fn committed_vectors_are_current_and_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/zk/v1/");
    for (name, expected) in cases::files() {
        if std::env::var_os("PROBITY_WRITE_VECTORS").is_some() {
            fs::write(format!("{folder}{name}"), &expected).unwrap();
        }
        let text = fs::read_to_string(format!("{folder}{name}")).unwrap();
        // As values: the order of a text's names depends on other rooms' wishes of the JSON library.
        let json: Value = serde_json::from_str(&text).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        assert!(json == expected, "{name}: run this test with PROBITY_WRITE_VECTORS=1");
        let cases = json["cases"].as_array().unwrap();
        for case in cases.iter().filter(|case| case.get("proof").is_some()) {
            let words = bytes(&case["output"]);
            let statement = Statement {
                context: bytes(&case["context"]).try_into().unwrap(),
                batch: u32::try_from(case["batch"].as_u64().unwrap()).unwrap(),
                input: bytes(&case["input"]).into_iter().map(u8::cast_signed).collect(),
                output: words
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|word| i64::from_be_bytes(*word))
                    .collect(),
            };
            let key = ModelKey::decode(&bytes(&case["key"])).unwrap();
            let result = verify(&key, &statement, &bytes(&case["proof"]));
            let code = result.map_or_else(|rejection| rejection.code(), |()| "ok");
            assert_eq!(case["result"], code, "{name}: {}", case["name"]);
            assert_eq!(case["name"].as_str().unwrap().starts_with("bad_"), code != "ok");
        }
    }
}

//! `vectors/zk/v1`, which drive forge too.

use std::fs;

use probity_zk::{
    HidingStatement, ModelKey, Statement, curve::decode_points, verify, verify_hiding, verify_range,
};
use serde_json::Value;

/// A case of the vectors.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) key: Vec<u8>,
    pub(crate) statement: Statement,
    pub(crate) proof: Vec<u8>,
    pub(crate) result: String,
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().strip_prefix("0x").unwrap().as_bytes();
    let (pairs, _) = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(byte).collect()
}

fn read(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/zk/v1/");
    serde_json::from_str(&fs::read_to_string(format!("{folder}{name}.json")).unwrap()).unwrap()
}

/// One case by its name.
pub(crate) fn case(name: &str) -> Case {
    let json = &read(name)["cases"][0];
    let output = bytes(&json["output"]);
    let (words, _) = output.as_chunks::<8>();
    let statement = Statement {
        context: bytes(&json["context"]).try_into().unwrap(),
        batch: u32::try_from(json["batch"].as_u64().unwrap()).unwrap(),
        input: bytes(&json["input"]).into_iter().map(u8::cast_signed).collect(),
        output: words.iter().map(|word| i64::from_be_bytes(*word)).collect(),
    };
    let text = |field: &str| json[field].as_str().unwrap().to_owned();
    let (key, proof) = (bytes(&json["key"]), bytes(&json["proof"]));
    Case { name: text("name"), key, statement, proof, result: text("result") }
}

#[test]
fn every_case_gets_its_verdict() {
    let indices = [read("index"), read("forged")];
    let names = indices.iter().flat_map(|index| index["cases"].as_array().unwrap());
    assert!(names.clone().count() >= 60);
    for name in names {
        let case = case(name["name"].as_str().unwrap());
        let key = ModelKey::decode(&case.key).unwrap();
        assert_eq!(key.encode(), case.key);
        let verdict = verify(&key, &case.statement, &case.proof);
        let code = verdict.map_or_else(|rejection| rejection.code(), |()| "ok");
        assert_eq!(code, case.result, "{}", case.name);
        assert_eq!(case.name.starts_with("bad_"), code != "ok");
    }
}

/// A hiding case: its key, statement and proof, and what is said to it.
pub(crate) fn hiding_case(name: &str) -> (ModelKey, HidingStatement, Vec<u8>, String) {
    let case = case(name);
    let json = &read(name)["cases"][0];
    let statement = HidingStatement {
        context: case.statement.context,
        batch: case.statement.batch,
        input: decode_points(&bytes(&json["input"])).unwrap(),
        output: case.statement.output,
    };
    (ModelKey::decode(&case.key).unwrap(), statement, case.proof, case.result)
}

#[test]
fn every_hiding_case_gets_its_verdict() {
    let index = read("hiding");
    let names: Vec<_> = index["cases"].as_array().unwrap().iter().collect();
    assert!(names.len() >= 30);
    for name in names {
        let name = name["name"].as_str().unwrap();
        let (key, statement, proof, result) = hiding_case(name);
        let verdict = verify_hiding(&key, &statement, &proof);
        let code = verdict.map_or_else(|rejection| rejection.code(), |()| "ok");
        assert_eq!(code, result, "{name}");
        assert_eq!(name.starts_with("bad_"), code != "ok");
        // Never a proof of the other stage.
        assert!(verify(&key, &statement.outputs(), &proof).is_err());
    }
}

/// A range proof: its key and bytes, and what is said to it.
pub(crate) fn range_case(name: &str) -> (ModelKey, Vec<u8>, String) {
    let json = &read(name)["cases"][0];
    let key = ModelKey::decode(&bytes(&json["key"])).unwrap();
    (key, bytes(&json["proof"]), json["result"].as_str().unwrap().to_owned())
}

#[test]
fn every_range_proof_gets_its_verdict() {
    let index = read("ranges");
    let names: Vec<_> = index["cases"].as_array().unwrap().iter().collect();
    assert!(names.len() >= 10);
    for name in names {
        let name = name["name"].as_str().unwrap();
        let (key, proof, result) = range_case(name);
        let code = verify_range(&key, &proof).map_or_else(|rejection| rejection.code(), |()| "ok");
        assert_eq!(code, result, "{name}");
        assert_eq!(name.starts_with("bad_"), code != "ok");
    }
}

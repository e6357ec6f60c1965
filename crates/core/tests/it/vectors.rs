//! The vectors that forge reads too: typed data and standard Merkle trees.

use alloy_primitives::{Address, B256, U256, hex};
use alloy_sol_types::{Eip712Domain, SolStruct};
use probity_core::{
    keys::{KeyType, SecretKey, recover},
    merkle::{self, StandardTree},
    records::{
        Anchor, Checkpoint, Content, Dataset, Licence, Model, ModelKey, OptOut, PayoutRuling,
        Ruling, Run, record_id, signing_hash,
    },
};
use serde_json::Value;

fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/../../vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut value: Value = serde_json::from_str(&text).unwrap();
    let cases = value["cases"].take().as_array().cloned().unwrap();
    assert!(!cases.is_empty());
    cases
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {value}"))
}

fn word(value: &Value, key: &str) -> B256 {
    text(value, key).parse().unwrap()
}

fn words(value: &Value) -> Vec<B256> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().parse().unwrap()).collect()
}

/// Integers beyond 2^53 are strings in the vectors; 64-bit fields are numbers in our JSON.
fn numbers(mut fields: Value) -> Value {
    for name in ["items", "totalWeight", "size", "epoch"] {
        if let Some(number) = fields[name].as_str() {
            fields[name] = number.parse::<u64>().unwrap().into();
        }
    }
    fields
}

fn domain(case: &Value) -> Eip712Domain {
    let domain = &case["domain"];
    Eip712Domain::new(
        Some(text(domain, "name").to_owned().into()),
        Some(text(domain, "version").to_owned().into()),
        Some(U256::from(domain["chainId"].as_u64().unwrap())),
        Some(text(domain, "verifyingContract").parse().unwrap()),
        None,
    )
}

/// Id and, where there is a domain, the hash that is signed.
fn hashes(case: &Value) -> (B256, Option<B256>) {
    fn of<S: SolStruct + serde::de::DeserializeOwned>(case: &Value) -> (B256, Option<B256>) {
        let record: S = serde_json::from_value(numbers(case["fields"].clone())).unwrap();
        let signed = case.get("domain").map(|_| signing_hash(&record, &domain(case)));
        (record_id(&record), signed)
    }
    match text(case, "type") {
        "Content" => of::<Content>(case),
        "OptOut" => of::<OptOut>(case),
        "Licence" => of::<Licence>(case),
        "Dataset" => of::<Dataset>(case),
        "Run" => of::<Run>(case),
        "Model" => of::<Model>(case),
        "Checkpoint" => of::<Checkpoint>(case),
        "ModelKey" => of::<ModelKey>(case),
        "Anchor" => of::<Anchor>(case),
        "Ruling" => of::<Ruling>(case),
        "PayoutRuling" => of::<PayoutRuling>(case),
        other => panic!("unknown type {other}"),
    }
}

#[test]
fn typed_data_is_what_the_contracts_hash_and_accept() {
    for file in ["typed-data/v1/registry.json", "typed-data/v1/rulings.json"] {
        for case in cases(file) {
            let name = text(&case, "name");
            let (id, digest) = hashes(&case);
            let digest = digest.unwrap();
            let author: Address = match case["fields"].get("author") {
                Some(author) => author.as_str().unwrap().parse().unwrap(),
                None => text(&case, "signer").parse().unwrap(),
            };
            let signature = hex::decode(text(&case, "signature")).unwrap();
            let accepted = id == word(&case, "id") && recover(&digest, &signature) == Some(author);
            assert_eq!(accepted, !name.starts_with("bad_"), "{name}");
            if accepted {
                let bytes: B256 = word(&case, "privateKey");
                let key = SecretKey::from_bytes(KeyType::Secp256k1, bytes.0.into()).unwrap();
                assert_eq!(key.sign_hash(&digest).unwrap().to_vec(), signature, "{name}");
            }
        }
    }
}

#[test]
fn unsigned_records_have_the_contracts_ids() {
    for case in cases("typed-data/v1/unsigned.json") {
        if text(&case, "type") == "Anchor" {
            assert_eq!(hashes(&case).0, word(&case, "id"), "{}", text(&case, "name"));
        }
    }
}

fn leaf(types: &[&str], values: &Value) -> B256 {
    let value = |index: usize| values[index].as_str().unwrap();
    match types {
        ["uint64", "bytes32", "uint64"] => merkle::leaf(&(
            value(0).parse::<u64>().unwrap(),
            value(1).parse::<B256>().unwrap(),
            value(2).parse::<u64>().unwrap(),
        )),
        ["address", "uint256"] => {
            merkle::leaf(&(value(0).parse::<Address>().unwrap(), value(1).parse::<U256>().unwrap()))
        }
        other => panic!("unknown leaf {other:?}"),
    }
}

#[test]
fn trees_are_those_of_openzeppelins_package() {
    for case in cases("merkle/v1/standard.json") {
        let (name, root) = (text(&case, "name"), word(&case, "root"));
        if name.starts_with("bad_") {
            let proof = words(&case["proof"]);
            assert!(!merkle::verify(&proof, &root, &word(&case, "leaf")), "{name}");
            continue;
        }
        let types: Vec<&str> =
            case["types"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
        let values = case["values"].as_array().unwrap();
        let leaves: Vec<B256> = values.iter().map(|values| leaf(&types, values)).collect();
        assert_eq!(leaves, words(&case["leaves"]), "{name}");
        let tree = StandardTree::new(leaves.clone()).unwrap();
        assert_eq!(tree.root(), root, "{name}");
        for (leaf, proof) in leaves.iter().zip(case["proofs"].as_array().unwrap()) {
            assert_eq!(tree.proof(leaf).unwrap(), words(proof), "{name}");
            assert!(merkle::verify(&words(proof), &root, leaf), "{name}");
        }
    }
}

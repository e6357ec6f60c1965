//! Works that nobody finds by guessing, and works that are gone.

use std::fs;

use probity_core::Digest;
use serde_json::Value;

use crate::{desk::Desk, tool::probity, workflow::deploy_token};

fn said(desk: &Desk, arguments: &[&str]) -> Value {
    let said = desk.signed("owner", &[arguments, &["--json"]].concat());
    assert_eq!(said.code, 0, "{arguments:?}: {}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

fn bundle(desk: &Desk, model: &str, name: &str) -> String {
    let path = desk.path(name);
    desk.done(&["log", "checkpoint"]);
    let exported = desk.signed("owner", &["bundle", "export", model, "-o", &path]);
    assert_eq!(exported.code, 0, "{}", exported.err);
    path
}

/// A model of twenty private works: their digests, the dataset and the model.
fn trained(desk: &Desk) -> (Vec<String>, String, String) {
    let passphrase = desk.path("passphrase");
    let init = desk.read(&["init", "--passphrase-file", &passphrase]);
    let account = init.out.trim().to_owned();
    let token = deploy_token(desk, &account);
    let court = desk.write(
        "court.toml",
        &format!(
            "arbiters = [\"{account}\"]\nthreshold = 1\nbond_token = \"{token}\"\nbond = 1\n\
             response_window = 60\nruling_window = 60\n"
        ),
    );
    let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits/digits.csv");
    let rows = fs::read_to_string(digits).unwrap();
    let rows: Vec<&str> = rows.split_inclusive('\n').take(20).collect();
    let file = desk.write("people.csv", &rows.concat());
    let licence = ["--licence", "CC-BY-4.0", "--lines", "--private"];
    let registered = said(desk, &[&["content", "register", &file], &licence[..]].concat());
    let works = registered["works"].as_array().unwrap();
    let digests: Vec<String> =
        works.iter().map(|work| work["digest"].as_str().unwrap().to_owned()).collect();
    for row in rows {
        let guess = Digest::of(row.as_bytes()).to_string();
        assert!(!digests.contains(&guess), "a guess must not find the work");
    }
    let dataset = desk.done(&["dataset", "build", "v1", "--register", "--court", &court]);
    let register = ["model", "register", "m", "--description", "d", "--data-bps", "5000"];
    let model = desk.done(&[&register[..], &["--court", &court]].concat());
    desk.done(&["model", "train", &model, "--dataset", &dataset]);
    (digests, dataset, model)
}

#[test]
fn erased_works_leave_every_proof_valid() {
    let desk = Desk::new();
    let (digests, dataset, model) = trained(&desk);
    let before = bundle(&desk, &model, "before.tar");

    let twice = ["content", "erase", &digests[0], &digests[1]];
    let erased = said(&desk, &twice);
    assert_eq!((&erased["deleted"], &erased["unsalted"]), (&2.into(), &0.into()));
    let again = said(&desk, &twice);
    assert_eq!((&again["deleted"], &again["optedOut"]), (&0.into(), &0.into()));

    // What was shown before still holds, and what is exported now says what is gone.
    assert_eq!(probity(&["audit", &before]).code, 0);
    let after = bundle(&desk, &model, "after.tar");
    let audit = probity(&["audit", &after]);
    assert_eq!(audit.code, 0, "{}", audit.out);
    let line = audit.out.lines().find(|line| line.contains("were erased")).unwrap();
    assert!(line.starts_with("[attested]") && line.contains("2 works"), "{line}");
    assert_eq!(desk.read(&["log", "verify"]).code, 0);

    // They enter no dataset any more, and cannot be trained on.
    let planned = desk.read(&["dataset", "build", "v2", "--json"]);
    let planned: Value = serde_json::from_str(&planned.out).unwrap();
    assert_eq!((&planned["items"], &planned["excluded"]["opted-out"]), (&18.into(), &2.into()));
    let train = desk.signed("owner", &["model", "train", &model, "--dataset", &dataset]);
    assert!(train.code == 2 && train.err.contains(&digests[0]), "{}", train.err);

    let stranger = desk.signed("owner", &["content", "erase", &Digest::of(b"x").to_string()]);
    assert!(stranger.code == 2 && stranger.err.contains("was not registered by"), "{stranger:?}");
}

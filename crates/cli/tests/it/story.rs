//! The guide's commands on a kept workspace.

use std::{fs, path::Path};

use serde_json::Value;

use crate::tool::{Said, probity};

#[test]
fn the_guides_commands_work_on_a_kept_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("digits");
    let at = dir.to_str().unwrap();
    let demo = probity(&["demo", "--keep", at]);
    assert_eq!(demo.code, 0, "{}", demo.err);
    let model = demo.out.trim();

    let short = model.get(..12).unwrap();
    let explained = probity(&["explain", short, "--dir", at]);
    assert_eq!(explained.code, 0, "{}", explained.err);
    for question in
        ["Which model", "On which data", "Who ran", "Which policy", "What proof", "Who got paid"]
    {
        assert!(explained.out.contains(question), "{question}");
    }
    let json: Value =
        serde_json::from_str(&probity(&["explain", model, "--dir", at, "--json"]).out).unwrap();
    let answers = json["report"]["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 6);
    for answer in answers {
        assert!(!answer["points"].as_array().unwrap().is_empty());
    }
    everything_listed_can_be_explained(at);
    bundles(&dir, model);
    log(&dir);
    let dump = || probity(&["index", "dump", "--dir", at]).out;
    let before = dump();
    assert_eq!(probity(&["index", "rebuild", "--dir", at]).code, 0);
    assert_eq!(dump(), before);
    assert_eq!(probity(&["chain", "verify", "--dir", at]).code, 0);
}

fn everything_listed_can_be_explained(at: &str) {
    let listed: Value =
        serde_json::from_str(&probity(&["list", "--dir", at, "--json"]).out).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for row in listed.as_array().unwrap() {
        // One of each kind, and what it names.
        let kind = row["kind"].as_str().unwrap();
        if !kinds.insert(kind.to_owned()) {
            continue;
        }
        let fields: &[&str] = match kind {
            "content" | "opt-out" => &["digest", "statement", "author"],
            "anchor" | "run" | "model" | "checkpoint" => &["statement", "author"],
            "dataset" => &["manifest", "author"],
            "model-key" => &["key", "statement", "author"],
            _ => &["author"],
        };
        let named = fields.iter().map(|field| &row["body"]["record"][field]);
        for id in named.chain([&row["id"]]).map(|id| id.as_str().unwrap()) {
            let explained = probity(&["explain", id, "--dir", at]);
            assert_eq!(explained.code, 0, "{kind} {id}: {}", explained.err);
        }
    }
    assert_eq!(kinds.len(), 9, "{kinds:?}");
}

fn bundles(dir: &Path, model: &str) {
    let at = dir.to_str().unwrap();
    let (evidence, again) = (dir.join("evidence.tar"), dir.join("again.tar"));
    let passphrase = dir.join("passphrase");
    fs::write(&passphrase, "probity-demo-insecure\n").unwrap();
    let export = |key: &str, file: &Path| -> Said {
        probity(&[
            "bundle",
            "export",
            model,
            "-o",
            again.to_str().unwrap(),
            "--dir",
            at,
            "--key",
            key,
            "--passphrase-file",
            file.to_str().unwrap(),
        ])
    };
    let wrong = dir.join("wrong");
    fs::write(&wrong, "guess\n").unwrap();
    let refused = export("trainer", &wrong);
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.contains("wrong passphrase") && refused.err.contains("hint:"),
        "{}",
        refused.err
    );
    assert!(!again.exists());
    let exported = export("trainer", &passphrase);
    assert_eq!(exported.code, 0, "{}", exported.err);
    for bundle in [&evidence, &again] {
        let audit = probity(&["audit", bundle.to_str().unwrap(), "--offline"]);
        assert_eq!(audit.code, 0, "{}{}", audit.out, audit.err);
        assert!(audit.out.contains("PASS"));
    }
    // Any byte of the archive, wherever it lies.
    let bytes = fs::read(&evidence).unwrap();
    for part in 0..12 {
        let mut bad = bytes.clone();
        bad[bytes.len() / 12 * part + 300] ^= 1;
        fs::write(&again, &bad).unwrap();
        let audit = probity(&["audit", again.to_str().unwrap(), "--offline"]);
        assert_eq!(audit.code, 1, "{}{}", audit.out, audit.err);
        assert!(audit.out.contains("broken bundle."), "{}", audit.out);
    }
}

fn log(dir: &Path) {
    let at = dir.to_str().unwrap();
    let config = fs::read_to_string(dir.join("probity.toml")).unwrap();
    let key = config.lines().find_map(|line| line.strip_prefix("log_key = ")).unwrap();
    let key = key.trim_matches('"');
    assert_eq!(probity(&["log", "verify", "--dir", at]).code, 0);
    let dataset: Value =
        serde_json::from_str(&probity(&["list", "--dir", at, "--json"]).out).unwrap();
    let run = dataset.as_array().unwrap().iter().find(|row| row["kind"] == "run").unwrap();
    let statement = run["body"]["record"]["statement"].as_str().unwrap();
    let statement = statement.strip_prefix("0x").unwrap();
    let proof = probity(&["log", "prove", statement, "--dir", at]);
    assert_eq!(proof.code, 0, "{}", proof.err);
    let file = dir.join("proof.json");
    fs::write(&file, &proof.out).unwrap();
    let verify = |key: &str| probity(&["log", "verify", file.to_str().unwrap(), "--log-key", key]);
    assert_eq!(verify(key).code, 0);
    let index = proof.out.replace("\"index\": ", "\"index\": 1");
    fs::write(&file, index).unwrap();
    assert_eq!(verify(key).code, 1);
}

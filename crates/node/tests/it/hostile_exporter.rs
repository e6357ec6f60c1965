//! An exporter who changes the evidence and signs the changed bundle anew. The seal then holds, so
//! every check behind it must.

use std::{path::Path, sync::Arc};

use probity_core::{
    Digest, Label, Severity, SystemClock,
    keys::{KeyType, SecretKey},
    statement::{self, Statement},
};
use probity_node::{Workspace, archive, audit_bundle, demo};
use probity_provenance::{
    bundle::{Files, INDEX, Inclusions, Index, SIGNATURE, seal},
    optout::OPT_OUT_TYPE,
    training::CHECKPOINT_TYPE,
};
use probity_testkit::SwiftClock;
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

/// Changes tried of each file.
const CHANGES: usize = 10;

/// The demo's evidence, made as on a machine that is so slow that windows of fixed length would close
/// before anybody could answer.
async fn evidence(dir: &Path) -> Files {
    let options = demo::Options::default();
    demo::run(dir, &options, Arc::new(SwiftClock::new(20)), &mut |_| {}).await.unwrap();
    archive::read(&dir.join("evidence.tar")).unwrap()
}

struct Attacker(SecretKey);

impl Attacker {
    /// Signs changed files (and index) as if they were the evidence.
    fn reseal(&self, mut files: Files) -> Option<Files> {
        let index: Index = serde_json::from_slice(&files.remove(INDEX)?).ok()?;
        files.remove(SIGNATURE);
        seal(index, files, &self.0).ok()
    }

    /// Drops the files that the audit says are not needed.
    async fn tidied(&self, mut files: Files) -> Files {
        loop {
            let report = audit_bundle(&self.reseal(files.clone()).unwrap(), None).await.unwrap();
            let before = files.len();
            for finding in report.findings {
                match finding.code.as_str() {
                    "bundle.file.unused" => drop(files.remove(&finding.subject)),
                    "bundle.unrelated" => {
                        let digest = finding.subject.trim_start_matches("0x");
                        files.remove(&format!("statements/{digest}.json"));
                    }
                    _ => {}
                }
            }
            if files.len() == before {
                return files;
            }
        }
    }

    /// Error codes of the audit of files that the attacker signed.
    async fn audited(&self, files: Files) -> Vec<String> {
        let Some(files) = self.reseal(files) else { return vec!["unsealed".to_owned()] };
        let report = audit_bundle(&files, None).await.unwrap();
        let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
        errors.map(|finding| finding.code.clone()).collect()
    }
}

/// Every number and string in a JSON value, by its path.
fn leaves(value: &Value, path: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(field, &format!("{path}/{name}"), into);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}/{index}"), into);
            }
        }
        _ => into.push(path.to_owned()),
    }
}

/// Another value of the same type and form.
fn changed(value: &Value, at: usize) -> Value {
    match value {
        Value::String(text) if text.is_empty() => "x".into(),
        Value::String(text) => {
            let at = text.char_indices().nth(at % text.chars().count()).unwrap();
            let other = if at.1 == '1' { "2" } else { "1" };
            let mut text = text.clone();
            text.replace_range(at.0..at.0 + at.1.len_utf8(), other);
            text.into()
        }
        Value::Number(number) => (number.as_u64().unwrap_or(0) ^ 1).into(),
        Value::Bool(flag) => (!flag).into(),
        _ => 1.into(),
    }
}

/// What an exporter may say without anybody offline being able to tell, and what the audit labels as
/// the exporter's word: when it exported, and of which chain the block is. The list of files is
/// made anew by the sealing.
fn is_free(file: &str, path: &str) -> bool {
    let said = ["/time", "/chain/chainId"];
    file == INDEX && (said.contains(&path) || path.starts_with("/files"))
}

type Draw<'a> = &'a mut dyn FnMut(usize) -> usize;

/// Copies of the files, each with one change to one of them and what was changed.
fn changes_of(name: &str, files: &Files, draw: Draw<'_>) -> Vec<(String, Files)> {
    let bytes = &files[name];
    let parsed = serde_json::from_slice::<Value>(bytes).ok();
    let mut paths = Vec::new();
    leaves(parsed.as_ref().unwrap_or(&Value::Null), "", &mut paths);
    paths.retain(|path| !is_free(name, path));
    let change = |_| {
        let mut all = files.clone();
        let content = all.get_mut(name).unwrap();
        let place = if let Some(value) = &parsed {
            let path = &paths[draw(paths.len())];
            let mut bad = value.clone();
            let leaf = bad.pointer_mut(path).unwrap();
            *leaf = changed(leaf, draw(64));
            *content = serde_json::to_vec(&bad).unwrap();
            path.clone()
        } else {
            let at = draw(bytes.len());
            content[at] ^= 1 << draw(8);
            format!(" at {at}")
        };
        (format!("{name}{place}"), all)
    };
    let mut changes: Vec<_> = (0..CHANGES).map(change).collect();
    // An opt-out's record on chain says it all; its statement may be another party's.
    let is_opt_out =
        statement::open(bytes).is_ok_and(|signed| signed.statement.predicate_type == OPT_OUT_TYPE);
    if name != INDEX && !is_opt_out {
        let mut all = files.clone();
        all.remove(name);
        changes.push((format!("{name} removed"), all));
    }
    changes
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changed_and_signed_anew_passes() {
    let folder = tempfile::tempdir().unwrap();
    let files = evidence(&folder.path().join("kept")).await;
    let attacker = Attacker(SecretKey::generate(KeyType::Secp256k1).unwrap());
    assert_eq!(attacker.audited(files.clone()).await, Vec::<String>::new());
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(proptest::test_runner::Config::default(), rng);
    let mut draw = |most: usize| (0..most).new_tree(&mut runner).unwrap().current();
    let mut added = files.clone();
    added.insert("unheard-of".to_owned(), vec![1]);
    let mut changes = vec![("a file added".to_owned(), added)];
    for name in files.keys().filter(|name| *name != SIGNATURE) {
        changes.extend(changes_of(name, &files, &mut draw));
    }
    let mut slipped = Vec::new();
    for (change, files) in changes {
        if attacker.audited(files).await.is_empty() {
            slipped.push(change);
        }
    }
    assert!(slipped.is_empty(), "these changes passed:\n{}", slipped.join("\n"));
}

/// Leaves whole kinds of records out, and then everything that the audit calls unneeded: a bundle
/// without a word about its data must not pass.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_matters_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let files = evidence(&folder.path().join("kept")).await;
    let attacker = Attacker(SecretKey::generate(KeyType::Secp256k1).unwrap());
    for (kind, expected) in [
        ("datasets", "checkpoint.dataset.missing"),
        ("runs", "checkpoint.run.missing"),
        ("models", "model.record.mismatch"),
        ("checkpoints", "checkpoint.missing"),
        ("anchors", "content.not-anchored"),
        ("optOuts", "opt-out.list.unbacked"),
        ("removals", "dataset.removals.mismatch"),
    ] {
        let mut files = files.clone();
        let mut records: Value = serde_json::from_slice(&files["records.json"]).unwrap();
        records[kind] = json!([]);
        files.insert("records.json".to_owned(), serde_json::to_vec(&records).unwrap());
        let errors = attacker.audited(attacker.tidied(files).await).await;
        assert!(errors.iter().any(|code| code == expected), "{kind}: {errors:?}");
    }
    // An older version's removals are what taints: its record must be there.
    let mut stripped = files.clone();
    let mut records: Value = serde_json::from_slice(&stripped["records.json"]).unwrap();
    records["datasets"].as_array_mut().unwrap().remove(0);
    records["checkpoints"].as_array_mut().unwrap().remove(0);
    stripped.insert("records.json".to_owned(), serde_json::to_vec(&records).unwrap());
    let errors = attacker.audited(attacker.tidied(stripped).await).await;
    assert!(errors.iter().any(|code| code == "dataset.previous.missing"), "{errors:?}");
    // Nothing counts twice.
    for kind in ["datasets", "anchors", "optOuts", "checkpoints", "modelKeys"] {
        let mut doubled = files.clone();
        let mut records: Value = serde_json::from_slice(&doubled["records.json"]).unwrap();
        let list = records[kind].as_array_mut().unwrap();
        list.insert(0, list[0].clone());
        doubled.insert("records.json".to_owned(), serde_json::to_vec(&records).unwrap());
        let errors = attacker.audited(doubled).await;
        assert!(errors.iter().any(|code| code == "record.duplicate"), "{kind}: {errors:?}");
    }
    let mut many = files.clone();
    let mut records: Value = serde_json::from_slice(&many["records.json"]).unwrap();
    let one = records["datasets"][0].clone();
    records["datasets"].as_array_mut().unwrap().extend(std::iter::repeat_n(one, 300));
    many.insert("records.json".to_owned(), serde_json::to_vec(&records).unwrap());
    assert_eq!(attacker.audited(many).await, ["record.too-many"]);
    // What cannot be proved complete is said to be missing.
    let mut silent = files;
    let mut index: Value = serde_json::from_slice(&silent[INDEX]).unwrap();
    index["chain"]["vaults"] = json!({});
    silent.insert(INDEX.to_owned(), serde_json::to_vec(&index).unwrap());
    silent.retain(|name, _| !name.starts_with("payouts/"));
    let silent = attacker.reseal(attacker.tidied(silent).await).unwrap();
    let report = audit_bundle(&silent, None).await.unwrap();
    let tokens = report.claims.iter().find(|claim| claim.name == "payout.tokens").unwrap();
    assert_eq!(tokens.label, Label::Missing);
}

/// A true statement of somebody else, in the same log, must not get into the answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_statement_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("kept");
    let files = evidence(&dir).await;
    let mut workspace = Workspace::open(&dir, Arc::new(SystemClock)).await.unwrap();
    let stranger = SecretKey::generate(KeyType::Secp256k1).unwrap();
    let mut predicate: Value = json!({});
    for bytes in files.iter().filter(|(name, _)| name.starts_with("statements/")).map(|f| f.1) {
        let signed = statement::open(bytes).unwrap();
        if signed.statement.predicate_type == CHECKPOINT_TYPE {
            predicate = signed.statement.predicate;
        }
    }
    predicate["author"] = json!(stranger.address().unwrap());
    predicate["metrics"] = json!({"heldOutAccuracy": "100.00"});
    let subject = [("model".to_owned(), Digest::of(b"better"))];
    let envelope =
        Statement::new(CHECKPOINT_TYPE, subject, &predicate).unwrap().sign(&[&stranger]).unwrap();
    let published = workspace.publish(std::slice::from_ref(&envelope)).await.unwrap();
    let log_key = workspace.keyring().unlock("log", demo::PASSPHRASE).unwrap();
    let payer = workspace.keyring().unlock("trainer", demo::PASSPHRASE).unwrap();
    workspace.anchor_log(&log_key, &payer).await.unwrap();
    workspace.sync().await.unwrap();
    let proof = workspace.prove_logged(&published[0].digest).await.unwrap();
    let mut files = files;
    let name = format!("statements/{}.json", published[0].digest);
    files.insert(name, envelope.to_json().unwrap());
    files.insert("log/checkpoint".to_owned(), proof.checkpoint.into_bytes());
    let mut inclusions = Inclusions::read(&files).unwrap();
    for (digest, inclusion) in &mut inclusions.0 {
        *inclusion = workspace.prove_logged(digest).await.unwrap().inclusion;
    }
    inclusions.0.insert(published[0].digest, proof.inclusion);
    inclusions.write(&mut files).unwrap();
    let attacker = Attacker(stranger);
    assert_eq!(attacker.audited(files).await, ["bundle.unrelated"]);
}

/// Entries of an archive, some of whose bytes are then changed, dropped or repeated.
fn archives() -> impl Strategy<Value = Vec<u8>> {
    let files = prop::collection::btree_map("[a-c/._]{1,4}", "[a-z]{0,600}", 1..4);
    let splice = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    (files, splice).prop_map(|(files, (at, to, byte, how))| {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        let mut bytes = builder.into_inner().unwrap();
        let (at, to) = (at.index(bytes.len()), to.index(bytes.len()));
        match how {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            2 => bytes.extend_from_within(at.min(to)..at.max(to)),
            _ => {}
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_archive_is_read_in_one_spelling_or_refused(bytes in archives()) {
        if let Ok(files) = archive::decode(&bytes) {
            prop_assert_eq!(archive::encode(&files).unwrap(), bytes);
        }
    }
}

//! Checkpoints of any folder: their names, signatures and parents, in the bundle and its audit.

use std::{collections::BTreeMap, fs, path::Path};

use alloy_primitives::B256;
use probity_compute::MlpConfig;
use probity_core::{
    Digest, Label, Severity,
    keys::{KeyType, SecretKey},
    records::{Checkpoint, Run, record_id},
};
use probity_node::{CheckpointPlan, NodeError, audit_bundle};
use probity_provenance::{
    audit::Report,
    bundle::{Files, INDEX, Index, LISTING, MODEL_SIGNATURE, RECORDS, SIGNATURE, seal},
    dataset::Manifest,
    training::{ModelFile, files_digest},
};
use serde_json::{Value, json};

use crate::parties::{Party, keys};

/// Somebody with a dataset, who trains models on it with programs of their own.
pub(crate) struct Trainer {
    pub(crate) party: Party,
    signing_key: SecretKey,
    pub(crate) dataset: B256,
    pub(crate) manifest: Manifest,
    folder: tempfile::TempDir,
}

impl Trainer {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut party = Party::first(&folder.path().join("workspace"), &keys(1)).await;
        party.contribute(1).await;
        let (dataset, manifest) = party.dataset("base-data", B256::ZERO).await;
        let signing_key = SecretKey::generate(KeyType::P256).unwrap();
        Self { party, signing_key, dataset, manifest, folder }
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) async fn run(&mut self, seed: u64) -> Run {
        let key = self.party.key.clone();
        let config = MlpConfig { seed, ..MlpConfig::default() };
        let workspace = &mut self.party.workspace;
        workspace.commit_run(&key, self.dataset, &self.manifest, &config).await.unwrap().1
    }

    pub(crate) async fn register(
        &mut self,
        model: B256,
        run: &Run,
        files: &str,
        parents: Vec<B256>,
    ) -> Result<(B256, Checkpoint), NodeError> {
        let (key, signing_key) = (self.party.key.clone(), self.signing_key.clone());
        // An absolute path stays what it is.
        let dir = self.folder.path().join(files);
        let plan = CheckpointPlan { model, run, parents, metrics: BTreeMap::new() };
        let workspace = &mut self.party.workspace;
        let done = workspace.register_folder(&key, plan, &dir, &signing_key, &|_| {}).await?;
        Ok((done.0, done.1))
    }

    pub(crate) async fn export_of(&mut self, model: B256) -> Files {
        let workspace = &mut self.party.workspace;
        let log = workspace.keyring().unlock("log", "pass").unwrap();
        workspace.anchor_log(&log, &self.party.key).await.unwrap();
        workspace.export_bundle(model, &self.party.key).await.unwrap()
    }

    /// The audit of files that an exporter signed anew.
    pub(crate) async fn audit(&self, mut files: Files) -> Report {
        let index: Index = serde_json::from_slice(&files.remove(INDEX).unwrap()).unwrap();
        files.remove(SIGNATURE);
        let files = seal(index, files, &self.party.key).unwrap();
        audit_bundle(&files, None).await.unwrap()
    }
}

pub(crate) fn errors(report: &Report) -> Vec<&str> {
    let errors = report.findings.iter().filter(|found| found.severity == Severity::Error);
    errors.map(|found| found.code.as_str()).collect()
}

pub(crate) fn label(report: &Report, name: &str) -> Option<Label> {
    report.claims.iter().find(|claim| claim.name == name).map(|claim| claim.label)
}

/// Puts another value in the bundle's records.
fn with_records(files: &Files, change: impl FnOnce(&mut Value)) -> Files {
    let mut files = files.clone();
    let mut records: Value = serde_json::from_slice(&files[RECORDS]).unwrap();
    change(&mut records);
    files.insert(RECORDS.to_owned(), serde_json::to_vec(&records).unwrap());
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fine_tuned_model_carries_its_signature_and_its_base_models_data() {
    let mut trainer = Trainer::new().await;
    trainer.write("base/model.safetensors", b"base weights");
    trainer.write("base/onnx/model.onnx", b"a graph");
    trainer.write("tuned/model.safetensors", b"tuned weights");
    let base = trainer.party.model().await;
    let base_run = trainer.run(1).await;
    let (parent, first) = trainer.register(base, &base_run, "base", vec![]).await.unwrap();
    let listing: Vec<ModelFile> =
        [("model.safetensors", "base weights"), ("onnx/model.onnx", "a graph")]
            .map(|(name, text)| ModelFile {
                name: name.to_owned(),
                size: text.len() as u64,
                sha256: Digest::of(text.as_bytes()),
            })
            .into();
    assert_eq!(Digest::from(first.digest), files_digest(&listing).unwrap());
    let files = trainer.export_of(base).await;
    let report = trainer.audit(files).await;
    assert_eq!(
        (errors(&report), label(&report, "checkpoint.signature")),
        (vec![], Some(Label::Verified))
    );

    // Another model, made from it.
    let tuned = trainer.party.model_called("tuned").await;
    let run = trainer.run(2).await;
    trainer.register(tuned, &run, "tuned", vec![parent]).await.unwrap();
    let files = trainer.export_of(tuned).await;
    let report = trainer.audit(files.clone()).await;
    assert_eq!(errors(&report), Vec::<&str>::new());
    assert_eq!(label(&report, "checkpoint.parents"), Some(Label::Attested));
    assert_eq!(label(&report, "checkpoint.files"), Some(Label::Verified));

    // Without its record the base model's data is said to be missing; strangers do not get in.
    let silent = with_records(&files, |records| records["ancestors"] = json!([]));
    let report = trainer.audit(silent).await;
    assert!(errors(&report).contains(&"bundle.unrelated"), "its run and statements are left over");
    assert_eq!(label(&report, "checkpoint.parents"), Some(Label::Missing));
    let base_files = trainer.export_of(base).await;
    let strange = with_records(&base_files, |records| {
        let own = serde_json::from_slice::<Value>(&files[RECORDS]).unwrap();
        records["ancestors"] = own["checkpoints"].clone();
    });
    assert!(errors(&trainer.audit(strange).await).contains(&"bundle.unrelated"));
    let forged = with_records(&files, |records| {
        records["ancestors"][0]["digest"] = json!(B256::repeat_byte(1));
    });
    assert!(errors(&trainer.audit(forged).await).contains(&"record.not-on-chain"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoints_signature_and_listing_are_what_its_statement_names() {
    let mut trainer = Trainer::new().await;
    trainer.write("m/weights one.bin", b"weights");
    trainer.write("m/b.bin", b"more");
    let (model, run) = (trainer.party.model().await, trainer.run(1).await);
    trainer.register(model, &run, "m", vec![]).await.unwrap();
    let files = trainer.export_of(model).await;
    // A name with a space has no place in an archive: the listing stands for the files.
    assert!(files.contains_key(LISTING) && !files.keys().any(|name| name.starts_with("model/")));
    let report = trainer.audit(files.clone()).await;
    assert_eq!(errors(&report), Vec::<&str>::new());
    assert_eq!(label(&report, "checkpoint.files"), Some(Label::Missing));
    assert_eq!(label(&report, "checkpoint.signature"), Some(Label::Verified));

    let with = |name: &str, bytes: Option<Vec<u8>>| {
        let mut files = files.clone();
        files.remove(name);
        files.extend(bytes.map(|bytes| (name.to_owned(), bytes)));
        files
    };
    let report = trainer.audit(with(MODEL_SIGNATURE, None)).await;
    assert_eq!(errors(&report), ["checkpoint.signature.missing"]);
    let other = SecretKey::generate(KeyType::P256).unwrap();
    let listing: Vec<ModelFile> = serde_json::from_slice(&files[LISTING]).unwrap();
    let forged = probity_provenance::model_signing::sign("m", &listing, &[], &other).unwrap();
    let report = trainer.audit(with(MODEL_SIGNATURE, Some(forged))).await;
    assert_eq!(errors(&report), ["checkpoint.signature.mismatch"]);
    for change in ["name", "sha256"] {
        let mut bad: Value = serde_json::from_slice(&files[LISTING]).unwrap();
        bad[0][change] = json!(Digest::of(b"x"));
        let report = trainer.audit(with(LISTING, Some(serde_json::to_vec(&bad).unwrap()))).await;
        assert_eq!(errors(&report), ["checkpoint.files.mismatch"], "{change}");
    }
    let mut bad: Value = serde_json::from_slice(&files[LISTING]).unwrap();
    bad[0]["size"] = json!(8);
    let report = trainer.audit(with(LISTING, Some(serde_json::to_vec(&bad).unwrap()))).await;
    assert_eq!(errors(&report), ["checkpoint.files.mismatch"]);
    let report = trainer.audit(with(LISTING, None)).await;
    assert_eq!(label(&report, "checkpoint.files"), Some(Label::Missing));
    assert_eq!(label(&report, "checkpoint.signature"), None, "nothing to compare it with");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_checkpoint_is_refused_and_changes_nothing() {
    let mut trainer = Trainer::new().await;
    trainer.write("m/w", b"weights");
    let (model, run) = (trainer.party.model().await, trainer.run(1).await);
    let logged = trainer.party.workspace.log().size();
    let unknown = trainer.register(model, &run, "m", vec![B256::repeat_byte(1)]).await;
    assert!(matches!(unknown, Err(NodeError::Unknown(_))), "{unknown:?}");
    let not_a_checkpoint = trainer.register(model, &run, "m", vec![record_id(&run)]).await;
    assert!(not_a_checkpoint.is_err());
    let workspace = &trainer.party.workspace;
    let other = workspace.run_of(record_id(&run), Some(B256::repeat_byte(2))).await;
    assert!(matches!(other, Err(NodeError::RunDataset { .. })));
    // A signature that somebody else left in the folder is neither trusted nor written over.
    let path = trainer.folder.path().join("m/model.sig");
    fs::write(&path, b"{}").unwrap();
    let stale = trainer.register(model, &run, "m", vec![]).await;
    assert!(matches!(stale, Err(NodeError::SignatureStale { .. })), "{stale:?}");
    assert_eq!(fs::read(&path).unwrap(), b"{}");
    assert_eq!(trainer.party.workspace.log().size(), logged);
    fs::remove_file(&path).unwrap();
    trainer.register(model, &run, "m", vec![]).await.unwrap();
    assert!(Path::new(&path).exists());
}

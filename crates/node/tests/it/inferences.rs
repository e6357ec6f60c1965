//! Keys and proofs of inference that say what is not so, in a workspace whose owner logs, registers
//! and exports them all the same.

use std::{path::Path, sync::Arc};

use alloy_primitives::{B256, Bytes};
use probity_chain::{Registry, convert};
use probity_core::{
    Digest, Label, Severity, SystemClock,
    keys::SecretKey,
    records::{ModelKey, record_id},
    statement::{self, Statement},
};
use probity_node::{
    Workspace, archive, audit_bundle, demo,
    inference::{ProofFile, import, proving_key, set_up},
};
use probity_provenance::{
    audit::Report,
    bundle::{self, Files},
    inference::{
        INFERENCE_TYPE, InferencePredicate, KeyReference, MODEL_KEY_TYPE, ModelKeyPredicate,
    },
};

/// The demo's workspace, its evidence, and the one key and proof in it.
struct Scene {
    workspace: Workspace,
    trainer: SecretKey,
    log: SecretKey,
    model: B256,
    files: Files,
    key: ModelKeyPredicate,
    proved: InferencePredicate,
    proof: ProofFile,
}

/// What a statement of a type says, of the only one in a bundle.
fn said<P: serde::de::DeserializeOwned>(files: &Files, kind: &str) -> (Digest, P) {
    let statements = files.iter().filter(|(name, _)| name.starts_with(bundle::STATEMENTS));
    let opened = statements.map(|(_, bytes)| statement::open(bytes).unwrap());
    let mut found = opened.filter(|signed| signed.statement.predicate_type == kind);
    let signed = found.next().unwrap();
    assert!(found.next().is_none());
    (signed.digest, signed.statement.predicate(kind).unwrap())
}

impl Scene {
    async fn new(dir: &Path) -> Self {
        let options = demo::Options::default();
        let outcome = demo::run(dir, &options, Arc::new(SystemClock), &mut |_| {}).await.unwrap();
        assert!(outcome.report.passed());
        let files = archive::read(&dir.join("evidence.tar")).unwrap();
        let workspace = Workspace::open(dir, Arc::new(SystemClock)).await.unwrap();
        let unlock = |name| workspace.keyring().unlock(name, demo::PASSPHRASE).unwrap();
        let (trainer, log) = (unlock("trainer"), unlock("log"));
        let key = said(&files, MODEL_KEY_TYPE).1;
        let (digest, proved) = said(&files, INFERENCE_TYPE);
        let proof = ProofFile::parse(&files[&bundle::proof_name(&digest)]).unwrap();
        let model = outcome.model;
        Self { workspace, trainer, log, model, files, key, proved, proof }
    }

    /// Exports and audits what the workspace has now.
    async fn audited(&mut self) -> Report {
        self.workspace.anchor_log(&self.log, &self.trainer).await.unwrap();
        let files = self.workspace.export_bundle(self.model, &self.trainer).await.unwrap();
        audit_bundle(&files, None).await.unwrap()
    }

    /// Logs a statement about a proof; gives the file that the proof has in a bundle.
    async fn log_proof(
        &mut self,
        said: &InferencePredicate,
        file: &ProofFile,
        more: &[Digest],
    ) -> String {
        let bytes = file.to_json().unwrap();
        let values = [file.statement.input_bytes(), file.statement.output_bytes()];
        let mut subjects =
            vec![("proof".to_owned(), self.workspace.store_object(bytes).await.unwrap())];
        let values = values.iter().map(|bytes| Digest::of(bytes));
        subjects.extend(values.chain(more.iter().copied()).map(|d| (d.to_string(), d)));
        let statement = Statement::new(INFERENCE_TYPE, subjects, said).unwrap();
        let envelope = statement.sign(&[&self.trainer]).unwrap();
        self.workspace.publish(std::slice::from_ref(&envelope)).await.unwrap();
        bundle::proof_name(&envelope.payload_digest())
    }

    /// Logs a statement about a key and registers it, whatever it says.
    async fn register(&mut self, said: &ModelKeyPredicate) -> B256 {
        let model = Digest::of(&self.files[&format!("{}{}", bundle::MODEL, said.file)]);
        let samples = said.quantisation.calibration.sha256;
        let subjects = [("model", model), ("key", said.key.sha256), ("samples", samples)]
            .map(|(name, digest)| (name.to_owned(), digest));
        let statement = Statement::new(MODEL_KEY_TYPE, subjects, said).unwrap();
        let envelope = statement.sign(&[&self.trainer]).unwrap();
        let record = ModelKey {
            checkpoint: said.checkpoint,
            key: said.key.keccak256,
            statement: envelope.payload_digest().into(),
            author: said.author,
        };
        self.workspace.publish(&[envelope]).await.unwrap();
        let call = Registry::registerModelKeyCall {
            modelKey: convert(&record).unwrap(),
            signature: Bytes::new(),
        };
        let chain = self.workspace.chain();
        chain.send(&self.trainer, chain.contracts().registry, &call).await.unwrap();
        record_id(&record)
    }
}

fn errors_about<'a>(report: &'a Report, subject: &str) -> Vec<&'a str> {
    let about = |f: &&probity_core::Finding| f.subject == subject && f.severity == Severity::Error;
    report.findings.iter().filter(about).map(|finding| finding.code.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn false_proofs_and_keys_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(&folder.path().join("kept")).await;
    let (good, proof) = (scene.proved.clone(), scene.proof.clone());

    // A changed proof, another output with the same proof, and a proof for another job.
    let mut changed = proof.clone();
    let middle = changed.proof.len() / 2;
    changed.proof[middle] ^= 1;
    let changed = scene.log_proof(&good, &changed, &[]).await;
    let mut other_output = proof.clone();
    other_output.statement.output[0] += 1;
    let mut said = good.clone();
    said.proved.output = other_output.statement.output_commitment().into();
    let other_output = scene.log_proof(&said, &other_output, &[]).await;
    let mut replayed = proof.clone();
    replayed.statement.context = [7; 32];
    let mut said = good.clone();
    said.proved.context = [7; 32].into();
    let replayed = scene.log_proof(&said, &replayed, &[]).await;
    // A good proof with a statement that says more, or something else.
    let mut said = good.clone();
    said.proved.batch = 2;
    let two = scene.log_proof(&said, &proof, &[]).await;
    let more = scene.log_proof(&good, &proof, &[Digest::of(b"a better output")]).await;

    let report = scene.audited().await;
    for invalid in [&changed, &other_output, &replayed] {
        let errors = errors_about(&report, invalid);
        assert!(
            errors[0] == "inference.proof.invalid" && errors[1].starts_with("zk."),
            "{errors:?}"
        );
    }
    for mismatch in [&two, &more] {
        assert_eq!(errors_about(&report, mismatch), ["inference.statement.mismatch"]);
    }
    let holds = report.claims.iter().filter(|claim| claim.name == "inference.proof");
    assert_eq!(holds.count(), 1);

    // A key of the same network with other weights, said to be the checkpoint's.
    let weights = &scene.files[&format!("{}{}", bundle::MODEL, scene.key.file)];
    let samples =
        &scene.files[&bundle::calibration_name(&scene.key.quantisation.calibration.sha256)];
    let graph = import(weights, 17).unwrap();
    let samples = probity_node::inference::Samples::parse(samples, 64).unwrap();
    let other = proving_key(&set_up(&graph, &samples).unwrap(), None).unwrap();
    let bytes = other.model_key().encode();
    let keccak256 = B256::from(*other.model_key().digest());
    let sha256 = scene.workspace.store_object(bytes).await.unwrap();
    let mut said = scene.key.clone();
    said.key = KeyReference { keccak256, sha256 };
    scene.register(&said).await;
    // The right key with a wrong file, and one of a procedure that nobody here knows.
    let mut said = scene.key.clone();
    said.file = "config.json".to_owned();
    scene.register(&said).await;
    let mut said = scene.key.clone();
    said.quantisation.procedure = "probity-quantise/0".to_owned();
    scene.register(&said).await;
    let mut said = scene.key.clone();
    said.model = scene.key.checkpoint;
    let stranger = scene.register(&said).await;

    let report = scene.audited().await;
    let checkpoint = scene.key.checkpoint.to_string();
    let mut errors = errors_about(&report, &checkpoint);
    errors.sort_unstable();
    assert_eq!(errors, ["model-key.derivation.failed", "model-key.derivation.mismatch"]);
    assert_eq!(errors_about(&report, &stranger.to_string()), ["model-key.statement.mismatch"]);
    let derived = report.claims.iter().filter(|claim| claim.name == "model-key.derived");
    let mut labels: Vec<Label> = derived.map(|claim| claim.label).collect();
    labels.sort_unstable();
    assert_eq!(labels, [Label::Attested, Label::Verified]);
}

//! What an audit makes of runs of commands whose trainer or exporter does not tell the truth.

use std::{collections::BTreeMap, time::Duration};

use alloy_primitives::{B256, Bytes};
use probity_chain::{Registry, convert};
use probity_core::{
    Label,
    dsse::Envelope,
    records::{Anchor, Checkpoint, Run, record_id},
    statement::{self, Signed, Statement},
};
use probity_node::{CommandPlan, CommandRun, NodeError, RunState};
use probity_provenance::{
    bundle::{Files, Inclusions, RECORDS, Records, STATEMENTS, run_log_name},
    command::{PROVENANCE_TYPE, Provenance},
    run_log::{Event, Exit, RUN_MARK_TYPE, Writer},
    training::{CHECKPOINT_TYPE, CheckpointPredicate, files_digest},
};

use crate::checkpoints::{Trainer, errors, label};

impl Trainer {
    async fn command(&mut self, script: &str) -> CommandRun {
        let hour = Duration::from_hours(1);
        self.marked_command(script, hour, Some(hour)).await
    }

    async fn marked_command(
        &mut self,
        script: &str,
        mark_every: Duration,
        anchor_every: Option<Duration>,
    ) -> CommandRun {
        let plan = CommandPlan {
            dataset: self.dataset,
            command: ["sh", "-c", script].map(str::to_owned).into(),
            config: None,
            seed: Some(u64::MAX),
            environment: vec![],
            secrets: vec![],
            inputs: vec![],
            mark_every,
            anchor_every,
        };
        let key = self.party.key.clone();
        self.party.workspace.run_command(&key, &plan, &mut |_| {}).await.unwrap()
    }

    async fn register_outputs(
        &mut self,
        model: B256,
        done: &CommandRun,
    ) -> Result<(B256, Checkpoint), NodeError> {
        let run: Run = self.party.workspace.run_of(done.run, None).await.unwrap();
        let folder = done.folder.to_str().unwrap().to_owned();
        self.register(model, &run, &folder, vec![]).await
    }

    /// What a trainer would do to whom the end of a run is nothing: by hand, past the workspace.
    async fn register_regardless(&mut self, model: B256, run: &Run, done: &CommandRun) {
        let (key, workspace) = (self.party.key.clone(), &mut self.party.workspace);
        let author = key.address().unwrap();
        for file in &done.outputs {
            let bytes = std::fs::read(done.folder.join(&file.name)).unwrap();
            workspace.store_object(bytes).await.unwrap();
        }
        let digest = files_digest(&done.outputs).unwrap();
        let predicate = CheckpointPredicate {
            author,
            model,
            run: done.run,
            dataset: run.dataset,
            digest,
            metrics: BTreeMap::new(),
            signature: None,
            time: workspace.now(),
        };
        let subjects = done.outputs.iter().map(|file| (file.name.clone(), file.sha256));
        let statement = Statement::new(CHECKPOINT_TYPE, subjects, &predicate).unwrap();
        let envelope = statement.sign(&[&key]).unwrap();
        let checkpoint = Checkpoint {
            model,
            digest: digest.into(),
            dataset: run.dataset,
            run: done.run,
            parents: vec![],
            statement: envelope.payload_digest().into(),
            author,
        };
        workspace.publish(&[envelope]).await.unwrap();
        let call = Registry::registerCheckpointCall {
            checkpoint: convert(&checkpoint).unwrap(),
            run: convert(run).unwrap(),
            signature: Bytes::new(),
        };
        let registry = workspace.chain().contracts().registry;
        workspace.chain().send(&key, registry, &call).await.unwrap();
    }

    /// Puts a logged statement into a bundle.
    pub(crate) async fn add_statement(&self, files: &mut Files, envelope: &Envelope) {
        let digest = envelope.payload_digest();
        let proof = self.party.workspace.prove_logged(&digest).await.unwrap();
        let mut inclusions = Inclusions::read(files).unwrap();
        inclusions.0.insert(digest, proof.inclusion);
        inclusions.write(files).unwrap();
        files.insert(format!("{STATEMENTS}{digest}.json"), envelope.to_json().unwrap());
    }
}

/// The files without some statements.
pub(crate) fn without(files: &Files, is_out: &dyn Fn(&Signed) -> bool) -> Files {
    let mut files = files.clone();
    files.retain(|name, bytes| {
        let is_statement = name.starts_with("statements/");
        !is_statement || !is_out(&statement::open(bytes).unwrap())
    });
    let kept: Vec<String> = files.keys().cloned().collect();
    let mut inclusions = Inclusions::read(&files).unwrap();
    inclusions.0.retain(|digest, _| kept.contains(&format!("{STATEMENTS}{digest}.json")));
    inclusions.write(&mut files).unwrap();
    files
}

fn is_provenance(signed: &Signed) -> bool {
    signed.statement.predicate_type == PROVENANCE_TYPE
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_and_provenance_that_were_changed_or_left_out_are_found() {
    let mut trainer = Trainer::new().await;
    let model = trainer.party.model().await;
    let done = trainer.command("echo one; echo two; echo w > $PROBITY_OUT/w").await;
    assert_eq!((done.entries, done.marks, done.exit), (4, 2, Exit::Code(0)));
    trainer.register_outputs(model, &done).await.unwrap();
    let files = trainer.export_of(model).await;
    let report = trainer.audit(files.clone()).await;
    assert_eq!(errors(&report), Vec::<&str>::new());
    assert_eq!(label(&report, "run.log"), Some(Label::Verified));
    assert_eq!(label(&report, "run.provenance"), Some(Label::Attested));
    assert_eq!(label(&report, "checkpoint.outputs"), Some(Label::Attested));

    let name = run_log_name(done.run);
    let mut silent = files.clone();
    silent.remove(&name);
    let report = trainer.audit(silent).await;
    assert_eq!((errors(&report), label(&report, "run.log")), (vec![], Some(Label::Missing)));
    let mut bad = files.clone();
    let text = String::from_utf8(bad[&name].clone()).unwrap().replace("one", "won");
    bad.insert(name.clone(), text.into_bytes());
    assert_eq!(errors(&trainer.audit(bad).await), ["run.log.mismatch"]);
    let errors_of = trainer.audit(without(&files, &is_provenance)).await;
    assert!(errors(&errors_of).contains(&"run.incomplete"), "{:?}", errors(&errors_of));
    // Fewer marks are fewer marks: the claim says how many are shown.
    let report = trainer
        .audit(without(&files, &|signed| signed.statement.predicate_type == RUN_MARK_TYPE))
        .await;
    let claim = report.claims.iter().find(|claim| claim.name == "run.log").unwrap();
    assert!(claim.text.contains("0 signed marks"), "{}", claim.text);
    // Another run's log and statements have no place here.
    let mut strange = files.clone();
    strange.insert(run_log_name(B256::repeat_byte(3)), b"x".to_vec());
    assert_eq!(errors(&trainer.audit(strange).await), ["bundle.file.unused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_is_marked_while_it_runs() {
    let mut trainer = Trainer::new().await;
    // Runs until its log says three times that it does.
    let script = "until [ \"$(grep -c alive \"$PROBITY_OUT/../log.jsonl\")\" -ge 3 ]; do :; done";
    let done = trainer.marked_command(script, Duration::from_millis(20), None).await;
    assert_eq!((done.exit, done.anchors), (Exit::Code(0), 0));
    // The start, the end, and each time it was alive.
    assert!(done.marks >= 5 && done.entries == done.marks, "{done:?}");
    let report = trainer.party.workspace.run_report(done.run).await.unwrap();
    assert_eq!((report.state, report.marks), (RunState::Complete, done.marks));
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_of_a_runs_log_are_on_chain_and_left_out_or_false_ones_are_found() {
    let mut trainer = Trainer::new().await;
    let model = trainer.party.model().await;
    let script = "until [ \"$(grep -c alive \"$PROBITY_OUT/../log.jsonl\")\" -ge 2 ]; do :; done
                  echo w > $PROBITY_OUT/w";
    let (hour, often) = (Duration::from_hours(1), Duration::from_millis(20));
    let done = trainer.marked_command(script, hour, Some(often)).await;
    // The start, the end, and each time between.
    assert!(done.anchors >= 4 && done.anchors == done.marks, "{done:?}");
    let report = trainer.party.workspace.run_report(done.run).await.unwrap();
    assert_eq!((report.anchors, report.findings), (done.anchors, vec![]));
    trainer.register_outputs(model, &done).await.unwrap();
    let files = trainer.export_of(model).await;
    let report = trainer.audit(files.clone()).await;
    assert_eq!(errors(&report), Vec::<&str>::new());
    assert_eq!(label(&report, "run.anchored"), Some(Label::Attested));

    // The exporter leaves out the last one, or all of them.
    let mut records: Records = serde_json::from_slice(&files[RECORDS]).unwrap();
    let is_head = |anchor: &Anchor| anchor.subject == done.run;
    let last = records.anchors.iter().filter(|anchor| is_head(anchor)).map(|it| it.size).max();
    records.anchors.retain(|anchor| !is_head(anchor) || Some(anchor.size) != last);
    let with = |records: &Records| {
        let mut files = files.clone();
        files.insert(RECORDS.to_owned(), serde_json::to_vec(records).unwrap());
        files
    };
    let report = trainer.audit(with(&records)).await;
    assert_eq!(label(&report, "run.anchored"), Some(Label::Missing));
    let missing = report.findings.iter().filter(|it| it.code == "run.log.anchor.missing");
    assert_eq!(missing.count(), 1);
    records.anchors.retain(|anchor| !is_head(anchor));
    let report = trainer.audit(with(&records)).await;
    let missing = report.findings.iter().filter(|it| it.code == "run.log.anchor.missing");
    assert_eq!(missing.count(), 2);

    // The trainer puts another story on chain.
    let anchor = Anchor {
        subject: done.run,
        root: B256::repeat_byte(9),
        size: 2,
        statement: B256::repeat_byte(9),
        author: trainer.party.key.address().unwrap(),
    };
    let Anchor { subject, root, size, statement, .. } = anchor;
    let call = Registry::anchorCall { subject, root, size, statement };
    let chain = trainer.party.workspace.chain();
    chain.send(&trainer.party.key, chain.contracts().registry, &call).await.unwrap();
    let files = trainer.export_of(model).await;
    let report = trainer.audit(files).await;
    assert_eq!(errors(&report), ["run.log.anchor.mismatch"]);
}

/// A trainer whose command failed cannot tell another story later, nor register what it left behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_cannot_tell_two_stories() {
    let mut trainer = Trainer::new().await;
    let model = trainer.party.model().await;
    let done = trainer.command("echo w > $PROBITY_OUT/w; exit 7").await;
    let refused = trainer.register_outputs(model, &done).await;
    assert!(matches!(refused, Err(NodeError::RunState { .. })), "{refused:?}");

    // By hand: a log written anew, a success, and a checkpoint registered past the workspace.
    let workspace = &mut trainer.party.workspace;
    let run = workspace.run_of(done.run, None).await.unwrap();
    let mut writer = Writer::new(record_id(&run));
    let mut log = writer.append(1, Event::Started).unwrap();
    log.extend(writer.append(2, Event::Ended(Exit::Code(0))).unwrap());
    let digest = workspace.store_object(log.clone()).await.unwrap();
    let told = workspace.index().statements_of_type(PROVENANCE_TYPE).await.unwrap().remove(0);
    let (signed, _) = workspace.statement(&told.digest).await.unwrap();
    let mut said = Provenance::of(&signed.statement).unwrap();
    said.run_details.metadata.exit = Exit::Code(0);
    said.run_details.byproducts[0].digest.sha256 = digest;
    let subjects = done.outputs.iter().map(|file| (file.name.clone(), file.sha256));
    let forged = Statement::new(PROVENANCE_TYPE, subjects, &said).unwrap();
    let key = trainer.party.key.clone();
    workspace.publish(&[forged.sign(&[&key]).unwrap()]).await.unwrap();
    workspace.sync().await.unwrap();
    let report = workspace.run_report(done.run).await.unwrap();
    assert_eq!(report.state, RunState::Failed, "what was said first counts");
    trainer.register_regardless(model, &run, &done).await;
    let files = trainer.export_of(model).await;
    // The exporter shows the failure.
    let report = trainer.audit(files.clone()).await;
    assert!(errors(&report).contains(&"run.failed"), "{:?}", errors(&report));
    // The exporter shows the other story only: the marks of the true log tell.
    let mut other = without(&files, &is_provenance);
    trainer.add_statement(&mut other, &forged.sign(&[&key]).unwrap()).await;
    other.insert(run_log_name(done.run), log);
    let report = trainer.audit(other.clone()).await;
    assert!(errors(&report).contains(&"run.log.mark.mismatch"), "{:?}", errors(&report));
    // The exporter shows both.
    trainer.add_statement(&mut other, &signed.statement.sign(&[&key]).unwrap()).await;
    let report = trainer.audit(other).await;
    assert!(errors(&report).contains(&"run.incomplete"), "{:?}", errors(&report));
}

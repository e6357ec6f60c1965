//! Runs of commands: what was committed to, what happened, and the log of it.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest, Label,
    records::{Checkpoint, Run, record_id},
    statement::Statement,
};
use serde_json::Value;

use super::{Audit, signed::Statements};
use crate::{
    bundle,
    command::{BUILD_TYPE, CommandConfig, PROVENANCE_TYPE, Provenance},
    run_log::{self, AnchoredHead, RUN_MARK_TYPE, RunLog, RunMark},
};

/// The run that a statement about a command is about.
pub(super) fn run_of(statement: &Statement) -> Option<B256> {
    match statement.predicate_type.as_str() {
        PROVENANCE_TYPE => {
            Provenance::of(statement).ok().map(|said| said.run_details.metadata.invocation_id)
        }
        RUN_MARK_TYPE => statement.predicate::<RunMark>(RUN_MARK_TYPE).ok().map(|mark| mark.run),
        _ => None,
    }
}

/// What is said about the end of a run, by who committed to it.
fn provenance(
    run: B256,
    author: Address,
    statements: &Statements,
) -> Option<(Provenance, &Statement)> {
    let said = statements.values().filter_map(|signed| {
        let said = Provenance::of(&signed.statement).ok()?;
        let is_its =
            said.run_details.metadata.invocation_id == run && said.author() == Some(author);
        is_its.then_some((said, &signed.statement))
    });
    let mut said: Vec<_> = said.collect();
    // Of two stories neither is taken.
    if said.len() == 1 { said.pop() } else { None }
}

impl Audit<'_> {
    /// A run of a command has one account of its end, which says what was committed to.
    pub(super) fn check_command(&mut self, run: &Run, config: &Value, statements: &Statements) {
        if config.get("builder").and_then(Value::as_str) != Some(BUILD_TYPE) {
            return;
        }
        let id = record_id(run);
        let Ok(committed) = serde_json::from_value::<CommandConfig>(config.clone()) else {
            return self.broken(
                "run.config.malformed",
                id,
                "not what a run of a command commits to",
            );
        };
        let Some((said, _)) = provenance(id, run.author, statements) else {
            let message = "its command is not known to have ended, or is said to have ended twice";
            return self.broken("run.incomplete", id, message);
        };
        let definition = &said.build_definition;
        let parameters = &definition.external_parameters;
        let same = (&parameters.config, parameters.dataset) == (config, run.dataset);
        if definition.build_type != BUILD_TYPE || !same {
            let message = "another configuration is said to have run than was committed to";
            return self.broken("run.provenance.mismatch", id, message);
        }
        let metadata = &said.run_details.metadata;
        if !metadata.exit.is_success() {
            let message = format!("its command ended with {}", metadata.exit);
            return self.broken("run.failed", id, message);
        }
        let (internal, command) = (&definition.internal_parameters, committed.command.join(" "));
        let text = format!(
            "`{command}` ran from {} to {} on {} threads of `{}`, says its trainer `{}`",
            metadata.started_on,
            metadata.finished_on,
            internal.hardware.threads,
            internal.hardware.processor,
            run.author
        );
        self.claim("run.provenance", Label::Attested, text);
        for input in &internal.changed_inputs {
            let text = format!("input `{input}` was another when the command had ended");
            let finding = probity_core::Finding::warning("run.input.changed", id, text);
            self.findings.push(finding);
        }
        if let Some(time) = &metadata.outputs_read_on {
            let text = format!("its outputs were read at {time}, after its end");
            self.findings.push(probity_core::Finding::warning("run.outputs.late", id, text));
        }
        self.check_run_log(run, &said, &committed, statements);
    }

    /// The log is one chain from the run's record to the command's end, and every signed mark is of it.
    fn check_run_log(
        &mut self,
        run: &Run,
        said: &Provenance,
        committed: &CommandConfig,
        statements: &Statements,
    ) {
        let id = record_id(run);
        let is_its = |mark: &RunMark| mark.run == id && mark.author == run.author;
        let marks = statements.values().filter_map(|signed| {
            signed.statement.predicate::<RunMark>(RUN_MARK_TYPE).ok().filter(is_its)
        });
        let marks: Vec<RunMark> = marks.collect();
        let name = bundle::run_log_name(id);
        let Some(bytes) = self.file(&name) else {
            let text = format!("the log of run {id} is not in the bundle");
            return self.claim("run.log", Label::Missing, text);
        };
        if said.log() != Some(Digest::of(bytes)) {
            let message = "not the log that the run's statement names";
            return self.broken("run.log.mismatch", name, message);
        }
        let (log, problem) = run_log::read(id, bytes);
        if let Some(problem) = problem {
            return self.broken(problem.code(), name, problem);
        }
        if log.exit != Some(said.run_details.metadata.exit) {
            return self.broken("run.log.unended", name, "it does not end as the run is said to");
        }
        let found = log.compare(&marks);
        if found.is_empty() {
            let text = format!(
                "the log of run {id}: {} entries in one chain, {} signed marks of it are shown, longest silence {} s",
                log.entries(),
                marks.len(),
                log.longest_gap
            );
            self.claim("run.log", Label::Verified, text);
        }
        self.findings.extend(found);
        self.check_anchors(run, &log, committed.anchor_every);
    }

    /// The heads of the log that are on chain are the log's, and as many as were promised.
    fn check_anchors(&mut self, run: &Run, log: &RunLog, every: Option<u64>) {
        let (id, registry) = (record_id(run), self.sealed.index.chain.registry);
        let its = self.records.anchors.iter();
        let its = its.filter(|anchor| anchor.subject == id && anchor.author == run.author);
        let heads = its.filter_map(|anchor| {
            let time = self.ledger.record(registry, record_id(anchor))?.time;
            Some(AnchoredHead { entries: anchor.size, head: anchor.root.into(), time })
        });
        let heads: Vec<AnchoredHead> = heads.collect();
        let found = log.compare_anchors(every, &heads);
        let (label, text) = match every {
            Some(every) if found.is_empty() => {
                let count = heads.len();
                let text = format!(
                    "{count} heads of the log of run {id} are on chain: its start, its end, and one \
                     every {every} s between"
                );
                (self.chain_label, text)
            }
            Some(_) => (Label::Missing, format!("heads of the log of run {id} are not on chain")),
            None => (Label::Missing, format!("no head of the log of run {id} was to be on chain")),
        };
        self.findings.extend(found);
        self.claim("run.anchored", label, text);
    }

    /// The files of a checkpoint that came out of a command are among those it put out.
    pub(super) fn check_outputs(
        &mut self,
        checkpoint: &Checkpoint,
        files: &Statement,
        statements: &Statements,
    ) {
        let Some((_, outputs)) = provenance(checkpoint.run, checkpoint.author, statements) else {
            return;
        };
        let names = |statement: &Statement| -> BTreeSet<(String, Digest)> {
            let subjects = statement.subject.iter();
            subjects.map(|subject| (subject.name.clone(), subject.digest.sha256)).collect()
        };
        let (files, outputs) = (names(files), names(outputs));
        let id = record_id(checkpoint);
        if let Some((name, _)) = files.difference(&outputs).next() {
            let message = format!("the run did not put out `{name}`");
            return self.broken("checkpoint.file.not-output", id, message);
        }
        let text = format!("the {} files of checkpoint {id} are outputs of its run", files.len());
        self.claim("checkpoint.outputs", Label::Attested, text);
    }
}

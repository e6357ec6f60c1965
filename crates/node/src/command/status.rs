//! How a run stands: from its record, its marks, its log and what was said of its end.

use std::fs;

use alloy_primitives::B256;
use probity_chain::Registry;
use probity_core::{
    Digest, Finding, Severity,
    keys::PublicKey,
    records::{Anchor, Run, record_id},
    statement::{Signed, Subject},
};
use probity_provenance::{
    command::{BUILD_TYPE, PROVENANCE_TYPE, Provenance},
    run_log::{self, AnchoredHead, Exit, RUN_MARK_TYPE, RunMark},
    training::{RUN_TYPE, RunPredicate},
};
use serde::Serialize;

use crate::{NodeError, Workspace};

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Its command is not known to have ended: it runs, or was stopped half-way.
    Incomplete,
    /// Its command ended, and what it put out could not be read.
    Unpublished,
    /// Its command failed.
    Failed,
    /// Its command succeeded.
    Complete,
}

/// What is known of a run of a command.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// The run's record id.
    pub run: B256,
    /// How it stands.
    pub state: RunState,
    /// How its command ended.
    pub exit: Option<Exit>,
    /// Entries of its log that are in one chain.
    pub entries: u64,
    /// Heads of it that were signed.
    pub marks: u64,
    /// Heads of it that are on chain.
    pub anchors: u64,
    /// When the last entry was written, Unix seconds.
    pub last: u64,
    /// Seconds of the longest silence.
    pub longest_gap: u64,
    /// What it put out.
    pub outputs: Vec<Subject>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Workspace {
    /// How a run of a command stands, everything checked again.
    pub async fn run_report(&self, id: B256) -> Result<RunReport, NodeError> {
        let run: Run = self.record(id).await?;
        let ended = self.provenance_of(&run).await?;
        let said = ended.as_ref().map(|signed| Provenance::of(&signed.statement)).transpose()?;
        let exit = said.as_ref().map(|said| said.run_details.metadata.exit);
        let bytes = match said.as_ref().and_then(Provenance::log) {
            Some(digest) => self.objects.get(&digest).await?.to_vec(),
            // While it runs, and when it was stopped.
            None => fs::read(self.run_folder(id).join("log.jsonl")).unwrap_or_default(),
        };
        let (log, problem) = run_log::read(id, &bytes);
        let marks = self.marks_of(&run).await?;
        let anchors = self.anchors_of(&run).await?;
        let heads: Vec<AnchoredHead> = anchors.iter().map(|(_, head)| *head).collect();
        let every = said.as_ref().and_then(promised);
        let mut findings = log.compare(&marks);
        // What is still to come is not missing.
        findings.extend(log.compare_anchors(every, &heads));
        findings.extend(problem.map(|problem| Finding::error(problem.code(), id, problem)));
        if exit.is_some() && exit != log.exit {
            let message = "the log does not end as the run is said to";
            findings.push(Finding::error("run.log.unended", id, message));
        }
        let state = match exit {
            None if self.has_kept_ending(id) => RunState::Unpublished,
            None => RunState::Incomplete,
            Some(exit) if exit.is_success() => RunState::Complete,
            Some(_) => RunState::Failed,
        };
        let is_complete = state == RunState::Complete;
        let outputs = ended.filter(|_| is_complete).map(|signed| signed.statement.subject);
        Ok(RunReport {
            run: id,
            state,
            exit,
            entries: log.entries(),
            marks: marks.len() as u64,
            anchors: anchors.len() as u64,
            last: log.last,
            longest_gap: log.longest_gap,
            outputs: outputs.unwrap_or_default(),
            findings,
        })
    }

    /// What a run of a command put out; `None` for a run of the built-in trainer or of another party.
    /// Refused unless the command ended well.
    pub(crate) async fn outputs_of(&self, run: &Run) -> Result<Option<Vec<Subject>>, NodeError> {
        self.sync().await?;
        if self.index.statement(&run.statement.into()).await?.is_none() {
            // Another party's run: what it committed to is not known here.
            return Ok(None);
        }
        let (signed, _) = self.statement(&run.statement.into()).await?;
        let predicate: RunPredicate = signed.statement.predicate(RUN_TYPE)?;
        if predicate.config.get("builder").and_then(|builder| builder.as_str()) != Some(BUILD_TYPE)
        {
            return Ok(None);
        }
        let report = self.run_report(record_id(run)).await?;
        let is_broken = |finding: &&Finding| finding.severity == Severity::Error;
        let state = match (report.state, report.exit, report.findings.iter().find(is_broken)) {
            (RunState::Complete, _, None) => return Ok(Some(report.outputs)),
            (RunState::Failed, Some(exit), _) => format!("failed: its command ended with {exit}"),
            (_, _, Some(finding)) => format!("has a broken log: {}", finding.message),
            (RunState::Unpublished, ..) => {
                format!("ended without its outputs: probity train finish {}", report.run)
            }
            _ => "is not known to have ended".to_owned(),
        };
        Err(NodeError::RunState { run: report.run, state })
    }

    /// What the run's author said of its end, if anything.
    pub(crate) async fn provenance_of(&self, run: &Run) -> Result<Option<Signed>, NodeError> {
        let (id, author) = (record_id(run), PublicKey::Account(run.author));
        let ended = self.statements_of(PROVENANCE_TYPE).await?;
        Ok(ended.into_iter().find(|signed| {
            let said = Provenance::of(&signed.statement);
            let is_its = said.is_ok_and(|said| {
                said.run_details.metadata.invocation_id == id && said.author() == Some(run.author)
            });
            is_its && signed.signers.contains(&author)
        }))
    }

    /// The heads of a run's log that its author signed.
    pub(crate) async fn marks_of(&self, run: &Run) -> Result<Vec<RunMark>, NodeError> {
        let mut marks = Vec::new();
        for digest in self.mark_statements(run).await? {
            let (signed, _) = self.statement(&digest).await?;
            marks.push(signed.statement.predicate(RUN_MARK_TYPE)?);
        }
        Ok(marks)
    }

    /// The heads of a run's log that its author put on chain, with what was put there.
    pub(crate) async fn anchors_of(
        &self,
        run: &Run,
    ) -> Result<Vec<(Anchor, AnchoredHead)>, NodeError> {
        let id = record_id(run);
        let mut found = Vec::new();
        for row in self.index.records("anchor", None, u32::MAX).await? {
            let Ok(anchor) = Self::body::<Anchor>(&row) else { continue };
            if anchor.subject != id || anchor.author != run.author {
                continue;
            }
            let call = Registry::recordOfCall { id: record_id(&anchor) };
            let stored = self.chain().call(self.chain().contracts().registry, &call).await?;
            // One that was only announced is no record.
            if stored.kind != 0 {
                let (entries, head) = (anchor.size, anchor.root.into());
                let time = stored.time.to::<u64>();
                found.push((anchor, AnchoredHead { entries, head, time }));
            }
        }
        Ok(found)
    }

    /// The statements of these marks.
    pub(crate) async fn mark_statements(&self, run: &Run) -> Result<Vec<Digest>, NodeError> {
        let author = PublicKey::Account(run.author).key_id();
        let about = self.index.statements_about(&run.statement.into()).await?;
        let its = about
            .into_iter()
            .filter(|row| row.predicate_type == RUN_MARK_TYPE && row.author == author);
        Ok(its.map(|row| row.digest).collect())
    }
}

/// How often a run that ended had promised heads on chain, in seconds.
fn promised(said: &Provenance) -> Option<u64> {
    said.build_definition.external_parameters.config.get("anchorEvery")?.as_u64()
}

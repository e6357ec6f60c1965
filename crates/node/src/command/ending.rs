//! The end of a run: what it put out is read and published. Where that cannot be read, what is known of
//! the end is kept, and the run is ended when its outputs were put right.

use std::{fs, path::PathBuf};

use alloy_primitives::B256;
use probity_core::{
    Digest,
    clock::rfc3339,
    json,
    keys::SecretKey,
    records::{Run, record_id},
    statement::Statement,
};
use probity_provenance::{
    command::{LOG, PROVENANCE_TYPE, Provenance},
    run_log,
    training::ModelFile,
};

use super::CommandRun;
use crate::{NodeError, Workspace, archive::write_new, folder::hash_folder, workspace::read_file};

/// Largest file of an end, in bytes.
const MAX_ENDING: u64 = 16 << 20;

impl Workspace {
    /// Where a run's files are.
    pub(super) fn run_folder(&self, run: B256) -> PathBuf {
        self.dir().join("runs").join(Digest::from(run).to_string())
    }

    fn ending_file(&self, run: B256) -> PathBuf {
        self.run_folder(run).join("ending.json")
    }

    /// Keeps what is to be said of the end, until it is.
    pub(super) fn keep_ending(&self, run: B256, said: &Provenance) -> Result<(), NodeError> {
        write_new(&self.ending_file(run), &json::canonical(said)?)
    }

    /// Whether a run's command ended without its outputs being published.
    pub(super) fn has_kept_ending(&self, run: B256) -> bool {
        self.ending_file(run).is_file()
    }

    /// Reads the outputs and publishes what was done. Of a failed command the log is the only subject:
    /// what it left behind is no output.
    pub(super) async fn conclude(
        &mut self,
        trainer: &SecretKey,
        said: &Provenance,
    ) -> Result<Vec<ModelFile>, NodeError> {
        let metadata = &said.run_details.metadata;
        let (run, out) =
            (metadata.invocation_id, self.run_folder(metadata.invocation_id).join("out"));
        let read = hash_folder(&out, &[], &|_| {});
        let outputs = if metadata.exit.is_success() {
            read.map_err(|source| NodeError::Outputs { run, source: Box::new(source) })?
        } else {
            read.unwrap_or_default()
        };
        let mut subjects: Vec<(String, Digest)> =
            outputs.iter().map(|file| (file.name.clone(), file.sha256)).collect();
        if !metadata.exit.is_success() || subjects.is_empty() {
            subjects = said.log().map(|log| (LOG.to_owned(), log)).into_iter().collect();
        }
        let statement = Statement::new(PROVENANCE_TYPE, subjects, said)?.sign(&[trainer])?;
        self.publish(&[statement]).await?;
        // It is said now; what was kept would say nothing else.
        drop(fs::remove_file(self.ending_file(run)));
        Ok(outputs)
    }

    /// Ends a run whose command ended and whose outputs could not be read then. Its log must be whole and
    /// as it was signed; that the outputs were read later is part of what is published.
    pub async fn finish_run(
        &mut self,
        trainer: &SecretKey,
        id: B256,
    ) -> Result<CommandRun, NodeError> {
        self.sync().await?;
        let run: Run = self.record(id).await?;
        let refuse = |state: String| NodeError::RunState { run: id, state };
        if run.author != trainer.address()? {
            return Err(refuse(format!("is of `{}`, not of this key's account", run.author)));
        }
        if self.provenance_of(&run).await?.is_some() {
            return Err(refuse("is said to have ended already".to_owned()));
        }
        if !self.has_kept_ending(id) {
            return Err(refuse("is not known to have ended".to_owned()));
        }
        let bytes = read_file(&self.ending_file(id), MAX_ENDING)?;
        let mut said: Provenance = json::decode(&bytes)?;
        let entries = self.check_ending(&run, &said).await.map_err(refuse)?;
        said.run_details.metadata.outputs_read_on = Some(rfc3339(self.now()));
        let outputs = self.conclude(trainer, &said).await?;
        let anchors = self.anchors_of(&run).await?.len() as u64;
        let marks = self.mark_statements(&run).await?.len() as u64;
        let (folder, exit) = (self.run_folder(id).join("out"), said.run_details.metadata.exit);
        Ok(CommandRun { run: id, exit, folder, outputs, entries, marks, anchors })
    }

    /// What was kept of an end is of this run, and its log is the one that was signed. How many entries
    /// the log has, or what is the matter.
    async fn check_ending(&self, run: &Run, said: &Provenance) -> Result<u64, String> {
        let id = record_id(run);
        let metadata = &said.run_details.metadata;
        if metadata.invocation_id != id || said.author() != Some(run.author) {
            return Err("has an end that is another run's".to_owned());
        }
        let broken = |error: NodeError| format!("has a broken log: {error}");
        let bytes = match said.log() {
            Some(digest) => {
                self.objects.get(&digest).await.map_err(|error| broken(error.into()))?
            }
            None => return Err("has an end without a log".to_owned()),
        };
        let (log, problem) = run_log::read(id, &bytes);
        let marks = self.marks_of(run).await.map_err(broken)?;
        let found = log.compare(&marks).into_iter().next().map(|finding| finding.message);
        let problem = problem.map(|problem| problem.to_string()).or(found);
        if let Some(problem) = problem {
            return Err(format!("has a broken log: {problem}"));
        }
        if log.exit != Some(metadata.exit) {
            return Err("has a log that does not end as it is said to".to_owned());
        }
        Ok(log.entries())
    }
}

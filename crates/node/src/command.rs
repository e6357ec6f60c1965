//! Running a command as a training run: committed to before it starts, logged while it runs, and told
//! as SLSA provenance after its end.

mod anchors;
mod ending;
mod machine;
mod plan;
mod process;
mod status;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy_primitives::B256;
use probity_core::{
    Digest,
    clock::rfc3339,
    json::JsonError,
    keys::SecretKey,
    records::{Anchor, Run, record_id},
    statement::Statement,
};
use probity_provenance::{
    command::{
        BUILD_TYPE, BuildDefinition, Builder, CommandConfig, ExternalParameters,
        InternalParameters, LOG, Metadata, Provenance, Resource, RunDetails, builder_id,
    },
    dataset::Manifest,
    run_log::{Exit, RUN_MARK_TYPE, RunMark},
    training::ModelFile,
};

use crate::{NodeError, Workspace, archive::write_new};
use anchors::Anchors;
use process::RunningLog;
pub use status::{RunReport, RunState};

/// What to run.
#[derive(Debug, Clone)]
pub struct CommandPlan {
    /// The dataset's record id.
    pub dataset: B256,
    /// Program and arguments.
    pub command: Vec<String>,
    /// A settings file; TOML is published in full, anything else by its digest.
    pub config: Option<PathBuf>,
    /// The seed; without one, the settings' `seed`, and without that a random one.
    pub seed: Option<u64>,
    /// Variables that the command sees beside the usual ones. Their values are published.
    pub environment: Vec<String>,
    /// Variables that it sees and nobody else.
    pub secrets: Vec<String>,
    /// Files and folders that it reads beside the dataset.
    pub inputs: Vec<PathBuf>,
    /// How often the log's head is signed.
    pub mark_every: Duration,
    /// How often it is put on chain, in whole seconds, beside its start and its end; never without.
    pub anchor_every: Option<Duration>,
}

/// A command that ended.
#[derive(Debug, Clone)]
pub struct CommandRun {
    /// The run's record id.
    pub run: B256,
    /// How it ended.
    pub exit: Exit,
    /// Where its outputs are.
    pub folder: PathBuf,
    /// What they are.
    pub outputs: Vec<ModelFile>,
    /// Entries of its log.
    pub entries: u64,
    /// How many heads of it were signed.
    pub marks: u64,
    /// How many of them are on chain.
    pub anchors: u64,
}

/// What there is to see while a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The run was committed to.
    Committed(B256),
    /// The command wrote a line, with its line end.
    Line(Vec<u8>),
    /// A head of the log could not be put on chain, and why.
    Unanchored(String),
}

/// The places of a run.
struct Places {
    data: PathBuf,
    out: PathBuf,
    config: Option<PathBuf>,
    log: PathBuf,
}

/// What is counted while a command runs.
struct Followed {
    exit: Exit,
    marks: u64,
    anchors: u64,
}

impl Workspace {
    /// Commits to a command with its dataset, settings, seed, environment and inputs on chain, runs it,
    /// logs what it writes, and publishes what came out. A command that fails leaves a run that is said
    /// to have failed; one that is stopped half-way leaves a run that is not said to have ended.
    pub async fn run_command(
        &mut self,
        trainer: &SecretKey,
        plan: &CommandPlan,
        show: &mut (dyn FnMut(Shown) + Send),
    ) -> Result<CommandRun, NodeError> {
        let record = self.dataset(plan.dataset).await?;
        let manifest = self.manifest(&record.manifest.into()).await?;
        let (config, secrets) = plan::commit(plan)?;
        let (id, run, _) = self.commit_config(trainer, plan.dataset, &manifest, &config).await?;
        show(Shown::Committed(id));
        let places = self.prepare(id, plan, &manifest).await?;
        let environment = variables(id, &config, &places);
        let mut log = RunningLog::create(&places.log, id, secrets.values().cloned().collect())?;
        let started = self.now();
        let mut child = process::start(&config, environment, secrets)?;
        let followed = self.follow(trainer, &run, plan, &mut child, &mut log, show).await?;
        let mut about_log = Resource::new(LOG, self.objects.put_file(&places.log).await?.0);
        let (entries, head) = log.head();
        about_log.annotations = BTreeMap::from([
            ("entries".to_owned(), entries.to_string()),
            ("head".to_owned(), head.to_string()),
        ]);
        let build_definition = BuildDefinition {
            build_type: BUILD_TYPE.to_owned(),
            resolved_dependencies: dependencies(&record.manifest.into(), &config),
            internal_parameters: InternalParameters {
                hardware: machine::hardware(),
                changed_inputs: plan::changed_inputs(plan, &config),
            },
            external_parameters: ExternalParameters {
                dataset: plan.dataset,
                config: serde_json::to_value(&config).map_err(JsonError::from)?,
            },
        };
        let metadata = Metadata {
            invocation_id: id,
            started_on: rfc3339(started),
            finished_on: rfc3339(self.now()),
            exit: followed.exit,
            outputs_read_on: None,
        };
        let builder = Builder {
            id: builder_id(self.chain().chain_id(), trainer.address()?),
            version: [("probity".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
        };
        let run_details = RunDetails { builder, metadata, byproducts: vec![about_log] };
        let said = Provenance { build_definition, run_details };
        self.keep_ending(id, &said)?;
        let outputs = self.conclude(trainer, &said).await?;
        let Followed { exit, marks, anchors } = followed;
        Ok(CommandRun { run: id, exit, folder: places.out, outputs, entries, marks, anchors })
    }

    /// Makes the run's folder: the dataset's items, the settings, and an empty folder for the outputs.
    async fn prepare(
        &self,
        run: B256,
        plan: &CommandPlan,
        manifest: &Manifest,
    ) -> Result<Places, NodeError> {
        let folder = self.run_folder(run);
        let folder = std::path::absolute(&folder).map_err(NodeError::file("find", &folder))?;
        let (data, out) = (folder.join("data"), folder.join("out"));
        for dir in [&data.join("items"), &out] {
            fs::create_dir_all(dir).map_err(NodeError::file("make", dir))?;
        }
        write_new(&data.join("manifest.json"), &manifest.to_json()?)?;
        for item in &manifest.items {
            let bytes = self.work(&item.digest).await?;
            let path = data.join("items").join(format!("{:08}", item.index));
            fs::write(&path, &bytes).map_err(NodeError::file("write", &path))?;
        }
        let mut config = None;
        if let Some(path) = &plan.config {
            let copy = folder.join(path.file_name().unwrap_or_default());
            fs::copy(path, &copy).map_err(NodeError::file("copy", path))?;
            config = Some(copy);
        }
        Ok(Places { data, out, config, log: folder.join("log.jsonl") })
    }

    /// Logs what the command writes until it ends, and signs the log's head at the start, at the end and
    /// from time to time; some of these heads go on chain.
    async fn follow(
        &mut self,
        trainer: &SecretKey,
        run: &Run,
        plan: &CommandPlan,
        child: &mut process::Running,
        log: &mut RunningLog,
        show: &mut (dyn FnMut(Shown) + Send),
    ) -> Result<Followed, NodeError> {
        log.started(self.now())?;
        let mut anchors = Anchors::new(self.chain().clone(), trainer.clone(), plan.anchor_every);
        anchors.send(self.mark(trainer, run, log).await?);
        let mut marks = 1;
        let mut ticks = tokio::time::interval(plan.mark_every.max(Duration::from_millis(10)));
        ticks.tick().await;
        let exit = loop {
            tokio::select! {
                happened = child.next() => match happened? {
                    process::Happened::Line(stream, line) => {
                        log.line(self.now(), stream, &line)?;
                        show(Shown::Line(line));
                    }
                    process::Happened::Ended(exit) => break exit,
                },
                next = anchors.next() => match next {
                    Ok(()) => {
                        log.alive(self.now())?;
                        anchors.send(self.mark(trainer, run, log).await?);
                        marks += 1;
                    }
                    Err(failure) => show(Shown::Unanchored(failure)),
                },
                _ = ticks.tick() => {
                    log.alive(self.now())?;
                    self.mark(trainer, run, log).await?;
                    marks += 1;
                }
            }
        };
        log.ended(self.now(), exit)?;
        // One after the other: an account's transactions are in line.
        anchors.settle(show).await;
        anchors.send(self.mark(trainer, run, log).await?);
        anchors.settle(show).await;
        Ok(Followed { exit, marks: marks + 1, anchors: anchors.done() })
    }

    /// Signs the log's head, puts the statement in the statement log, and says what would put the head on
    /// chain.
    async fn mark(
        &mut self,
        trainer: &SecretKey,
        run: &Run,
        log: &mut RunningLog,
    ) -> Result<Anchor, NodeError> {
        log.sync()?;
        let ((entries, head), time) = (log.head(), self.now());
        let author = trainer.address()?;
        let id = record_id(run);
        let mark = RunMark { author, run: id, entries, head, time };
        let subjects = [("run".to_owned(), run.statement.into()), (LOG.to_owned(), head)];
        let envelope = Statement::new(RUN_MARK_TYPE, subjects, &mark)?.sign(&[trainer])?;
        let statement = envelope.payload_digest().into();
        self.publish(&[envelope]).await?;
        Ok(Anchor { subject: id, root: head.into(), size: entries, statement, author })
    }
}

/// What the command sees: the recorded variables and where its files are.
fn variables(run: B256, config: &CommandConfig, places: &Places) -> BTreeMap<String, String> {
    let mut variables = config.environment.clone();
    let text = |path: &Path| path.to_string_lossy().into_owned();
    variables.insert("PROBITY_RUN".to_owned(), run.to_string());
    variables.insert("PROBITY_SEED".to_owned(), config.seed.clone());
    variables.insert("PROBITY_DATA".to_owned(), text(&places.data));
    variables.insert("PROBITY_OUT".to_owned(), text(&places.out));
    if let Some(config) = &places.config {
        variables.insert("PROBITY_CONFIG".to_owned(), text(config));
    }
    variables
}

fn dependencies(manifest: &Digest, config: &CommandConfig) -> Vec<Resource> {
    let mut resources = vec![Resource::new("dataset", *manifest)];
    resources.extend(config.config.iter().map(|file| Resource::new(&file.name, file.sha256)));
    resources.extend(config.inputs.iter().map(|file| Resource::new(&file.name, file.sha256)));
    resources
}

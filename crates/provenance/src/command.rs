//! Runs of any command: what is committed to before the start, and what is said after the end, as SLSA
//! provenance v1 of build type [`BUILD_TYPE`] (`docs/reference/train-run.md`).

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest,
    statement::{DigestSet, Statement, StatementError},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{run_log::Exit, training::ModelFile};

/// Predicate type of SLSA provenance.
pub const PROVENANCE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// Names how a run's parameters are to be read.
pub const BUILD_TYPE: &str = "https://probity.dev/train-run/v1";

/// What somebody commits to before a command starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandConfig {
    /// Always [`BUILD_TYPE`].
    pub builder: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The settings file, if there is one.
    pub config: Option<ConfigFile>,
    /// The seed in decimal: it may exceed what JSON numbers hold.
    pub seed: String,
    /// The variables that the command sees, with their values.
    pub environment: BTreeMap<String, String>,
    /// Variables whose values are told to the command and to nobody else.
    pub secrets: Vec<String>,
    /// Files that it reads beside the dataset.
    pub inputs: Vec<ModelFile>,
    /// Most seconds between two heads of its log that are put on chain; nothing where none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor_every: Option<u64>,
    /// Random: the same command run twice is two runs, also within a second.
    pub nonce: String,
}

/// A settings file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Its name.
    pub name: String,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// What it says, decimals as strings; null where it is not TOML.
    pub parameters: Value,
}

/// SLSA provenance v1. Fields that are not known are ignored, as its specification asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What was to be done.
    pub build_definition: BuildDefinition,
    /// What was done.
    pub run_details: RunDetails,
}

/// SLSA `BuildDefinition`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// [`BUILD_TYPE`].
    pub build_type: String,
    /// What the trainer chose.
    pub external_parameters: ExternalParameters,
    /// What the machine was.
    pub internal_parameters: InternalParameters,
    /// The dataset's manifest, the settings file and the inputs.
    pub resolved_dependencies: Vec<Resource>,
}

/// What the trainer chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalParameters {
    /// Id of the dataset record.
    pub dataset: B256,
    /// [`CommandConfig`], as it was committed to.
    pub config: Value,
}

/// What the machine was, and what happened to the inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InternalParameters {
    /// The machine.
    pub hardware: Hardware,
    /// Inputs that were others when the command had ended.
    #[serde(default)]
    pub changed_inputs: Vec<String>,
}

/// A machine, as its operating system describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hardware {
    /// Operating system and architecture.
    pub platform: String,
    /// The processor's name; empty where it is not known.
    pub processor: String,
    /// How many threads run at once.
    pub threads: u64,
    /// Bytes of memory; zero where it is not known.
    pub memory: u64,
    /// Names of the graphics processors.
    pub accelerators: Vec<String>,
}

/// SLSA `RunDetails`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDetails {
    /// Who ran it.
    pub builder: Builder,
    /// When, and how it ended.
    pub metadata: Metadata,
    /// The log.
    #[serde(default)]
    pub byproducts: Vec<Resource>,
}

/// SLSA `Builder`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    /// The trainer's account (`did:pkh`): nobody else vouches for the run.
    pub id: String,
    /// Programs that recorded it.
    #[serde(default)]
    pub version: BTreeMap<String, String>,
}

/// SLSA `BuildMetadata`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Id of the run record.
    pub invocation_id: B256,
    /// RFC 3339.
    pub started_on: String,
    /// RFC 3339.
    pub finished_on: String,
    /// How the command ended (an extension field, as SLSA names them).
    #[serde(rename = "probity_exit")]
    pub exit: Exit,
    /// RFC 3339: when the outputs were read, where that was done later than at the command's end.
    #[serde(rename = "probity_outputsReadOn", default, skip_serializing_if = "Option::is_none")]
    pub outputs_read_on: Option<String>,
}

/// in-toto `ResourceDescriptor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: DigestSet,
    /// More about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Resource {
    /// A resource without annotations.
    pub fn new(name: &str, sha256: Digest) -> Self {
        let digest = DigestSet { sha256 };
        Self { name: name.to_owned(), digest, annotations: BTreeMap::new() }
    }
}

/// Name of the log among the byproducts.
pub const LOG: &str = "log";

impl Provenance {
    /// Reads the provenance that a statement holds.
    pub fn of(statement: &Statement) -> Result<Self, StatementError> {
        statement.predicate(PROVENANCE_TYPE)
    }

    /// Who ran the command.
    pub fn author(&self) -> Option<Address> {
        self.run_details.builder.id.rsplit(':').next()?.parse().ok()
    }

    /// The log's digest.
    pub fn log(&self) -> Option<Digest> {
        let log = self.run_details.byproducts.iter().find(|resource| resource.name == LOG);
        log.map(|log| log.digest.sha256)
    }
}

/// How SLSA names an account as a builder.
pub fn builder_id(chain_id: u64, account: Address) -> String {
    format!("did:pkh:eip155:{chain_id}:{account}")
}

/// Whether a name of a variable says that its value is a secret.
///
/// ```
/// use probity_provenance::command::is_secret;
/// assert!(is_secret("HF_TOKEN") && is_secret("aws_secret_access_key"));
/// assert!(!is_secret("OMP_NUM_THREADS") && !is_secret("PYTHONHASHSEED"));
/// ```
pub fn is_secret(name: &str) -> bool {
    let words = ["KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL", "AUTH", "COOKIE", "SESSION"];
    let name = name.to_ascii_uppercase();
    words.iter().any(|word| name.contains(word))
}

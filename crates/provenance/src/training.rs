//! Training runs, committed before they start, and the checkpoints that come out.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest,
    json::{self, JsonError},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Predicate type of a run's commitment. Its subject is the configuration.
pub const RUN_TYPE: &str = "https://probity.dev/run/v1";
/// Predicate type of a checkpoint. Its subjects are the files.
pub const CHECKPOINT_TYPE: &str = "https://probity.dev/checkpoint/v1";
/// Predicate type of a model. Its subject is its name.
pub const MODEL_TYPE: &str = "https://probity.dev/model/v1";

/// What a trainer commits to before the first step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunPredicate {
    /// Who trains.
    pub author: Address,
    /// Id of the dataset record.
    pub dataset: B256,
    /// Digest of the dataset's manifest.
    pub manifest: Digest,
    /// What runs: `builder` names program and version, the rest is its configuration and seed.
    pub config: Value,
    /// When it was signed, Unix seconds.
    pub time: u64,
}

impl RunPredicate {
    /// What the run record commits to: the digest of the configuration.
    pub fn commitment(&self) -> Result<Digest, JsonError> {
        json::canonical_digest(&self.config)
    }
}

/// What a trainer says about the outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckpointPredicate {
    /// Who trained.
    pub author: Address,
    /// Id of the model record.
    pub model: B256,
    /// Id of the run record.
    pub run: B256,
    /// Id of the dataset record.
    pub dataset: B256,
    /// Digest of the file listing ([`files_digest`]).
    pub digest: Digest,
    /// Measured results, decimals as strings (for example `heldOutAccuracy`).
    pub metrics: BTreeMap<String, String>,
    /// The OpenSSF signature of the same files, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<ModelSignature>,
    /// When it was signed, Unix seconds.
    pub time: u64,
}

/// A signature of a checkpoint's files ([`model_signing`](crate::model_signing)). The account that
/// names it vouches for its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSignature {
    /// [`PublicKey::key_id`](probity_core::keys::PublicKey::key_id) of the key.
    pub key: String,
    /// Digest of the bundle.
    pub sha256: Digest,
}

/// What an owner says about a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelPredicate {
    /// The owner.
    pub author: Address,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
}

/// One file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Path within the checkpoint, `/`-separated.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// Digest of the bytes.
    pub sha256: Digest,
}

/// Longest path within a checkpoint, in bytes.
const MAX_PATH: usize = 1024;

/// Whether a text names a file within a folder, the same on every system: relative, `/`-separated,
/// without `.`, `..`, empty parts, back slashes or control characters.
///
/// ```
/// use probity_provenance::training::is_path;
/// assert!(is_path("weights/part-1.safetensors"));
/// assert!(!is_path("../secret") && !is_path("/etc/passwd") && !is_path("a//b"));
/// ```
pub fn is_path(name: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && c != '\\';
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    name.len() <= MAX_PATH && name.chars().all(is_plain) && name.split('/').all(is_part)
}

/// The digest of a checkpoint: over the canonical listing of names, sizes and digests, sorted by
/// name, so that a renamed file is another checkpoint.
pub fn files_digest(files: &[ModelFile]) -> Result<Digest, JsonError> {
    let mut sorted: Vec<&ModelFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    json::canonical_digest(&sorted)
}

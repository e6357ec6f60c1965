//! Proofs of inference as evidence: whose key is whose, and what was proved under it.
//!
//! Verifying a proof and deriving a key from files are other rooms' subjects: whoever audits brings
//! them along as [`Checks`].

use alloy_primitives::{Address, B256};
use probity_core::{Digest, Finding};
use serde::{Deserialize, Serialize};

/// Predicate type of a model key: how it follows from a checkpoint's files. Its subjects are the
/// checkpoint's file, the key and the calibration samples.
pub const MODEL_KEY_TYPE: &str = "https://probity.dev/model-key/v1";
/// Predicate type of a proved inference. Its subjects are the proof's file, inputs and outputs.
pub const INFERENCE_TYPE: &str = "https://probity.dev/inference/v1";
/// What no proof of inference shows, whatever else it does.
pub const NOT_SHOWN: &str =
    "that the integer model is as accurate as the float one, that its data was lawful, any secrecy";

/// Most bytes of calibration samples that bundles hold.
pub const MAX_CALIBRATION: u64 = 16 << 20;
/// Most proofs that bundles hold: each takes milliseconds to check.
pub const MAX_PROOFS: usize = 256;

/// What the author of a checkpoint says about a key of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelKeyPredicate {
    /// Who says so.
    pub author: Address,
    /// Id of the model record.
    pub model: B256,
    /// Id of the checkpoint record.
    pub checkpoint: B256,
    /// The checkpoint's digest.
    pub digest: Digest,
    /// The checkpoint's file that was quantised.
    pub file: String,
    /// The key.
    pub key: KeyReference,
    /// How it follows from the file.
    pub quantisation: Quantisation,
    /// When it was signed, Unix seconds.
    pub time: u64,
}

/// A key's bytes, by both digests: the chain has the one, objects are named by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyReference {
    /// Keccak-256: the model's id in proofs.
    pub keccak256: B256,
    /// SHA-256.
    pub sha256: Digest,
}

/// Everything beside the model's file that a key follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quantisation {
    /// The procedure; another one makes another key of the same files.
    pub procedure: String,
    /// The samples that the ranges of the integers are taken from.
    pub calibration: SamplesReference,
    /// Largest feature of the built-in trainer's models.
    pub feature_max: u32,
}

/// A file of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplesReference {
    /// Digest of the bytes.
    pub sha256: Digest,
    /// Their number.
    pub size: u64,
}

/// What whoever ran a model says about a proof. The proof says the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InferencePredicate {
    /// Who ran it.
    pub author: Address,
    /// Id of the model record.
    pub model: B256,
    /// Id of the model key's record.
    pub model_key: B256,
    /// What was proved.
    pub proved: Proved,
    /// When it was signed, Unix seconds.
    pub time: u64,
}

/// What a proof shows: the model with this key maps inputs to outputs, in a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proved {
    /// Keccak-256 of the key.
    pub key: B256,
    /// What the proof is for: a job, a dispute.
    pub context: B256,
    /// Number of inputs.
    pub batch: u32,
    /// Keccak-256 of the inputs, a byte each.
    pub input: B256,
    /// Keccak-256 of the outputs, eight bytes each.
    pub output: B256,
}

/// A proof that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holds {
    /// What it shows.
    pub proved: Proved,
    /// SHA-256 of the inputs' and the outputs' bytes, as a statement about them names them.
    pub subjects: [Digest; 2],
}

/// What came of deriving a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Derivation {
    /// The key's Keccak-256.
    Key(B256),
    /// Nothing: the procedure is not known here, or it would take too long.
    NotTried(String),
    /// No key follows from these files.
    Failed(String),
}

/// Verifies a proof's file under a key's bytes.
pub type Verify<'a> = &'a dyn Fn(&[u8], &[u8]) -> Result<Holds, Vec<Finding>>;
/// Derives a key from a model's file and calibration samples.
pub type Derive<'a> = &'a dyn Fn(&[u8], &[u8], &Quantisation) -> Derivation;

/// The checks that this room does not hold. Both are total on any bytes.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    /// Verifies a proof.
    pub verify: Verify<'a>,
    /// Derives a key.
    pub derive: Derive<'a>,
}

impl std::fmt::Debug for Checks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checks").finish_non_exhaustive()
    }
}

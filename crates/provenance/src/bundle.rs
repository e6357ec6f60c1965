//! An evidence bundle: a set of named files that tells all about one model, checkable offline.
//!
//! | File | What |
//! |---|---|
//! | `bundle.json` | what the bundle is about, and every other file's size and digest |
//! | `bundle.dsse.json` | the exporter's signature over `bundle.json` |
//! | `records.json` | the on-chain records in full; their ids are their hashes |
//! | `chain/header.rlp`, `chain/state.json` | a block header and storage proofs against it |
//! | `statements/DIGEST.json` | signed statements (DSSE) |
//! | `log/checkpoint`, `log/inclusion/NUMBER.json` | the log's signed checkpoint and inclusion proofs |
//! | `manifests/DIGEST.json`, `deny-lists/DIGEST.json` | the dataset versions and the opt-out lists they were checked against |
//! | `reservations/DIGEST` | documents that opt-outs rest on |
//! | `payouts/TOKEN-EPOCH.json` | payout computations |
//! | `model/NAME` | the checkpoint's files |
//! | `model.json` | their listing, where the files themselves are left out |
//! | `model.sig` | their OpenSSF signature |
//! | `model-keys/KEY.pzk`, `calibration/DIGEST` | keys of quantised models, and the samples they follow from |
//! | `proofs/STATEMENT.json` | proofs of inference |
//! | `runs/ID.log` | what the commands of its runs wrote |

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest, Finding,
    dsse::Envelope,
    json::{self, JsonError},
    keys::{PublicKey, SecretKey},
    log::InclusionProof,
    records::{Anchor, Checkpoint, Content, Dataset, Model, ModelKey, OptOut, Run},
    statement::{self, Statement, StatementError},
};
use serde::{Deserialize, Serialize};

/// Name of the format.
pub const FORMAT: &str = "probity-bundle/1";
/// Predicate type of the exporter's signature.
pub const BUNDLE_TYPE: &str = "https://probity.dev/bundle/v1";
/// The index.
pub const INDEX: &str = "bundle.json";
/// The signature over the index.
pub const SIGNATURE: &str = "bundle.dsse.json";
/// The records.
pub const RECORDS: &str = "records.json";
/// RLP of the block header.
pub const HEADER: &str = "chain/header.rlp";
/// Storage proofs.
pub const STATE: &str = "chain/state.json";
/// The log's signed checkpoint.
pub const LOG_CHECKPOINT: &str = "log/checkpoint";
/// Folder of the signed statements, named by their digest.
pub const STATEMENTS: &str = "statements/";
/// Folder of the payout computations.
pub const PAYOUTS: &str = "payouts/";
/// Folder of the checkpoint's files.
pub const MODEL: &str = "model/";

/// The listing of the checkpoint's files, where they are left out: its digest is the checkpoint's.
pub const LISTING: &str = "model.json";
/// The OpenSSF signature of the checkpoint's files.
pub const MODEL_SIGNATURE: &str = "model.sig";

/// Most files of a bundle.
pub const MAX_FILES: usize = 250_000;
/// Largest index, in bytes: as many files, each with a name of a hundred characters.
pub const MAX_INDEX: usize = 64 << 20;
/// Most inclusion proofs in one file. Even the longest fit into the JSON that decoders accept.
pub const INCLUSIONS_PER_FILE: usize = 2_048;

/// Where a part of the inclusion proofs is, counted from 0.
pub fn inclusions_name(part: usize) -> String {
    format!("log/inclusion/{part:04}.json")
}

/// Where the log of a run is, by its record id.
pub fn run_log_name(run: B256) -> String {
    format!("runs/{}.log", Digest::from(run))
}

/// Where a model key is, by its Keccak-256.
pub fn model_key_name(key: B256) -> String {
    format!("model-keys/{}.pzk", Digest::from(key))
}

/// Folder of the calibration samples, named by their digest.
pub const CALIBRATION: &str = "calibration/";

/// Where calibration samples are.
pub fn calibration_name(samples: &Digest) -> String {
    format!("{CALIBRATION}{samples}")
}

/// Where a proof of inference is, by the digest of the statement about it.
pub fn proof_name(statement: &Digest) -> String {
    format!("proofs/{statement}.json")
}

/// Where a manifest is.
pub fn manifest_name(digest: &Digest) -> String {
    format!("manifests/{digest}.json")
}

/// Where a document is that an opt-out rests on.
pub fn reservation_name(digest: &Digest) -> String {
    format!("reservations/{digest}")
}

/// Where an opt-out list is: the opted-out digests, ascending, by their commitment.
pub fn deny_list_name(commitment: &Digest) -> String {
    format!("deny-lists/{commitment}.json")
}

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// `bundle.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Index {
    /// [`FORMAT`].
    pub format: String,
    /// The model it is about.
    pub model: B256,
    /// The chain it is about.
    pub chain: ChainReference,
    /// The log it is about.
    pub log: LogReference,
    /// When it was exported, Unix seconds.
    pub time: u64,
    /// Every other file but the signature.
    pub files: BTreeMap<String, FileReference>,
}

/// Which chain, which contracts, which block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChainReference {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// `Registry`.
    pub registry: Address,
    /// `Challenges`.
    pub challenges: Address,
    /// `Payouts`.
    pub payouts: Address,
    /// Height of the block whose state is proved.
    pub block: u64,
    /// Its hash.
    pub block_hash: B256,
    /// Vaults of the model's pools, by token.
    pub vaults: BTreeMap<Address, Address>,
}

/// Which log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogReference {
    /// Origin line of its checkpoints.
    pub origin: String,
    /// Its verifier key (C2SP signed-note `vkey`).
    pub key: String,
}

/// What the index says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileReference {
    /// Length in bytes.
    pub size: u64,
    /// Digest of the bytes.
    pub sha256: Digest,
}

/// `records.json`: records in full.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Records {
    /// Contents that were registered one by one.
    pub contents: Vec<Content>,
    /// Opt-outs.
    pub opt_outs: Vec<OptOut>,
    /// Merkle roots of batches and lists.
    pub anchors: Vec<Anchor>,
    /// Dataset versions, oldest first.
    pub datasets: Vec<Dataset>,
    /// Runs.
    pub runs: Vec<Run>,
    /// The model.
    pub models: Vec<Model>,
    /// Its checkpoints, oldest first.
    pub checkpoints: Vec<Checkpoint>,
    /// Checkpoints of other models that its own were made from, directly or not.
    pub ancestors: Vec<Checkpoint>,
    /// Keys of their quantised models.
    pub model_keys: Vec<ModelKey>,
    /// Items that challenges removed.
    pub removals: Vec<Removal>,
}

/// An item that a challenge removed from a dataset version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// Dataset record.
    pub dataset: B256,
    /// Position in it.
    pub index: u64,
}

/// Most dataset versions, runs, checkpoints or keys of one model that are looked at.
const MAX_VERSIONS: usize = 256;

impl Records {
    /// Whether checking them all would take more than anybody should spend on a stranger's bundle.
    pub(crate) fn is_excessive(&self) -> bool {
        let versions = [
            self.datasets.len(),
            self.runs.len(),
            self.models.len(),
            self.checkpoints.len(),
            self.ancestors.len(),
            self.model_keys.len(),
        ];
        versions.iter().any(|count| *count > MAX_VERSIONS)
    }

    /// The model's checkpoints and those that they were made from.
    pub fn lineage(&self) -> impl Iterator<Item = &Checkpoint> {
        self.checkpoints.iter().chain(&self.ancestors)
    }

    /// Positions of the items removed from a dataset version.
    pub fn removed_from(&self, dataset: B256) -> Vec<u64> {
        let of = self.removals.iter().filter(|removal| removal.dataset == dataset);
        of.map(|removal| removal.index).collect()
    }
}

/// Inclusion proofs by statement digest, in files of at most [`INCLUSIONS_PER_FILE`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inclusions(pub BTreeMap<Digest, InclusionProof>);

impl Inclusions {
    /// The proofs of a bundle: every part up to the first number that is not there. Refused where a
    /// part is malformed, or has fewer proofs than fit before another, or is not in order.
    ///
    /// # Errors
    /// The part's name and what is wrong with it.
    pub fn read(files: &Files) -> Result<Self, (String, InclusionsError)> {
        let mut all = BTreeMap::new();
        for (part, name) in inclusion_files(files).enumerate() {
            let bytes = files.get(&name).map(Vec::as_slice).unwrap_or_default();
            let proofs: BTreeMap<Digest, InclusionProof> = match json::decode(bytes) {
                Ok(proofs) => proofs,
                Err(error) => return Err((name, error.into())),
            };
            let (last, first) = (all.keys().next_back(), proofs.keys().next());
            let is_after = last < first;
            let is_place = all.len() == part * INCLUSIONS_PER_FILE && (part == 0 || is_after);
            if !is_place || proofs.len() > INCLUSIONS_PER_FILE {
                return Err((name, InclusionsError::Order));
            }
            all.extend(proofs);
        }
        Ok(Self(all))
    }

    /// Puts the proofs into a bundle's files, in place of those that are there.
    pub fn write(&self, files: &mut Files) -> Result<(), JsonError> {
        let before: Vec<String> = inclusion_files(files).collect();
        for name in before {
            files.remove(&name);
        }
        let all: Vec<(&Digest, &InclusionProof)> = self.0.iter().collect();
        let mut parts: Vec<&[_]> = all.chunks(INCLUSIONS_PER_FILE).collect();
        if parts.is_empty() {
            // Also where there is no statement a file says so.
            parts.push(&[]);
        }
        for (part, proofs) in parts.into_iter().enumerate() {
            let proofs: BTreeMap<_, _> = proofs.iter().copied().collect();
            files.insert(inclusions_name(part), json::canonical(&proofs)?);
        }
        Ok(())
    }
}

/// Why a file of inclusion proofs is refused.
#[derive(Debug, thiserror::Error)]
pub enum InclusionsError {
    /// Not such a file.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Not the part that its number says.
    #[error("its proofs are not those that follow the part before it")]
    Order,
}

/// Names of the files of inclusion proofs that follow each other in a bundle.
pub(crate) fn inclusion_files(files: &Files) -> impl Iterator<Item = String> {
    (0..).map(inclusions_name).take_while(|name| files.contains_key(name))
}

/// What the exporter signs besides the index's digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundlePredicate {
    /// Who exported it.
    pub exporter: Address,
}

/// Adds index and signature to a bundle's files.
pub fn seal(mut index: Index, mut files: Files, key: &SecretKey) -> Result<Files, StatementError> {
    let reference =
        |bytes: &Vec<u8>| FileReference { size: bytes.len() as u64, sha256: Digest::of(bytes) };
    index.files = files.iter().map(|(name, bytes)| (name.clone(), reference(bytes))).collect();
    let bytes = json::canonical(&index)?;
    let exporter = key.address().map_err(probity_core::dsse::DsseError::from)?;
    let subject = [(INDEX.to_owned(), Digest::of(&bytes))];
    let statement = Statement::new(BUNDLE_TYPE, subject, &BundlePredicate { exporter })?;
    files.insert(SIGNATURE.to_owned(), statement.sign(&[key])?.to_json()?);
    files.insert(INDEX.to_owned(), bytes);
    Ok(files)
}

/// A bundle whose files are what its exporter signed.
#[derive(Debug)]
pub struct Sealed<'a> {
    /// The index.
    pub index: Index,
    /// Who signed it.
    pub exporter: Address,
    /// All files.
    pub files: &'a Files,
}

/// Checks index, signature and every file; names each file that does not fit.
pub fn unseal(files: &Files) -> Result<Sealed<'_>, Vec<Finding>> {
    let one = |code, name, message: String| vec![Finding::error(code, name, message)];
    let Some(bytes) = files.get(INDEX) else {
        return Err(one("bundle.file.missing", INDEX, "the bundle has no index".to_owned()));
    };
    let exporter = exporter(files, bytes)?;
    let index: Index = json::decode_within(bytes, MAX_INDEX)
        .map_err(|error| one("bundle.index.malformed", INDEX, error.to_string()))?;
    if index.format != FORMAT {
        let message = format!("expected format `{FORMAT}`, got `{}`", index.format);
        return Err(one("bundle.format.unknown", INDEX, message));
    }
    let findings = check_files(&index, files);
    if findings.is_empty() { Ok(Sealed { index, exporter, files }) } else { Err(findings) }
}

fn exporter(files: &Files, index: &[u8]) -> Result<Address, Vec<Finding>> {
    let refuse = |code, message: String| vec![Finding::error(code, SIGNATURE, message)];
    let bytes = files
        .get(SIGNATURE)
        .ok_or_else(|| refuse("bundle.file.missing", "the bundle is not signed".to_owned()))?;
    let signed = statement::open(bytes)
        .map_err(|error| refuse("bundle.signature.malformed", error.to_string()))?;
    // One spelling only: unsigned bytes around the signature must not change unnoticed.
    let canonical = Envelope::from_json(bytes).and_then(|envelope| envelope.to_json());
    if !canonical.is_ok_and(|canonical| canonical == *bytes) {
        let message = "the envelope is not in canonical form".to_owned();
        return Err(refuse("bundle.signature.malformed", message));
    }
    if !signed.findings.is_empty() {
        return Err(signed.findings);
    }
    let predicate: BundlePredicate = signed
        .statement
        .predicate(BUNDLE_TYPE)
        .map_err(|error| refuse("bundle.signature.malformed", error.to_string()))?;
    if signed.signers != [PublicKey::Account(predicate.exporter)] {
        let message = format!("`{}` did not sign it", predicate.exporter);
        return Err(refuse("bundle.signature.invalid", message));
    }
    let subjects = signed.statement.subject.iter().map(|subject| subject.digest.sha256);
    if !subjects.eq([Digest::of(index)]) {
        let message = "the index is not the one that was signed".to_owned();
        return Err(vec![Finding::error("bundle.file.changed", INDEX, message)]);
    }
    Ok(predicate.exporter)
}

fn check_files(index: &Index, files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, reference) in &index.files {
        match files.get(name) {
            None => findings.push(Finding::error(
                "bundle.file.missing",
                name,
                "the index names it, the bundle lacks it",
            )),
            Some(bytes)
                if bytes.len() as u64 != reference.size
                    || Digest::of(bytes) != reference.sha256 =>
            {
                findings.push(Finding::error(
                    "bundle.file.changed",
                    name,
                    "its bytes are not those the index names",
                ));
            }
            Some(_) => {}
        }
    }
    for name in files.keys().filter(|name| *name != INDEX && *name != SIGNATURE) {
        if !index.files.contains_key(name) {
            findings.push(Finding::error(
                "bundle.file.unknown",
                name,
                "the index does not name it",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proofs(count: u64) -> Inclusions {
        let proof = |index| InclusionProof { index, size: count, path: vec![Digest::of(b"x")] };
        let all = (0..count).map(|index| (Digest::of(&index.to_le_bytes()), proof(index)));
        Inclusions(all.collect())
    }

    #[test]
    fn inclusion_proofs_are_split_and_read_again() {
        let full = INCLUSIONS_PER_FILE as u64;
        for (count, parts) in [(0, 1), (1, 1), (full, 1), (full + 1, 2), (2 * full + 7, 3)] {
            // Nothing of what was there before stays.
            let mut files =
                Files::from([(inclusions_name(0), vec![]), (inclusions_name(1), vec![])]);
            proofs(count).write(&mut files).unwrap();
            assert_eq!(files.len(), parts, "{count}");
            assert_eq!(Inclusions::read(&files).unwrap(), proofs(count));
        }
    }

    #[test]
    fn parts_that_were_changed_swapped_shortened_or_dropped_are_refused() {
        let mut files = Files::new();
        proofs(2 * INCLUSIONS_PER_FILE as u64 + 7).write(&mut files).unwrap();
        let refused = |files: &Files, part: usize| {
            let (name, _) = Inclusions::read(files).unwrap_err();
            assert_eq!(name, inclusions_name(part));
        };
        let part = |number: usize| files[&inclusions_name(number)].clone();
        let mut swapped = files.clone();
        swapped.insert(inclusions_name(0), part(1));
        swapped.insert(inclusions_name(1), part(0));
        refused(&swapped, 1);
        let mut short = files.clone();
        short.insert(inclusions_name(1), b"{}".to_vec());
        refused(&short, 1);
        let mut early = files.clone();
        early.insert(inclusions_name(0), part(2));
        refused(&early, 1);
        let mut long = files.clone();
        let more = proofs(INCLUSIONS_PER_FILE as u64 + 1);
        long.insert(inclusions_name(0), json::canonical(&more.0).unwrap());
        refused(&long, 0);
        let mut malformed = files.clone();
        malformed.insert(inclusions_name(2), b"{".to_vec());
        refused(&malformed, 2);
        // Without the middle, what follows is no part of it, and the audit finds it unused.
        let mut dropped = files.clone();
        dropped.remove(&inclusions_name(1));
        assert_eq!(Inclusions::read(&dropped).unwrap().0.len(), INCLUSIONS_PER_FILE);
        assert_eq!(inclusion_files(&dropped).count(), 1);
    }
}

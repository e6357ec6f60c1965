//! Folders of model files and their signatures.

use std::{fs, path::Path};

use probity_core::{
    Finding,
    keys::{PublicKey, SecretKey},
};
use probity_provenance::{
    model_signing::{self, GIT_PATHS, SignedModel},
    training::{ModelFile, is_path},
};

use crate::{NodeError, folder::hash_folder, workspace::read_file};

/// A signed folder.
#[derive(Debug, Clone)]
pub struct SignedFolder {
    /// What was signed.
    pub files: Vec<ModelFile>,
    /// The signature (a Sigstore bundle), as it is in its file.
    pub signature: Vec<u8>,
}

/// Signs a folder's files and writes the signature, which is new, to `output`. Neither it, nor what
/// Git keeps, nor what is under the `ignored` paths is part of the model.
pub fn sign_folder(
    dir: &Path,
    output: &Path,
    ignored: &[String],
    key: &SecretKey,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<SignedFolder, NodeError> {
    if output.exists() {
        return Err(NodeError::Exists(output.to_owned()));
    }
    let files = model_files(dir, output, ignored, progress)?;
    sign_files(dir, output, ignored, files, key)
}

/// Signs files that were hashed already.
pub(crate) fn sign_files(
    dir: &Path,
    output: &Path,
    ignored: &[String],
    files: Vec<ModelFile>,
    key: &SecretKey,
) -> Result<SignedFolder, NodeError> {
    let left_out = left_out(dir, output, ignored);
    let signature = model_signing::sign(&name_of(dir), &files, &left_out, key)?;
    crate::archive::write_new(output, &signature)?;
    Ok(SignedFolder { files, signature })
}

/// Checks a folder against a signature by `key`: what was signed, if the signature holds, and what is
/// wrong.
pub fn verify_folder(
    dir: &Path,
    signature: &Path,
    key: &PublicKey,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Option<SignedModel>, Vec<Finding>), NodeError> {
    let bundle = read_file(signature, model_signing::MAX_SIGNATURE_BYTES as u64)?;
    let signed = match model_signing::open(&bundle, key) {
        Ok(signed) => signed,
        Err(findings) => return Ok((None, findings)),
    };
    let files = model_files(dir, signature, &signed.ignored, progress)?;
    let mut findings = signed.compare(&files);
    let own = within(dir, signature);
    for path in &signed.ignored {
        let is_usual = GIT_PATHS.contains(&path.as_str()) || own.as_ref() == Some(path);
        if !is_usual && is_path(path) && dir.join(path).exists() {
            let message = "it is there, and the signer says that it is no part of the model";
            findings.push(Finding::warning("oms.path.ignored", path, message));
        }
    }
    Ok((Some(signed), findings))
}

/// A model's files: what is in its folder but the signature, what Git keeps, and the ignored paths.
pub(crate) fn model_files(
    dir: &Path,
    signature: &Path,
    ignored: &[String],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<ModelFile>, NodeError> {
    hash_folder(dir, &left_out(dir, signature, ignored), progress)
}

fn left_out(dir: &Path, signature: &Path, ignored: &[String]) -> Vec<String> {
    let plain = |path: &String| path.trim_start_matches("./").trim_end_matches('/').to_owned();
    let mut paths: Vec<String> = ignored.iter().map(plain).collect();
    paths.extend(within(dir, signature));
    paths.extend(GIT_PATHS.map(str::to_owned));
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// The path of a file within a folder, if it is in it.
fn within(dir: &Path, file: &Path) -> Option<String> {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
    let inner = folder.join(file.file_name()?);
    let path = inner.strip_prefix(dir.canonicalize().ok()?).ok()?;
    path.to_str().map(str::to_owned)
}

/// A folder's name, for people.
fn name_of(dir: &Path) -> String {
    let whole = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    whole.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

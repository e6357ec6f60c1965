//! `probity model sign` and `verify`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use probity_core::{Severity, keys::PublicKey};
use probity_node::{Workspace, sign_folder, verify_folder};
use probity_provenance::{model_signing::SIGNATURE_FILE, training::files_digest};
use serde_json::json;

use crate::{args::Signer, audit, output, settings};

pub(super) fn sign(
    dir: &Path,
    output: Option<PathBuf>,
    ignore: &[String],
    signer: &Signer,
    json: bool,
) -> anyhow::Result<bool> {
    let keyring = Workspace::keyring_in(&signer.folder.dir)?;
    let key = keyring.unlock(&signer.key, &output::passphrase(&signer.passphrase)?)?;
    let output = output.unwrap_or_else(|| dir.join(SIGNATURE_FILE));
    let bar = output::bytes_bar("hashing");
    let signed = sign_folder(dir, &output, ignore, &key, &|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    let digest = files_digest(&signed.files)?;
    if json {
        let key = key.public()?.key_id();
        output::json(&json!({
            "signature": output, "key": key, "digest": digest, "files": signed.files,
        }))?;
    } else {
        output::line(output.display())?;
        output::say(format!("{} files of digest {digest}", signed.files.len()));
    }
    Ok(true)
}

pub(super) fn verify(
    dir: &Path,
    signature: Option<PathBuf>,
    public_key: &Path,
    json: bool,
) -> anyhow::Result<bool> {
    let pem = String::from_utf8(settings::read(public_key)?)
        .with_context(|| format!("`{}` is not text", public_key.display()))?;
    let key = PublicKey::from_pem(&pem)
        .with_context(|| format!("`{}` holds no public key in PEM", public_key.display()))?;
    let signature = signature.unwrap_or_else(|| dir.join(SIGNATURE_FILE));
    let bar = output::bytes_bar("hashing");
    let (signed, findings) = verify_folder(dir, &signature, &key, &|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    let holds = findings.iter().all(|finding| finding.severity < Severity::Error);
    if json {
        let files = signed.map(|signed| signed.files);
        output::json(&json!({ "holds": holds, "files": files, "findings": findings }))?;
        return Ok(holds);
    }
    audit::findings(&findings)?;
    if holds {
        let count = signed.map_or(0, |signed| signed.files.len());
        output::line(format!("{count} files are as `{}` signed them", key.key_id()))?;
    }
    Ok(holds)
}

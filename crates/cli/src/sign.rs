//! `probity content sign`.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use probity_core::{
    Clock as _, Digest, SystemClock,
    dsse::Envelope,
    keys::{KeyType, SecretKey},
    licence::LicenceTerms,
    money::Bps,
};
use probity_node::{NodeError, Workspace};
use probity_provenance::{
    content::{Batch, ContentPredicate, Payee},
    media_type::MediaType,
    sidecar::SUFFIX,
};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::{
    args::SignContent,
    content::agreed,
    media::{self, Credentials},
    output::{self, say},
    settings,
};

pub(crate) fn run(args: &SignContent, json: bool) -> anyhow::Result<bool> {
    let (terms, payees) = agreed(&args.terms)?;
    let credentials = media::credentials(args)?;
    let targets = targets(args)?;
    let key = unlock(args)?;
    let author = key.address()?;
    let signing = Signing {
        payees: payees.unwrap_or_else(|| vec![Payee { account: author, bps: Bps::WHOLE }]),
        terms,
        key,
        credentials,
    };
    let is_new = !args.out.exists();
    let reports = signing.all(&args.out, &targets).inspect_err(|_| {
        if is_new {
            // Not there before, and empty: only an empty folder can be removed so.
            drop(fs::remove_dir(&args.out));
        }
    })?;
    if json {
        output::json(&reports)?;
        return Ok(true);
    }
    for report in &reports {
        output::line(report["output"].as_str().unwrap_or_default())?;
    }
    if args.development_cert {
        say("warning: the certificate was made on the spot; it shows nothing about who signed");
    }
    Ok(true)
}

struct Target {
    path: PathBuf,
    is_sidecar: bool,
}

/// Where each work's copy or sidecar goes. Nothing may be there, and no two may meet.
fn targets(args: &SignContent) -> anyhow::Result<Vec<(PathBuf, Target)>> {
    let mut taken = BTreeSet::new();
    let mut targets = Vec::new();
    for file in &args.files {
        let bytes = settings::read(file)?;
        let kind = MediaType::of(&bytes);
        let extension = file.extension().unwrap_or_default().to_string_lossy();
        if let (None, Some(expected), false) =
            (kind, MediaType::of_extension(&extension), args.sidecar)
        {
            bail!("`{}` is named as {expected}, and is none", file.display());
        }
        let is_sidecar = args.sidecar || kind.is_none();
        ensure!(
            is_sidecar || !media::IS_SUPPORTED || args.cert.is_some() || args.development_cert,
            "the manifest of `{}` needs a certificate: --cert with --cert-key, or \
             --development-cert; --sidecar signs without",
            file.display()
        );
        if !is_sidecar && !media::IS_SUPPORTED {
            return Err(media::Unsupported.into());
        }
        let mut name = file.file_name().map(OsString::from).unwrap_or_default();
        if is_sidecar {
            name.push(SUFFIX);
        }
        let path = args.out.join(name);
        if path.exists() {
            return Err(NodeError::Exists(path).into());
        }
        ensure!(taken.insert(path.clone()), "two works would be written to `{}`", path.display());
        targets.push((file.clone(), Target { path, is_sidecar }));
    }
    Ok(targets)
}

fn unlock(args: &SignContent) -> anyhow::Result<SecretKey> {
    let ring = Workspace::keyring_in(&args.folder.dir)?;
    let key = ring.unlock(&args.key, &output::passphrase(&args.passphrase)?)?;
    if key.kind() != KeyType::Secp256k1 {
        return Err(NodeError::KeyType(args.key.clone()).into());
    }
    Ok(key)
}

/// What all works of a command are signed with.
struct Signing {
    terms: LicenceTerms,
    payees: Vec<Payee>,
    key: SecretKey,
    credentials: Option<Credentials>,
}

impl Signing {
    /// Writes all or nothing.
    fn all(&self, out: &Path, targets: &[(PathBuf, Target)]) -> anyhow::Result<Vec<Value>> {
        fs::create_dir_all(out)
            .with_context(|| format!("cannot make folder `{}`", out.display()))?;
        let mut staged = Vec::new();
        for (file, target) in targets {
            let bytes = settings::read(file)?;
            let (written, report) = self
                .one(file, &bytes, target.is_sidecar)
                .with_context(|| format!("cannot sign `{}`", file.display()))?;
            staged.push(stage(out, &target.path, &written, report)?);
        }
        publish(staged)
    }

    /// What is written for one work, and what is said about it.
    fn one(&self, file: &Path, bytes: &[u8], is_sidecar: bool) -> anyhow::Result<(Vec<u8>, Value)> {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let work = Digest::of(bytes);
        let kind = MediaType::of(bytes);
        let credentials = self.credentials.as_ref().filter(|_| !is_sidecar);
        let (written, statement) = if let (Some(kind), Some(credentials)) = (kind, credentials) {
            let plain = media::without_manifest(bytes, kind)?;
            let statement = self.statement(&name, Digest::of(&plain), kind.name())?;
            let signed = media::sign(bytes, kind, &name, &self.terms, &statement, credentials)?;
            (signed, statement)
        } else {
            let media_type = kind.map_or("application/octet-stream", MediaType::name);
            let statement = self.statement(&name, work, media_type)?;
            (statement.to_json()?, statement)
        };
        let report = json!({
            "input": file,
            "work": work,
            "statement": statement.payload_digest(),
            "written": Digest::of(&written),
        });
        Ok((written, report))
    }

    fn statement(&self, name: &str, work: Digest, media_type: &str) -> anyhow::Result<Envelope> {
        let predicate = ContentPredicate {
            author: self.key.address()?,
            licence: self.terms.clone(),
            media_type: media_type.to_owned(),
            payees: self.payees.clone(),
            time: SystemClock.unix_seconds(),
        };
        let (_, envelope) = Batch::sign(&predicate, vec![(name.to_owned(), work)], &self.key)?;
        Ok(envelope)
    }
}

/// A file that has no name yet; it is gone if it never gets one.
struct Staged {
    file: NamedTempFile,
    target: PathBuf,
    report: Value,
}

fn stage(folder: &Path, target: &Path, bytes: &[u8], report: Value) -> anyhow::Result<Staged> {
    let mut builder = tempfile::Builder::new();
    // As any file that is made, not as a secret.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let write = || {
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok::<_, std::io::Error>(file)
    };
    let file = write().with_context(|| format!("cannot write `{}`", target.display()))?;
    Ok(Staged { file, target: target.to_owned(), report })
}

/// Gives all files their names, once all of them are on disk. Never writes over anything.
fn publish(staged: Vec<Staged>) -> anyhow::Result<Vec<Value>> {
    let mut reports = Vec::new();
    for Staged { file, target, mut report } in staged {
        file.persist_noclobber(&target)
            .with_context(|| format!("cannot write `{}`", target.display()))?;
        report["output"] = target.to_string_lossy().into();
        reports.push(report);
    }
    Ok(reports)
}

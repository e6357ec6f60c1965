//! Settings files, and the workspace with the key that a command works with.

use std::{fs, path::Path, sync::Arc};

use alloy_primitives::{Address, Uint};
use anyhow::{Context as _, ensure};
use probity_core::{
    SystemClock,
    keys::{KeyType, SecretKey},
    records::Court,
};
use probity_node::{NodeError, Workspace};
use probity_provenance::content::Payee;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    args::{Folder, Signer},
    output,
};

/// Largest settings or evidence file, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// Opens a workspace.
pub(crate) async fn open(folder: &Folder) -> anyhow::Result<Workspace> {
    Ok(Workspace::open(&folder.dir, Arc::new(SystemClock)).await?)
}

/// Opens a workspace and unlocks the account that signs and pays.
pub(crate) async fn signer(signer: &Signer) -> anyhow::Result<(Workspace, SecretKey)> {
    let workspace = open(&signer.folder).await?;
    let key = workspace.keyring().unlock(&signer.key, &output::passphrase(&signer.passphrase)?)?;
    if key.kind() != KeyType::Secp256k1 {
        return Err(NodeError::KeyType(signer.key.clone()).into());
    }
    Ok((if signer.dry_run { workspace.rehearsing() } else { workspace }, key))
}

/// Reads a file that is neither empty nor huge.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = path.display();
    let size = fs::metadata(path).with_context(|| format!("cannot read `{name}`"))?.len();
    ensure!(size <= MAX_FILE, "`{name}` has {size} bytes, more than the limit of {MAX_FILE}");
    let bytes = fs::read(path).with_context(|| format!("cannot read `{name}`"))?;
    ensure!(!bytes.is_empty(), "`{name}` is empty");
    Ok(bytes)
}

/// Reads a TOML file.
pub(crate) fn toml<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let bytes = read(path)?;
    let text =
        std::str::from_utf8(&bytes).with_context(|| format!("`{}` is not text", path.display()))?;
    ::toml::from_str(text).with_context(|| format!("`{}` is malformed", path.display()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Split {
    payee: Vec<Payee>,
}

/// Who earns, from a split file.
pub(crate) fn split(path: &Path) -> anyhow::Result<Vec<Payee>> {
    let payees = toml::<Split>(path)?.payee;
    probity_provenance::content::check_payees(&payees)
        .with_context(|| format!("`{}` is no split", path.display()))?;
    Ok(payees)
}

/// A court as its settings file has it. Windows in seconds, the bond in the token's smallest unit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CourtFile {
    arbiters: Vec<Address>,
    threshold: u8,
    bond_token: Address,
    bond: u64,
    response_window: u32,
    ruling_window: u32,
}

/// A court, from its file.
pub(crate) fn court(path: &Path) -> anyhow::Result<Court> {
    let mut file: CourtFile = toml(path)?;
    file.arbiters.sort_unstable();
    Ok(Court {
        arbiters: file.arbiters,
        threshold: file.threshold,
        bondToken: file.bond_token,
        bond: Uint::from(file.bond),
        responseWindow: file.response_window,
        rulingWindow: file.ruling_window,
    })
}

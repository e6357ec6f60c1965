//! The workspace's keys: Web3 Secret Storage files, never a plain key on disk.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use probity_core::{
    keys::{KeyType, SecretKey},
    keystore::{self, Cost, KeystoreError, MAX_KEYSTORE_BYTES},
};
use serde::Serialize;

use crate::NodeError;

/// The keys in a folder.
#[derive(Debug, Clone)]
pub struct Keyring {
    dir: PathBuf,
}

/// A key's public side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyEntry {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What the file says of its account; not checked without the passphrase.
    pub address: Option<String>,
}

impl Keyring {
    /// The keys in `dir`, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Makes a key and stores it encrypted.
    pub fn generate(
        &self,
        name: &str,
        kind: KeyType,
        passphrase: &str,
        cost: Cost,
    ) -> Result<SecretKey, NodeError> {
        let key = SecretKey::generate(kind)?;
        self.store(name, &key, passphrase, cost)?;
        Ok(key)
    }

    /// Stores a key encrypted. Never overwrites.
    pub fn store(
        &self,
        name: &str,
        key: &SecretKey,
        passphrase: &str,
        cost: Cost,
    ) -> Result<(), NodeError> {
        let path = self.path(name)?;
        if path.exists() {
            return Err(NodeError::Exists(path));
        }
        let bytes = keystore::encrypt(key, passphrase, cost)
            .map_err(|source| NodeError::Keystore { path: path.clone(), source })?;
        fs::create_dir_all(&self.dir).map_err(NodeError::file("make", &self.dir))?;
        // Complete under another name first: a key file is whole or not there.
        let staged = path.with_extension("new");
        let write = || {
            let mut file = private(&staged)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&staged, &path)
        };
        write().map_err(NodeError::file("write", &path))
    }

    /// Copies a keystore file made elsewhere, after checking that the passphrase opens it.
    pub fn import(
        &self,
        name: &str,
        file: &Path,
        passphrase: &str,
    ) -> Result<SecretKey, NodeError> {
        let key = open(file, passphrase)?;
        self.store(name, &key, passphrase, Cost::Standard)?;
        Ok(key)
    }

    /// Decrypts a key.
    pub fn unlock(&self, name: &str, passphrase: &str) -> Result<SecretKey, NodeError> {
        let path = self.path(name)?;
        if !path.exists() {
            return Err(NodeError::KeyUnknown(name.to_owned()));
        }
        open(&path, passphrase)
    }

    /// All keys by name.
    pub fn list(&self) -> Result<Vec<KeyEntry>, NodeError> {
        if !self.dir.exists() {
            return Ok(vec![]);
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(NodeError::file("read", &self.dir))? {
            let path = entry.map_err(NodeError::file("read", &self.dir))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let bytes = crate::workspace::read_file(&path, MAX_KEYSTORE_BYTES as u64)?;
            let file: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let address = file.get("address").and_then(|address| address.as_str());
            let address = address.map(|address| format!("0x{}", address.trim_start_matches("0x")));
            entries.push(KeyEntry { name, path, address });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn path(&self, name: &str) -> Result<PathBuf, NodeError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(NodeError::KeyName(name.chars().take(80).collect()));
        }
        Ok(self.dir.join(format!("{name}.json")))
    }
}

fn open(path: &Path, passphrase: &str) -> Result<SecretKey, NodeError> {
    let bytes = crate::workspace::read_file(path, MAX_KEYSTORE_BYTES as u64)?;
    keystore::decrypt(&bytes, passphrase)
        .map_err(|source: KeystoreError| NodeError::Keystore { path: path.to_owned(), source })
}

/// Creates a file only its owner can read.
fn private(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

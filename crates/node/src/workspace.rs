//! A workspace folder: chain, log, objects, index and keys of one operator.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolCall;
use probity_chain::{Client, Receipt, Registry};
use probity_core::{
    Clock, Digest,
    dsse::Envelope,
    keys::{KeyType, SecretKey},
    log::{Checkpoint, ConsistencyProof, InclusionProof, SignerKey, VerifierKey},
    statement::{self, Signed},
};
use probity_devchain::{DevChain, Genesis};
use probity_store::{index::Index, log::LogStore, objects::Objects};
use serde::{Deserialize, Serialize};

use crate::{Keyring, NodeError};

const CONFIG: &str = "probity.toml";
/// Largest input file read in one piece, in bytes.
pub(crate) const MAX_INPUT: u64 = 256 << 20;

/// `probity.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of the folder's layout.
    pub format: u32,
    /// `embedded`, or the URL of an EVM chain.
    pub chain: String,
    /// EIP-155 id of that chain; another one is refused.
    pub chain_id: u64,
    /// Where objects are: a folder (relative to the workspace) or `s3://bucket/prefix`.
    pub objects: String,
    /// Where the index is: a file (relative to the workspace) or `postgres://...`.
    pub index: String,
    /// Verifier key of the log (C2SP `vkey`); its name is the log's origin.
    pub log_key: String,
    /// Set where keys and money are worthless: development only.
    pub development: bool,
}

/// Which chain a new workspace uses.
#[derive(Debug, Clone)]
pub enum ChainChoice {
    /// A fresh embedded chain that funds these accounts.
    Embedded(Vec<(Address, U256)>),
    /// An EVM chain at a URL.
    Rpc(String),
}

/// A statement that is signed, stored and logged.
#[derive(Debug, Clone)]
pub struct Published {
    /// Digest of the statement's payload.
    pub digest: Digest,
    /// Its place in the log.
    pub index: u64,
}

/// A proof about the log, with everything needed to check it offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogProof {
    /// The log's verifier key.
    pub key: String,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// Digest of the envelope that is shown to be in the log.
    pub envelope: Digest,
    /// The proof.
    pub inclusion: InclusionProof,
}

/// An open workspace. One process at a time holds it.
#[derive(Debug)]
pub struct Workspace {
    dir: PathBuf,
    config: Config,
    clock: Arc<dyn Clock>,
    chain: Client,
    embedded: Option<DevChain>,
    pub(crate) objects: Objects,
    pub(crate) index: Index,
    log: LogStore,
}

impl Workspace {
    /// Makes a workspace in an empty or new folder. The log's key is stored as key `log`.
    pub async fn create(
        dir: &Path,
        choice: ChainChoice,
        development: bool,
        passphrase: &str,
        cost: probity_core::keystore::Cost,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NodeError> {
        if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(NodeError::Exists(dir.to_owned()));
        }
        // Before anything is written: a chain that does not answer leaves no folder behind.
        let (remote, alloc) = match choice {
            ChainChoice::Rpc(url) => (Some((Client::http(&url).await?, url)), vec![]),
            ChainChoice::Embedded(alloc) => (None, alloc),
        };
        fs::create_dir_all(dir).map_err(NodeError::file("make", dir))?;
        let keyring = Keyring::new(dir.join("keys"));
        let log_secret = keyring.generate("log", KeyType::Ed25519, passphrase, cost)?;
        let unique = Digest::of_parts(&[b"log origin", log_secret.public()?.key_id().as_bytes()]);
        let unique = unique.to_string();
        let origin = format!("probity.local/{}", unique.get(..16).unwrap_or_default());
        let log_key = SignerKey::from_seed(&origin, log_secret.expose())?;
        let (client, embedded, chain) = if let Some((client, url)) = remote {
            (client, None, url)
        } else {
            let genesis = Genesis {
                alloc,
                timestamp: clock.unix_seconds(),
                extra_data: unique.as_bytes().get(..32).unwrap_or_default().to_vec().into(),
                ..Genesis::default()
            };
            let chain = DevChain::create(&dir.join("chain"), &genesis, clock.clone())?;
            let client = Client::with_transport("embedded", chain.transport()).await?;
            (client, Some(chain), "embedded".to_owned())
        };
        let config = Config {
            format: 1,
            chain,
            chain_id: client.chain_id(),
            objects: "objects".to_owned(),
            index: "index.sqlite".to_owned(),
            log_key: log_key.verifier().to_string(),
            development,
        };
        write_config(dir, &config)?;
        Self::assemble(dir, config, client, embedded, clock).await
    }

    /// Opens a workspace and connects to its chain.
    pub async fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, NodeError> {
        Self::open_indexed(dir, clock, false).await
    }

    /// Opens a workspace whose index may be damaged, and makes the index anew from chain and log.
    pub async fn open_rebuilt(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, NodeError> {
        let workspace = Self::open_indexed(dir, clock, true).await?;
        workspace.rebuild_index().await?;
        Ok(workspace)
    }

    async fn open_indexed(
        dir: &Path,
        clock: Arc<dyn Clock>,
        discard_index: bool,
    ) -> Result<Self, NodeError> {
        let config = read_config(dir)?;
        let (client, embedded) = if config.chain == "embedded" {
            let chain = DevChain::open(&dir.join("chain"), clock.clone())?;
            (Client::with_transport("embedded", chain.transport()).await?, Some(chain))
        } else {
            (Client::http(&config.chain).await?, None)
        };
        client.expect_chain_id(config.chain_id)?;
        if discard_index && !config.index.contains("://") {
            discard(&dir.join(&config.index))?;
        }
        Self::assemble(dir, config, client, embedded, clock).await
    }

    async fn assemble(
        dir: &Path,
        config: Config,
        chain: Client,
        embedded: Option<DevChain>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NodeError> {
        let objects = if config.objects.contains("://") {
            Objects::open(&config.objects)?
        } else {
            Objects::folder(dir.join(&config.objects))?
        };
        let index = if config.index.contains("://") {
            Index::open(&config.index).await?
        } else {
            Index::open_file(&dir.join(&config.index)).await?
        };
        let key: VerifierKey = config.log_key.parse()?;
        let log = LogStore::open(dir.join("log"), key.name())?;
        Ok(Self { dir: dir.to_owned(), config, clock, chain, embedded, objects, index, log })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its chain.
    pub fn chain(&self) -> &Client {
        &self.chain
    }

    /// Its embedded chain, if it has one.
    pub fn embedded(&self) -> Option<&DevChain> {
        self.embedded.as_ref()
    }

    /// The keys of the workspace in a folder, without opening the rest of it.
    pub fn keyring_in(dir: &Path) -> Result<Keyring, NodeError> {
        read_config(dir)?;
        Ok(Keyring::new(dir.join("keys")))
    }

    /// Its keys.
    pub fn keyring(&self) -> Keyring {
        Keyring::new(self.dir.join("keys"))
    }

    /// Its index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The time.
    pub fn now(&self) -> u64 {
        self.clock.unix_seconds()
    }

    /// The log's public key.
    pub fn log_verifier(&self) -> Result<VerifierKey, NodeError> {
        Ok(self.config.log_key.parse()?)
    }

    /// The log.
    pub fn log(&self) -> &LogStore {
        &self.log
    }

    /// Stores bytes under their digest.
    pub async fn store_object(&self, bytes: Vec<u8>) -> Result<Digest, NodeError> {
        Ok(self.objects.put(bytes).await?)
    }

    /// Stores envelopes and appends them to the log; durable when this returns. The log entry is
    /// the digest of the envelope, so that erasing an envelope leaves every proof valid.
    pub async fn publish(&mut self, envelopes: &[Envelope]) -> Result<Vec<Published>, NodeError> {
        let mut entries = Vec::with_capacity(envelopes.len());
        for envelope in envelopes {
            let json = envelope.to_json().map_err(statement::StatementError::from)?;
            entries.push(self.objects.put(json).await?);
        }
        let raw: Vec<&[u8; 32]> = entries.iter().map(Digest::as_bytes).collect();
        let range = self.log.append(&raw)?;
        let digests = envelopes.iter().map(Envelope::payload_digest);
        Ok(digests.zip(range).map(|(digest, index)| Published { digest, index }).collect())
    }

    /// Publishes a statement and sends the call that registers it. Nothing is published where the
    /// chain would refuse the call or its sender cannot pay; a statement whose call fails later, or
    /// that a crash leaves behind, counts for nothing.
    pub(crate) async fn publish_and_send<C: SolCall>(
        &mut self,
        key: &SecretKey,
        envelope: Envelope,
        to: Address,
        call: &C,
    ) -> Result<Receipt, NodeError> {
        self.chain.rehearse(key.address()?, to, call).await?;
        self.publish(&[envelope]).await?;
        Ok(self.chain.send(key, to, call).await?)
    }

    /// The workspace with a chain to which nothing is sent: the first transaction of a use case is
    /// rehearsed, and ends it with [`probity_chain::ChainError::Rehearsed`] before anything is
    /// logged. Objects that were stored on the way stay; nothing refers to them.
    #[must_use]
    pub fn rehearsing(self) -> Self {
        Self { chain: self.chain.rehearsing(), ..self }
    }

    /// Signs the log's checkpoint and announces it on chain.
    pub async fn anchor_log(
        &mut self,
        log_key: &SecretKey,
        payer: &SecretKey,
    ) -> Result<Checkpoint, NodeError> {
        let origin = self.log.origin().to_owned();
        let signer = SignerKey::from_seed(&origin, log_key.expose())?;
        if signer.verifier().to_string() != self.config.log_key {
            return Err(NodeError::KeyType("log".to_owned()));
        }
        let announce = |root, size, statement| Registry::announceCall {
            subject: keccak256(&origin),
            root,
            size,
            statement,
        };
        // Before anything is signed; the statement is not known then.
        let registry = self.chain.contracts().registry;
        let rehearsed = announce(B256::from(self.log.root()), self.log.size(), B256::ZERO);
        self.chain.rehearse(payer.address()?, registry, &rehearsed).await?;
        let checkpoint = self.log.checkpoint(&signer)?;
        let note = self.log.folder().checkpoint_bytes()?.unwrap_or_default();
        let (root, statement) = (B256::from(*checkpoint.root()), Digest::of(&note).into());
        let call = announce(root, checkpoint.size(), statement);
        self.chain.send(payer, registry, &call).await?;
        Ok(checkpoint)
    }

    /// The statement with this digest, read and checked, with the digest of its envelope.
    pub async fn statement(&self, digest: &Digest) -> Result<(Signed, Digest), NodeError> {
        let unknown = || NodeError::Unknown(digest.to_string());
        let row = self.index.statement(digest).await?.ok_or_else(unknown)?;
        let bytes = self.objects.get(&row.envelope).await?;
        let mut signed = statement::open(&bytes)?;
        self.resolve_signers(&mut signed).await?;
        Ok((signed, row.envelope))
    }

    /// All statements of a type, in the log's order.
    pub(crate) async fn statements_of(&self, kind: &str) -> Result<Vec<Signed>, NodeError> {
        let mut found = Vec::new();
        for row in self.index.statements_of_type(kind).await? {
            let bytes = self.objects.get(&row.envelope).await?;
            let mut signed = statement::open(&bytes)?;
            self.resolve_signers(&mut signed).await?;
            found.push(signed);
        }
        Ok(found)
    }

    /// Proves that a statement is in the log of the newest signed checkpoint.
    pub async fn prove_logged(&self, digest: &Digest) -> Result<LogProof, NodeError> {
        let unknown = || NodeError::Unknown(digest.to_string());
        let row = self.index.statement(digest).await?.ok_or_else(unknown)?;
        let key = self.log_verifier()?;
        let checkpoint = self.log.folder().checkpoint(&key)?;
        let note = self.log.folder().checkpoint_bytes()?.unwrap_or_default();
        Ok(LogProof {
            key: key.to_string(),
            checkpoint: String::from_utf8_lossy(&note).into_owned(),
            envelope: row.envelope,
            inclusion: self.log.prove_inclusion(row.log_index, checkpoint.size())?,
        })
    }

    /// Proves that the log at `old_size` is a prefix of the log at `new_size`.
    pub fn prove_grown(&self, old_size: u64, new_size: u64) -> Result<ConsistencyProof, NodeError> {
        Ok(self.log.prove_consistency(old_size, new_size)?)
    }
}

impl LogProof {
    /// Checks signature and inclusion, offline. `trusted` is the log key the checker expects.
    pub fn verify(&self, trusted: &VerifierKey) -> Result<Checkpoint, String> {
        if self.key != trusted.to_string() {
            return Err(format!("it is of another log: `{}`", self.key));
        }
        let checkpoint = Checkpoint::verify(self.checkpoint.as_bytes(), trusted)
            .map_err(|error| error.to_string())?;
        let leaf = probity_core::log::leaf_hash(self.envelope.as_bytes());
        checkpoint.verify_inclusion(&leaf, &self.inclusion).map_err(|error| error.to_string())?;
        Ok(checkpoint)
    }
}

/// Reads a whole file; says which file is missing, empty, unreadable or too large.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, NodeError> {
    let metadata = fs::metadata(path).map_err(NodeError::file("read", path))?;
    if metadata.len() > limit {
        return Err(NodeError::FileTooLarge { path: path.to_owned(), size: metadata.len(), limit });
    }
    let bytes = fs::read(path).map_err(NodeError::file("read", path))?;
    if bytes.is_empty() {
        return Err(NodeError::FileEmpty(path.to_owned()));
    }
    Ok(bytes)
}

fn read_config(dir: &Path) -> Result<Config, NodeError> {
    let path = dir.join(CONFIG);
    if !path.exists() {
        return Err(NodeError::NotAWorkspace(dir.to_owned()));
    }
    let bytes = read_file(&path, 1 << 20)?;
    let malformed = |reason: String| NodeError::Config { path: path.clone(), reason };
    let text = std::str::from_utf8(&bytes).map_err(|error| malformed(error.to_string()))?;
    let config: Config = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
    if config.format == 1 {
        Ok(config)
    } else {
        Err(malformed(format!("field `format`: expected 1, got `{}`", config.format)))
    }
}

/// Removes an SQLite database with its side files.
fn discard(file: &Path) -> Result<(), NodeError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut path = file.as_os_str().to_owned();
        path.push(suffix);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(NodeError::file("remove", path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn write_config(dir: &Path, config: &Config) -> Result<(), NodeError> {
    let path = dir.join(CONFIG);
    let text = toml::to_string(config)
        .map_err(|error| NodeError::Config { path: path.clone(), reason: error.to_string() })?;
    let staged = dir.join("probity.toml.new");
    fs::write(&staged, text).map_err(NodeError::file("write", &staged))?;
    fs::rename(&staged, &path).map_err(NodeError::file("write", &path))
}

//! What can go wrong, with the file or field it is about.

use std::{io, path::PathBuf};

use alloy_primitives::{Address, B256};
use probity_chain::ChainError;
use probity_compute::{SampleError, TensorError, TrainError, WeightsError};
use probity_core::{
    Digest, json::JsonError, keys::KeyError, keystore::KeystoreError, log::CheckpointError,
    money::MoneyError, statement::StatementError,
};
use probity_provenance::{
    content::ContentError, dataset::DatasetError, model_signing::SigningError, payout::PayoutError,
};
use probity_store::{index::IndexError, log::LogError, objects::ObjectError};

use crate::inference::InferenceError;

/// Why a use case did not succeed. Nothing is half done: what was signed and logged before stays,
/// and running the same again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A file that cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// `read`, `write`, ...
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file with nothing in it.
    #[error("`{}` is empty", .0.display())]
    FileEmpty(PathBuf),
    /// A file beyond every use.
    #[error("`{}` has {size} bytes, more than the limit of {limit}", path.display())]
    FileTooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// Something in a folder of files that is no plain file or folder, or has no portable name.
    #[error("`{}` {reason}", path.display())]
    NotAFile {
        /// What.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A folder without files.
    #[error("there are no files in `{}`", .0.display())]
    NoFiles(PathBuf),
    /// A folder with more files than are looked at.
    #[error("`{}` has more than {limit} files", dir.display())]
    TooManyFiles {
        /// Which folder.
        dir: PathBuf,
        /// The most that are looked at.
        limit: usize,
    },
    /// No workspace there.
    #[error("`{}` is not a Probity workspace: it has no probity.toml", .0.display())]
    NotAWorkspace(PathBuf),
    /// Something is there already.
    #[error("`{}` exists already", .0.display())]
    Exists(PathBuf),
    /// `probity.toml` does not parse.
    #[error("`{}` is malformed: {reason}", path.display())]
    Config {
        /// Which file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// No such key.
    #[error("there is no key `{0}` in this workspace")]
    KeyUnknown(String),
    /// A key name that could leave the folder.
    #[error("`{0}` is not a key name: use letters, digits, `-` and `_`")]
    KeyName(String),
    /// A keystore that does not open.
    #[error("keystore `{}`", path.display())]
    Keystore {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeystoreError,
    },
    /// A key of another scheme than needed.
    #[error("key `{0}` is not of the type needed here")]
    KeyType(String),
    /// An account where a key that an account binds is needed.
    #[error("an account needs no binding: expected a p256 or ed25519 key")]
    KeyBinding,
    /// Several things, or nothing, have this id.
    #[error("nothing in this workspace is called `{0}`")]
    Unknown(String),
    /// The id names something that no model was made from.
    #[error("`{0}` does not lead to a model")]
    NoModel(String),
    /// Registered before.
    #[error("work `{work}` was registered before, in statement `{statement}`")]
    Duplicate {
        /// The digest.
        work: Digest,
        /// Where.
        statement: Digest,
    },
    /// A line of a data file.
    #[error("line {line} of `{}`", path.display())]
    Sample {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        #[source]
        source: SampleError,
    },
    /// An archive that is not a bundle.
    #[error("archive entry `{entry}`: {reason}")]
    Archive {
        /// Which entry.
        entry: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Works were opted out between planning a dataset and registering it.
    #[error("works were opted out since dataset `{0}` was planned")]
    PlanStale(String),
    /// A work of somebody else.
    #[error("work `{work}` was not registered by `{account}`")]
    NotTheirs {
        /// The work.
        work: Digest,
        /// Who wanted to erase it.
        account: Address,
    },
    /// An item whose bytes are not where they should be.
    #[error("the bytes of item `{0}` are not in this workspace")]
    ItemMissing(Digest),
    /// A claim under a root that is not the pool's.
    #[error("payout root `{0}` is not the one that the chain accepted last")]
    RootNotAccepted(B256),
    /// The embedded chain.
    #[error(transparent)]
    DevChain(#[from] probity_devchain::Error),
    /// Any chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Objects.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A log checkpoint or its key.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A log key.
    #[error(transparent)]
    LogKey(#[from] probity_core::log::KeyError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A batch of works.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// An opt-out.
    #[error(transparent)]
    OptOut(#[from] probity_provenance::optout::OptOutError),
    /// A dataset's description.
    #[error(transparent)]
    Croissant(#[from] probity_provenance::croissant::CroissantError),
    /// A dataset's items table.
    #[error(transparent)]
    Table(#[from] probity_provenance::table::TableError),
    /// A dataset.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A run whose command did not end well, or is not known to have ended.
    #[error("run `{run}` {state}")]
    RunState {
        /// The run's record id.
        run: B256,
        /// What is the matter.
        state: String,
    },
    /// Outputs of a run that ended which no checkpoint can have.
    #[error("run `{run}` ended, and its outputs cannot be read")]
    Outputs {
        /// The run's record id.
        run: B256,
        /// What is the matter with them.
        #[source]
        source: Box<NodeError>,
    },
    /// A file that did not come out of the run.
    #[error("`{name}` is not an output of run `{run}`")]
    NotOutput {
        /// The run's record id.
        run: B256,
        /// The file.
        name: String,
    },
    /// A command that cannot be started.
    #[error("cannot start `{0}`: there is no such program")]
    CommandUnknown(String),
    /// A variable that is not set.
    #[error("variable `{0}` is not set, or is not UTF-8")]
    VariableMissing(String),
    /// A variable whose value must not be published.
    #[error("variable `{0}` looks like a secret, and its value would be published")]
    VariableSecret(String),
    /// A settings file that is no TOML.
    #[error("`{}` is malformed: {reason}", path.display())]
    Settings {
        /// Which file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// A run of another dataset.
    #[error("run `{run}` is of dataset `{got}`, expected `{expected}`")]
    RunDataset {
        /// The run's record id.
        run: B256,
        /// What was asked for.
        expected: B256,
        /// What the run committed to.
        got: B256,
    },
    /// A signature that is there already and is not of these files by this key.
    #[error("`{}` is not a signature of these files by this key: {finding}", path.display())]
    SignatureStale {
        /// Which file.
        path: PathBuf,
        /// The first thing that is wrong.
        finding: String,
    },
    /// A file that changed while it was registered.
    #[error("`{}` was written to while it was registered", .0.display())]
    FileChanged(PathBuf),
    /// A file whose tensors cannot be told.
    #[error("`{file}` holds no tensors that can be read")]
    Tensors {
        /// Which file.
        file: String,
        /// Why.
        #[source]
        source: TensorError,
    },
    /// Proofs of inference.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// A key that nobody registered, as far as this workspace knows.
    #[error("no checkpoint of this workspace has model key `{0}`")]
    KeyNotRegistered(B256),
    /// A checkpoint of several models, or of none.
    #[error("expected one model among the checkpoint's files `{}`", .0.join("`, `"))]
    ModelFile(Vec<String>),
    /// A model's signature.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// Votes or usage.
    #[error(transparent)]
    Tally(#[from] probity_provenance::weights::TallyError),
    /// A payout.
    #[error(transparent)]
    Payout(#[from] PayoutError),
    /// Money.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An opt-out list.
    #[error(transparent)]
    Set(#[from] probity_core::absence::SetError),
    /// A file that holds something else than a manifest.
    #[error("`{}` is no manifest", path.display())]
    NotAManifest {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: JsonError,
    },
    /// JSON of our own.
    #[error(transparent)]
    Json(#[from] JsonError),
}

impl NodeError {
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// The next command to try, where there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAWorkspace(_) => "probity demo --keep DIR makes one".to_owned(),
            Self::Exists(_) => "choose another name".to_owned(),
            Self::KeyBinding | Self::Signing(SigningError::KeyType(_)) => {
                "probity key new NAME --kind p256 makes one".to_owned()
            }
            Self::VariableSecret(name) => {
                format!("--secret {name} gives it to the command without recording its value")
            }
            Self::RunState { run, .. } => format!("probity train status {run} says more"),
            Self::Outputs { run, .. } => {
                format!("put them right, then probity train finish {run}")
            }
            Self::NotOutput { .. } => {
                "register the folder that the run put out, as it is".to_owned()
            }
            Self::SignatureStale { path, .. } => {
                format!("remove {}; the command makes a new one", path.display())
            }
            Self::NotAFile { .. } => {
                "put a copy of the file in its place, or leave it out with --ignore".to_owned()
            }
            Self::KeyType(_) => "probity key list shows the keys; records and bundles are signed by accounts (secp256k1)".to_owned(),
            Self::KeyUnknown(_) => "probity key list shows the keys".to_owned(),
            Self::RootNotAccepted(_) => {
                "ask the accountant for a proof of the newest epoch: probity payout prove".to_owned()
            }
            Self::Unknown(_) | Self::NoModel(_) => {
                "probity list shows what is here; ids may be shortened".to_owned()
            }
            Self::Keystore { source: KeystoreError::Passphrase, .. } => {
                "give the passphrase with --passphrase-file".to_owned()
            }
            Self::Chain(ChainError::Unreachable { .. }) => {
                "start the chain, or leave --rpc out for the embedded one".to_owned()
            }
            Self::Chain(ChainError::InsufficientFunds { account, .. }) => {
                format!("send native coin to {account}, then run the same again")
            }
            Self::Chain(ChainError::ChainId { .. }) => {
                "set `chain` in probity.toml to an endpoint of the chain the workspace was made on"
                    .to_owned()
            }
            Self::DevChain(probity_devchain::Error::Locked { .. }) => {
                "end that process first; while it serves the chain, clients reach it over JSON-RPC"
                    .to_owned()
            }
            Self::Duplicate { statement, .. } => {
                format!("probity explain {statement} shows the earlier registration")
            }
            Self::Chain(ChainError::NonceRace { .. }) => "run the same again".to_owned(),
            Self::Chain(ChainError::NotDeployed(_)) => {
                "the chain needs the deterministic deployment proxy and Probity's contracts"
                    .to_owned()
            }
            Self::PlanStale(_) => "plan the dataset again".to_owned(),
            Self::Log(_) => {
                "probity log checkpoint signs the log as it is; probity log verify checks it"
                    .to_owned()
            }
            Self::Inference(error) => return error.hint().map(str::to_owned),
            Self::KeyNotRegistered(_) => "probity zk register derives and registers a key".to_owned(),
            Self::ModelFile(_) => "name the file with --file".to_owned(),
            Self::Object(_) => "probity log verify checks the whole log".to_owned(),
            Self::Index(_) => "probity index rebuild makes the index anew".to_owned(),
            _ => return None,
        })
    }
}

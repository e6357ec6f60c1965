//! Models.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::{Folder, Signer};

#[derive(Debug, Subcommand)]
pub(crate) enum Model {
    /// Register a model.
    Register {
        /// Its name.
        name: String,
        /// What it is for.
        #[arg(long)]
        description: String,
        /// Who proposes payouts; the owner without it.
        #[arg(long, value_name = "ACCOUNT")]
        accountant: Option<alloy_primitives::Address>,
        /// The data's part of the revenue, in 1/10,000.
        #[arg(long, value_name = "BPS")]
        data_bps: u16,
        /// TOML file of the court that decides payout disputes.
        #[arg(long, value_name = "FILE")]
        court: PathBuf,
        #[command(flatten)]
        signer: Signer,
    },
    /// Commit to a run of the built-in trainer, train, and register the checkpoint.
    Train {
        /// The model's record id.
        model: alloy_primitives::B256,
        /// The dataset's record id.
        #[arg(long, value_name = "ID")]
        dataset: alloy_primitives::B256,
        /// TOML file of the trainer's settings.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        signer: Signer,
    },
    /// Say whether everything the model was made from permits a use. Exit 1: something forbids it.
    Permits {
        /// The model's record id.
        model: alloy_primitives::B256,
        /// Earn money with it.
        #[arg(long)]
        commercial: bool,
        /// Publish models made from it.
        #[arg(long)]
        derivatives: bool,
        #[command(flatten)]
        folder: Folder,
    },
    /// Sign a folder of model files, and register it as the checkpoint that came out of a run.
    Checkpoint(RegisterCheckpoint),
    /// Sign a folder's files as an OpenSSF Model Signing bundle.
    Sign {
        /// The folder.
        model: PathBuf,
        /// Where to; `model.sig` in the folder without it.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// A path in the folder that is no part of the model.
        #[arg(long, value_name = "PATH")]
        ignore: Vec<String>,
        #[command(flatten)]
        signer: Signer,
    },
    /// Check a folder against an OpenSSF Model Signing bundle. Exit 1: it is another model.
    Verify {
        /// The folder.
        model: PathBuf,
        /// The bundle; `model.sig` in the folder without it.
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
        /// The signer's public key in PEM.
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
    },
    /// Show where a model comes from: runs, datasets, licences, and the models it was made from.
    Lineage {
        /// The model's record id.
        model: alloy_primitives::B256,
        /// Draw it into this new file.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        #[command(flatten)]
        folder: Folder,
    },
    /// Compare two models, file by file and tensor by tensor. Exit 1: they differ.
    Diff {
        /// A folder, a file, or a checkpoint's record id.
        first: String,
        /// Another.
        second: String,
        #[command(flatten)]
        folder: Folder,
    },
    /// Print a model's bill of materials (CycloneDX 1.6, JSON).
    ExportBom {
        /// The model's record id.
        model: alloy_primitives::B256,
        #[command(flatten)]
        folder: Folder,
    },
    /// Say whether the newest checkpoint is tainted. Exit 1: it is.
    Taint {
        /// The model's record id.
        model: alloy_primitives::B256,
        #[command(flatten)]
        folder: Folder,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RegisterCheckpoint {
    /// The model's record id.
    pub(crate) model: alloy_primitives::B256,
    /// The folder. The signature is written to `model.sig` in it.
    pub(crate) files: PathBuf,
    /// The run's record id.
    #[arg(long, value_name = "ID")]
    pub(crate) run: alloy_primitives::B256,
    /// The dataset's record id, to be sure that the run is of it.
    #[arg(long, value_name = "ID")]
    pub(crate) dataset: Option<alloy_primitives::B256>,
    /// Record id of a checkpoint that it was made from.
    #[arg(long, value_name = "ID")]
    pub(crate) parent: Vec<alloy_primitives::B256>,
    /// A measured result, such as `accuracy=0.97`.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) metric: Vec<String>,
    /// The key of kind p256 that signs the files.
    #[arg(long, value_name = "NAME")]
    pub(crate) signing_key: String,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

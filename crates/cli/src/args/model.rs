//! Models.

use std::path::PathBuf;

use clap::Subcommand;

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
    /// Say whether the newest checkpoint is tainted. Exit 1: it is.
    Taint {
        /// The model's record id.
        model: alloy_primitives::B256,
        #[command(flatten)]
        folder: Folder,
    },
}

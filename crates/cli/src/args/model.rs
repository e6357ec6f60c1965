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
    /// Say whether the newest checkpoint is tainted. Exit 1: it is.
    Taint {
        /// The model's record id.
        model: alloy_primitives::B256,
        #[command(flatten)]
        folder: Folder,
    },
}

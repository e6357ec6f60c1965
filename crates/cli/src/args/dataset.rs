//! Datasets.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{Folder, Passphrase, Signer, Verdict};

#[derive(Debug, Subcommand)]
pub(crate) enum Dataset {
    /// Apply a policy to everything registered and report. Registers only with `--register`.
    Build(BuildDataset),
    /// Challenge an item, staking the court's bond.
    Challenge {
        #[command(flatten)]
        item: ItemOf,
        /// Why it should go.
        #[arg(long, value_enum)]
        reason: ChallengeReason,
        /// File that shows it.
        #[arg(long, value_name = "FILE")]
        evidence: PathBuf,
        #[command(flatten)]
        signer: Signer,
    },
    /// Defend a challenged item, staking the same bond.
    Answer {
        #[command(flatten)]
        item: ItemOf,
        /// File that says why it should stay.
        #[arg(long, value_name = "FILE")]
        rebuttal: PathBuf,
        #[command(flatten)]
        signer: Signer,
    },
    /// Carry out what the workspace's arbiters decide: the item goes, or it stays.
    Resolve {
        #[command(flatten)]
        item: ItemOf,
        #[command(flatten)]
        verdict: Verdict,
    },
    /// End a case whose window is over.
    Settle {
        #[command(flatten)]
        item: ItemOf,
        #[command(flatten)]
        signer: Signer,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BuildDataset {
    /// A name for people.
    pub(crate) name: String,
    /// TOML file: `licences`, `commercial`, `maxItemsPerAuthor`; without it everything that
    /// permits training enters.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The version it follows.
    #[arg(long, value_name = "ID")]
    pub(crate) previous: Option<alloy_primitives::B256>,
    /// Write the manifest here.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// Sign, log and register it.
    #[arg(long, requires_all = ["court", "key"])]
    pub(crate) register: bool,
    /// TOML file of the court that decides challenges.
    #[arg(long, value_name = "FILE")]
    pub(crate) court: Option<PathBuf>,
    /// The data DAO's account and its part of the data's share.
    #[arg(long, value_name = "ACCOUNT", requires = "treasury_bps")]
    pub(crate) treasury: Option<alloy_primitives::Address>,
    /// In 1/10,000.
    #[arg(long, value_name = "BPS", requires = "treasury", default_value = None)]
    pub(crate) treasury_bps: Option<u16>,
    /// The key that signs and pays.
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ChallengeReason {
    OptedOut,
    LicenceMismatch,
    Duplicate,
    FakeLabel,
    Stolen,
}

/// An item of a dataset.
#[derive(Debug, ClapArgs)]
pub(crate) struct ItemOf {
    /// The dataset's record id.
    pub(crate) dataset: alloy_primitives::B256,
    /// The item's position.
    pub(crate) index: u64,
}

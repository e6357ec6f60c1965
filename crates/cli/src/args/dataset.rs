//! Datasets.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{Folder, OptionalSigner, Signer, Verdict};

#[derive(Debug, Subcommand)]
pub(crate) enum Dataset {
    /// Apply a policy to everything registered, or to a folder's files, and report. Registers only
    /// with `--register`.
    Build(BuildDataset),
    /// Show what changed from one version to another. Exit 0: the same items; 1: others.
    Diff {
        /// Record id, manifest file, or dataset folder.
        before: String,
        /// Record id, manifest file, or dataset folder.
        after: String,
        #[command(flatten)]
        folder: Folder,
    },
    /// Write a registered version into a new folder: Croissant description, Parquet table, manifest.
    Export {
        /// The dataset's record id.
        dataset: alloy_primitives::B256,
        /// The new folder.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        #[command(flatten)]
        folder: Folder,
    },
    /// Write everything registered, and what decides about it, as Parquet tables into a new folder, for
    /// builds by SQL (`probity-sql`).
    Tables {
        /// The new folder.
        output: PathBuf,
        /// The version that the dataset would follow.
        #[arg(long, value_name = "ID")]
        previous: Option<alloy_primitives::B256>,
        #[command(flatten)]
        folder: Folder,
    },
    /// Check a dataset folder. Exit 0: consistent; 1: something was changed.
    Verify {
        /// The dataset's folder.
        path: PathBuf,
        /// Compare it with this registered version too.
        #[arg(long, value_name = "ID")]
        dataset: Option<alloy_primitives::B256>,
        #[command(flatten)]
        folder: Folder,
    },
    /// Check a dataset folder against its registered version and keep its manifest in the workspace.
    Import {
        /// The dataset's folder.
        path: PathBuf,
        /// The registered version.
        #[arg(long, value_name = "ID")]
        dataset: alloy_primitives::B256,
        #[command(flatten)]
        folder: Folder,
    },
    /// Sign votes for works, or a log of their use, for policies that weigh by them.
    Tally {
        /// What is counted.
        #[arg(value_enum)]
        counted: Counted,
        /// CSV file: a work's digest and its count on each line.
        file: PathBuf,
        #[command(flatten)]
        signer: Signer,
    },
    /// What an attack on the digits data costs under a policy, and what of it is caught.
    Simulate(Simulate),
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

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Counted {
    Votes,
    Usage,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Simulate {
    /// TOML file of the policy.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Fake items that the attacker registers.
    #[arg(long, default_value_t = 400)]
    pub(crate) fakes: usize,
    /// Accounts that the attacker spreads them over.
    #[arg(long, default_value_t = 8)]
    pub(crate) accounts: usize,
    /// Honest authors who share the true digits, all of them in the version before.
    #[arg(long, default_value_t = 5)]
    pub(crate) authors: usize,
    /// Registered items in 1/1,000 that are canaries: somebody knows their true labels.
    #[arg(long, default_value_t = 50)]
    pub(crate) canaries: u16,
    /// What an account costs the attacker to set up, in any unit.
    #[arg(long, default_value_t = 100)]
    pub(crate) account_cost: u64,
    /// What registering an item costs the attacker.
    #[arg(long, default_value_t = 1)]
    pub(crate) item_cost: u64,
    /// What an item loses its author when a challenge removes it.
    #[arg(long, default_value_t = 10)]
    pub(crate) bond: u64,
    /// What is locked with each item at registration, and lost where a canary or a challenge removes it.
    #[arg(long, default_value_t = 0)]
    pub(crate) item_bond: u64,
    /// The same seed gives the same figures.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Another CSV file of digits: 64 values from 0 to 16 and a label per line.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BuildDataset {
    /// A name for people; or an existing folder: of its files those that are registered are
    /// considered.
    #[arg(value_name = "NAME|DIR")]
    pub(crate) target: String,
    /// A name for people, where a folder is given (default: the folder's).
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Each line of the folder's files is a work.
    #[arg(long)]
    pub(crate) lines: bool,
    /// TOML file: `licences`, `commercial`, `maxItemsPerAuthor`, `maxItemsPerNewAuthor`,
    /// `maxItemsOfNewAuthors`, `[near]`, `[weights]`; without it everything that permits training
    /// enters.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// List every work that is left out, with the reason.
    #[arg(long)]
    pub(crate) report: bool,
    /// Write the dataset into this new folder: Croissant description, Parquet table, manifest.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
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
    #[command(flatten)]
    pub(crate) signer: OptionalSigner,
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

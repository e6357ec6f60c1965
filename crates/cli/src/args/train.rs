//! Training runs of any command.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::{Folder, Signer};

#[derive(Debug, Subcommand)]
pub(crate) enum Train {
    /// Commit to a command on chain, run it, log what it writes, and publish what came out. Exit 1:
    /// the command failed.
    ///
    /// The command finds the dataset's items in `PROBITY_DATA`, the settings in `PROBITY_CONFIG` and the
    /// seed in `PROBITY_SEED`, and puts its model into `PROBITY_OUT`.
    Run(RunCommand),
    /// End a run whose outputs could not be read when its command ended, after they were put right.
    Finish {
        /// The run's record id.
        run: alloy_primitives::B256,
        #[command(flatten)]
        signer: Signer,
    },
    /// Say how a run stands, everything checked again. Exit 1: it is not complete.
    Status {
        /// The run's record id.
        run: alloy_primitives::B256,
        #[command(flatten)]
        folder: Folder,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunCommand {
    /// The dataset's record id.
    #[arg(long, value_name = "ID")]
    pub(crate) dataset: alloy_primitives::B256,
    /// Settings file. TOML is published in full, anything else by its digest.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The seed. Without it the settings' `seed`, and without that a random one.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// A variable that the command sees. Its value is published.
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Vec<String>,
    /// A variable that the command sees and nobody else.
    #[arg(long, value_name = "NAME")]
    pub(crate) secret: Vec<String>,
    /// A file or folder that the command reads, such as its program or a base model.
    #[arg(long, value_name = "PATH")]
    pub(crate) input: Vec<PathBuf>,
    /// How often the log's head is signed, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) mark_every: u64,
    /// How often the log's head is put on chain, in seconds, beside its start and its end; 0: never.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(..=31_536_000))]
    pub(crate) anchor_every: u64,
    #[command(flatten)]
    pub(crate) signer: Signer,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

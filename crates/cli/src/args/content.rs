//! Works and opt-outs.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{Folder, Signer};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum AiTrain {
    Allow,
    Constrained,
    Deny,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Content {
    /// Sign works as one batch and anchor it on chain.
    Register(RegisterContent),
    /// Erase works: opt them out, state the erasure, and delete their bytes here. Every proof over
    /// them stays valid.
    Erase {
        /// The works' digests, or files as they were registered.
        #[arg(required = true)]
        works: Vec<String>,
        #[command(flatten)]
        signer: Signer,
    },
    /// Say who registered a work. Exit 1: nobody.
    Verify {
        /// The work.
        file: PathBuf,
        #[command(flatten)]
        folder: Folder,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RegisterContent {
    /// The works.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// SPDX licence expression.
    #[arg(long, visible_alias = "license")]
    pub(crate) licence: String,
    /// Whether models may be trained on them.
    #[arg(long, value_enum, default_value = "allow")]
    pub(crate) ai_train: AiTrain,
    /// Not for commercial models.
    #[arg(long)]
    pub(crate) non_commercial: bool,
    /// TOML file of `[[payee]]` tables with `account` and `bps`; without it the author earns all.
    #[arg(long, value_name = "FILE")]
    pub(crate) split: Option<PathBuf>,
    /// Media type of the works.
    #[arg(long, default_value = "application/octet-stream")]
    pub(crate) media_type: String,
    /// Register salted digests, from which nobody can guess the works. They stay in this workspace.
    #[arg(long)]
    pub(crate) private: bool,
    /// Each line of the files is a work of its own.
    #[arg(long)]
    pub(crate) lines: bool,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OptOut {
    /// Reserve works against training.
    Register {
        /// The works: files or their SHA-256.
        #[arg(required = true)]
        works: Vec<String>,
        #[command(flatten)]
        signer: Signer,
    },
    /// Prove that a work is not on the present opt-out list. Exit 1: it is.
    ProveAbsent {
        /// The work: a file or its SHA-256.
        work: String,
        #[command(flatten)]
        folder: Folder,
    },
    /// Check such a proof, offline.
    Verify {
        /// A proof printed by `optout prove-absent`.
        proof: PathBuf,
    },
}

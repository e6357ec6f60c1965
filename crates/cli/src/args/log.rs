//! The statement log.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Folder, Signer};

#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Sign the log as it is with its key, and announce it on chain.
    Checkpoint {
        #[command(flatten)]
        signer: Signer,
    },
    /// Prove that a statement is in the log; prints the proof.
    Prove {
        /// The statement's digest.
        digest: probity_core::Digest,
        #[command(flatten)]
        folder: Folder,
    },
    /// Verify a proof offline, or without one the whole log of a workspace.
    Verify {
        /// A proof printed by `log prove`.
        proof: Option<PathBuf>,
        /// The log's verifier key, to check a proof without a workspace.
        #[arg(long, value_name = "VKEY", requires = "proof")]
        log_key: Option<String>,
        #[command(flatten)]
        folder: Folder,
    },
}

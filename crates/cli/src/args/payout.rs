//! Revenue and payouts.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::{Folder, Signer, Verdict};

#[derive(Debug, Subcommand)]
pub(crate) enum Payout {
    /// Pay revenue in.
    Pay {
        #[command(flatten)]
        pool: PoolOf,
        /// In the token's smallest unit.
        #[arg(long)]
        amount: u128,
        #[command(flatten)]
        signer: Signer,
    },
    /// Compute the next epoch, line by line. Sends nothing.
    Compute {
        #[command(flatten)]
        pool: PoolOf,
        /// Only this account's lines.
        #[arg(long, value_name = "ACCOUNT")]
        explain: Option<alloy_primitives::Address>,
        #[command(flatten)]
        folder: Folder,
    },
    /// Propose the next epoch's root, staking the court's bond.
    Propose {
        #[command(flatten)]
        pool: PoolOf,
        #[command(flatten)]
        signer: Signer,
    },
    /// Recompute a proposed root and dispute it, staking the same bond. Exit 1: it is right.
    Dispute {
        #[command(flatten)]
        pool: PoolOf,
        #[command(flatten)]
        signer: Signer,
    },
    /// Carry out what the workspace's arbiters decide: the disputer's root, or the accountant's.
    Resolve {
        #[command(flatten)]
        pool: PoolOf,
        #[command(flatten)]
        verdict: Verdict,
    },
    /// Accept a root whose dispute window is over.
    Settle {
        #[command(flatten)]
        pool: PoolOf,
        #[command(flatten)]
        signer: Signer,
    },
    /// Pay an account what it is owed.
    Claim {
        #[command(flatten)]
        pool: PoolOf,
        /// Who is paid; the signer without it.
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<alloy_primitives::Address>,
        /// A proof printed by `payout prove`; without it the workspace's own computation is used.
        #[arg(long, value_name = "FILE", conflicts_with = "account")]
        proof: Option<PathBuf>,
        #[command(flatten)]
        signer: Signer,
    },
    /// Prove what an account is owed in all; prints the proof. Exit 1: nothing.
    Prove {
        #[command(flatten)]
        pool: PoolOf,
        /// Who is paid.
        #[arg(long, value_name = "ACCOUNT")]
        account: alloy_primitives::Address,
        #[command(flatten)]
        folder: Folder,
    },
    /// Check such a proof. Exit 1: it does not hold.
    Verify {
        /// A proof printed by `payout prove`.
        proof: PathBuf,
        /// Ask this chain whether it accepted the root, and what is left to claim.
        #[arg(long, value_name = "URL")]
        rpc: Option<String>,
    },
}

/// The money of a model in a token.
#[derive(Debug, ClapArgs)]
pub(crate) struct PoolOf {
    /// The model's record id.
    pub(crate) model: alloy_primitives::B256,
    /// The token; the chain's native coin without it.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) token: Option<alloy_primitives::Address>,
}

//! What can be typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Accountable AI: provenance, verifiable payouts and offline audits.
#[derive(Debug, Parser)]
#[command(name = "probity", version, propagate_version = true)]
pub(crate) struct Args {
    /// Print data as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell the whole story on real data: register, train, earn, pay, audit.
    Demo(Demo),
    /// Make, import and list keys.
    #[command(subcommand)]
    Key(Key),
    /// Answer the six questions about anything: a record, a work, a statement, an account.
    Explain(Explain),
    /// List what a workspace holds.
    List(Folder),
    /// Work with evidence bundles.
    #[command(subcommand)]
    Bundle(Bundle),
    /// Check an evidence bundle. Exit 0: everything holds; 1: something is broken.
    Audit(Audit),
    /// Prove and verify the statement log.
    #[command(subcommand)]
    Log(Log),
    /// Work with the embedded chain.
    #[command(subcommand)]
    Chain(Chain),
    /// Work with the metadata index.
    #[command(subcommand)]
    Index(Index),
}

/// Which workspace.
#[derive(Debug, ClapArgs)]
pub(crate) struct Folder {
    /// The workspace folder.
    #[arg(long = "dir", value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
}

/// Where a key's passphrase comes from. Without a file it is asked for on the terminal.
#[derive(Debug, ClapArgs)]
pub(crate) struct Passphrase {
    /// File whose first line is the passphrase.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Keep the workspace in this new folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Use the EVM chain at this URL instead of an embedded one. Sends transactions there.
    #[arg(long, value_name = "URL")]
    pub(crate) rpc: Option<String>,
    /// Keystore file of a funded account on that chain (default: the well-known first account of
    /// development chains, and only if the URL is on this machine).
    #[arg(long, value_name = "FILE", requires = "rpc")]
    pub(crate) funder: Option<PathBuf>,
    /// Another CSV file of digits: 64 values from 0 to 16 and a label per line.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KeyKind {
    Secp256k1,
    P256,
    Ed25519,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a key and store it encrypted (Web3 Secret Storage).
    New {
        /// Its name.
        name: String,
        /// Its scheme.
        #[arg(long, value_enum, default_value = "secp256k1")]
        kind: KeyKind,
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Import a keystore file that another program made, such as `cast wallet`.
    Import {
        /// Its name here.
        name: String,
        /// The keystore file.
        file: PathBuf,
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Show the keys.
    List(Folder),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Explain {
    /// Record id, work or statement digest, or account; a record id may be shortened.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) folder: Folder,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bundle {
    /// Export everything about a model, signed by one of the workspace's keys.
    Export {
        /// The model, or anything that leads to it.
        id: String,
        /// Where to.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// The signing key.
        #[arg(long, default_value = "trainer")]
        key: String,
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        passphrase: Passphrase,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Audit {
    /// The bundle.
    pub(crate) file: PathBuf,
    /// Contact nobody: the block's hash is then the exporter's word. This is the default.
    #[arg(long, conflicts_with = "rpc")]
    pub(crate) offline: bool,
    /// Ask this chain whether the block is its own.
    #[arg(long, value_name = "URL")]
    pub(crate) rpc: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Log {
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

#[derive(Debug, Subcommand)]
pub(crate) enum Chain {
    /// Serve the embedded chain's JSON-RPC until interrupted.
    Serve {
        /// Address to listen on. Anybody who can reach it can send transactions.
        #[arg(long, default_value = "127.0.0.1:8545")]
        listen: std::net::SocketAddr,
        #[command(flatten)]
        folder: Folder,
    },
    /// Re-execute every block and compare every root.
    Verify(Folder),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Index {
    /// Make the index anew from chain and log.
    Rebuild(Folder),
    /// Print the index's whole content, sorted.
    Dump(Folder),
}

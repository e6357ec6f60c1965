//! What can be typed.

mod content;
mod dataset;
mod log;
mod model;
mod payout;
mod train;
mod zk;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

pub(crate) use content::{
    AiTrain, Content, ImportOptOut, OptOut, RegisterContent, SignContent, Sources, Terms,
};
pub(crate) use dataset::{BuildDataset, ChallengeReason, Counted, Dataset, Simulate};
pub(crate) use log::Log;
pub(crate) use model::{Model, RegisterCheckpoint};
pub(crate) use payout::{Payout, PoolOf};
pub(crate) use train::{RunCommand, Train};
pub(crate) use zk::{Prove, Register, SetUp, Stage as ZkStage, Store, Submit, Verify, Zk};

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
    /// Make a workspace: a folder with a log, objects, keys, and a chain.
    Init(Init),
    /// Register works, and see who registered one.
    #[command(subcommand)]
    Content(Content),
    /// Reserve works against training, and prove that a work is not reserved.
    #[command(subcommand, name = "optout")]
    OptOut(OptOut),
    /// Build datasets and challenge their items.
    #[command(subcommand)]
    Dataset(Dataset),
    /// Register models, train them, look at their taint.
    #[command(subcommand)]
    Model(Model),
    /// Run a training program, committed to beforehand and logged.
    #[command(subcommand)]
    Train(Train),
    /// Take revenue in, compute payouts, pay them out.
    #[command(subcommand)]
    Payout(Payout),
    /// Prove that a model made these outputs of these inputs, and verify such proofs.
    #[command(subcommand)]
    Zk(Zk),
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
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Folder {
    /// The workspace folder.
    #[arg(long = "dir", value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
}

/// Where a key's passphrase comes from. Without a file it is asked for on the terminal.
#[derive(Debug, Clone, ClapArgs)]
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
    /// Print a key's public half: PEM for other programs, the address of an account.
    Public {
        /// Its name.
        name: String,
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Let a key sign statements for an account, for a time. The account signs with `--key`.
    Bind {
        /// The key's name; of kind p256 or ed25519.
        name: String,
        /// For how many days.
        #[arg(long, value_name = "DAYS", default_value_t = 365)]
        days: u32,
        #[command(flatten)]
        signer: Signer,
    },
    /// Show the keys.
    List(Folder),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Explain {
    /// Record id, work or statement digest, or account; a record id may be shortened.
    pub(crate) id: String,
    /// Draw the lineage of the model behind it into this new file.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
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

/// Which workspace, and which of its keys signs and pays.
#[derive(Debug, ClapArgs)]
pub(crate) struct Signer {
    /// The key that signs and pays.
    #[arg(long, value_name = "NAME")]
    pub(crate) key: String,
    /// Rehearse the first transaction, say what it would cost, and stop. Sends nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
}

/// Which workspace, and which of its keys signs and pays, if anything is signed.
#[derive(Debug, ClapArgs)]
pub(crate) struct OptionalSigner {
    /// The key that signs and pays.
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
}

impl OptionalSigner {
    /// Who signs, if somebody does. Without signing these commands are their own dry run.
    pub(crate) fn signer(&self) -> Option<Signer> {
        let key = self.key.clone()?;
        let (folder, passphrase) = (self.folder.clone(), self.passphrase.clone());
        Some(Signer { key, dry_run: false, folder, passphrase })
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Init {
    /// Name of the first key. On an embedded chain it owns all coins.
    #[arg(long, value_name = "NAME", default_value = "owner")]
    pub(crate) key: String,
    /// Use the EVM chain at this URL instead of an embedded one. Sends nothing.
    #[arg(long, value_name = "URL")]
    pub(crate) rpc: Option<String>,
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
}

/// What arbiters of the workspace decide, and who sends it.
#[derive(Debug, ClapArgs)]
pub(crate) struct Verdict {
    /// For whoever challenged or disputed; otherwise against them.
    #[arg(long)]
    pub(crate) uphold: bool,
    /// File of the opinion.
    #[arg(long, value_name = "FILE")]
    pub(crate) opinion: PathBuf,
    /// The arbiters' keys, under the same passphrase.
    #[arg(long, value_name = "NAME", required = true)]
    pub(crate) arbiter: Vec<String>,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

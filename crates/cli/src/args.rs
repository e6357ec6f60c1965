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
    /// Take revenue in, compute payouts, pay them out.
    #[command(subcommand)]
    Payout(Payout),
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
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
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
    /// Say who registered a work. Exit 1: nobody.
    Verify {
        /// The work.
        file: PathBuf,
        #[command(flatten)]
        folder: Folder,
    },
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
    /// Say whether the newest checkpoint is tainted. Exit 1: it is.
    Taint {
        /// The model's record id.
        model: alloy_primitives::B256,
        #[command(flatten)]
        folder: Folder,
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
        #[command(flatten)]
        signer: Signer,
    },
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
    /// Each line of the files is a work of its own.
    #[arg(long)]
    pub(crate) lines: bool,
    #[command(flatten)]
    pub(crate) signer: Signer,
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

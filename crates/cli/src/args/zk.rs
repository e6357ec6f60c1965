//! Proofs of inference.

use std::path::PathBuf;

use alloy_primitives::B256;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::Signer;

#[derive(Debug, Subcommand)]
pub(crate) enum Zk {
    /// Make a quantised model and its key of an ONNX model or of a checkpoint of the trainer's.
    Setup(SetUp),
    /// Run a quantised model on inputs and prove the outputs, all in one proof.
    Prove(Prove),
    /// Verify a proof. Exit 1: it does not show what it says.
    Verify(Verify),
    /// Derive the key of a registered checkpoint's file, say how, and register it.
    Register(Register),
    /// Store a model key on chain, decoded, once for all: proofs under it then take less gas.
    Store(Store),
    /// Verify a proof under its registered key, log it, and have the contract verify it too. Exit 1:
    /// it does not show what it says.
    Submit(Submit),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Register {
    /// The checkpoint's record id.
    pub(crate) checkpoint: B256,
    /// Which of the checkpoint's files, where several could be models.
    #[arg(long, value_name = "NAME")]
    pub(crate) file: Option<String>,
    /// Samples that the ranges of the integers are taken from: JSON or CSV, a row each. They are
    /// published with the key.
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: PathBuf,
    /// Largest feature of the trainer's safetensors.
    #[arg(long, value_name = "NUMBER", default_value_t = 16)]
    pub(crate) feature_max: u32,
    /// Also write the quantised model (STEM.pzq) and its key (STEM.pzk), which are the same each time.
    #[arg(short, long, value_name = "STEM")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Store {
    /// The model key (.pzk).
    #[arg(value_name = "KEY")]
    pub(crate) file: PathBuf,
    /// How many inputs the proofs will be about: the key is decoded for one size of batches.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) batch: u32,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Submit {
    /// The proof.
    pub(crate) proof: PathBuf,
    /// Do not ask the contract: nothing is sent.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) off_chain: bool,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SetUp {
    /// The model: ONNX (opset 13 to 21) or the trainer's safetensors.
    pub(crate) model: PathBuf,
    /// Samples that the ranges of the integers are taken from: JSON or CSV, a row each.
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: PathBuf,
    /// Samples with labels, to compare both models on.
    #[arg(long, value_name = "FILE")]
    pub(crate) test: Option<PathBuf>,
    /// Largest feature of the trainer's safetensors.
    #[arg(long, value_name = "NUMBER", default_value_t = 16)]
    pub(crate) feature_max: u32,
    /// Where to: STEM.pzq is the quantised model, STEM.pzk its key (default: beside the model).
    #[arg(short, long, value_name = "STEM")]
    pub(crate) output: Option<PathBuf>,
    /// Make a key that hides the weights; STEM.secret, without which nobody proves with it; and
    /// STEM.range, which shows that the weights are bounded integers. Shapes, operators and scales show;
    /// of which model the weights are, you alone say.
    #[arg(long)]
    pub(crate) hiding: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Prove {
    /// The quantised model (.pzq).
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// Its key (.pzk); without it the weights are committed anew.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Inputs: JSON or CSV, a row each. Labels are not looked at.
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// What the proof is for, such as a job's id: it holds in this context alone.
    #[arg(long, value_name = "HEX", default_value_t = B256::ZERO)]
    pub(crate) context: B256,
    /// Where the proof goes.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Show nothing of the inputs but the outputs: they are committed, and OUTPUT.opening, which
    /// opens the commitment, is yours to keep.
    #[arg(long)]
    pub(crate) hiding: bool,
    /// The secret of a key that hides its weights (.secret).
    #[arg(long, value_name = "FILE", requires = "hiding")]
    pub(crate) secret: Option<PathBuf>,
}

/// What a proof hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Nothing.
    Succinct,
    /// The inputs, and the weights if the key does.
    Hiding,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Verify {
    /// The model's key (.pzk).
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// The proof.
    #[arg(long, value_name = "FILE")]
    pub(crate) proof: PathBuf,
    /// The range proof of a key that hides its weights (.range): that they are bounded integers.
    #[arg(long, value_name = "FILE")]
    pub(crate) range: Option<PathBuf>,
    /// The model that is expected: its key's digest.
    #[arg(long, value_name = "HEX")]
    pub(crate) id: Option<B256>,
    /// The context that is expected.
    #[arg(long, value_name = "HEX")]
    pub(crate) context: Option<B256>,
    /// The stage that is demanded.
    #[arg(long, value_name = "STAGE")]
    pub(crate) stage: Option<Stage>,
    /// The inputs that are expected: JSON or CSV, a row each.
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(crate) input: Option<PathBuf>,
    /// The opening of the committed inputs that are expected (.opening).
    #[arg(long, value_name = "FILE", conflicts_with = "input")]
    pub(crate) opening: Option<PathBuf>,
    /// The quantised model (.pzq), for what integers stand for.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
}

//! Proofs of inference: a model becomes a quantised model and a key, inputs a proof, and a proof a
//! verdict; keys are registered, proofs logged and audited.

mod any_proof;
mod hidden;
mod offline;
mod proof_file;
mod registered;
mod samples;
mod secrets;
mod stored;

use std::{io, path::PathBuf};

use alloy_primitives::B256;
use probity_core::Finding;
use probity_zk::{KeyError, ModelFileError, ModelKey, Stage, verify};
use probity_zk_prover::{
    Graph, ImportError, ProveError, ProvingKey, QuantiseError, Quantised, prove, quantise,
};

pub use any_proof::{AnyProof, HidingProofFile};
pub use hidden::{
    check_hiding, check_range, hiding_key, hiding_proving_key, prove_hidden_inputs, range_proof,
    write_with_secrets,
};
pub(crate) use offline::checks;
pub use proof_file::{ProofFile, ProofFileError};
pub use registered::{KeyPlan, Recorded, RegisteredKey};
pub use samples::{Samples, SamplesError};
pub use secrets::{KeySecret, SecretFileError, fresh_seed, parse_opening, write_opening};
pub use stored::StoredKey;

/// Why nothing was set up, proved or verified.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// A model that cannot be read.
    #[error("the model cannot be imported")]
    Import(#[from] ImportError),
    /// A model that cannot be made of integers.
    #[error("the model cannot be quantised")]
    Quantise(#[from] QuantiseError),
    /// Not a quantised model.
    #[error("not a quantised model")]
    Quantised(#[from] ModelFileError),
    /// Not a model key, or one that cannot be made.
    #[error("not a model key")]
    Key(#[from] KeyError),
    /// Inputs that cannot be read.
    #[error("not samples of this model")]
    Samples(#[from] SamplesError),
    /// Not a proof file.
    #[error("not a proof file")]
    ProofFile(#[from] ProofFileError),
    /// Inputs that cannot be proved.
    #[error("nothing was proved")]
    Prove(#[from] ProveError),
    /// Not the opening of inputs, not a key's secret, or none can be made.
    #[error("not a file of secrets of this kind")]
    Secret(#[from] SecretFileError),
    /// A key that hides its weights, without what it was blinded with; or such a secret without.
    #[error("the key `{0}` hides its weights: its secret is needed, and no other key's")]
    KeySecret(B256),
    /// A key that the contracts would refuse.
    #[error("the key `{0}` hides its weights: no contract verifies proofs under it")]
    HidingOnChain(B256),
    /// The key was made from another model.
    #[error("the key `{0}` was not made from this model")]
    OtherKey(B256),
    /// Files that cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The first of them.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl InferenceError {
    /// The next command to try, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Quantised(_) => "probity zk setup makes a quantised model (.pzq) and its key",
            Self::Key(_) | Self::OtherKey(_) => {
                "probity zk setup makes the key (.pzk) of a model, the same each time"
            }
            Self::Samples(_) => {
                "samples are JSON ([[…], …], {\"input_data\": …} or {\"x\": …, \"y\": …}) or CSV, \
                 a row each, with or without a label at the end"
            }
            Self::ProofFile(_) => "probity zk prove writes proof files",
            Self::KeySecret(_) | Self::Secret(SecretFileError::Json(_)) => {
                "probity zk setup --hiding writes a key's secret (.secret), give it with --secret; \
                 probity zk prove --hiding writes an input's opening (.opening)"
            }
            Self::Prove(ProveError::HidingKey) => "probity zk prove --hiding",
            _ => return None,
        })
    }
}

/// How often the largest output was the label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accuracy {
    /// Samples with a label.
    pub samples: usize,
    /// By the float model.
    pub float_correct: usize,
    /// By the integer model.
    pub integer_correct: usize,
}

/// Reads a model: ONNX, or the built-in trainer's safetensors, whose features go to `feature_max`.
pub fn import(bytes: &[u8], feature_max: u32) -> Result<Graph, InferenceError> {
    // Safetensors start with the length of a JSON object, ONNX with a field of a few bits.
    let graph = match bytes.get(8) {
        Some(b'{') => Graph::from_mlp(bytes, feature_max)?,
        _ => Graph::from_onnx(bytes)?,
    };
    Ok(graph)
}

/// Values of one input of a float model.
pub fn input_size(graph: &Graph) -> usize {
    graph.input.iter().map(|size| *size as usize).product()
}

/// Quantises a model by what it does on samples.
pub fn set_up(graph: &Graph, calibration: &Samples) -> Result<Quantised, InferenceError> {
    Ok(quantise(graph, &calibration.rows)?)
}

/// Compares the float with the integer model on samples with labels.
pub fn accuracy(graph: &Graph, quantised: &Quantised, samples: &Samples) -> Option<Accuracy> {
    let labels = samples.labels.as_ref()?;
    let mut accuracy = Accuracy { samples: labels.len(), float_correct: 0, integer_correct: 0 };
    for (row, label) in samples.rows.iter().zip(labels) {
        let float = graph.run(row)?.pop()?;
        let trace = quantised.model.run(&quantised.encode(row)).ok()?;
        let integer = trace.outputs.last()?;
        accuracy.float_correct += usize::from(largest(&float) == Some(*label));
        accuracy.integer_correct += usize::from(largest(integer) == Some(*label));
    }
    Some(accuracy)
}

/// Which value is the largest; the first of equals.
pub fn largest<T: PartialOrd>(values: &[T]) -> Option<usize> {
    let better = |best: usize, i: usize| {
        let both = (values.get(i), values.get(best));
        if matches!(both, (Some(value), Some(best)) if value > best) { i } else { best }
    };
    (!values.is_empty()).then(|| (0..values.len()).fold(0, better))
}

/// Commits a model's weights, or takes the commitments from its key, which is quicker.
pub fn proving_key(
    quantised: &Quantised,
    key: Option<ModelKey>,
) -> Result<ProvingKey, InferenceError> {
    let model = quantised.model.clone();
    match key {
        None => Ok(ProvingKey::new(model)?),
        Some(key) => {
            let id = B256::from(*key.digest());
            if key.stage() == Stage::Hiding {
                return Err(InferenceError::KeySecret(id));
            }
            ProvingKey::with_key(model, key).ok_or(InferenceError::OtherKey(id))
        }
    }
}

/// Proves what the model makes of all inputs at once, and checks the proof.
pub fn prove_inputs(
    key: &ProvingKey,
    quantised: &Quantised,
    context: B256,
    rows: &[Vec<f32>],
) -> Result<ProofFile, InferenceError> {
    let input: Vec<i8> = rows.iter().flat_map(|row| quantised.encode(row)).collect();
    let (statement, proof) = prove(key, context.0, &input)?;
    // A key of the same network with other weights shows only here.
    let model_key = key.model_key();
    if verify(model_key, &statement, &proof).is_err() {
        return Err(InferenceError::OtherKey(B256::from(*model_key.digest())));
    }
    Ok(ProofFile { model: B256::from(*model_key.digest()), statement, proof })
}

/// Inputs' values that lie beyond what the model was calibrated for, and are cut off there.
pub fn saturated(quantised: &Quantised, rows: &[Vec<f32>]) -> usize {
    let top = 127.5 * quantised.input_scale;
    rows.iter().flatten().filter(|value| value.abs() > top).count()
}

/// What a proof is expected to be about, beside the key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// The model's id.
    pub model: Option<B256>,
    /// What the proof is for.
    pub context: Option<B256>,
    /// The inputs, as integers.
    pub input: Option<Vec<i8>>,
}

/// What is wrong with a proof: nothing if it shows what it says, and that is what is expected.
pub fn check(key: &ModelKey, file: &ProofFile, expected: &Expected) -> Vec<Finding> {
    let mut findings = others(key, file.model, file.statement.context.into(), expected);
    if expected.input.as_ref().is_some_and(|input| *input != file.statement.input) {
        let message = "the inputs proved are not the inputs expected";
        findings.push(Finding::error("zk.statement.input", "input", message));
    }
    if let Err(rejection) = verify(key, &file.statement, &file.proof) {
        findings.push(rejection.finding("proof"));
    }
    findings
}

/// Whether key, model and context are those expected.
fn others(key: &ModelKey, model: B256, context: B256, expected: &Expected) -> Vec<Finding> {
    let mut findings = vec![];
    let id = B256::from(*key.digest());
    let mut differs = |code: &str, what: &str, expected: B256, got: B256| {
        if expected != got {
            let message = format!("expected {what} `{expected}`, got `{got}`");
            findings.push(Finding::error(code, what, message));
        }
    };
    differs("zk.statement.model", "model", expected.model.unwrap_or(id), id);
    differs("zk.statement.key", "proof's model", id, model);
    differs("zk.statement.context", "context", expected.context.unwrap_or(context), context);
    findings
}

/// Writes files that belong together: all, or none.
pub fn write(files: &[(PathBuf, Vec<u8>)]) -> Result<(), InferenceError> {
    write_with_secrets(files, &[])
}

//! Proofs that hide their inputs, and keys that hide their weights.

use std::path::PathBuf;

use alloy_primitives::B256;
use probity_core::Finding;
use probity_zk::{ModelKey, Stage, verify_hiding, verify_range};
use probity_zk_prover::{InputOpening, ProvingKey, Quantised, prove_hiding, prove_range};
use zeroize::Zeroizing;

use super::{Expected, HidingProofFile, InferenceError, KeySecret, fresh_seed, others};

/// Commits a model's weights so that the key hides them, and what it was blinded with.
pub fn hiding_key(quantised: &Quantised) -> Result<(ProvingKey, KeySecret), InferenceError> {
    let seed = fresh_seed()?;
    let key = ProvingKey::hiding(quantised.model.clone(), &seed)?;
    let model = B256::from(*key.model_key().digest());
    Ok((key, KeySecret { model, seed }))
}

/// Proves that a hiding key's weights are bounded integers, which takes longer than committing them.
pub fn range_proof(key: &ProvingKey) -> Result<Vec<u8>, InferenceError> {
    Ok(prove_range(key, &fresh_seed()?)?)
}

/// What is wrong with such a proof.
pub fn check_range(key: &ModelKey, proof: &[u8]) -> Vec<Finding> {
    let rejection = verify_range(key, proof).err();
    rejection.into_iter().map(|rejection| rejection.finding("range proof")).collect()
}

/// Takes a hiding key with its secret, or makes it again.
pub fn hiding_proving_key(
    quantised: &Quantised,
    key: Option<ModelKey>,
    secret: &KeySecret,
) -> Result<ProvingKey, InferenceError> {
    let model = quantised.model.clone();
    let made = match key {
        None => ProvingKey::hiding(model, &secret.seed)?,
        Some(key) => {
            let id = B256::from(*key.digest());
            if key.stage() != Stage::Hiding || id != secret.model {
                return Err(InferenceError::KeySecret(id));
            }
            ProvingKey::with_hiding_key(model, key, &secret.seed)
                .ok_or(InferenceError::OtherKey(id))?
        }
    };
    let own = *made.model_key().digest() == secret.model.0;
    own.then_some(made).ok_or(InferenceError::OtherKey(secret.model))
}

/// Proves what the model makes of all inputs at once without showing them, and checks the proof.
/// With it comes the opening of the inputs' commitment, which stays with their owner.
pub fn prove_hidden_inputs(
    key: &ProvingKey,
    quantised: &Quantised,
    context: B256,
    rows: &[Vec<f32>],
) -> Result<(HidingProofFile, InputOpening), InferenceError> {
    let input = rows.iter().flat_map(|row| quantised.encode(row)).collect();
    let opening = InputOpening::new(input, fresh_seed()?);
    let (statement, proof) = prove_hiding(key, context.0, &opening, &fresh_seed()?)?;
    // A key of the same network with other weights shows only here.
    let model = B256::from(*key.model_key().digest());
    if verify_hiding(key.model_key(), &statement, &proof).is_err() {
        return Err(InferenceError::OtherKey(model));
    }
    Ok((HidingProofFile { model, statement, proof }, opening))
}

/// What is wrong with a hiding proof, and with the opening of its inputs if there is one: nothing if
/// it shows what it says, and that is what is expected.
pub fn check_hiding(
    key: &ModelKey,
    file: &HidingProofFile,
    expected: &Expected,
    opening: Option<&InputOpening>,
) -> Vec<Finding> {
    let mut findings = others(key, file.model, file.statement.context.into(), expected);
    let opens = |opening: &InputOpening| {
        opening.commit(key.network()).is_ok_and(|rows| rows == file.statement.input)
    };
    let mut other = |message: &str| {
        findings.push(Finding::error("zk.statement.input", "input", message));
    };
    if expected.input.is_some() {
        other("the inputs are committed: only their opening can be compared");
    }
    if opening.is_some_and(|opening| !opens(opening)) {
        other("the opening is not that of the inputs proved");
    }
    if let Err(rejection) = verify_hiding(key, &file.statement, &file.proof) {
        findings.push(rejection.finding("proof"));
    }
    findings
}

/// Writes files that belong together: all, or none. Nobody else may read those of the second kind.
pub fn write_with_secrets(
    files: &[(PathBuf, Vec<u8>)],
    secrets: &[(PathBuf, Zeroizing<Vec<u8>>)],
) -> Result<(), InferenceError> {
    probity_store::replace_all_with_secrets(files, secrets).map_err(|source| {
        let path = files.first().map(|(path, _)| path.clone()).unwrap_or_default();
        InferenceError::Write { path, source }
    })
}

//! Proofs and keys checked from bytes alone, for audits of strangers' bundles.

use std::error::Error;

use alloy_primitives::B256;
use probity_core::{Digest, Finding};
use probity_provenance::inference::{Checks, Derivation, Holds, Proved, Quantisation};
use probity_zk::ModelKey;
use probity_zk_prover::PROCEDURE;

use super::{
    Expected, InferenceError, ProofFile, Samples, check, import, input_size, proving_key, set_up,
};

/// Most multiplications and values of a calibration that an audit goes through.
const MAX_WORK: u64 = 1 << 34;
/// Most values of one input's calibration, all layers together.
const MAX_VALUES: u64 = 1 << 26;

/// The verifier and the quantiser, as audits take them.
pub(crate) fn checks() -> Checks<'static> {
    Checks { verify: &verify, derive: &derive }
}

fn verify(key: &[u8], proof: &[u8]) -> Result<Holds, Vec<Finding>> {
    let malformed = |code, error: String| vec![Finding::error(code, "proof", error)];
    let key = ModelKey::decode(key)
        .map_err(|error| malformed("model-key.malformed", error.to_string()))?;
    let file = ProofFile::parse(proof)
        .map_err(|error| malformed("inference.proof.malformed", error.to_string()))?;
    let findings = check(&key, &file, &Expected::default());
    if findings.is_empty() { Ok(holds(&file)) } else { Err(findings) }
}

/// What a proof that was verified shows.
pub(super) fn holds(file: &ProofFile) -> Holds {
    let statement = &file.statement;
    Holds {
        proved: Proved {
            key: file.model,
            context: statement.context.into(),
            batch: statement.batch,
            input: statement.input_commitment().into(),
            output: statement.output_commitment().into(),
        },
        subjects: [statement.input_bytes(), statement.output_bytes()]
            .map(|bytes| Digest::of(&bytes)),
    }
}

fn derive(model: &[u8], calibration: &[u8], how: &Quantisation) -> Derivation {
    if how.procedure != PROCEDURE {
        let text = format!("this program knows procedure `{PROCEDURE}`, not `{}`", how.procedure);
        return Derivation::NotTried(text);
    }
    match derived(model, calibration, how.feature_max) {
        Ok(Some(key)) => Derivation::Key(key),
        Ok(None) => Derivation::NotTried("it would take too long here".to_owned()),
        Err(error) => Derivation::Failed(in_full(&error)),
    }
}

fn derived(
    model: &[u8],
    calibration: &[u8],
    feature_max: u32,
) -> Result<Option<B256>, InferenceError> {
    let graph = import(model, feature_max)?;
    let samples = Samples::parse(calibration, input_size(&graph))?;
    let (work, values) = graph.work();
    if values > MAX_VALUES || work.saturating_mul(samples.rows.len() as u64) > MAX_WORK {
        return Ok(None);
    }
    let key = proving_key(&set_up(&graph, &samples)?, None)?;
    Ok(Some(B256::from(*key.model_key().digest())))
}

/// An error with its causes.
fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

    use probity_core::Digest;
    use probity_provenance::inference::SamplesReference;

    use super::*;

    const MODEL: &[u8] = include_bytes!("../../../../vectors/zk/models/convolution.onnx");

    fn quantisation(procedure: &str) -> Quantisation {
        let calibration = SamplesReference { sha256: Digest::of(b""), size: 0 };
        Quantisation { procedure: procedure.to_owned(), calibration, feature_max: 16 }
    }

    #[test]
    fn keys_are_derived_or_it_is_said_why_not() {
        let row = format!("{}1\n", "0.5,".repeat(35));
        let derive = |model: &[u8], samples: &str, procedure: &str| {
            derive(model, samples.as_bytes(), &quantisation(procedure))
        };
        let Derivation::Key(key) = derive(MODEL, &row, PROCEDURE) else { panic!("no key") };
        assert_eq!(derive(MODEL, &row, PROCEDURE), Derivation::Key(key));
        assert_ne!(derive(MODEL, &row.replace("0.5", "0.7"), PROCEDURE), Derivation::Key(key));
        assert!(matches!(derive(MODEL, &row, "other/1"), Derivation::NotTried(_)));
        for (model, samples) in [(MODEL, ""), (b"", row.as_str()), (&MODEL[..99], &row)] {
            let failed = derive(model, samples, PROCEDURE);
            assert!(matches!(failed, Derivation::Failed(_)), "{failed:?}");
        }
    }

    /// An audit is no place for hours of calibration, whoever made the model.
    #[test]
    fn too_much_work_is_not_begun() {
        let tensors = [("fc1.weight", "65536,16", 16 << 16), ("fc1.bias", "65536", 1 << 16)];
        let tensors =
            tensors.into_iter().chain([("fc2.weight", "2,65536", 2 << 16), ("fc2.bias", "2", 2)]);
        let (mut fields, mut end) = (vec![], 0);
        for (name, shape, count) in tensors {
            let start = end;
            end += 4 * count;
            fields.push(format!(
                "\"{name}\":{{\"dtype\":\"F32\",\"shape\":[{shape}],\"data_offsets\":[{start},{end}]}}"
            ));
        }
        let header = format!("{{{}}}", fields.join(","));
        let mut model = (header.len() as u64).to_le_bytes().to_vec();
        model.extend(header.as_bytes());
        model.resize(model.len() + end, 0);
        let derive = |rows: usize| {
            let samples = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16\n".repeat(rows);
            derive(&model, samples.as_bytes(), &quantisation(PROCEDURE))
        };
        assert!(matches!(derive(15_000), Derivation::NotTried(_)));
        assert!(!matches!(derive(1), Derivation::NotTried(_)));
    }

    #[test]
    fn any_bytes_are_no_proof() {
        for bytes in [&b""[..], b"{}", b"\xff", MODEL] {
            assert!(verify(bytes, bytes).is_err());
        }
    }
}

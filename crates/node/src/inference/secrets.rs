//! What stays with its owner: inputs with the randomness of their commitment, and the randomness of
//! a key that hides its weights. Both as JSON that nobody else may read.

use std::fmt;

use alloy_primitives::{B256, Bytes};
use probity_zk_prover::{InputOpening, Seed};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const INPUT_FORMAT: &str = "probity-zk-input/1";
const KEY_FORMAT: &str = "probity-zk-key-secret/1";

/// Why bytes are not such a file.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// Not the JSON that is expected. What it is instead is not shown.
    #[error("malformed JSON at line `{0}`")]
    Json(usize),
    /// Of another kind.
    #[error("expected format `{expected}`, got `{got}`")]
    Format {
        /// What is read.
        expected: &'static str,
        /// What it says it is.
        got: String,
    },
    /// The operating system has no randomness.
    #[error("the operating system gave no randomness")]
    NoRandomness,
}

/// 32 bytes of the operating system's randomness.
pub fn fresh_seed() -> Result<Seed, SecretFileError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| SecretFileError::NoRandomness)?;
    Ok(seed)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct InputFields {
    format: String,
    input: Bytes,
    seed: B256,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct KeyFields {
    format: String,
    model: B256,
    seed: B256,
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, SecretFileError> {
    serde_json::from_slice(bytes).map_err(|error| SecretFileError::Json(error.line()))
}

fn expect(expected: &'static str, got: String) -> Result<(), SecretFileError> {
    if got == expected { Ok(()) } else { Err(SecretFileError::Format { expected, got }) }
}

fn write(fields: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let bytes = serde_json::to_vec_pretty(fields);
    let mut bytes = Zeroizing::new(bytes.map_err(|error| SecretFileError::Json(error.line()))?);
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads the opening of an input's commitment.
pub fn parse_opening(bytes: &[u8]) -> Result<InputOpening, SecretFileError> {
    let fields: InputFields = parse(bytes)?;
    expect(INPUT_FORMAT, fields.format)?;
    let values = fields.input.iter().map(|byte| byte.cast_signed()).collect();
    Ok(InputOpening::new(values, Zeroizing::new(fields.seed.0)))
}

/// The opening's bytes.
pub fn write_opening(opening: &InputOpening) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let input: Vec<u8> = opening.values().iter().map(|value| value.cast_unsigned()).collect();
    write(&InputFields {
        format: INPUT_FORMAT.to_owned(),
        input: input.into(),
        seed: B256::from(**opening.seed()),
    })
}

/// What a key that hides its weights was blinded with.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret {
    /// The key's digest.
    pub model: B256,
    /// The randomness.
    pub seed: Seed,
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySecret({}, redacted)", self.model)
    }
}

impl KeySecret {
    /// Reads the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, SecretFileError> {
        let fields: KeyFields = parse(bytes)?;
        expect(KEY_FORMAT, fields.format)?;
        Ok(Self { model: fields.model, seed: Zeroizing::new(fields.seed.0) })
    }

    /// The file's bytes.
    pub fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
        let (format, seed) = (KEY_FORMAT.to_owned(), B256::from(*self.seed));
        write(&KeyFields { format, model: self.model, seed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back_and_are_not_shown() {
        let opening = InputOpening::new(vec![-128, 0, 127], fresh_seed().unwrap());
        let bytes = write_opening(&opening).unwrap();
        assert_eq!(parse_opening(&bytes).unwrap(), opening);
        let secret = KeySecret { model: B256::repeat_byte(7), seed: fresh_seed().unwrap() };
        let file = secret.to_json().unwrap();
        assert_eq!(KeySecret::parse(&file).unwrap(), secret);
        let digits = B256::from(*secret.seed).to_string();
        assert!(!format!("{secret:?}").contains(digits.trim_start_matches("0x")));
        assert_ne!(*fresh_seed().unwrap(), *secret.seed);
        // One is not taken for the other, nor is a damaged one read.
        assert!(matches!(KeySecret::parse(&bytes), Err(SecretFileError::Json(_))));
        assert!(matches!(parse_opening(&file), Err(SecretFileError::Json(_))));
        assert!(matches!(parse_opening(&bytes[..20]), Err(SecretFileError::Json(_))));
        let other = String::from_utf8(bytes.to_vec()).unwrap().replace("input/1", "input/2");
        assert!(matches!(parse_opening(other.as_bytes()), Err(SecretFileError::Format { .. })));
    }
}

//! ISCC codes (ISO 24138:2024) as evidence writes them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bands::MinHash;

/// ISCC main types and subtypes.
const CONTENT: u8 = 2;
const DATA: u8 = 3;
const SUBTYPE_TEXT: u8 = 0;
const SUBTYPE_IMAGE: u8 = 1;
const SUBTYPE_NONE: u8 = 0;

/// Why something is no ISCC code of the kind expected.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// Said by the library.
    #[error("no ISCC code can be made")]
    Iscc(#[from] iscc_lib::IsccError),
    /// Another kind or length.
    #[error("expected {expected}, got `{got}`")]
    Kind {
        /// What was expected.
        expected: &'static str,
        /// The text.
        got: String,
    },
}

/// A 64-bit ISCC image code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageCode(pub(super) u64);

/// A 256-bit ISCC text or data code: 64 minima of shingles, four bits of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShingleCode {
    pub(super) main: u8,
    pub(super) digest: MinHash,
}

fn decode(
    text: &str,
    expected: &'static str,
    kinds: &[(u8, u8)],
) -> Result<(u8, Vec<u8>), CodeError> {
    let wrong = || CodeError::Kind { expected, got: text.chars().take(80).collect() };
    // Longer texts are no single code, and the library would take them apart.
    if text.len() > 80 {
        return Err(wrong());
    }
    let (main, sub, version, _, digest) = iscc_lib::iscc_decode(text)?;
    if version == 0 && kinds.contains(&(main, sub)) { Ok((main, digest)) } else { Err(wrong()) }
}

impl ImageCode {
    /// The code of 32 × 32 grey pixels (`gen_image_code_v0`).
    pub(super) fn of(pixels: &[u8]) -> Result<Self, CodeError> {
        iscc_lib::gen_image_code_v0(pixels, 64)?.iscc.parse()
    }

    /// In how many bits two codes differ.
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

impl FromStr for ImageCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let expected = "a 64-bit ISCC image code";
        let (_, digest) = decode(text, expected, &[(CONTENT, SUBTYPE_IMAGE)])?;
        let bytes: [u8; 8] =
            digest.try_into().map_err(|_| CodeError::Kind { expected, got: text.to_owned() })?;
        Ok(Self(u64::from_be_bytes(bytes)))
    }
}

impl fmt::Display for ImageCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.to_be_bytes();
        let code = iscc_lib::encode_component(CONTENT, SUBTYPE_IMAGE, 0, 64, &bytes);
        write!(f, "ISCC:{}", code.map_err(|_| fmt::Error)?)
    }
}

impl ShingleCode {
    /// The code of a text (`gen_text_code_v0`).
    pub fn of_text(text: &str) -> Result<Self, CodeError> {
        iscc_lib::gen_text_code_v0(text, 256)?.iscc.parse()
    }

    /// The code of any bytes (`gen_data_code_v0`).
    pub fn of_data(bytes: &[u8]) -> Result<Self, CodeError> {
        iscc_lib::gen_data_code_v0(bytes, 256)?.iscc.parse()
    }
}

impl FromStr for ShingleCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let expected = "a 256-bit ISCC text or data code";
        let kinds = [(CONTENT, SUBTYPE_TEXT), (DATA, SUBTYPE_NONE)];
        let (main, digest) = decode(text, expected, &kinds)?;
        let digest =
            digest.try_into().map_err(|_| CodeError::Kind { expected, got: text.to_owned() })?;
        Ok(Self { main, digest })
    }
}

impl fmt::Display for ShingleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = iscc_lib::encode_component(self.main, SUBTYPE_TEXT, 0, 256, &self.digest);
        write!(f, "ISCC:{}", code.map_err(|_| fmt::Error)?)
    }
}

impl Serialize for ImageCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for ShingleCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ShingleCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

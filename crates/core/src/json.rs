//! Canonical JSON (RFC 8785), for ids that are derived from JSON.
//!
//! Signing never needs it (DSSE signs bytes); only ids do. Values that are hashed hold no floats,
//! and integers beyond 2^53 and decimals are strings.

use serde::{Serialize, de::DeserializeOwned};

use crate::Digest;

/// Largest JSON document that [`decode`] accepts, in bytes.
pub const MAX_JSON_BYTES: usize = 16 << 20;

/// Why a value has no canonical form, or bytes no value.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or not of the expected form.
    #[error("malformed JSON")]
    Malformed(#[from] serde_json::Error),
    /// Larger than documents of its kind are.
    #[error("JSON of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The most that is decoded.
        limit: usize,
    },
}

/// The canonical bytes of a value (RFC 8785).
///
/// ```
/// let value = serde_json::json!({"b": 1, "a": "ö"});
/// assert_eq!(probity_core::json::canonical(&value).unwrap(), "{\"a\":\"ö\",\"b\":1}".as_bytes());
/// ```
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, JsonError> {
    Ok(serde_json_canonicalizer::to_vec(value)?)
}

/// The digest of the canonical bytes: the id of a JSON document.
pub fn canonical_digest<T: Serialize>(value: &T) -> Result<Digest, JsonError> {
    Ok(Digest::of(&canonical(value)?))
}

/// Decodes untrusted JSON of at most [`MAX_JSON_BYTES`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    decode_within(bytes, MAX_JSON_BYTES)
}

/// Decodes untrusted JSON of a kind that has a limit of its own: a list whose elements take no more
/// memory than their JSON, for instance.
pub fn decode_within<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, JsonError> {
    if bytes.len() > limit {
        return Err(JsonError::TooLarge { size: bytes.len(), limit });
    }
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonicalize(text: &str) -> String {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        String::from_utf8(canonical(&value).unwrap()).unwrap()
    }

    /// RFC 8785 §3.2.2 and §3.2.3.
    #[test]
    fn rfc_8785_section_3_2_example() {
        let input = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        let expected = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,\
                        0.002,1e-27],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(canonicalize(input), expected);
    }

    /// RFC 8785 §3.2.3: keys are sorted by UTF-16 code units.
    #[test]
    fn rfc_8785_sorting_example() {
        let input = r#"{
            "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
            "\u00f6": "Latin Small Letter O With Diaeresis"
        }"#;
        let sorted = canonicalize(input);
        let order = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"];
        let positions: Vec<_> = order.iter().map(|word| sorted.find(word).unwrap()).collect();
        assert!(positions.is_sorted(), "{sorted}");
    }

    /// RFC 8785 appendix B: IEEE 754 bits and their JSON form.
    #[test]
    fn rfc_8785_appendix_b_numbers() {
        let samples: &[(u64, &str)] = &[
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ];
        for (bits, expected) in samples {
            let value = f64::from_bits(*bits);
            assert_eq!(String::from_utf8(canonical(&value).unwrap()).unwrap(), *expected);
        }
        assert!(canonical(&f64::NAN).is_err());
        assert!(canonical(&f64::INFINITY).is_err());
    }

    #[test]
    fn oversized_documents_are_refused() {
        let huge = vec![b' '; MAX_JSON_BYTES + 1];
        assert!(matches!(decode::<serde_json::Value>(&huge), Err(JsonError::TooLarge { .. })));
    }
}

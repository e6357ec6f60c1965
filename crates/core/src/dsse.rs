//! Dead Simple Signing Envelope (DSSE v1.0.2): signatures over raw bytes.
//!
//! What is signed is the pre-authentication encoding (PAE) of payload type and payload, so no
//! canonical JSON is needed and a payload cannot be passed off as another type.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    Digest, Finding,
    json::{self, JsonError},
    keys::{KeyError, PublicKey, SecretKey},
};

/// Most signatures an envelope may carry.
pub const MAX_SIGNATURES: usize = 16;

/// A signed payload.
///
/// ```
/// use probity_core::{dsse::Envelope, keys::{KeyType, SecretKey}};
/// let key = SecretKey::generate(KeyType::Ed25519).unwrap();
/// let envelope = Envelope::sign("text/plain", b"hello".to_vec(), &[&key]).unwrap();
/// let (signers, findings) = envelope.verify();
/// assert_eq!(signers, [key.public().unwrap()]);
/// assert!(findings.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Media type of the payload.
    pub payload_type: String,
    /// The signed bytes.
    pub payload: Vec<u8>,
    /// Signatures, at most [`MAX_SIGNATURES`].
    pub signatures: Vec<Signature>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// [`PublicKey::key_id`] of the signer. DSSE calls it a hint; here it holds the key itself.
    pub key_id: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why bytes are not an envelope, or an envelope cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DsseError {
    /// Not JSON of the envelope's form.
    #[error("malformed DSSE envelope")]
    Json(#[from] JsonError),
    /// A field that is not standard base64.
    #[error("field `{0}` of the DSSE envelope is not standard base64")]
    Base64(&'static str),
    /// Too many or no signatures.
    #[error("a DSSE envelope carries 1 to {MAX_SIGNATURES} signatures, got {0}")]
    SignatureCount(usize),
    /// Signing failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEnvelope {
    payload_type: String,
    payload: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
struct WireSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// The pre-authentication encoding: what is signed (DSSE protocol, "PAE").
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// Signs a payload with every key.
    pub fn sign(
        payload_type: &str,
        payload: Vec<u8>,
        keys: &[&SecretKey],
    ) -> Result<Self, DsseError> {
        let message = pae(payload_type, &payload);
        let signatures = keys
            .iter()
            .map(|key| Ok(Signature { key_id: key.public()?.key_id(), bytes: key.sign(&message)? }))
            .collect::<Result<Vec<_>, KeyError>>()?;
        check_count(signatures.len())?;
        Ok(Self { payload_type: payload_type.to_owned(), payload, signatures })
    }

    /// The digest of the payload: the name of what was signed, whoever signed it.
    pub fn payload_digest(&self) -> Digest {
        Digest::of(&self.payload)
    }

    /// Checks every signature. Returns the keys that signed, and a finding for each signature that
    /// does not hold. Total on any envelope.
    pub fn verify(&self) -> (Vec<PublicKey>, Vec<Finding>) {
        let message = pae(&self.payload_type, &self.payload);
        let (mut signers, mut findings) = (Vec::new(), Vec::new());
        let subject = self.payload_digest();
        if self.signatures.is_empty() {
            findings.push(Finding::error("dsse.signature.missing", subject, "nobody signed"));
        }
        for signature in self.signatures.iter().take(MAX_SIGNATURES) {
            match PublicKey::from_key_id(&signature.key_id) {
                Ok(key) if key.verify(&message, &signature.bytes) => signers.push(key),
                Ok(key) => findings.push(Finding::error(
                    "dsse.signature.invalid",
                    subject,
                    format!("the signature of `{}` does not match the payload", key.key_id()),
                )),
                Err(error) => {
                    findings.push(Finding::error("dsse.keyid.invalid", subject, error));
                }
            }
        }
        if self.signatures.len() > MAX_SIGNATURES {
            let message = DsseError::SignatureCount(self.signatures.len());
            findings.push(Finding::error("dsse.signature.count", subject, message));
        }
        (signers, findings)
    }

    /// The envelope's JSON, one spelling.
    pub fn to_json(&self) -> Result<Vec<u8>, DsseError> {
        let wire = WireEnvelope {
            payload_type: self.payload_type.clone(),
            payload: STANDARD.encode(&self.payload),
            signatures: self
                .signatures
                .iter()
                .map(|signature| WireSignature {
                    keyid: signature.key_id.clone(),
                    sig: STANDARD.encode(&signature.bytes),
                })
                .collect(),
        };
        Ok(json::canonical(&wire)?)
    }

    /// Decodes untrusted JSON. Unknown fields are ignored, as the DSSE protocol asks.
    pub fn from_json(bytes: &[u8]) -> Result<Self, DsseError> {
        let wire: WireEnvelope = json::decode(bytes)?;
        check_count(wire.signatures.len())?;
        let signatures = wire
            .signatures
            .into_iter()
            .map(|signature| {
                Ok(Signature {
                    key_id: signature.keyid,
                    bytes: STANDARD.decode(signature.sig).map_err(|_| DsseError::Base64("sig"))?,
                })
            })
            .collect::<Result<_, DsseError>>()?;
        Ok(Self {
            payload_type: wire.payload_type,
            payload: STANDARD.decode(wire.payload).map_err(|_| DsseError::Base64("payload"))?,
            signatures,
        })
    }
}

fn check_count(count: usize) -> Result<(), DsseError> {
    if (1..=MAX_SIGNATURES).contains(&count) {
        Ok(())
    } else {
        Err(DsseError::SignatureCount(count))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;
    use crate::keys::KeyType;

    fn key(kind: KeyType) -> SecretKey {
        SecretKey::from_bytes(kind, Zeroizing::new([3; 32])).unwrap()
    }

    fn envelope() -> Envelope {
        let (a, b) = (key(KeyType::Secp256k1), key(KeyType::P256));
        Envelope::sign("application/x", b"payload".to_vec(), &[&a, &b]).unwrap()
    }

    /// The example of the DSSE protocol document.
    #[test]
    fn dsse_protocol_pae_example() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn json_round_trip() {
        let envelope = envelope();
        assert_eq!(Envelope::from_json(&envelope.to_json().unwrap()).unwrap(), envelope);
        assert_eq!(envelope.verify().0.len(), 2);
    }

    #[test]
    fn each_tampered_field_has_its_finding() {
        let codes = |envelope: &Envelope| -> Vec<String> {
            envelope.verify().1.into_iter().map(|finding| finding.code).collect()
        };
        let good = envelope();
        let mut bad = good.clone();
        bad.payload.push(0);
        assert_eq!(codes(&bad), ["dsse.signature.invalid"; 2]);
        let mut bad = good.clone();
        bad.payload_type.push('x');
        assert_eq!(codes(&bad), ["dsse.signature.invalid"; 2]);
        let mut bad = good.clone();
        bad.signatures.swap(0, 1);
        assert!(codes(&bad).is_empty(), "the order of signatures means nothing");
        let mut bad = good.clone();
        bad.signatures[0].key_id = bad.signatures[1].key_id.clone();
        assert_eq!(codes(&bad), ["dsse.signature.invalid"]);
        let mut bad = good.clone();
        bad.signatures[0].key_id.push('0');
        assert_eq!(codes(&bad), ["dsse.keyid.invalid"]);
        let mut bad = good.clone();
        bad.signatures.clear();
        assert_eq!(codes(&bad), ["dsse.signature.missing"]);
        let mut bad = good.clone();
        bad.signatures = vec![good.signatures[0].clone(); MAX_SIGNATURES + 1];
        assert_eq!(codes(&bad), ["dsse.signature.count"]);
        assert!(Envelope::from_json(&bad.to_json().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(envelope) = Envelope::from_json(&bytes) {
                envelope.verify();
            }
        }

        #[test]
        fn mutated_envelopes_never_verify_as_another(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let good = envelope();
            let mut bytes = good.to_json().unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(bad) = Envelope::from_json(&bytes) {
                let (signers, findings) = bad.verify();
                prop_assert!(!findings.is_empty() || (bad.payload == good.payload && signers.len() <= 2));
            }
        }
    }
}

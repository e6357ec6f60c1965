//! Keys and signatures: secp256k1 accounts (EIP-191 messages, EIP-712 hashes), P-256 and Ed25519.

use std::fmt;

use alloy_primitives::{Address, B256, eip191_hash_message, hex, keccak256};
use ed25519_dalek::Signer as _;
use p256::{
    ecdsa::signature::Verifier as _,
    pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding},
};
use secp256k1::{
    Message, PublicKey as SecpPublicKey, SECP256K1, SecretKey as SecpSecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Half of the group order, big-endian: a higher `s` would be a second spelling of a signature.
const SECP256K1_HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Why a key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Out of range for the curve.
    #[error("the secret is not a valid {0} key")]
    SecretInvalid(KeyType),
    /// Not a point, or not of the curve's length.
    #[error("`{0}` is not a valid public key")]
    PublicInvalid(String),
    /// The operating system gave no random bytes.
    #[error("no randomness from the operating system")]
    NoRandomness,
}

/// The signature schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyType {
    /// An Ethereum account's key; signs EIP-191 messages.
    Secp256k1,
    /// ECDSA over P-256 with SHA-256 (FIPS 186-5), signatures in DER.
    P256,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secp256k1 => "secp256k1",
            Self::P256 => "p256",
            Self::Ed25519 => "ed25519",
        })
    }
}

/// A secret key of any scheme: 32 bytes, erased from memory when dropped, never printed.
#[derive(Clone)]
pub struct SecretKey {
    kind: KeyType,
    bytes: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, redacted)", self.kind)
    }
}

impl SecretKey {
    /// A fresh key from the operating system's randomness.
    pub fn generate(kind: KeyType) -> Result<Self, KeyError> {
        loop {
            let mut bytes = Zeroizing::new([0; 32]);
            getrandom::fill(bytes.as_mut_slice()).map_err(|_| KeyError::NoRandomness)?;
            // Out of range about once in 2^128 draws.
            if let Ok(key) = Self::from_bytes(kind, bytes) {
                return Ok(key);
            }
        }
    }

    /// Wraps the 32 bytes of a key.
    pub fn from_bytes(kind: KeyType, bytes: Zeroizing<[u8; 32]>) -> Result<Self, KeyError> {
        let valid = match kind {
            KeyType::Secp256k1 => SecpSecretKey::from_byte_array(*bytes).is_ok(),
            KeyType::P256 => p256::ecdsa::SigningKey::from_slice(bytes.as_slice()).is_ok(),
            KeyType::Ed25519 => true,
        };
        if valid { Ok(Self { kind, bytes }) } else { Err(KeyError::SecretInvalid(kind)) }
    }

    /// The scheme.
    pub fn kind(&self) -> KeyType {
        self.kind
    }

    /// The 32 secret bytes, for keystores and signers. Handle with care.
    pub fn expose(&self) -> &Zeroizing<[u8; 32]> {
        &self.bytes
    }

    /// The public half.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        Ok(match self.kind {
            KeyType::Secp256k1 => PublicKey::Account(self.address()?),
            KeyType::P256 => PublicKey::P256(*self.p256()?.verifying_key()),
            KeyType::Ed25519 => PublicKey::Ed25519(self.ed25519().verifying_key()),
        })
    }

    /// The account of a secp256k1 key.
    pub fn address(&self) -> Result<Address, KeyError> {
        let key = self.secp256k1()?;
        Ok(address_of(&SecpPublicKey::from_secret_key(SECP256K1, &key)))
    }

    /// Signs a 32-byte hash with a secp256k1 key: `r || s || v`, v = 27 or 28, deterministic
    /// (RFC 6979), low s.
    pub fn sign_hash(&self, hash: &B256) -> Result<[u8; 65], KeyError> {
        let key = self.secp256k1()?;
        let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &key);
        let (recovery, compact) = signature.serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&compact);
        bytes[64] = if recovery == RecoveryId::Zero { 27 } else { 28 };
        Ok(bytes)
    }

    /// Signs a message in the scheme's own way: EIP-191 for accounts, DER over SHA-256 for P-256,
    /// RFC 8032 for Ed25519.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(match self.kind {
            KeyType::Secp256k1 => self.sign_hash(&eip191_hash_message(message))?.to_vec(),
            KeyType::P256 => {
                let signature: p256::ecdsa::DerSignature = self.p256()?.sign(message);
                signature.as_bytes().to_vec()
            }
            KeyType::Ed25519 => self.ed25519().sign(message).to_bytes().to_vec(),
        })
    }

    fn secp256k1(&self) -> Result<SecpSecretKey, KeyError> {
        if self.kind != KeyType::Secp256k1 {
            return Err(KeyError::SecretInvalid(KeyType::Secp256k1));
        }
        SecpSecretKey::from_byte_array(*self.bytes).map_err(|_| KeyError::SecretInvalid(self.kind))
    }

    fn p256(&self) -> Result<p256::ecdsa::SigningKey, KeyError> {
        p256::ecdsa::SigningKey::from_slice(self.bytes.as_slice())
            .map_err(|_| KeyError::SecretInvalid(self.kind))
    }

    fn ed25519(&self) -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&self.bytes)
    }
}

/// Whoever can sign a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicKey {
    /// An Ethereum account.
    Account(Address),
    /// A P-256 key.
    P256(p256::ecdsa::VerifyingKey),
    /// An Ed25519 key.
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl PublicKey {
    /// The scheme.
    pub fn kind(&self) -> KeyType {
        match self {
            Self::Account(_) => KeyType::Secp256k1,
            Self::P256(_) => KeyType::P256,
            Self::Ed25519(_) => KeyType::Ed25519,
        }
    }

    /// Parses [`PublicKey::to_hex`]'s form: an address, 33 bytes of compressed SEC 1, or 32 bytes.
    pub fn from_hex(kind: KeyType, text: &str) -> Result<Self, KeyError> {
        let invalid = || KeyError::PublicInvalid(text.chars().take(140).collect());
        let bytes = hex::decode(text).map_err(|_| invalid())?;
        let key = match kind {
            KeyType::Secp256k1 => {
                Self::Account(Address::try_from(bytes.as_slice()).map_err(|_| invalid())?)
            }
            KeyType::P256 => Self::P256(
                p256::ecdsa::VerifyingKey::from_sec1_bytes(&bytes).map_err(|_| invalid())?,
            ),
            KeyType::Ed25519 => {
                let bytes: [u8; 32] = bytes.try_into().map_err(|_| invalid())?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| invalid())?;
                if key.is_weak() {
                    return Err(invalid());
                }
                Self::Ed25519(key)
            }
        };
        // One spelling per key: no prefix variants, no uncompressed points, no upper case.
        if key.to_hex() == text { Ok(key) } else { Err(invalid()) }
    }

    /// Lower-case hexadecimal of the key's shortest standard encoding; an address has `0x`.
    pub fn to_hex(&self) -> String {
        match self {
            Self::Account(address) => hex::encode_prefixed(address),
            Self::P256(key) => hex::encode(key.to_encoded_point(true)),
            Self::Ed25519(key) => hex::encode(key.as_bytes()),
        }
    }

    /// The name signatures carry (`keyid`): scheme and key.
    pub fn key_id(&self) -> String {
        format!("{}:{}", self.kind(), self.to_hex())
    }

    /// Parses a `keyid`.
    pub fn from_key_id(text: &str) -> Result<Self, KeyError> {
        let invalid = || KeyError::PublicInvalid(text.chars().take(140).collect());
        let (scheme, key) = text.split_once(':').ok_or_else(invalid)?;
        let kind = [KeyType::Secp256k1, KeyType::P256, KeyType::Ed25519]
            .into_iter()
            .find(|kind| kind.to_string() == scheme)
            .ok_or_else(invalid)?;
        Self::from_hex(kind, key)
    }

    /// The key as other programs read it (RFC 7468 `PUBLIC KEY`); `None` for an account, which is no
    /// key but the hash of one.
    pub fn to_pem(&self) -> Option<String> {
        match self {
            Self::Account(_) => None,
            Self::P256(key) => key.to_public_key_pem(LineEnding::LF).ok(),
            Self::Ed25519(key) => key.to_public_key_pem(LineEnding::LF).ok(),
        }
    }

    /// Reads a `PUBLIC KEY` of P-256 or Ed25519 (RFC 7468).
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_pem(text) {
            return Ok(Self::P256(key));
        }
        match ed25519_dalek::VerifyingKey::from_public_key_pem(text) {
            Ok(key) if !key.is_weak() => Ok(Self::Ed25519(key)),
            _ => Err(KeyError::PublicInvalid(text.chars().take(140).collect())),
        }
    }

    /// Whether `signature` is this key's over `message`, made as [`SecretKey::sign`] does.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Account(address) => {
                recover(&eip191_hash_message(message), signature) == Some(*address)
            }
            Self::P256(key) => p256::ecdsa::DerSignature::from_bytes(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        }
    }
}

/// The account that made a 65-byte signature over `hash`; `None` where it is malformed, not low-s
/// (EIP-2), or recovers to no key.
pub fn recover(hash: &B256, signature: &[u8]) -> Option<Address> {
    let (compact, v) = signature.split_at_checked(64)?;
    let recovery = match v {
        [27] => RecoveryId::Zero,
        [28] => RecoveryId::One,
        _ => return None,
    };
    if compact.get(32..)? > SECP256K1_HALF_ORDER.as_slice() {
        return None;
    }
    let signature = RecoverableSignature::from_compact(compact, recovery).ok()?;
    let key = SECP256K1.recover_ecdsa(Message::from_digest(hash.0), &signature).ok()?;
    Some(address_of(&key))
}

fn address_of(key: &SecpPublicKey) -> Address {
    let point = key.serialize_uncompressed();
    Address::from_word(keccak256(&point[1..]))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;

    use super::*;

    fn key(kind: KeyType, byte: u8) -> SecretKey {
        SecretKey::from_bytes(kind, Zeroizing::new([byte; 32])).unwrap()
    }

    #[test]
    fn anvil_first_account() {
        let secret = hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        let key = SecretKey::from_bytes(KeyType::Secp256k1, Zeroizing::new(secret)).unwrap();
        assert_eq!(key.address(), Ok(address!("f39fd6e51aad88f6f4ce6ab8827279cfffb92266")));
    }

    #[test]
    fn every_scheme_signs_and_rejects_each_flipped_bit() {
        for kind in [KeyType::Secp256k1, KeyType::P256, KeyType::Ed25519] {
            let key = key(kind, 7);
            let public = key.public().unwrap();
            let signature = key.sign(b"message").unwrap();
            assert!(public.verify(b"message", &signature));
            assert!(!public.verify(b"massage", &signature));
            for bit in 0..signature.len() * 8 {
                let mut bad = signature.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(!public.verify(b"message", &bad), "{kind} bit {bit}");
            }
            for len in 0..signature.len() {
                assert!(!public.verify(b"message", &signature[..len]));
            }
            assert_eq!(PublicKey::from_key_id(&public.key_id()), Ok(public));
        }
    }

    /// P-256 signatures have two values of s each; both are valid ECDSA, as FIPS 186-5 says, so
    /// nothing of ours identifies a statement by its signature.
    #[test]
    fn high_s_is_refused_for_accounts() {
        let key = key(KeyType::Secp256k1, 9);
        let hash = B256::repeat_byte(3);
        let mut signature = key.sign_hash(&hash).unwrap();
        let order = secp256k1::constants::CURVE_ORDER;
        let mut borrow = 0i32;
        for i in (0..32).rev() {
            let mut d = i32::from(order[i]) - i32::from(signature[32 + i]) - borrow;
            borrow = i32::from(d < 0);
            d += borrow * 256;
            signature[32 + i] = u8::try_from(d).unwrap();
        }
        signature[64] ^= 7;
        assert_eq!(recover(&hash, &signature), None);
    }

    #[test]
    fn pem_goes_out_and_in() {
        for kind in [KeyType::P256, KeyType::Ed25519] {
            let public = key(kind, 7).public().unwrap();
            assert_eq!(PublicKey::from_pem(&public.to_pem().unwrap()), Ok(public));
        }
        assert_eq!(key(KeyType::Secp256k1, 7).public().unwrap().to_pem(), None);
        assert!(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----").is_err());
    }

    #[test]
    fn secrets_do_not_print() {
        let text = format!("{:?}", key(KeyType::Ed25519, 0xab));
        assert_eq!(text, "SecretKey(ed25519, redacted)");
    }

    #[test]
    fn other_spellings_of_a_key_id_are_refused() {
        let id = key(KeyType::P256, 5).public().unwrap().key_id();
        for bad in [
            id.to_uppercase(),
            id.replace("p256", "ed25519"),
            id.replace(':', ""),
            format!("{id}00"),
        ] {
            assert!(PublicKey::from_key_id(&bad).is_err(), "{bad}");
        }
        assert!(PublicKey::from_key_id(&format!("ed25519:{}", "00".repeat(32))).is_err());
    }
}

//! Encrypted keys: Web3 Secret Storage v3, as geth, `cast wallet` and ethers write it.
//!
//! scrypt or PBKDF2-HMAC-SHA256 derives a key from the passphrase; AES-128-CTR encrypts; a Keccak
//! MAC tells a wrong passphrase from a right one. Keys of other schemes than secp256k1 use the same
//! format with a `keyType` field, which other programs ignore.

use aes::cipher::{KeyIvInit, StreamCipher};
use alloy_primitives::{hex, keccak256};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    json::{self, JsonError},
    keys::{KeyError, KeyType, SecretKey},
};

/// Largest keystore file read, in bytes.
pub const MAX_KEYSTORE_BYTES: usize = 64 << 10;
/// Most memory a keystore may make scrypt use, in bytes: four times what geth's default needs.
const MAX_SCRYPT_BYTES: u64 = 1 << 30;
/// Most PBKDF2 rounds a keystore may ask for.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// How hard guessing the passphrase is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// scrypt N = 2^18, r = 8, p = 1 (geth's standard): about a second and 256 MiB.
    Standard,
    /// scrypt N = 2^12, r = 8, p = 6 (geth's light): for development keys and tests.
    Light,
}

/// Why a keystore does not open, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// Larger than [`MAX_KEYSTORE_BYTES`].
    #[error("a keystore of {0} bytes is over the limit of {MAX_KEYSTORE_BYTES}")]
    TooLarge(usize),
    /// Not a keystore's JSON.
    #[error("malformed keystore")]
    Json(#[from] JsonError),
    /// A field with a value this program does not accept.
    #[error("field `{field}` of the keystore is not supported: {reason}")]
    Field {
        /// Its JSON name.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// The MAC does not match.
    #[error("wrong passphrase, or the keystore was altered")]
    Passphrase,
    /// The `address` of the file is not the decrypted key's.
    #[error("the keystore's address does not belong to its key")]
    AddressMismatch,
    /// What was decrypted is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    // geth and Mist once wrote `Crypto`.
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_type: Option<KeyType>,
    version: u8,
}

#[derive(Debug, Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    #[serde(flatten)]
    kdf: Kdf,
    mac: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Kdf {
    Scrypt { dklen: u32, n: u32, r: u32, p: u32, salt: String },
    Pbkdf2 { dklen: u32, c: u32, prf: String, salt: String },
}

/// Encrypts a key under a passphrase and returns the file's JSON.
pub fn encrypt(key: &SecretKey, passphrase: &str, cost: Cost) -> Result<Vec<u8>, KeystoreError> {
    let [salt, iv, id] = [random::<32>()?, random::<32>()?, random::<32>()?];
    let (n, p) = match cost {
        Cost::Standard => (1 << 18, 1),
        Cost::Light => (1 << 12, 6),
    };
    let kdf = Kdf::Scrypt { dklen: 32, n, r: 8, p, salt: hex::encode(salt) };
    let derived = derive(&kdf, passphrase)?;
    let iv: [u8; 16] = prefix(&iv);
    let mut ciphertext = key.expose().to_vec();
    apply_cipher(&derived, iv, &mut ciphertext);
    let (address, key_type) = match key.kind() {
        KeyType::Secp256k1 => (Some(hex::encode(key.address()?)), None),
        other => (None, Some(other)),
    };
    let file = File {
        address,
        crypto: Crypto {
            cipher: "aes-128-ctr".to_owned(),
            cipherparams: CipherParams { iv: hex::encode(iv) },
            mac: hex::encode(mac(&derived, &ciphertext)),
            ciphertext: hex::encode(ciphertext),
            kdf,
        },
        id: uuid(prefix(&id)),
        key_type,
        version: 3,
    };
    Ok(json::canonical(&file)?)
}

/// Decrypts a keystore file.
///
/// Bounded: a hostile file cannot make it use more than 1 GiB or ten million hash rounds.
pub fn decrypt(bytes: &[u8], passphrase: &str) -> Result<SecretKey, KeystoreError> {
    if bytes.len() > MAX_KEYSTORE_BYTES {
        return Err(KeystoreError::TooLarge(bytes.len()));
    }
    let file: File = json::decode(bytes)?;
    let refuse = |field, reason| Err(KeystoreError::Field { field, reason });
    if file.version != 3 {
        return refuse("version", "only version 3 is known");
    }
    if file.crypto.cipher != "aes-128-ctr" {
        return refuse("cipher", "only aes-128-ctr is known");
    }
    let iv: [u8; 16] = unhex(&file.crypto.cipherparams.iv, "iv")?;
    let expected: [u8; 32] = unhex(&file.crypto.mac, "mac")?;
    let secret: [u8; 32] = unhex(&file.crypto.ciphertext, "ciphertext")?;
    let mut secret = Zeroizing::new(secret);
    let derived = derive(&file.crypto.kdf, passphrase)?;
    if !bool::from(mac(&derived, secret.as_slice()).ct_eq(&expected)) {
        return Err(KeystoreError::Passphrase);
    }
    apply_cipher(&derived, iv, secret.as_mut_slice());
    let key = SecretKey::from_bytes(file.key_type.unwrap_or(KeyType::Secp256k1), secret)?;
    match file.address {
        Some(address) if key.kind() == KeyType::Secp256k1 => {
            let address = address.trim_start_matches("0x").to_ascii_lowercase();
            if address == hex::encode(key.address()?) {
                Ok(key)
            } else {
                Err(KeystoreError::AddressMismatch)
            }
        }
        _ => Ok(key),
    }
}

fn derive(kdf: &Kdf, passphrase: &str) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let refuse = |field, reason| Err(KeystoreError::Field { field, reason });
    let mut derived = Zeroizing::new([0; 32]);
    let (Kdf::Scrypt { dklen, salt, .. } | Kdf::Pbkdf2 { dklen, salt, .. }) = kdf;
    if *dklen != 32 {
        return refuse("dklen", "only 32 is known");
    }
    let Ok(salt) = hex::decode(salt) else {
        return refuse("salt", "not hexadecimal");
    };
    match kdf {
        Kdf::Scrypt { n, r, p, .. } => {
            let memory = 128 * u64::from(*n) * u64::from(*r);
            // Time grows with n*r*p, so p is bounded through the same product.
            if !n.is_power_of_two() || memory.saturating_mul(u64::from(*p)) > MAX_SCRYPT_BYTES {
                return refuse("kdfparams", "scrypt parameters out of bounds");
            }
            let log_n = u8::try_from(n.ilog2()).unwrap_or(u8::MAX);
            match scrypt::Params::new(log_n, *r, *p, 32) {
                Ok(params) => {
                    scrypt::scrypt(passphrase.as_bytes(), &salt, &params, derived.as_mut_slice())
                        .map_err(|_| KeystoreError::Field {
                        field: "kdfparams",
                        reason: "scrypt refused them",
                    })?;
                }
                Err(_) => return refuse("kdfparams", "scrypt refused them"),
            }
        }
        Kdf::Pbkdf2 { c, prf, .. } => {
            if prf != "hmac-sha256" {
                return refuse("prf", "only hmac-sha256 is known");
            }
            if !(1..=MAX_PBKDF2_ROUNDS).contains(c) {
                return refuse("c", "round count out of bounds");
            }
            pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.as_bytes(), &salt, *c, derived.as_mut_slice());
        }
    }
    Ok(derived)
}

fn apply_cipher(derived: &Zeroizing<[u8; 32]>, iv: [u8; 16], data: &mut [u8]) {
    let key = Zeroizing::new(prefix::<16>(derived));
    ctr::Ctr128BE::<aes::Aes128>::new((&*key).into(), &iv.into()).apply_keystream(data);
}

fn mac(derived: &Zeroizing<[u8; 32]>, ciphertext: &[u8]) -> [u8; 32] {
    let mut input = Zeroizing::new(Vec::with_capacity(48));
    input.extend_from_slice(derived.split_at(16).1);
    input.extend_from_slice(ciphertext);
    keccak256(&*input).0
}

fn prefix<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|i| bytes.get(i).copied().unwrap_or_default())
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
    Ok(bytes)
}

fn unhex<const N: usize>(text: &str, field: &'static str) -> Result<[u8; N], KeystoreError> {
    hex::decode_to_array(text)
        .map_err(|_| KeystoreError::Field { field, reason: "not hexadecimal of the right length" })
}

/// A random (version 4) UUID, RFC 9562 §5.4.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    parts.map(|(from, to)| text.get(from..to).unwrap_or_default()).join("-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The PBKDF2 and scrypt vectors of the Web3 Secret Storage definition.
    const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
    const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
        "kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
        "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
        "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    const SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt",
        "kdfparams":{"dklen":32,"n":262144,"p":8,"r":1,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
        "mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},
        "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

    fn light() -> (SecretKey, Vec<u8>) {
        let key = SecretKey::generate(KeyType::Secp256k1).unwrap();
        let file = encrypt(&key, "pass", Cost::Light).unwrap();
        (key, file)
    }

    #[test]
    fn published_vectors_open() {
        let key = decrypt(PBKDF2.as_bytes(), "testpassword").unwrap();
        assert_eq!(hex::encode(key.expose().as_slice()), SECRET);
        let wrong = decrypt(PBKDF2.as_bytes(), "Testpassword");
        assert!(matches!(wrong, Err(KeystoreError::Passphrase)));
    }

    /// The definition's scrypt vector has N = 2^18 with r = 1, which RFC 7914 §2 forbids
    /// (N < 2^(128 r / 8)). No wallet writes that; it gets a clear error.
    #[test]
    fn scrypt_parameters_outside_rfc_7914_are_refused() {
        let result = decrypt(SCRYPT.as_bytes(), "testpassword");
        assert!(matches!(result, Err(KeystoreError::Field { field: "kdfparams", .. })));
    }

    #[test]
    fn every_scheme_round_trips_and_hides_the_secret() {
        for kind in [KeyType::Secp256k1, KeyType::P256, KeyType::Ed25519] {
            let key = SecretKey::generate(kind).unwrap();
            let file = encrypt(&key, "pass", Cost::Light).unwrap();
            let opened = decrypt(&file, "pass").unwrap();
            assert_eq!(opened.public(), key.public());
            let text = String::from_utf8(file).unwrap();
            assert!(!text.contains(&hex::encode(key.expose().as_slice())));
        }
    }

    #[test]
    fn hostile_parameters_are_refused_before_any_work() {
        let (_, file) = light();
        let text = String::from_utf8(file).unwrap();
        for (from, to) in [
            ("\"n\":4096", "\"n\":1073741824"),
            ("\"n\":4096", "\"n\":4095"),
            ("\"n\":4096", "\"n\":0"),
            ("\"p\":6", "\"p\":4294967295"),
            ("\"r\":8", "\"r\":4294967295"),
            ("\"dklen\":32", "\"dklen\":16"),
            ("\"version\":3", "\"version\":4"),
            ("aes-128-ctr", "aes-128-cbc"),
        ] {
            let bad = text.replace(from, to);
            assert_ne!(bad, text);
            let result = decrypt(bad.as_bytes(), "pass");
            assert!(matches!(result, Err(KeystoreError::Field { .. })), "{to}: {result:?}");
        }
    }

    #[test]
    fn another_address_is_refused() {
        let (key, file) = light();
        let address = hex::encode(key.address().unwrap());
        let bad = String::from_utf8(file).unwrap().replace(&address, &"11".repeat(20));
        let result = decrypt(bad.as_bytes(), "pass");
        assert!(matches!(result, Err(KeystoreError::AddressMismatch)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decrypt(&bytes, "x").is_err());
        }

        #[test]
        fn hex_fields_of_any_length_never_panic(field in "[0-9a-f]{0,80}", which in 0usize..4) {
            let (_, file) = light();
            let mut value: serde_json::Value = serde_json::from_slice(&file).unwrap();
            let crypto = &mut value["crypto"];
            let target = match which {
                0 => &mut crypto["cipherparams"]["iv"],
                1 => &mut crypto["ciphertext"],
                2 => &mut crypto["mac"],
                _ => &mut crypto["kdfparams"]["salt"],
            };
            *target = field.into();
            prop_assert!(decrypt(&serde_json::to_vec(&value).unwrap(), "pass").is_err());
        }
    }
}

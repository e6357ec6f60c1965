use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::Digest;

/// Signature type of plain Ed25519 in signed-note.
const ED25519: u8 = 0x01;
/// Room for 16 signatures of the largest kind in use, 5 kB each, and a generous text.
const MAX_NOTE_BYTES: usize = 256 * 1024;
const MAX_SIGNATURES: usize = 64;
const SIGNATURE_PREFIX: &str = "\u{2014} ";
const SECRET_PREFIX: &str = "PRIVATE+KEY+";

/// Why a note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than any note in use.
    #[error("expected a note of at most {MAX_NOTE_BYTES} bytes, got {0}")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("the note is not UTF-8")]
    Encoding,
    /// A control character other than newline.
    #[error("the note has the control character `{:#04x}`", .0)]
    Control(u8),
    /// No blank line between the text and at least one signature, or no final newline.
    #[error("expected a text, a blank line and signature lines")]
    Shape,
    /// More signatures than anyone needs.
    #[error("expected at most {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// A line after the blank one that is not a signature.
    #[error("line {line} of the signatures is malformed")]
    SignatureLine {
        /// Counted from 1.
        line: usize,
    },
    /// No signature names the key.
    #[error("expected a signature by `{0}`, found none")]
    Unsigned(String),
    /// A signature names the key and does not verify.
    #[error("the signature by `{0}` does not verify")]
    BadSignature(String),
}

impl NoteError {
    /// A stable name for findings and exit reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_)
            | Self::Encoding
            | Self::Control(_)
            | Self::Shape
            | Self::TooManySignatures
            | Self::SignatureLine { .. } => "log.note.malformed",
            Self::Unsigned(_) => "log.note.unsigned",
            Self::BadSignature(_) => "log.note.signature",
        }
    }
}

/// Why a text is not a note key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty or holds a space, a plus or a control character.
    #[error("expected a key name without spaces and plus signs, got `{0}`")]
    Name(String),
    /// Not `<name>+<8 hex digits>+<base64>`.
    #[error("expected `<name>+<id>+<key>`")]
    Shape,
    /// A key of another kind than Ed25519.
    #[error("expected an Ed25519 key")]
    Algorithm,
    /// The id does not belong to this name and key.
    #[error("expected the key id `{expected}`, got `{got}`")]
    Id {
        /// The id of the name and key.
        expected: String,
        /// The id in the text.
        got: String,
    },
    /// The bytes are no point on the curve, or one that would accept forged signatures.
    #[error("the public key is not a usable curve point")]
    Point,
}

/// The key that checks a log's notes: a name, its 4-byte id, an Ed25519 public key.
///
/// ```
/// let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// let key: probity_core::log::VerifierKey = text.parse()?;
/// assert_eq!(key.name(), "PeterNeumann");
/// assert_eq!(key.to_string(), text);
/// # Ok::<(), probity_core::log::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    /// A verifier key from its raw parts.
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self, KeyError> {
        check_name(name)?;
        let key = VerifyingKey::from_bytes(public_key).map_err(|_| KeyError::Point)?;
        if key.is_weak() {
            return Err(KeyError::Point);
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, public_key), key })
    }

    /// The name, by custom the origin of the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256 over the name, a newline, the signature type and the key.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The raw Ed25519 public key (RFC 8032).
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    fn label(&self) -> String {
        format!("{}+{}", self.name, hex(self.id))
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519], self.public_key().as_slice()].concat();
        write!(f, "{}+{}", self.label(), BASE64_STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, bytes) = split_key(text)?;
        let key = Self::new(name, &bytes)?;
        check_id(key.id, id)?;
        Ok(key)
    }
}

/// The key that signs a log's notes. Its secret is wiped from memory when dropped.
#[derive(Clone)]
pub struct SignerKey {
    verifier: VerifierKey,
    key: SigningKey,
}

impl SignerKey {
    /// A signer key from an Ed25519 seed (RFC 8032 §5.1.5).
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, key.verifying_key().as_bytes())?;
        Ok(Self { verifier, key })
    }

    /// The key that checks what this one signs.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The secret as text, in the form of the Go checksum database. Never store it unencrypted.
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(vec![ED25519]);
        bytes.extend_from_slice(self.key.as_bytes());
        let key = Zeroizing::new(BASE64_STANDARD.encode(&bytes));
        Zeroizing::new(format!("{SECRET_PREFIX}{}+{}", self.verifier.label(), *key))
    }

    /// Reads what [`Self::to_secret_text`] writes.
    pub fn from_secret_text(text: &str) -> Result<Self, KeyError> {
        let text = text.strip_prefix(SECRET_PREFIX).ok_or(KeyError::Shape)?;
        let (name, id, seed) = split_key(text)?;
        let seed = Zeroizing::new(seed);
        let signer = Self::from_seed(name, &seed)?;
        check_id(signer.verifier.id, id)?;
        Ok(signer)
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({}, secret)", self.verifier.label())
    }
}

/// One signature line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The id of the key.
    pub key_id: [u8; 4],
    /// The signature's bytes; 64 for Ed25519.
    pub signature: Vec<u8>,
}

/// A text with signatures (C2SP signed-note). Parsing checks none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Signs `text`, which must end in a newline and hold no other control characters.
    pub fn sign(text: &str, signers: &[&SignerKey]) -> Result<Self, NoteError> {
        check_text(text)?;
        if !text.ends_with('\n') || signers.is_empty() {
            return Err(NoteError::Shape);
        }
        if signers.len() > MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        let signatures = signers.iter().map(|signer| NoteSignature {
            name: signer.verifier.name.clone(),
            key_id: signer.verifier.id,
            signature: signer.key.sign(text.as_bytes()).to_bytes().to_vec(),
        });
        Ok(Self { text: text.to_owned(), signatures: signatures.collect() })
    }

    /// Reads a note. Every note has one spelling: [`fmt::Display`] gives the same bytes back.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong(bytes.len()));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Encoding)?;
        check_text(note)?;
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Shape)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Shape)?;
        let mut signatures = Vec::new();
        for (line, number) in lines.split('\n').zip(1..) {
            if number > MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            let malformed = NoteError::SignatureLine { line: number };
            signatures.push(parse_signature(line).ok_or(malformed)?);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// The signed text with its final newline. Trust it only after [`Self::verify`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures as they stand in the note.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Checks that `key` signed the text, and that no signature in its name is bad. Signatures of
    /// other keys are ignored, as signed-note asks.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let mut own = self
            .signatures
            .iter()
            .filter(|signature| signature.name == key.name && signature.key_id == key.id)
            .peekable();
        if own.peek().is_none() {
            return Err(NoteError::Unsigned(key.label()));
        }
        let good = own.all(|line| {
            Signature::from_slice(&line.signature).is_ok_and(|signature| {
                key.key.verify_strict(self.text.as_bytes(), &signature).is_ok()
            })
        });
        if good { Ok(()) } else { Err(NoteError::BadSignature(key.label())) }
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for NoteSignature { name, key_id, signature } in &self.signatures {
            let bytes = [key_id.as_slice(), signature].concat();
            writeln!(f, "{SIGNATURE_PREFIX}{name} {}", BASE64_STANDARD.encode(bytes))?;
        }
        Ok(())
    }
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    check_name(name).ok()?;
    let bytes = BASE64_STANDARD.decode(encoded).ok()?;
    let (key_id, signature) = bytes.split_first_chunk::<4>()?;
    if signature.is_empty() {
        return None;
    }
    Some(NoteSignature { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
}

fn check_text(text: &str) -> Result<(), NoteError> {
    match text.bytes().find(|byte| *byte < 0x20 && *byte != b'\n') {
        Some(byte) => Err(NoteError::Control(byte)),
        None => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), KeyError> {
    let bad = |c: char| c == '+' || c.is_whitespace() || c.is_control();
    if name.is_empty() || name.contains(bad) {
        return Err(KeyError::Name(name.chars().take(80).collect()));
    }
    Ok(())
}

/// `<name>+<id>+<base64 of type and 32 bytes>`
fn split_key(text: &str) -> Result<(&str, &str, [u8; 32]), KeyError> {
    let (name, rest) = text.split_once('+').ok_or(KeyError::Shape)?;
    let (id, encoded) = rest.split_once('+').ok_or(KeyError::Shape)?;
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(encoded).map_err(|_| KeyError::Shape)?);
    match bytes.split_first() {
        Some((&ED25519, key)) => Ok((name, id, key.try_into().map_err(|_| KeyError::Algorithm)?)),
        _ => Err(KeyError::Algorithm),
    }
}

fn check_id(id: [u8; 4], text: &str) -> Result<(), KeyError> {
    let expected = hex(id);
    if expected == text {
        return Ok(());
    }
    Err(KeyError::Id { expected, got: text.chars().take(80).collect() })
}

fn key_id(name: &str, public_key: &[u8; 32]) -> [u8; 4] {
    let digest = Digest::of_parts(&[name.as_bytes(), b"\n", &[ED25519], public_key]);
    digest.as_bytes().first_chunk().copied().unwrap_or_default()
}

fn hex(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

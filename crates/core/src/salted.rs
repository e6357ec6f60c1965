//! Salted works: personal or guessable content is registered by a digest that nobody can find by
//! trying what it might be.
//!
//! A salted work is [`TAG`], 32 random bytes, then the work; its SHA-256 is what statements, records
//! and manifests name. Giving it away discloses the work; erasing it erases work and salt together,
//! and what is left, the digest, says nothing about the work while every proof over it still holds.

use crate::keys::KeyError;

/// What a salted work begins with.
pub const TAG: &[u8; 16] = b"probity-salted/1";

const SALT: usize = 32;

/// Puts a fresh salt before a work.
///
/// ```
/// use probity_core::{Digest, salted};
/// let sealed = salted::seal(b"aged 47").unwrap();
/// assert_eq!(salted::open(&sealed), b"aged 47");
/// assert_ne!(Digest::of(&sealed), Digest::of(&salted::seal(b"aged 47").unwrap()));
/// assert_eq!(salted::open(b"a plain work"), b"a plain work");
/// ```
///
/// # Errors
/// If the system has no randomness.
pub fn seal(work: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(|_| KeyError::NoRandomness)?;
    Ok([TAG.as_slice(), &salt, work].concat())
}

/// The work in a salted work; anything else is a work as it is.
pub fn open(bytes: &[u8]) -> &[u8] {
    match bytes.strip_prefix(TAG) {
        Some(rest) => rest.get(SALT..).unwrap_or(bytes),
        None => bytes,
    }
}

/// Whether these bytes are a salted work.
pub fn is_salted(bytes: &[u8]) -> bool {
    bytes.starts_with(TAG) && bytes.len() >= TAG.len() + SALT
}

//! Who signs manifests.

use std::fmt;

use c2pa::{BoxedSigner, EphemeralSigner, Signer, SigningAlg, create_signer};
use p256::pkcs8::DecodePrivateKey as _;
use x509_parser::{certificate::X509Certificate, pem::Pem, prelude::FromDer as _, time::ASN1Time};

use crate::MediaError;

/// The name in certificates that are made on the spot. `.invalid` is nobody's (RFC 2606 §2).
pub const DEVELOPMENT_NAME: &str = "development-only.not-for-production.invalid";

/// A certificate chain with its key.
pub struct Credentials(BoxedSigner);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// A chain in PEM, the signer's certificate first, and its P-256 key in PKCS#8 PEM (ES256).
    /// `now` is in Unix seconds.
    ///
    /// # Errors
    /// If they are malformed, do not belong together or are not valid now.
    pub fn from_pem(chain: &[u8], key: &[u8], now: u64) -> Result<Self, MediaError> {
        let key_text = std::str::from_utf8(key).unwrap_or_default();
        let secret = p256::SecretKey::from_pkcs8_pem(key_text).map_err(MediaError::Key)?;
        check_chain(chain, &secret, now)?;
        let signer = create_signer::from_keys(chain, key, SigningAlg::Es256, None);
        Ok(Self(signer.map_err(refused)?))
    }

    /// A chain made on the spot, whose keys are forgotten: for development and demonstrations. Its
    /// name is [`DEVELOPMENT_NAME`].
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn development() -> Result<Self, MediaError> {
        let signer = EphemeralSigner::new(DEVELOPMENT_NAME).map_err(refused)?;
        Ok(Self(Box::new(signer)))
    }

    pub(crate) fn signer(&self) -> &dyn Signer {
        self.0.as_ref()
    }
}

fn refused(error: c2pa::Error) -> MediaError {
    MediaError::Credentials(Box::new(error))
}

fn check_chain(chain: &[u8], key: &p256::SecretKey, now: u64) -> Result<(), MediaError> {
    let malformed = |reason: &dyn fmt::Display| MediaError::Chain(reason.to_string());
    let mut is_first = true;
    for pem in Pem::iter_from_buffer(chain) {
        let pem = pem.map_err(|error| malformed(&error))?;
        let (_, certificate) =
            X509Certificate::from_der(&pem.contents).map_err(|error| malformed(&error))?;
        check_time(&certificate, now)?;
        if is_first {
            // RFC 5480 §2.2: the key's uncompressed point.
            let point = key.public_key().to_sec1_bytes();
            if *certificate.public_key().subject_public_key.data != *point {
                return Err(MediaError::KeyMismatch(certificate.subject().to_string()));
            }
        }
        is_first = false;
    }
    if is_first { Err(malformed(&"there is none")) } else { Ok(()) }
}

fn check_time(certificate: &X509Certificate<'_>, now: u64) -> Result<(), MediaError> {
    let validity = certificate.validity();
    let now = i64::try_from(now).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
    if now.is_some_and(|now| validity.is_valid_at(now)) {
        return Ok(());
    }
    Err(MediaError::Time {
        subject: certificate.subject().to_string(),
        from: validity.not_before.to_string(),
        until: validity.not_after.to_string(),
    })
}

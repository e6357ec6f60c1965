//! Why a media file cannot be signed.

use probity_provenance::media_type::MediaType;

/// What the C2PA library or the file system said.
pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Why a media file cannot be signed. Nothing is written in any case.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// Not a chain of certificates.
    #[error("the certificate chain is not PEM of X.509 certificates, the signer's first: {0}")]
    Chain(String),
    /// Not a key that can be used.
    #[error("the certificate's key is not a P-256 key in PKCS#8 PEM")]
    Key(#[source] p256::pkcs8::Error),
    /// A certificate of another key.
    #[error("the key does not belong to the certificate of `{0}`")]
    KeyMismatch(String),
    /// A certificate out of its time.
    #[error("the certificate of `{subject}` is valid from {from} to {until}, not now")]
    Time {
        /// Whose.
        subject: String,
        /// Start.
        from: String,
        /// End.
        until: String,
    },
    /// A certificate that C2PA does not let sign (§14.5.1).
    #[error("this certificate may not sign C2PA manifests")]
    Credentials(#[source] Box<c2pa::Error>),
    /// A file that is not what it begins as.
    #[error("this is no {media_type} file that a manifest can be put into")]
    File {
        /// What it begins as.
        media_type: MediaType,
        /// What went wrong.
        #[source]
        source: AnyError,
    },
    /// The manifest as it was written does not hold.
    #[error("the manifest that was written does not hold: {0}")]
    Broken(String),
}

impl MediaError {
    pub(crate) fn file<E: Into<AnyError>>(media_type: MediaType) -> impl Fn(E) -> Self {
        move |source| Self::File { media_type, source: source.into() }
    }

    /// The next command to try, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Key(_) => {
                Some("openssl pkcs8 -topk8 -nocrypt -in KEY -out KEY.pkcs8 converts it")
            }
            Self::KeyMismatch(_) => Some("the signer's own certificate comes first in the chain"),
            Self::Time { .. } => Some("ask the issuer for a new certificate"),
            Self::Credentials(_) => Some(
                "it must be issued by an authority, for digital signatures and e-mail protection \
                 or document signing",
            ),
            Self::File { .. } | Self::Broken(_) => {
                Some("--sidecar leaves the file alone and writes a statement")
            }
            Self::Chain(_) => None,
        }
    }
}

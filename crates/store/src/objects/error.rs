use std::{io, path::PathBuf};

use probity_core::Digest;

/// Why a blob could not be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The location is neither a folder nor a URL this program knows.
    #[error("expected a folder or `s3://bucket/prefix`, got `{0}`")]
    Location(String),
    /// Credentials and content would cross a network unencrypted.
    #[error("expected an `https` endpoint, or `http` on this machine, got `{0}`")]
    PlainHttp(String),
    /// The store could not be opened.
    #[error("opening the object store")]
    Open(#[source] object_store::Error),
    /// The store's folder could not be used.
    #[error("`{}`", .path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// There is no such blob.
    #[error("the object `{digest}` is missing")]
    Missing {
        /// The blob's name.
        digest: Digest,
    },
    /// What is stored under the name is something else.
    #[error("the object `{digest}` is damaged: its content is `{got}`")]
    Mismatch {
        /// The blob's name.
        digest: Digest,
        /// The digest of what was read.
        got: Digest,
    },
    /// A blob is larger than allowed.
    #[error("expected an object of at most {limit} bytes{}", .digest.map(|d| format!(", `{d}` is larger")).unwrap_or_default())]
    TooLarge {
        /// The blob's name, where it is known.
        digest: Option<Digest>,
        /// The limit.
        limit: u64,
    },
    /// The store could not read a blob.
    #[error("reading the object `{digest}`")]
    Read {
        /// The blob's name.
        digest: Digest,
        /// The store's error.
        #[source]
        source: object_store::Error,
    },
    /// The store could not write or erase a blob.
    #[error("writing the object{}", .digest.map(|d| format!(" `{d}`")).unwrap_or_default())]
    Write {
        /// The blob's name, where it is known.
        digest: Option<Digest>,
        /// The store's error.
        #[source]
        source: object_store::Error,
    },
    /// The source or target of a streamed blob failed.
    #[error("streaming an object")]
    Stream(#[source] io::Error),
    /// A file changed while it was stored.
    #[error("`{}` changed while it was read", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The store could not list its blobs.
    #[error("listing the objects")]
    List(#[source] object_store::Error),
}

impl ObjectError {
    pub(super) fn read(digest: Digest, source: object_store::Error) -> Self {
        match source {
            object_store::Error::NotFound { .. } => Self::Missing { digest },
            source => Self::Read { digest, source },
        }
    }
}

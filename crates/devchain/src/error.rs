//! What can go wrong with the chain as a whole.

use std::io;
use std::path::PathBuf;

/// Why a chain could not be created, opened, read, extended or served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no chain in the folder.
    #[error("`{}` holds no chain", .0.display())]
    Absent(PathBuf),
    /// There is a chain in the folder already.
    #[error("`{}` already holds a chain", .0.display())]
    Exists(PathBuf),
    /// Another process, or another handle in this one, has the folder open.
    #[error("`{}` is in use by {holder}", .dir.display())]
    Locked {
        /// The chain's folder.
        dir: PathBuf,
        /// Who holds it: program name and process id, as far as known.
        holder: String,
    },
    /// The genesis cannot start a chain.
    #[error("genesis is invalid: {0}")]
    Genesis(&'static str),
    /// A file of the chain could not be read or written.
    #[error("cannot access `{}`", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The database failed: a full disk, an I/O error, damaged pages.
    #[error("chain database failed: {0}")]
    Database(#[source] Box<redb::Error>),
    /// The database was closed after a failure and could not be reopened yet.
    #[error("chain database is unavailable since a failed write: {0}")]
    Unavailable(String),
    /// Stored data contradicts itself.
    #[error("chain data is corrupt: {0}")]
    Corrupt(String),
    /// The chain's background thread is gone.
    #[error("the chain is shutting down")]
    Stopped,
    /// The endpoint could not be served.
    #[error("cannot serve JSON-RPC")]
    Serve(#[source] io::Error),
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { path: path.into(), source }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }
}

impl revm::database_interface::DBErrorMarker for Error {}

macro_rules! from_redb {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Error {
            fn from(error: $kind) -> Self {
                Self::Database(Box::new(error.into()))
            }
        }
    )*};
}

from_redb!(
    redb::Error,
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

impl From<alloy_rlp::Error> for Error {
    fn from(error: alloy_rlp::Error) -> Self {
        Self::Corrupt(format!("record does not decode: {error}"))
    }
}

use std::{io, path::PathBuf};

use probity_core::{
    Digest,
    log::{CheckpointError, MAX_ENTRY_BYTES, ProveError, TileError, TileReadError, TreeTooLarge},
};

use super::MAX_BATCH_BYTES;

/// Why the log could not do something. Nothing was changed unless a variant says so.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused.
    #[error("`{}`", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Another process writes this log.
    #[error("the log `{}` is in use by {holder}", .path.display())]
    Locked {
        /// The log's folder.
        path: PathBuf,
        /// `process <pid>`, as the holder wrote it.
        holder: String,
    },
    /// The folder holds another log.
    #[error("expected the log `{expected}`, `{}` is of `{got}`", .path.display())]
    Origin {
        /// The file that says so.
        path: PathBuf,
        /// The origin asked for.
        expected: String,
        /// The origin found.
        got: String,
    },
    /// An acknowledged file is gone.
    #[error("`{}` is missing", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file does not hold what was written.
    #[error("`{}` is damaged: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The log is not the one its checkpoint was signed for.
    #[error("the checkpoint `{}` of size {size} has the root `{expected}`, the log has `{got}`", .path.display())]
    Diverged {
        /// The checkpoint's file.
        path: PathBuf,
        /// The checkpoint's size.
        size: u64,
        /// The checkpoint's root.
        expected: Digest,
        /// The log's root at that size.
        got: Digest,
    },
    /// The log lost entries that its checkpoint covers.
    #[error("the checkpoint `{}` has {expected} entries, the log has {got}", .path.display())]
    Short {
        /// The checkpoint's file.
        path: PathBuf,
        /// The checkpoint's size.
        expected: u64,
        /// The log's size.
        got: u64,
    },
    /// An entry does not fit a bundle.
    #[error("expected entries of at most {MAX_ENTRY_BYTES} bytes, entry {position} has {got}")]
    EntryTooLong {
        /// The entry's position among those to append.
        position: usize,
        /// Its length.
        got: usize,
    },
    /// The entries to append are too many for one atomic write.
    #[error("expected at most {MAX_BATCH_BYTES} bytes to append at once, got {got}")]
    BatchTooLarge {
        /// The bytes.
        got: usize,
    },
    /// An index or size beyond the log.
    #[error("expected at most {size} entries, got `{got}`")]
    OutOfRange {
        /// The number asked for.
        got: u64,
        /// The log's size.
        size: u64,
    },
    /// A write failed and left the journal in an unknown state. Open the log again.
    #[error("an earlier write to `{}` failed; open the log again", .path.display())]
    Stopped {
        /// The journal.
        path: PathBuf,
    },
    /// The folder has no checkpoint.
    #[error("`{}` has no checkpoint", .path.display())]
    NoCheckpoint {
        /// The folder.
        path: PathBuf,
    },
    /// The checkpoint's file is malformed, or not signed by the log's key.
    #[error("the checkpoint `{}`", .path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: CheckpointError,
    },
    /// A checkpoint could not be signed.
    #[error("signing a checkpoint")]
    Sign(#[source] CheckpointError),
    /// The log cannot grow further.
    #[error(transparent)]
    Full(#[from] TreeTooLarge),
    /// A proof asks for sizes that do not fit each other.
    #[error("{0}")]
    Sizes(String),
}

impl LogError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    pub(super) fn damaged(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.into(), what: what.into() }
    }

    pub(super) fn tile(path: impl Into<PathBuf>) -> impl FnOnce(TileError) -> Self {
        let path = path.into();
        move |error| Self::damaged(path, error.to_string())
    }
}

impl From<TileReadError<Self>> for LogError {
    fn from(error: TileReadError<Self>) -> Self {
        match error {
            TileReadError::Read { source, .. } => source,
            TileReadError::TooLarge(error) => Self::Full(error),
            error @ (TileReadError::Short { .. } | TileReadError::OutOfTree { .. }) => {
                Self::Sizes(error.to_string())
            }
        }
    }
}

impl From<ProveError<TileReadError<Self>>> for LogError {
    fn from(error: ProveError<TileReadError<Self>>) -> Self {
        match error {
            ProveError::Read(error) => error.into(),
            ProveError::Index { index, size } => Self::OutOfRange { got: index, size },
            error @ ProveError::Shrinks { .. } => Self::Sizes(error.to_string()),
        }
    }
}

use std::{io, path::PathBuf};

use super::Cursor;

/// Why the index could not do something. A failed batch changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The URL is of a database this program does not know.
    #[error("expected a file, `sqlite:` or `postgres:`, got `{0}:`")]
    Scheme(String),
    /// The path cannot be written in a URL.
    #[error("expected a UTF-8 path, got `{}`", .0.display())]
    Path(PathBuf),
    /// The index file's folder could not be made.
    #[error("`{}`", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The database could not be opened.
    #[error("opening the index")]
    Open(#[source] sqlx::Error),
    /// The database refused to read.
    #[error("reading `{table}` of the index")]
    Read {
        /// The table.
        table: &'static str,
        /// The database's error.
        #[source]
        source: sqlx::Error,
    },
    /// The database refused to write.
    #[error("writing `{table}` of the index")]
    Write {
        /// The table.
        table: &'static str,
        /// The database's error.
        #[source]
        source: sqlx::Error,
    },
    /// A newer program made this index.
    #[error("expected an index of version {known} or older, got `{found}`")]
    Newer {
        /// This program's version.
        known: i64,
        /// The index's version.
        found: i64,
    },
    /// Something else moved the index on since the batch was made.
    #[error("expected the index at {}, it is at {}", at(.expected.as_ref()), at(.got.as_ref()))]
    CursorMoved {
        /// Where the batch starts.
        expected: Option<Cursor>,
        /// Where the index is.
        got: Option<Cursor>,
    },
    /// A row with this key and other content is there already.
    #[error("`{key}` in `{table}` is there already with other content")]
    Conflict {
        /// The table.
        table: &'static str,
        /// The row's first column.
        key: String,
    },
    /// A value that the databases cannot hold.
    #[error("expected {expected} in `{field}`, got `{got}`")]
    Value {
        /// The field.
        field: &'static str,
        /// What fits.
        expected: &'static str,
        /// The value.
        got: String,
    },
    /// No record has this id or prefix.
    #[error("no record is named `{0}`")]
    NotFound(String),
    /// Several records have this prefix.
    #[error("`{prefix}` names several records: {}", .matches.join(", "))]
    Ambiguous {
        /// The prefix.
        prefix: String,
        /// Some of them.
        matches: Vec<String>,
    },
    /// A row does not hold what the index wrote. Rebuild it.
    #[error("`{table}` of the index is damaged in `{field}`")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The column.
        field: &'static str,
    },
}

impl IndexError {
    pub(super) fn reading(table: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Read { table, source }
    }

    pub(super) fn writing(table: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Write { table, source }
    }
}

fn at(cursor: Option<&Cursor>) -> String {
    match cursor {
        Some(cursor) => format!("block {} and log size {}", cursor.block, cursor.log_size),
        None => "the beginning".to_owned(),
    }
}

//! What can go wrong.

use std::{io, path::PathBuf};

use datafusion::{error::DataFusionError, parquet::errors::ParquetError};
use probity_core::{
    absence::SetError,
    json::JsonError,
    merkle::{EmptyTree, StreamError},
};
use probity_provenance::{croissant::CroissantError, dataset::DatasetError, table::TableError};

/// Why no dataset was built. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The engine, or the cluster, did not answer.
    #[error("`{0}` failed")]
    Engine(&'static str, #[source] DataFusionError),
    /// A file that cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// `read`, `write`, ...
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The output is there already.
    #[error("`{}` exists", .0.display())]
    Exists(PathBuf),
    /// An input table is missing.
    #[error("there is no table `{}`", .0.display())]
    Missing(PathBuf),
    /// Near duplicates are found from the works themselves.
    #[error("the policy leaves out near duplicates, which no table shows")]
    NearDuplicates,
    /// Votes and usage are not in the tables.
    #[error("expected a policy that weighs by `contribution/v1` or `fixed/v1`, got `{0}`")]
    Formula(&'static str),
    /// A cell that is none.
    #[error("`{table}`, row {row}, column `{column}`: expected {expected}, got `{got}`")]
    Value {
        /// The statement that gave it.
        table: &'static str,
        /// From 0.
        row: u64,
        /// Which.
        column: &'static str,
        /// What was expected.
        expected: &'static str,
        /// The value, shortened.
        got: String,
    },
    /// A column is missing, or of another type.
    #[error("`{table}`: expected a column `{column}` of {expected}")]
    Column {
        /// The statement that gave it.
        table: &'static str,
        /// Which.
        column: &'static str,
        /// Its type.
        expected: &'static str,
    },
    /// Two works in one place.
    #[error("expected each position once, got `{0}` after one that is not less")]
    Order(u64),
    /// A row that does not follow from its own columns.
    #[error(
        "work `{position}`: digest, licence, statement and author give another content id than `{content}`"
    )]
    Content {
        /// Its position.
        position: u64,
        /// What the table says.
        content: String,
    },
    /// Rows were lost or doubled on the way.
    #[error("expected decisions about `{expected}` works, got `{got}`")]
    Works {
        /// In the table.
        expected: u64,
        /// Decided.
        got: u64,
    },
    /// Caps and duplicates depend on each other too deeply.
    #[error("which duplicates are first did not settle in `{0}` rounds")]
    Unsettled(usize),
    /// The opt-out list cannot be committed to.
    #[error(transparent)]
    OptOuts(#[from] SetError),
    /// Leaves that are out of order or lost.
    #[error("the sorted leaves have no root")]
    Leaves(#[from] StreamError),
    /// Nothing to build a tree of.
    #[error(transparent)]
    Tree(#[from] EmptyTree),
    /// Nothing is in.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The items table cannot be written.
    #[error("cannot write the items table")]
    Items(#[from] TableError),
    /// A table of the build's own cannot be written.
    #[error("cannot write a table")]
    Parquet(#[from] ParquetError),
    /// The description cannot be written.
    #[error(transparent)]
    Croissant(#[from] CroissantError),
    /// No canonical form.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The thread that writes items ended early.
    #[error("the thread that writes the items table stopped")]
    Writer,
}

impl SqlError {
    /// Names the file.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

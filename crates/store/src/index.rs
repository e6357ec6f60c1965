//! What the chain and the log say, arranged for queries: in `SQLite`, or `PostgreSQL` by URL.
//!
//! The index holds no truth. It is built from chain events and log entries alone, and building it
//! again gives the same content, which [`Index::dump`] shows byte for byte. Rows are only ever
//! added; a batch of them and the cursor it leads to are one transaction.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! use probity_store::index::{Batch, Cursor, Index, Record};
//!
//! let dir = tempfile::tempdir()?;
//! let index = Index::open_file(&dir.path().join("index.db")).await?;
//! let mut batch = Batch::to(None, Cursor { block: 7, block_hash: "0xb7".into(), log_size: 0 });
//! batch.records.push(Record {
//!     id: "0xabcd".into(),
//!     kind: "content".into(),
//!     author: "0xa1".into(),
//!     block: 7,
//!     log_index: 0,
//!     time: 1_700_000_000,
//!     body: serde_json::json!({ "licence": "CC-BY-4.0" }),
//! });
//! index.apply(&batch).await?;
//! assert_eq!(index.find("0xab").await?.record.kind, "content");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod query;
mod rows;
mod schema;
mod write;

use std::{fmt, path::Path};

use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _, any::AnyPoolOptions};

pub use error::IndexError;
pub use query::{Found, Position};
pub use rows::{Batch, Cursor, Link, Mark, Money, Record, Statement};

use crate::files;

const SQLITE: &str = "SQLite";

/// An open index. Cheap to clone.
#[derive(Clone)]
pub struct Index {
    pool: AnyPool,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.write_str("Index")
    }
}

impl Index {
    /// Opens the index in an `SQLite` file, which is made if it is missing.
    pub async fn open_file(path: &Path) -> Result<Self, IndexError> {
        let failed = |source| IndexError::File { path: path.to_owned(), source };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            files::create_folder(parent).map_err(failed)?;
        }
        let path = std::path::absolute(path).map_err(failed)?;
        let path = path.to_str().ok_or_else(|| IndexError::Path(path.clone()))?;
        Self::connect(&format!("sqlite://{}?mode=rwc", escape(path))).await
    }

    /// Opens the index by its URL: `sqlite:///path/to/index.db` or `postgres://user@host/database`;
    /// anything without a scheme is an `SQLite` file.
    pub async fn open(url: &str) -> Result<Self, IndexError> {
        match url.split_once(':') {
            Some(("postgres" | "postgresql" | "sqlite", _)) => Self::connect(url).await,
            _ if url.contains("://") || url.is_empty() => {
                let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
                Err(IndexError::Scheme(scheme.to_owned()))
            }
            _ => Self::open_file(Path::new(url)).await,
        }
    }

    async fn connect(url: &str) -> Result<Self, IndexError> {
        sqlx::any::install_default_drivers();
        // `SQLite` has one writer anyway, and a single connection never waits for itself.
        let connections = if url.starts_with("sqlite") { 1 } else { 8 };
        let options = AnyPoolOptions::new().max_connections(connections);
        let options =
            options.after_connect(|connection, _| Box::pin(async { prepare(connection).await }));
        // The pool would try again for a while: what fails now is to be known now.
        let mut first = AnyConnection::connect(url).await.map_err(IndexError::Open)?;
        prepare(&mut first).await.map_err(IndexError::Open)?;
        first.close().await.map_err(IndexError::Open)?;
        let pool = options.connect(url).await.map_err(IndexError::Open)?;
        schema::migrate(&pool).await?;
        Ok(Self { pool })
    }

    /// Closes all connections, after which an `SQLite` file is whole without its side files.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// How far the index has come; `None` when it is empty.
    pub async fn cursor(&self) -> Result<Option<Cursor>, IndexError> {
        let row = sqlx::query::<Any>("SELECT block, block_hash, log_size FROM cursor")
            .fetch_optional(&self.pool)
            .await
            .map_err(IndexError::reading("cursor"))?;
        row.as_ref().map(rows::cursor).transpose()
    }
}

/// Sets up a connection.
async fn prepare(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    if connection.backend_name() == SQLITE {
        // A commit is on disk when it returns, and readers do not wait for it.
        connection.execute("PRAGMA journal_mode = WAL").await?;
        connection.execute("PRAGMA synchronous = FULL").await?;
    }
    Ok(())
}

/// Percent-encodes what has a meaning in a URL.
fn escape(path: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-~".contains(byte);
    path.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect::<Vec<_>>()
        .concat()
}

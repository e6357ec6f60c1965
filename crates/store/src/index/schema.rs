//! The tables, in SQL that `SQLite` and `PostgreSQL` both take.

use sqlx::{Any, AnyPool, Row as _};

use super::{IndexError, SQLITE};

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Number,
}

use Type::{Number, Text};

/// A table for inserts and dumps: its columns, the key first.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Type)],
}

pub(super) const RECORDS: Table = Table {
    name: "records",
    columns: &[
        ("id", Text),
        ("kind", Text),
        ("author", Text),
        ("block", Number),
        ("log_index", Number),
        ("time", Number),
        ("body", Text),
    ],
};

pub(super) const MARKS: Table = Table {
    name: "marks",
    columns: &[
        ("id", Text),
        ("mark", Text),
        ("by_id", Text),
        ("block", Number),
        ("log_index", Number),
    ],
};

pub(super) const LINKS: Table =
    Table { name: "links", columns: &[("from_id", Text), ("rel", Text), ("to_id", Text)] };

pub(super) const STATEMENTS: Table = Table {
    name: "statements",
    columns: &[
        ("digest", Text),
        ("type", Text),
        ("author", Text),
        ("log_index", Number),
        ("envelope", Text),
    ],
};

pub(super) const SUBJECTS: Table =
    Table { name: "subjects", columns: &[("statement", Text), ("subject", Text)] };

pub(super) const MONEY: Table = Table {
    name: "money",
    columns: &[
        ("tx", Text),
        ("log_index", Number),
        ("account", Text),
        ("kind", Text),
        ("model", Text),
        ("token", Text),
        ("epoch", Number),
        ("amount", Text),
        ("block", Number),
    ],
};

pub(super) const CURSOR: Table = Table {
    name: "cursor",
    columns: &[("id", Number), ("block", Number), ("block_hash", Text), ("log_size", Number)],
};

/// Every table with content, in the order of a dump.
pub(super) const TABLES: [&Table; 7] =
    [&RECORDS, &MARKS, &LINKS, &STATEMENTS, &SUBJECTS, &MONEY, &CURSOR];

/// The collation `BINARY` is `SQLite`'s own and compares bytes. `PostgreSQL` gets one of that name, so
/// that both sort and find prefixes alike, whatever the database's locale.
const POSTGRES_COLLATION: &str =
    r#"CREATE COLLATION IF NOT EXISTS "BINARY" (provider = libc, locale = 'C')"#;

/// Lets one process at a time look at the version; released with the transaction. `SQLite` locks its
/// file by itself.
const POSTGRES_LOCK: &str = "SELECT pg_advisory_xact_lock(7310312437286530916)";

const VERSION_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";

/// Each element brings an index one version further. Never change one that was released.
const MIGRATIONS: &[&[&str]] = &[FIRST, MARKS_BY_PLACE];

const FIRST: &[&str] = &[
    r#"CREATE TABLE records (
        id TEXT COLLATE "BINARY" NOT NULL PRIMARY KEY,
        kind TEXT COLLATE "BINARY" NOT NULL,
        author TEXT COLLATE "BINARY" NOT NULL,
        block BIGINT NOT NULL,
        log_index BIGINT NOT NULL,
        time BIGINT NOT NULL,
        body TEXT NOT NULL
    )"#,
    "CREATE INDEX records_kind ON records (kind, block, log_index, id)",
    "CREATE INDEX records_author ON records (author, block, log_index, id)",
    r#"CREATE TABLE marks (
        id TEXT COLLATE "BINARY" NOT NULL,
        mark TEXT COLLATE "BINARY" NOT NULL,
        by_id TEXT COLLATE "BINARY" NOT NULL,
        block BIGINT NOT NULL,
        log_index BIGINT NOT NULL,
        PRIMARY KEY (id, mark, by_id)
    )"#,
    r#"CREATE TABLE links (
        from_id TEXT COLLATE "BINARY" NOT NULL,
        rel TEXT COLLATE "BINARY" NOT NULL,
        to_id TEXT COLLATE "BINARY" NOT NULL,
        PRIMARY KEY (from_id, rel, to_id)
    )"#,
    "CREATE INDEX links_to ON links (to_id, rel, from_id)",
    r#"CREATE TABLE statements (
        digest TEXT COLLATE "BINARY" NOT NULL PRIMARY KEY,
        type TEXT COLLATE "BINARY" NOT NULL,
        author TEXT COLLATE "BINARY" NOT NULL,
        log_index BIGINT NOT NULL UNIQUE,
        envelope TEXT COLLATE "BINARY" NOT NULL
    )"#,
    "CREATE INDEX statements_type ON statements (type, log_index)",
    r#"CREATE TABLE subjects (
        statement TEXT COLLATE "BINARY" NOT NULL,
        subject TEXT COLLATE "BINARY" NOT NULL,
        PRIMARY KEY (statement, subject)
    )"#,
    "CREATE INDEX subjects_subject ON subjects (subject, statement)",
    r#"CREATE TABLE money (
        tx TEXT COLLATE "BINARY" NOT NULL,
        log_index BIGINT NOT NULL,
        account TEXT COLLATE "BINARY" NOT NULL,
        kind TEXT COLLATE "BINARY" NOT NULL,
        model TEXT COLLATE "BINARY" NOT NULL,
        token TEXT COLLATE "BINARY" NOT NULL,
        epoch BIGINT NOT NULL,
        amount TEXT COLLATE "BINARY" NOT NULL,
        block BIGINT NOT NULL,
        PRIMARY KEY (tx, log_index, account, kind)
    )"#,
    "CREATE INDEX money_model ON money (model, block, log_index)",
    "CREATE INDEX money_account ON money (account, block, log_index)",
    r#"CREATE TABLE cursor (
        id BIGINT NOT NULL PRIMARY KEY,
        block BIGINT NOT NULL,
        block_hash TEXT COLLATE "BINARY" NOT NULL,
        log_size BIGINT NOT NULL
    )"#,
];

/// What the chain says of a record it may say again, such as that the same inference was proved.
const MARKS_BY_PLACE: &[&str] = &[
    "ALTER TABLE marks RENAME TO marks_once",
    r#"CREATE TABLE marks (
        id TEXT COLLATE "BINARY" NOT NULL,
        mark TEXT COLLATE "BINARY" NOT NULL,
        by_id TEXT COLLATE "BINARY" NOT NULL,
        block BIGINT NOT NULL,
        log_index BIGINT NOT NULL,
        PRIMARY KEY (id, mark, by_id, block, log_index)
    )"#,
    "INSERT INTO marks (id, mark, by_id, block, log_index)
        SELECT id, mark, by_id, block, log_index FROM marks_once",
    "DROP TABLE marks_once",
];

const VERSIONS: &str = "schema_version";

/// Brings the index to this program's version, all steps in one transaction.
pub(super) async fn migrate(pool: &AnyPool) -> Result<(), IndexError> {
    let failed = || IndexError::writing(VERSIONS);
    let mut transaction = pool.begin().await.map_err(failed())?;
    let postgres = transaction.backend_name() != SQLITE;
    if postgres {
        let lock = sqlx::query::<Any>(POSTGRES_LOCK);
        lock.execute(&mut *transaction).await.map_err(failed())?;
    }
    let version = sqlx::query::<Any>(VERSION_TABLE);
    version.execute(&mut *transaction).await.map_err(failed())?;
    let found = sqlx::query::<Any>("SELECT MAX(version) FROM schema_version")
        .fetch_one(&mut *transaction)
        .await
        .and_then(|row| row.try_get::<Option<i64>, _>(0))
        .map_err(IndexError::reading(VERSIONS))?
        .unwrap_or(0);
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(IndexError::Newer { known, found });
    }
    if found == known {
        return transaction.rollback().await.map_err(failed());
    }
    if postgres {
        let collation = sqlx::query::<Any>(POSTGRES_COLLATION);
        collation.execute(&mut *transaction).await.map_err(failed())?;
    }
    let due = MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0));
    for statement in due.flat_map(|step| *step) {
        sqlx::query::<Any>(*statement).execute(&mut *transaction).await.map_err(failed())?;
    }
    sqlx::query::<Any>("INSERT INTO schema_version (version) VALUES ($1)")
        .bind(known)
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
    transaction.commit().await.map_err(failed())
}

use probity_core::Digest;
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, any::AnyRow};

use super::IndexError;

/// A record of the registry, as an event of the chain brought it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The record's id, in the one spelling the caller uses everywhere.
    pub id: String,
    /// What it is: `content`, `dataset`, `run`, `checkpoint`, ...
    pub kind: String,
    /// The account that stands behind it.
    pub author: String,
    /// The block of the event.
    pub block: u64,
    /// The event's index in its block.
    pub log_index: u64,
    /// The block's time, in seconds since 1970.
    pub time: u64,
    /// The kind's own fields. Kept as JSON with sorted names and integers of 64 bits; not in canonical
    /// form, which has no integers beyond 2^53.
    pub body: serde_json::Value,
}

/// That a later record changed how an earlier one is to be seen: superseded, revoked, tainted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The record marked.
    pub id: String,
    /// What happened to it.
    pub mark: String,
    /// The record or event that did it.
    pub by: String,
    /// The block of the event.
    pub block: u64,
    /// The event's index in its block.
    pub log_index: u64,
}

/// One step of lineage: content to dataset, dataset to its previous version, run to dataset,
/// checkpoint to run, model and parents.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// The record that refers.
    pub from: String,
    /// How.
    pub rel: String,
    /// The record referred to.
    pub to: String,
}

/// A signed statement of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The digest of the statement's bytes.
    pub digest: Digest,
    /// Its predicate type.
    #[serde(rename = "type")]
    pub predicate_type: String,
    /// Who signed it.
    pub author: String,
    /// Its index in the log.
    pub log_index: u64,
    /// The object that holds its envelope.
    pub envelope: Digest,
    /// The digests it speaks about, sorted.
    pub subjects: Vec<Digest>,
}

/// A movement of money, as an event of the chain brought it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// The model it is about.
    pub model: String,
    /// The token's address.
    pub token: String,
    /// `pay`, `propose`, `accept`, `claim`, ...
    pub kind: String,
    /// The payout epoch, 0 where there is none.
    pub epoch: u64,
    /// Who paid or received.
    pub account: String,
    /// The smallest units of the token, in decimal digits.
    pub amount: String,
    /// The block of the event.
    pub block: u64,
    /// The event's index in its block.
    pub log_index: u64,
    /// The transaction.
    pub tx: String,
}

/// How far the index has come in the chain and the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The last block taken in.
    pub block: u64,
    /// Its hash.
    pub block_hash: String,
    /// The number of log entries taken in.
    pub log_size: u64,
}

/// Rows that go into the index together, with the cursor they lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Where the index must be for the batch to apply; `None` for an empty index.
    pub from: Option<Cursor>,
    /// Where it is afterwards.
    pub to: Cursor,
    /// New records.
    pub records: Vec<Record>,
    /// New marks on records.
    pub marks: Vec<Mark>,
    /// New lineage.
    pub links: Vec<Link>,
    /// New statements.
    pub statements: Vec<Statement>,
    /// New movements of money.
    pub money: Vec<Money>,
}

impl Batch {
    /// An empty batch between two cursors.
    pub const fn to(from: Option<Cursor>, to: Cursor) -> Self {
        Self {
            from,
            to,
            records: Vec::new(),
            marks: Vec::new(),
            links: Vec::new(),
            statements: Vec::new(),
            money: Vec::new(),
        }
    }
}

pub(super) fn cursor(row: &AnyRow) -> Result<Cursor, IndexError> {
    let row = Columns { table: "cursor", row };
    Ok(Cursor {
        block: row.number("block")?,
        block_hash: row.text("block_hash")?,
        log_size: row.number("log_size")?,
    })
}

pub(super) fn record(row: &AnyRow) -> Result<Record, IndexError> {
    let row = Columns { table: "records", row };
    let body = serde_json::from_str(&row.text("body")?).map_err(|_| row.damaged("body"))?;
    Ok(Record {
        id: row.text("id")?,
        kind: row.text("kind")?,
        author: row.text("author")?,
        block: row.number("block")?,
        log_index: row.number("log_index")?,
        time: row.number("time")?,
        body,
    })
}

pub(super) fn mark(row: &AnyRow) -> Result<Mark, IndexError> {
    let row = Columns { table: "marks", row };
    Ok(Mark {
        id: row.text("id")?,
        mark: row.text("mark")?,
        by: row.text("by_id")?,
        block: row.number("block")?,
        log_index: row.number("log_index")?,
    })
}

pub(super) fn link(row: &AnyRow) -> Result<Link, IndexError> {
    let row = Columns { table: "links", row };
    Ok(Link { from: row.text("from_id")?, rel: row.text("rel")?, to: row.text("to_id")? })
}

pub(super) fn statement(row: &AnyRow) -> Result<Statement, IndexError> {
    let row = Columns { table: "statements", row };
    Ok(Statement {
        digest: row.digest("digest")?,
        predicate_type: row.text("type")?,
        author: row.text("author")?,
        log_index: row.number("log_index")?,
        envelope: row.digest("envelope")?,
        subjects: Vec::new(),
    })
}

/// A statement's digest and one of its subjects.
pub(super) fn subject(row: &AnyRow) -> Result<(Digest, Digest), IndexError> {
    let row = Columns { table: "subjects", row };
    Ok((row.digest("statement")?, row.digest("subject")?))
}

pub(super) fn money(row: &AnyRow) -> Result<Money, IndexError> {
    let row = Columns { table: "money", row };
    Ok(Money {
        model: row.text("model")?,
        token: row.text("token")?,
        kind: row.text("kind")?,
        epoch: row.number("epoch")?,
        account: row.text("account")?,
        amount: row.text("amount")?,
        block: row.number("block")?,
        log_index: row.number("log_index")?,
        tx: row.text("tx")?,
    })
}

struct Columns<'a> {
    table: &'static str,
    row: &'a AnyRow,
}

impl Columns<'_> {
    fn damaged(&self, field: &'static str) -> IndexError {
        IndexError::Damaged { table: self.table, field }
    }

    fn text(&self, field: &'static str) -> Result<String, IndexError> {
        self.row.try_get(field).map_err(|_| self.damaged(field))
    }

    fn number(&self, field: &'static str) -> Result<u64, IndexError> {
        let number: i64 = self.row.try_get(field).map_err(|_| self.damaged(field))?;
        u64::try_from(number).map_err(|_| self.damaged(field))
    }

    fn digest(&self, field: &'static str) -> Result<Digest, IndexError> {
        self.text(field)?.parse().map_err(|_| self.damaged(field))
    }
}

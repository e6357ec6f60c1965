use std::{collections::BTreeMap, fmt::Write as _};

use futures::TryStreamExt as _;
use probity_core::Digest;
use serde::{Deserialize, Serialize};
use sqlx::{Any, AssertSqlSafe, Row as _, any::AnyRow};

use super::{
    Index, IndexError, Link, Mark, Money, Record, Statement, rows,
    schema::{self, Type},
};

/// A record with what later ones did to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The record.
    pub record: Record,
    /// What happened to it, in order.
    pub marks: Vec<Mark>,
}

/// A place in the order of the chain, to go on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The block.
    pub block: u64,
    /// The event's index in its block.
    pub log_index: u64,
    /// The record's id.
    pub id: String,
}

impl Position {
    /// The place of a record.
    pub fn of(record: &Record) -> Self {
        Self { block: record.block, log_index: record.log_index, id: record.id.clone() }
    }
}

/// How many matches an ambiguous prefix shows.
const SHOWN: u8 = 5;
/// How many statements have their subjects read at once.
const CHUNK: usize = 250;

impl Index {
    /// The record of this id.
    pub async fn record(&self, id: &str) -> Result<Option<Found>, IndexError> {
        let sql = "SELECT * FROM records WHERE id = $1";
        let found = self.all("records", sqlx::query(sql).bind(id.to_owned()), rows::record).await?;
        match found.into_iter().next() {
            Some(record) => Ok(Some(self.with_marks(record).await?)),
            None => Ok(None),
        }
    }

    /// The one record whose id is `prefix` or begins with it.
    pub async fn find(&self, prefix: &str) -> Result<Found, IndexError> {
        if let Some(found) = self.record(prefix).await? {
            return Ok(found);
        }
        let sql = "SELECT * FROM records WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3";
        let query = sqlx::query(sql)
            .bind(prefix.to_owned())
            .bind(format!("{prefix}{}", char::MAX))
            .bind(i64::from(SHOWN) + 1);
        let mut found = self.all("records", query, rows::record).await?;
        match (found.pop(), found.is_empty()) {
            (Some(record), true) if !prefix.is_empty() => self.with_marks(record).await,
            (None, _) => Err(IndexError::NotFound(prefix.to_owned())),
            (Some(last), _) => {
                let matches = found.into_iter().chain([last]).map(|record| record.id);
                let matches = matches.take(SHOWN.into()).collect();
                Err(IndexError::Ambiguous { prefix: prefix.to_owned(), matches })
            }
        }
    }

    /// The records of a kind, in the order of the chain, at most `limit`, after a place.
    pub async fn records(
        &self,
        kind: &str,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<Record>, IndexError> {
        let sql = "SELECT * FROM records WHERE kind = $1 AND (block, log_index, id) > ($2, $3, $4) \
                   ORDER BY block, log_index, id LIMIT $5";
        self.page(sql, kind, after, limit).await
    }

    /// The records of an author, in the order of the chain, at most `limit`, after a place.
    pub async fn records_by(
        &self,
        author: &str,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<Record>, IndexError> {
        let sql = "SELECT * FROM records WHERE author = $1 AND (block, log_index, id) > ($2, $3, $4) \
                   ORDER BY block, log_index, id LIMIT $5";
        self.page(sql, author, after, limit).await
    }

    async fn page(
        &self,
        sql: &'static str,
        of: &str,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<Record>, IndexError> {
        // Nothing comes before block -1.
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (block, log_index, id) = match after {
            Some(after) => (number(after.block), number(after.log_index), after.id.clone()),
            None => (-1, -1, String::new()),
        };
        let query = sqlx::query(sql)
            .bind(of.to_owned())
            .bind(block)
            .bind(log_index)
            .bind(id)
            .bind(i64::from(limit));
        self.all("records", query, rows::record).await
    }

    async fn with_marks(&self, record: Record) -> Result<Found, IndexError> {
        let marks = self.marks(&record.id).await?;
        Ok(Found { record, marks })
    }

    /// What happened to a record, in the order of the chain.
    pub async fn marks(&self, id: &str) -> Result<Vec<Mark>, IndexError> {
        let sql = "SELECT * FROM marks WHERE id = $1 ORDER BY block, log_index, mark, by_id";
        self.all("marks", sqlx::query(sql).bind(id.to_owned()), rows::mark).await
    }

    /// What a record refers to.
    pub async fn links_from(&self, id: &str) -> Result<Vec<Link>, IndexError> {
        let sql = "SELECT * FROM links WHERE from_id = $1 ORDER BY rel, to_id";
        self.all("links", sqlx::query(sql).bind(id.to_owned()), rows::link).await
    }

    /// What refers to a record.
    pub async fn links_to(&self, id: &str) -> Result<Vec<Link>, IndexError> {
        let sql = "SELECT * FROM links WHERE to_id = $1 ORDER BY rel, from_id";
        self.all("links", sqlx::query(sql).bind(id.to_owned()), rows::link).await
    }

    /// The statements of a predicate type, in the log's order.
    pub async fn statements_of_type(&self, kind: &str) -> Result<Vec<Statement>, IndexError> {
        let sql = "SELECT * FROM statements WHERE type = $1 ORDER BY log_index";
        self.statements(sqlx::query(sql).bind(kind.to_owned())).await
    }

    /// The statement of this digest.
    pub async fn statement(&self, digest: &Digest) -> Result<Option<Statement>, IndexError> {
        let sql = "SELECT * FROM statements WHERE digest = $1";
        Ok(self.statements(sqlx::query(sql).bind(digest.to_string())).await?.pop())
    }

    /// The statement at this index of the log.
    pub async fn statement_at(&self, log_index: u64) -> Result<Option<Statement>, IndexError> {
        let Ok(log_index) = i64::try_from(log_index) else { return Ok(None) };
        let sql = "SELECT * FROM statements WHERE log_index = $1";
        Ok(self.statements(sqlx::query(sql).bind(log_index)).await?.pop())
    }

    /// The statements about a digest, in the order of the log.
    pub async fn statements_about(&self, subject: &Digest) -> Result<Vec<Statement>, IndexError> {
        let sql = "SELECT statements.* FROM statements JOIN subjects ON statement = digest \
                   WHERE subject = $1 ORDER BY log_index";
        self.statements(sqlx::query(sql).bind(subject.to_string())).await
    }

    async fn statements(&self, query: Query) -> Result<Vec<Statement>, IndexError> {
        let mut statements = self.all("statements", query, rows::statement).await?;
        for chunk in statements.chunks_mut(CHUNK) {
            let places: Vec<_> = (1..=chunk.len()).map(|place| format!("${place}")).collect();
            let sql = format!(
                "SELECT statement, subject FROM subjects WHERE statement IN ({}) \
                 ORDER BY statement, subject",
                places.join(", ")
            );
            let query = chunk
                .iter()
                .fold(sqlx::query(AssertSqlSafe(sql)), |q, s| q.bind(s.digest.to_string()));
            let mut subjects: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
            for (statement, subject) in self.all("subjects", query, rows::subject).await? {
                subjects.entry(statement).or_default().push(subject);
            }
            for statement in chunk {
                statement.subjects = subjects.remove(&statement.digest).unwrap_or_default();
            }
        }
        Ok(statements)
    }

    /// The money of a model, in the order of the chain.
    pub async fn money_of_model(&self, model: &str) -> Result<Vec<Money>, IndexError> {
        let sql = "SELECT * FROM money WHERE model = $1 ORDER BY block, log_index, account, kind";
        self.all("money", sqlx::query(sql).bind(model.to_owned()), rows::money).await
    }

    /// The money of an account, in the order of the chain.
    pub async fn money_of_account(&self, account: &str) -> Result<Vec<Money>, IndexError> {
        let sql = "SELECT * FROM money WHERE account = $1 ORDER BY block, log_index, kind, tx";
        self.all("money", sqlx::query(sql).bind(account.to_owned()), rows::money).await
    }

    /// The whole content as text, one JSON array a row, in one order: two indexes with the same
    /// content give the same bytes, whichever the database.
    pub async fn dump(&self) -> Result<String, IndexError> {
        let mut text = String::new();
        for table in schema::TABLES {
            let columns: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
            let columns = columns.join(", ");
            let sql = format!("SELECT {columns} FROM {} ORDER BY {columns}", table.name);
            let mut rows = sqlx::query::<Any>(AssertSqlSafe(sql)).fetch(&self.pool);
            let reading = || IndexError::reading(table.name);
            while let Some(row) = rows.try_next().await.map_err(reading())? {
                let mut values = vec![serde_json::Value::from(table.name)];
                for (at, (_, kind)) in table.columns.iter().enumerate() {
                    values.push(match kind {
                        Type::Text => row.try_get::<String, _>(at).map_err(reading())?.into(),
                        Type::Number => row.try_get::<i64, _>(at).map_err(reading())?.into(),
                    });
                }
                // Writing to a string cannot fail.
                writeln!(text, "{}", serde_json::Value::from(values)).unwrap_or_default();
            }
        }
        Ok(text)
    }

    async fn all<T>(
        &self,
        table: &'static str,
        query: Query,
        read: impl Fn(&AnyRow) -> Result<T, IndexError>,
    ) -> Result<Vec<T>, IndexError> {
        let rows = query.fetch_all(&self.pool).await.map_err(IndexError::reading(table))?;
        rows.iter().map(read).collect()
    }
}

type Query = sqlx::query::Query<'static, Any, sqlx::any::AnyArguments>;

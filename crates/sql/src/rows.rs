//! What statements answer, read cell by cell. Tables are other people's files: every value is checked.

use std::str::FromStr;

use alloy_primitives::{Address, B256};
use datafusion::arrow::{
    array::{Array, ArrayRef, BinaryArray, StringArray, UInt64Array},
    compute::cast,
    datatypes::DataType,
    record_batch::RecordBatch,
};
use probity_core::Digest;
use probity_provenance::{
    dataset::{Exclusion, Item},
    table::Row,
};

use crate::SqlError;

/// Longest text in a cell, in bytes: as long as the items table may have it.
const MAX_TEXT: usize = 1 << 12;

/// An answer of a statement.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    table: &'static str,
    batch: &'a RecordBatch,
    /// Rows of the batches before.
    before: u64,
}

/// A column of texts.
#[derive(Debug)]
pub(crate) struct Texts {
    table: &'static str,
    column: &'static str,
    before: u64,
    values: StringArray,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(table: &'static str, batch: &'a RecordBatch, before: u64) -> Self {
        Self { table, batch, before }
    }

    fn column(
        &self,
        column: &'static str,
        kind: &DataType,
        expected: &'static str,
    ) -> Result<ArrayRef, SqlError> {
        let wrong = || SqlError::Column { table: self.table, column, expected };
        let values = self.batch.column_by_name(column).ok_or_else(wrong)?;
        cast(values, kind).map_err(|_| wrong())
    }

    pub(crate) fn numbers(&self, column: &'static str) -> Result<UInt64Array, SqlError> {
        let values = self.column(column, &DataType::UInt64, "numbers")?;
        let numbers = values.as_any().downcast_ref::<UInt64Array>().cloned();
        let wrong = SqlError::Column { table: self.table, column, expected: "numbers" };
        numbers.filter(|numbers| numbers.null_count() == 0).ok_or(wrong)
    }

    pub(crate) fn texts(&self, column: &'static str) -> Result<Texts, SqlError> {
        let values = self.column(column, &DataType::Utf8, "texts")?;
        let wrong = SqlError::Column { table: self.table, column, expected: "texts" };
        let values = values.as_any().downcast_ref::<StringArray>().cloned().ok_or(wrong)?;
        Ok(Texts { table: self.table, column, before: self.before, values })
    }

    pub(crate) fn words(&self, column: &'static str) -> Result<Vec<B256>, SqlError> {
        let values = self.column(column, &DataType::Binary, "32 bytes")?;
        let wrong = || SqlError::Column { table: self.table, column, expected: "32 bytes" };
        let values = values.as_any().downcast_ref::<BinaryArray>().ok_or_else(wrong)?;
        let word = |bytes: Option<&[u8]>| B256::try_from(bytes.unwrap_or_default()).ok();
        values.iter().map(|bytes| word(bytes).ok_or_else(wrong)).collect()
    }
}

impl Texts {
    /// The text in a row; none where there is none.
    pub(crate) fn get(&self, row: usize) -> Option<&str> {
        self.values.is_valid(row).then(|| self.values.value(row))
    }

    fn text(&self, row: usize) -> Result<&str, SqlError> {
        let text = self.get(row).filter(|text| text.len() <= MAX_TEXT);
        text.ok_or_else(|| self.wrong(row, "a short text"))
    }

    /// A value in its one spelling.
    pub(crate) fn parse<T: FromStr + ToString>(
        &self,
        row: usize,
        expected: &'static str,
    ) -> Result<T, SqlError> {
        let text = self.text(row)?;
        let value = text.parse::<T>().ok().filter(|value| value.to_string() == text);
        value.ok_or_else(|| self.wrong(row, expected))
    }

    fn wrong(&self, row: usize, expected: &'static str) -> SqlError {
        SqlError::Value {
            table: self.table,
            row: self.before + row as u64,
            column: self.column,
            expected,
            got: self.get(row).unwrap_or_default().chars().take(80).collect(),
        }
    }
}

/// A work with its decision.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) position: u64,
    /// As an item; its index is for the caller to give.
    pub(crate) row: Row,
    pub(crate) exclusion: Option<Exclusion>,
}

/// Reads the decisions of a batch.
pub(crate) fn decisions(
    table: &'static str,
    batch: &RecordBatch,
    before: u64,
    visit: &mut dyn FnMut(Decision) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    let answer = Answer::new(table, batch, before);
    let (positions, weights) = (answer.numbers("position")?, answer.numbers("weight")?);
    let names = ["content", "sha256", "author", "statement", "licence", "spdx", "media_type"];
    let mut texts = Vec::with_capacity(names.len());
    for name in names {
        texts.push(answer.texts(name)?);
    }
    let [content, digest, author, statement, licence, spdx, media_type] = texts.as_slice() else {
        return Ok(());
    };
    let (name, reason, of) =
        (answer.texts("name")?, answer.texts("reason")?, answer.texts("duplicate_of")?);
    for at in 0..batch.num_rows() {
        let item = Item {
            index: 0,
            content: content.parse(at, "a 32-byte hex id")?,
            digest: digest.parse::<Digest>(at, "a SHA-256 digest")?,
            author: author.parse::<Address>(at, "an account")?,
            statement: statement.parse(at, "a SHA-256 digest")?,
            weight: weights.value(at),
        };
        let row = Row {
            item,
            licence: licence.parse(at, "a SHA-256 digest")?,
            spdx: spdx.text(at)?.to_owned(),
            media_type: media_type.text(at)?.to_owned(),
            name: name.text(at)?.to_owned(),
        };
        let position = positions.value(at);
        if row.content() != row.item.content {
            let content = row.item.content.to_string();
            return Err(SqlError::Content { position, content });
        }
        let exclusion = match reason.get(at) {
            None => None,
            Some(_) => Some(exclusion(&reason, &of, &row.spdx, at)?),
        };
        visit(Decision { position, row, exclusion })?;
    }
    Ok(())
}

fn exclusion(reason: &Texts, of: &Texts, spdx: &str, at: usize) -> Result<Exclusion, SqlError> {
    let spdx = || spdx.to_owned();
    Ok(match reason.text(at)? {
        "training-not-permitted" => Exclusion::TrainingNotPermitted { spdx: spdx() },
        "commercial-not-permitted" => Exclusion::CommercialNotPermitted { spdx: spdx() },
        "licence-not-accepted" => Exclusion::LicenceNotAccepted { spdx: spdx() },
        "opted-out" => Exclusion::OptedOut,
        "removed-by-challenge" => Exclusion::RemovedByChallenge,
        "exact-duplicate" => Exclusion::ExactDuplicate { of: of.parse(at, "a 32-byte hex id")? },
        "author-over-cap" => Exclusion::AuthorOverCap,
        "new-author-over-cap" => Exclusion::NewAuthorOverCap,
        "new-authors-over-cap" => Exclusion::NewAuthorsOverCap,
        "without-weight" => Exclusion::WithoutWeight,
        _ => return Err(reason.wrong(at, "a reason")),
    })
}

//! The items of a dataset as one Apache Parquet table: a row for each, from which its content id and
//! the dataset's Merkle root are computed again.
//!
//! Written as `columns` has it: uncompressed, the same items in the same bytes.
//!
//! The library that reads pages stops with a panic at some damaged ones. Its calls are guarded, so
//! that any bytes are a table or are refused.

use std::{
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
};

use alloy_primitives::{Address, B256};
use bytes::Bytes;
use parquet::{
    basic::Compression,
    column::{page::Page, reader::get_typed_column_reader},
    data_type::{ByteArray, ByteArrayType, DataType, Int64Type},
    errors::ParquetError,
    file::{
        metadata::ColumnChunkMetaData,
        reader::{FileReader as _, RowGroupReader, SerializedFileReader},
    },
};
use probity_core::{
    Digest,
    records::{Content, record_id},
};

use crate::{
    columns::{Column, GROUP, Layout},
    dataset::Item,
};

/// Largest table read, in bytes.
pub const MAX_TABLE_BYTES: u64 = 1 << 31;
/// Most rows read.
const MAX_ROWS: i64 = 1 << 24;
/// Longest text in a cell, in bytes.
const MAX_TEXT: usize = 1 << 12;

const SCHEMA: &str = "message items {
    REQUIRED INT64 index (INTEGER(64,false));
    REQUIRED INT64 weight (INTEGER(64,false));
    REQUIRED BYTE_ARRAY content (STRING);
    REQUIRED BYTE_ARRAY sha256 (STRING);
    REQUIRED BYTE_ARRAY author (STRING);
    REQUIRED BYTE_ARRAY statement (STRING);
    REQUIRED BYTE_ARRAY licence (STRING);
    REQUIRED BYTE_ARRAY spdx (STRING);
    REQUIRED BYTE_ARRAY media_type (STRING);
    REQUIRED BYTE_ARRAY name (STRING);
}";

/// The columns, each with whether it holds integers and what it says, for descriptions.
pub(crate) const COLUMNS: [(&str, bool, &str); 10] = [
    ("index", true, "position of the item, from 0"),
    ("weight", true, "its part of the dataset's total weight"),
    ("content", false, "id of its content record (EIP-712 struct hash)"),
    ("sha256", false, "digest of its bytes"),
    ("author", false, "account of its author"),
    ("statement", false, "digest of the signed statement that registered it"),
    ("licence", false, "digest of its licence terms"),
    ("spdx", false, "SPDX expression of its licence"),
    ("media_type", false, "media type of its bytes"),
    ("name", false, "name its author gave it"),
];

/// A row: an item and what its statement says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The item.
    pub item: Item,
    /// Digest of its licence terms.
    pub licence: Digest,
    /// SPDX expression of its licence.
    pub spdx: String,
    /// Media type of its bytes.
    pub media_type: String,
    /// A name for people.
    pub name: String,
}

impl Row {
    /// The content id that follows from digest, licence, statement and author.
    pub fn content(&self) -> B256 {
        record_id(&Content {
            digest: self.item.digest.into(),
            licence: self.licence.into(),
            statement: self.item.statement.into(),
            supersedes: B256::ZERO,
            author: self.item.author,
        })
    }
}

/// Why a table is refused.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Not Parquet, or damaged.
    #[error("malformed Parquet")]
    Parquet(#[from] ParquetError),
    /// More than is read.
    #[error("the table's {what} is `{got}`, more than the limit of {limit}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How much.
        got: u64,
        /// The most that is read.
        limit: u64,
    },
    /// Other columns.
    #[error("expected the columns of an items table, got `{0}`")]
    Schema(String),
    /// Pages that contradict themselves or each other.
    #[error("a page of the table is damaged")]
    Damaged,
    /// A column that is compressed or not in the file.
    #[error("column `{0}` is compressed, or does not lie within the file")]
    Place(&'static str),
    /// Columns of different lengths.
    #[error("column `{0}` has fewer values than the table has rows")]
    Short(&'static str),
    /// A value that is none.
    #[error("row {row}, column `{column}`: expected {expected}, got `{got}`")]
    Value {
        /// From 0.
        row: u64,
        /// Which.
        column: &'static str,
        /// What was expected.
        expected: &'static str,
        /// The value, shortened.
        got: String,
    },
    /// Rows are in the items' order.
    #[error("row {row} has index `{got}`")]
    Order {
        /// From 0.
        row: u64,
        /// Its index.
        got: u64,
    },
}

const LAYOUT: Layout<'static, Row> = Layout {
    schema: SCHEMA,
    columns: &[
        Column::Number(|row| row.item.index),
        Column::Number(|row| row.item.weight),
        Column::Text(|row| row.item.content.to_string()),
        Column::Text(|row| row.item.digest.to_string()),
        Column::Text(|row| row.item.author.to_string()),
        Column::Text(|row| row.item.statement.to_string()),
        Column::Text(|row| row.licence.to_string()),
        Column::Text(|row| row.spdx.clone()),
        Column::Text(|row| row.media_type.clone()),
        Column::Text(|row| row.name.clone()),
    ],
    unrepeated: &["content", "sha256"],
};

/// Writes a table.
pub fn write(rows: impl Iterator<Item = Row>, out: impl Write + Send) -> Result<(), TableError> {
    Ok(LAYOUT.write(rows, out)?)
}

/// Reads an untrusted table row by row, in order.
///
/// Whether the rows' content ids are right is for the caller to compare ([`Row::content`]).
pub fn read(table: Bytes, visit: &mut dyn FnMut(Row)) -> Result<(), TableError> {
    let limit = |what, got: u64, limit: u64| {
        if got > limit { Err(TableError::TooLarge { what, got, limit }) } else { Ok(()) }
    };
    let size = table.len() as u64;
    limit("size", size, MAX_TABLE_BYTES)?;
    let reader = guarded(|| Ok(SerializedFileReader::new(table)?))?;
    let metadata = reader.metadata().file_metadata();
    if *metadata.schema() != LAYOUT.schema()? {
        let columns = metadata.schema_descr().columns().iter();
        let names: Vec<&str> = columns.map(|column| column.name()).take(COLUMNS.len()).collect();
        return Err(TableError::Schema(names.join(", ")));
    }
    let mut next = 0;
    for index in 0..reader.num_row_groups() {
        let rows = reader.metadata().row_group(index).num_rows();
        limit("row group", rows.try_into().unwrap_or(u64::MAX), GROUP as u64)?;
        limit("number of rows", next + rows.cast_unsigned(), MAX_ROWS.cast_unsigned())?;
        for (column, (name, ..)) in reader.metadata().row_group(index).columns().iter().zip(COLUMNS)
        {
            if !lies_within(column, size) {
                return Err(TableError::Place(name));
            }
        }
        let columns = guarded(|| read_columns(&*reader.get_row_group(index)?, rows))?;
        next = columns.visit(next, visit)?;
    }
    Ok(())
}

/// The library trusts the places that the metadata names, and stops where they are none.
fn lies_within(column: &ColumnChunkMetaData, size: u64) -> bool {
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let places = [start, column.data_page_offset(), column.compressed_size()];
    let end = start.checked_add(column.compressed_size()).and_then(|end| u64::try_from(end).ok());
    column.compression() == Compression::UNCOMPRESSED
        && places.iter().all(|place| *place >= 0)
        && column.num_values() >= 0
        && end.is_some_and(|end| end <= size)
}

/// Turns a panic of the library into a refusal.
fn guarded<T>(call: impl FnOnce() -> Result<T, TableError>) -> Result<T, TableError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(TableError::Damaged))
}

/// The values of a row group.
struct Columns {
    indices: Vec<i64>,
    weights: Vec<i64>,
    texts: Vec<Vec<ByteArray>>,
}

fn read_columns(group: &dyn RowGroupReader, rows: i64) -> Result<Columns, TableError> {
    let rows = rows.try_into().unwrap_or(0);
    let mut texts = Vec::with_capacity(COLUMNS.len());
    for column in 2..COLUMNS.len() {
        texts.push(read_column::<ByteArrayType>(group, column, rows)?);
    }
    let indices = read_column::<Int64Type>(group, 0, rows)?;
    Ok(Columns { indices, weights: read_column::<Int64Type>(group, 1, rows)?, texts })
}

impl Columns {
    /// Visits the rows, the first of which is `row`; returns the number of the next.
    fn visit(&self, mut row: u64, visit: &mut dyn FnMut(Row)) -> Result<u64, TableError> {
        for (at, (index, weight)) in self.indices.iter().zip(&self.weights).enumerate() {
            let (index, weight) = (index.cast_unsigned(), weight.cast_unsigned());
            if index != row {
                return Err(TableError::Order { row, got: index });
            }
            let cells = Cells { row, texts: &self.texts, at };
            visit(Row {
                item: Item {
                    index,
                    content: cells.parse(2, "a 32-byte hex id")?,
                    digest: cells.parse(3, "a SHA-256 digest")?,
                    author: cells.parse::<Address>(4, "an account")?,
                    statement: cells.parse(5, "a SHA-256 digest")?,
                    weight,
                },
                licence: cells.parse(6, "a SHA-256 digest")?,
                spdx: cells.text(7)?.to_owned(),
                media_type: cells.text(8)?.to_owned(),
                name: cells.text(9)?.to_owned(),
            });
            row += 1;
        }
        Ok(row)
    }
}

/// Refuses pages that claim more values than fit: the library makes room for what they claim.
fn check_pages(group: &dyn RowGroupReader, column: usize, rows: usize) -> Result<(), TableError> {
    let mut pages = group.get_column_page_reader(column)?;
    let mut values = 0;
    while let Some(page) = pages.get_next_page()? {
        let claimed = page.num_values() as usize;
        // In a dictionary each value has four bytes at least.
        let fits = match &page {
            Page::DictionaryPage { buf, .. } => claimed <= buf.len() / 4,
            Page::DataPage { .. } | Page::DataPageV2 { .. } => {
                values += claimed;
                values <= rows
            }
        };
        if !fits {
            return Err(TableError::Damaged);
        }
    }
    Ok(())
}

fn read_column<T: DataType>(
    group: &dyn RowGroupReader,
    column: usize,
    rows: usize,
) -> Result<Vec<T::T>, TableError> {
    check_pages(group, column, rows)?;
    let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column)?);
    let mut values = Vec::with_capacity(rows);
    while values.len() < rows {
        let (records, ..) = reader.read_records(rows - values.len(), None, None, &mut values)?;
        if records == 0 {
            let name = COLUMNS.get(column).map_or("", |(name, ..)| name);
            return Err(TableError::Short(name));
        }
    }
    values.truncate(rows);
    Ok(values)
}

/// The texts of one row.
struct Cells<'a> {
    row: u64,
    texts: &'a [Vec<ByteArray>],
    at: usize,
}

impl Cells<'_> {
    fn text(&self, column: usize) -> Result<&str, TableError> {
        let cell = self.texts.get(column - 2).and_then(|texts| texts.get(self.at));
        let bytes = cell.map(ByteArray::data).unwrap_or_default();
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_TEXT);
        text.ok_or_else(|| self.wrong(column, "a short text", &String::from_utf8_lossy(bytes)))
    }

    fn parse<T: std::str::FromStr + ToString>(
        &self,
        column: usize,
        expected: &'static str,
    ) -> Result<T, TableError> {
        let text = self.text(column)?;
        // One spelling for each value.
        let value = text.parse::<T>().ok().filter(|value| value.to_string() == text);
        value.ok_or_else(|| self.wrong(column, expected, text))
    }

    fn wrong(&self, column: usize, expected: &'static str, got: &str) -> TableError {
        let column = COLUMNS.get(column).map_or("", |(name, ..)| name);
        TableError::Value { row: self.row, column, expected, got: got.chars().take(80).collect() }
    }
}

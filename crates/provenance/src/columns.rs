//! Writing rows as Apache Parquet, row group by row group, so that a table may be larger than memory.
//!
//! Uncompressed, so that no page is larger in memory than in the file; values that repeat are in
//! dictionaries. The same rows give the same bytes.

use std::{io::Write, sync::Arc};

use parquet::{
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::{parser::parse_message_type, types::Type},
};

/// Rows written and read at once.
pub(crate) const GROUP: usize = 1 << 16;

/// Where the values of a column are in a row.
#[derive(Debug)]
pub(crate) enum Column<R> {
    /// `INT64 (INTEGER(64,false))`.
    Number(fn(&R) -> u64),
    /// `BOOLEAN`.
    Flag(fn(&R) -> bool),
    /// `BYTE_ARRAY (STRING)`.
    Text(fn(&R) -> String),
}

/// A table's form.
#[derive(Debug)]
pub(crate) struct Layout<'a, R> {
    /// As Parquet writes it.
    pub(crate) schema: &'a str,
    /// In the schema's order.
    pub(crate) columns: &'a [Column<R>],
    /// Columns whose values hardly repeat.
    pub(crate) unrepeated: &'a [&'a str],
}

impl<R> Layout<'_, R> {
    pub(crate) fn schema(&self) -> Result<Type, ParquetError> {
        parse_message_type(self.schema)
    }

    /// Writes a table. Memory: one row group.
    pub(crate) fn write(
        &self,
        rows: impl Iterator<Item = R>,
        out: impl Write + Send,
    ) -> Result<(), ParquetError> {
        let mut properties = WriterProperties::builder()
            .set_created_by("probity".to_owned())
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true);
        for column in self.unrepeated {
            properties = properties.set_column_dictionary_enabled((*column).into(), false);
        }
        let (schema, properties) = (Arc::new(self.schema()?), Arc::new(properties.build()));
        let mut writer = SerializedFileWriter::new(out, schema, properties)?;
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let group: Vec<R> = rows.by_ref().take(GROUP).collect();
            let mut columns = writer.next_row_group()?;
            self.write_group(&group, &mut columns)?;
            columns.close()?;
        }
        writer.close()?;
        Ok(())
    }

    fn write_group<W: Write + Send>(
        &self,
        rows: &[R],
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        for column in self.columns {
            match column {
                Column::Number(of) => {
                    // INTEGER(64,false): the bits of an unsigned number.
                    let values: Vec<i64> = rows.iter().map(|row| of(row).cast_signed()).collect();
                    write_column::<Int64Type, W>(group, &values)?;
                }
                Column::Flag(of) => {
                    let values: Vec<bool> = rows.iter().map(of).collect();
                    write_column::<BoolType, W>(group, &values)?;
                }
                Column::Text(of) => {
                    let values: Vec<ByteArray> =
                        rows.iter().map(|row| ByteArray::from(of(row).into_bytes())).collect();
                    write_column::<ByteArrayType, W>(group, &values)?;
                }
            }
        }
        Ok(())
    }
}

fn write_column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(values, None, None)?;
        column.close()?;
    }
    Ok(())
}

use sqlx::{Any, AssertSqlSafe, Executor as _, Row as _, Transaction};

use super::{
    Batch, Cursor, Index, IndexError, rows,
    schema::{self, Table},
};

/// Rows in one `INSERT`: well under the number of parameters either database takes.
const ROWS: usize = 250;

#[derive(Debug, Clone)]
enum Value {
    Text(String),
    Number(i64),
}

type Rows = Vec<Vec<Value>>;

impl Index {
    /// Adds a batch: all of it, or nothing. Rows that are there already with the same content are
    /// fine; with other content they are a [`IndexError::Conflict`].
    pub async fn apply(&self, batch: &Batch) -> Result<(), IndexError> {
        let tables = prepare(batch)?;
        let failed = || IndexError::writing("cursor");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        move_cursor(&mut transaction, batch).await?;
        for (table, rows) in &tables {
            for chunk in rows.chunks(ROWS) {
                insert(&mut transaction, table, chunk).await?;
            }
        }
        transaction.commit().await.map_err(failed())
    }

    /// Empties the index, to build it again.
    pub async fn clear(&self) -> Result<(), IndexError> {
        let failed = || IndexError::writing("cursor");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        for table in schema::TABLES {
            let sql = AssertSqlSafe(format!("DELETE FROM {}", table.name));
            transaction.execute(sql).await.map_err(IndexError::writing(table.name))?;
        }
        transaction.commit().await.map_err(failed())
    }
}

/// The batch as rows of values that both databases hold, or why some value is not one.
fn prepare(batch: &Batch) -> Result<[(&'static Table, Rows); 6], IndexError> {
    let records = batch.records.iter().map(|record| {
        let body = serde_json::to_string(&record.body).ok();
        let body = body.ok_or_else(|| value_error("body", "JSON", &record.body.to_string()))?;
        Ok(vec![
            text("id", &record.id)?,
            text("kind", &record.kind)?,
            text("author", &record.author)?,
            number("block", record.block)?,
            number("log_index", record.log_index)?,
            number("time", record.time)?,
            Value::Text(body),
        ])
    });
    let marks = batch.marks.iter().map(|mark| {
        Ok(vec![
            text("id", &mark.id)?,
            text("mark", &mark.mark)?,
            text("by", &mark.by)?,
            number("block", mark.block)?,
            number("log_index", mark.log_index)?,
        ])
    });
    let links = batch.links.iter().map(|link| {
        Ok(vec![text("from", &link.from)?, text("rel", &link.rel)?, text("to", &link.to)?])
    });
    let statements = batch.statements.iter().map(|statement| {
        Ok(vec![
            Value::Text(statement.digest.to_string()),
            text("type", &statement.predicate_type)?,
            text("author", &statement.author)?,
            number("log_index", statement.log_index)?,
            Value::Text(statement.envelope.to_string()),
        ])
    });
    let subjects = batch.statements.iter().flat_map(|statement| {
        let mut subjects = statement.subjects.clone();
        subjects.sort_unstable();
        subjects.dedup();
        let digest = statement.digest;
        subjects.into_iter().map(move |subject| {
            Ok(vec![Value::Text(digest.to_string()), Value::Text(subject.to_string())])
        })
    });
    let money = batch.money.iter().map(|money| {
        Ok(vec![
            text("tx", &money.tx)?,
            number("log_index", money.log_index)?,
            text("account", &money.account)?,
            text("kind", &money.kind)?,
            text("model", &money.model)?,
            text("token", &money.token)?,
            number("epoch", money.epoch)?,
            amount(&money.amount)?,
            number("block", money.block)?,
        ])
    });
    Ok([
        (&schema::RECORDS, records.collect::<Result<_, _>>()?),
        (&schema::MARKS, marks.collect::<Result<_, _>>()?),
        (&schema::LINKS, links.collect::<Result<_, _>>()?),
        (&schema::STATEMENTS, statements.collect::<Result<_, _>>()?),
        (&schema::SUBJECTS, subjects.collect::<Result<_, _>>()?),
        (&schema::MONEY, money.collect::<Result<_, _>>()?),
    ])
}

fn value_error(field: &'static str, expected: &'static str, got: &str) -> IndexError {
    let got = got.chars().take(200).collect();
    IndexError::Value { field, expected, got }
}

fn text(field: &'static str, text: &str) -> Result<Value, IndexError> {
    if text.contains('\0') {
        return Err(value_error(field, "text without NUL", &text.escape_debug().to_string()));
    }
    Ok(Value::Text(text.to_owned()))
}

fn number(field: &'static str, number: u64) -> Result<Value, IndexError> {
    let fits = i64::try_from(number).map(Value::Number);
    fits.map_err(|_| value_error(field, "a number below 2^63", &number.to_string()))
}

fn amount(text: &str) -> Result<Value, IndexError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && text.len() <= 78 && (text == "0" || !text.starts_with('0')) {
        return Ok(Value::Text(text.to_owned()));
    }
    Err(value_error("amount", "decimal digits of at most 256 bits", text))
}

async fn move_cursor(
    transaction: &mut Transaction<'static, Any>,
    batch: &Batch,
) -> Result<(), IndexError> {
    let Cursor { block, block_hash, log_size } = &batch.to;
    let mut values = vec![
        number("block", *block)?,
        text("block_hash", block_hash)?,
        number("log_size", *log_size)?,
    ];
    let sql = match &batch.from {
        None => {
            "INSERT INTO cursor (id, block, block_hash, log_size) VALUES (1, $1, $2, $3) \
             ON CONFLICT DO NOTHING"
        }
        Some(from) => {
            values.push(number("block", from.block)?);
            values.push(text("block_hash", &from.block_hash)?);
            values.push(number("log_size", from.log_size)?);
            "UPDATE cursor SET block = $1, block_hash = $2, log_size = $3 \
             WHERE block = $4 AND block_hash = $5 AND log_size = $6"
        }
    };
    let moved = bind(sqlx::query::<Any>(sql), values).execute(&mut **transaction).await;
    if moved.map_err(IndexError::writing("cursor"))?.rows_affected() == 1 {
        return Ok(());
    }
    let got = sqlx::query::<Any>("SELECT block, block_hash, log_size FROM cursor")
        .fetch_optional(&mut **transaction)
        .await
        .map_err(IndexError::reading("cursor"))?;
    let got = got.as_ref().map(rows::cursor).transpose()?;
    Err(IndexError::CursorMoved { expected: batch.from.clone(), got })
}

type Query = sqlx::query::Query<'static, Any, sqlx::any::AnyArguments>;

fn bind(query: Query, values: Vec<Value>) -> Query {
    values.into_iter().fold(query, |query, value| match value {
        Value::Text(text) => query.bind(text),
        Value::Number(number) => query.bind(number),
    })
}

async fn insert(
    transaction: &mut Transaction<'static, Any>,
    table: &Table,
    rows: &[Vec<Value>],
) -> Result<(), IndexError> {
    let columns: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
    let tuples: Vec<_> = (0..rows.len())
        .map(|row| {
            let first = row * columns.len() + 1;
            let places: Vec<_> =
                (first..first + columns.len()).map(|place| format!("${place}")).collect();
            format!("({})", places.join(", "))
        })
        .collect();
    let (name, columns, tuples) = (table.name, columns.join(", "), tuples.join(", "));
    let sql = format!("INSERT INTO {name} ({columns}) VALUES {tuples} ON CONFLICT DO NOTHING");
    let query = bind(sqlx::query(AssertSqlSafe(sql)), rows.concat());
    let inserted = query.execute(&mut **transaction).await.map_err(IndexError::writing(name))?;
    if inserted.rows_affected() < rows.len() as u64 {
        check_same(transaction, table, rows).await?;
    }
    Ok(())
}

/// Checks that each row is there exactly as given.
async fn check_same(
    transaction: &mut Transaction<'static, Any>,
    table: &Table,
    rows: &[Vec<Value>],
) -> Result<(), IndexError> {
    let equal = table.columns.iter().zip(1..).map(|((name, _), at)| format!("{name} = ${at}"));
    let equal = equal.collect::<Vec<_>>().join(" AND ");
    let sql = format!("SELECT COUNT(*) FROM {} WHERE {equal}", table.name);
    for row in rows {
        let query = bind(sqlx::query(AssertSqlSafe(sql.clone())), row.clone());
        let found = query.fetch_one(&mut **transaction).await;
        let same: i64 =
            found.and_then(|row| row.try_get(0)).map_err(IndexError::reading(table.name))?;
        if same == 0 {
            let key = match row.first() {
                Some(Value::Text(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                None => String::new(),
            };
            return Err(IndexError::Conflict { table: table.name, key });
        }
    }
    Ok(())
}

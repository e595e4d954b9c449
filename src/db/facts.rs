//! All facts, table by table, as JSON: what a backup writes and a restore reads. Columns and their types come from the
//! database's own catalogue, so a migration needs no change here but its table's name in [`TABLES`].

use super::{
    connect::{Db, Pool},
    tx::{Handle, Inner, Tx, all, on},
};
use crate::error::{Error, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::TryStreamExt as _;
use serde_json::{Map, Value};
use sqlx::{QueryBuilder, Row as _};

/// A row: its columns by name.
pub type Row = Map<String, Value>;

/// Every table, those that others refer to before these.
pub const TABLES: &[&str] = &[
    "log_head",
    "log_tiles",
    "events",
    "documents",
    "namespaces",
    "principals",
    "members",
    "trust",
    "tokens",
    "repositories",
    "blobs",
    "blob_links",
    "uploads",
    "upload_parts",
    "manifest_bytes",
    "manifests",
    "manifest_uses",
    "tags",
    "inspections",
    "versions",
    "authors",
    "evidence",
    "policies",
    "stages",
    "moves",
    "entries",
    "promotions",
    "freezes",
    "workload_cards",
    "lineage",
    "quotas",
    "reads",
    "reads_missing",
    "quarantines",
    "holds",
    "purges",
    "purged_blobs",
    "deletions",
    "retention_rules",
    "deployments",
    "hooks",
    "deliveries",
    "lanes",
    "attempts",
    "monitors",
    "drift_runs",
    "ticks",
    "backups",
];

/// What is under way in a running registry and means nothing in a copy of it.
pub const LEFT_OUT: &[&str] = &["uploads", "upload_parts", "ticks", "backups"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Number,
    Text,
    Bytes,
    Flag,
    Time,
}

/// A table as the database describes it.
#[derive(Clone, Debug)]
pub struct Table {
    pub name: &'static str,
    columns: Vec<(String, Type)>,
}

impl Db {
    /// Reads one state of all tables, whatever is committed meanwhile.
    pub async fn snapshot(&self) -> Result<Tx> {
        let inner = match &self.pool {
            Pool::Sqlite { read, .. } => Inner::Sqlite(Handle::Transaction(read.begin().await?)),
            Pool::Postgres(pool) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Inner::Postgres(Handle::Transaction(pool.begin_with(begin).await?))
            }
        };
        Ok(Tx::new(inner, self))
    }
}

/// The table of this name, as far as the database's schema has it.
pub async fn table(tx: &mut Tx, name: &str) -> Result<Option<Table>> {
    let Some(name) = TABLES.iter().find(|known| **known == name) else { return Ok(None) };
    let sql = match &tx.inner {
        Inner::Sqlite(_) => "SELECT name, type FROM pragma_table_info($1) ORDER BY cid",
        Inner::Postgres(_) => {
            "SELECT column_name::TEXT, data_type::TEXT FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
        }
    };
    let rows: Vec<(String, String)> = all!(tx, sql, *name);
    let columns = rows.into_iter().map(|(column, kind)| {
        let kind = match kind.to_ascii_lowercase().as_str() {
            "bigint" => Type::Number,
            "text" => Type::Text,
            "bytea" => Type::Bytes,
            "boolean" => Type::Flag,
            "timestamptz" | "timestamp with time zone" => Type::Time,
            other => {
                return Err(Error::internal(
                    "column_type",
                    format!("a column of a type that cannot be backed up: {name}.{column}: {other}"),
                ));
            }
        };
        Ok((column, kind))
    });
    let columns: Vec<_> = columns.collect::<Result<_>>()?;
    Ok((!columns.is_empty()).then_some(Table { name, columns }))
}

/// The names of all tables there are.
pub async fn names(tx: &mut Tx) -> Result<Vec<String>> {
    let sql = match &tx.inner {
        Inner::Sqlite(_) => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
             AND name NOT LIKE '\\_sqlx%' ESCAPE '\\' ORDER BY name"
        }
        Inner::Postgres(_) => {
            "SELECT table_name::TEXT FROM information_schema.tables WHERE table_schema = current_schema()
             AND table_type = 'BASE TABLE' AND table_name NOT LIKE '\\_sqlx%' ORDER BY table_name"
        }
    };
    let rows: Vec<(String,)> = all!(tx, sql);
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

/// Takes rows one at a time.
pub trait Sink: Send {
    fn take(&mut self, table: &'static str, row: Row) -> impl Future<Output = Result<()>> + Send;
}

/// Goes through all rows of a table.
pub async fn read(tx: &mut Tx, table: &Table, sink: &mut impl Sink) -> Result<()> {
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
    let sql = format!("SELECT {} FROM {}", columns.join(", "), table.name);
    on!(tx, c => {
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch(c);
        while let Some(row) = rows.try_next().await? {
            let mut fact = Row::new();
            for (at, (name, kind)) in table.columns.iter().enumerate() {
                let value = match kind {
                    Type::Number => row.try_get::<Option<i64>, _>(at)?.map(Value::from),
                    Type::Text => row.try_get::<Option<String>, _>(at)?.map(Value::from),
                    Type::Flag => row.try_get::<Option<bool>, _>(at)?.map(Value::from),
                    Type::Bytes => {
                        row.try_get::<Option<Vec<u8>>, _>(at)?.map(|bytes| BASE64.encode(bytes).into())
                    }
                    Type::Time => row
                        .try_get::<Option<DateTime<Utc>>, _>(at)?
                        .map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, true).into()),
                };
                fact.insert(name.clone(), value.unwrap_or(Value::Null));
            }
            sink.take(table.name, fact).await?;
        }
        Ok(())
    })
}

/// Most values of one statement, on both databases.
const BINDS: usize = 30_000;

impl Table {
    /// How many rows [`write()`] takes at once.
    pub fn rows_at_once(&self) -> usize {
        (BINDS / self.columns.len().max(1)).min(1000)
    }

    /// The row's values in the order of the columns; a column that the row does not have, or one too many, is an error.
    fn values<'r>(&self, row: &'r Row) -> Result<Vec<&'r Value>> {
        let unfit = |what: String| {
            Error::invalid("backup_invalid", format!("a row does not fit the table {}: {what}", self.name))
        };
        if let Some(name) = row.keys().find(|name| !self.columns.iter().any(|(known, _)| known == *name)) {
            return Err(unfit(format!("no such column: {}", crate::model::digest::shorten(name))));
        }
        let value = |(name, _): &(String, Type)| {
            row.get(name).ok_or_else(|| unfit(format!("the column {name} is missing")))
        };
        self.columns.iter().map(value).collect()
    }
}

/// Writes rows, at most [`Table::rows_at_once`] of them.
pub async fn write(tx: &mut Tx, table: &Table, rows: &[Row]) -> Result<()> {
    let rows: Vec<Vec<&Value>> = rows.iter().map(|row| table.values(row)).collect::<Result<_>>()?;
    if rows.is_empty() {
        return Ok(());
    }
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
    let insert = format!("INSERT INTO {} ({}) ", table.name, columns.join(", "));
    let unfit = |name: &str| {
        Error::invalid("backup_invalid", format!("a value does not fit its column: {}.{name}", table.name))
    };
    on!(tx, c => {
        let mut query = QueryBuilder::new(insert);
        let mut failed = None;
        query.push_values(&rows, |mut values, row| {
            for ((name, kind), value) in table.columns.iter().zip(row) {
                let text = value.as_str();
                let fits = match kind {
                    Type::Number => { values.push_bind(value.as_i64()); value.is_i64() }
                    Type::Text => { values.push_bind(text.map(str::to_owned)); value.is_string() }
                    Type::Flag => { values.push_bind(value.as_bool()); value.is_boolean() }
                    Type::Bytes => {
                        let bytes = text.and_then(|text| BASE64.decode(text).ok());
                        let fits = bytes.is_some();
                        values.push_bind(bytes);
                        fits
                    }
                    Type::Time => {
                        let time = text.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
                        values.push_bind(time.map(|time| time.with_timezone(&Utc)));
                        time.is_some()
                    }
                };
                if !fits && !value.is_null() {
                    failed.get_or_insert_with(|| unfit(name));
                }
            }
        });
        match failed {
            Some(error) => Err(error),
            None => {
                query.build().execute(c).await?;
                Ok(())
            }
        }
    })
}

//! A table (or view) of a PostgreSQL database.
//!
//! Columns are named in a prepared statement, which tells their types: `int2`, `int4`, `int8` are
//! integers, `numeric` is decimal, `bool` is boolean; everything else travels as the text the
//! server writes for it. Floating-point numbers are text too: a decimal is exact and they are not.
//! Rows stream from the server as they are consumed; a single row is fetched with its ID columns'
//! own types, so the server can use their index.

use std::sync::{Arc, Mutex, PoisonError};

use encrytrust_protocol::{Column, ColumnKind, Value};
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio_postgres::{
    Client, Config,
    error::SqlState,
    types::{ToSql, Type},
};
use zeroize::Zeroizing;

use super::{Place, Row, RowKey, Source, SourceError, infer, tls};

/// A connection to a database, and the columns asked of one table.
pub struct PostgresSource {
    config: Config,
    tls: tls::Mode,
    /// Host and database, for messages.
    database: String,
    table: String,
    ids: Vec<Typed>,
    columns: Vec<Column>,
    /// The connection in use; replaced when it breaks.
    client: Mutex<Option<Arc<Client>>>,
}

/// A column with the name of its type, both quoted.
struct Typed {
    name: String,
    sql_type: String,
}

impl PostgresSource {
    /// Connects, and asks for the columns' types.
    pub async fn connect(
        url: &str,
        table: &str,
        id_columns: &[String],
        columns: &[String],
        declared: Option<&[Column]>,
    ) -> Result<Self, SourceError> {
        let (tls, url) = tls::Mode::from_url(url)?;
        let config: Config = url.parse().map_err(|e| SourceError::Url(format!("{e}")))?;
        let database = config.get_dbname().unwrap_or("the server's default database").to_owned();
        let mut source = Self {
            config,
            tls,
            database,
            table: quoted_table(table),
            ids: Vec::new(),
            columns: declared.map(<[_]>::to_vec).unwrap_or_default(),
            client: Mutex::default(),
        };
        source.ids = source.types_of(id_columns).await?.into_iter().map(|(t, _)| t).collect();
        let found = source.types_of(columns).await?;
        if declared.is_none() {
            let named = columns.iter().zip(found);
            source.columns =
                named.map(|(name, (_, kind))| Column { name: name.clone(), kind }).collect();
        }
        Ok(source)
    }

    async fn types_of(&self, names: &[String]) -> Result<Vec<(Typed, ColumnKind)>, SourceError> {
        let client = self.client().await?;
        let quoted: Vec<_> = names.iter().map(|name| quoted(name)).collect();
        let sql = format!("SELECT {} FROM {}", quoted.join(", "), self.table);
        let statement = match client.prepare(&sql).await {
            Ok(statement) => statement,
            Err(error) => return Err(self.explain(&client, &error, names).await),
        };
        let columns = quoted.into_iter().zip(statement.columns());
        Ok(columns
            .map(|(name, column)| {
                let sql_type = quoted_type(column.type_());
                (Typed { name, sql_type }, kind_of(column.type_()))
            })
            .collect())
    }

    /// Turns "no such column" into the list of those there are.
    async fn explain(
        &self,
        client: &Client,
        error: &tokio_postgres::Error,
        names: &[String],
    ) -> SourceError {
        if error.code() == Some(&SqlState::UNDEFINED_COLUMN) {
            let all = client.prepare(&format!("SELECT * FROM {}", self.table)).await;
            let existing = all.iter().flat_map(|s| s.columns()).map(|c| c.name().to_owned());
            let existing: Vec<String> = existing.collect();
            if let Some(column) = names.iter().find(|n| !existing.contains(n)) {
                let (source_name, column) = (self.table.clone(), column.clone());
                return SourceError::NoColumn { source_name, column, existing };
            }
        }
        self.refused(error)
    }

    fn refused(&self, error: &tokio_postgres::Error) -> SourceError {
        // The server's own words; never its `detail`, which quotes rows.
        let why = match error.as_db_error() {
            Some(db) => db.message().to_owned(),
            None => crate::error::chain(error),
        };
        SourceError::Database { database: self.database.clone(), why }
    }

    /// The connection, made again if it broke.
    async fn client(&self) -> Result<Arc<Client>, SourceError> {
        let kept = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(client) = kept.filter(|c| !c.is_closed()) {
            return Ok(client);
        }
        let client = tls::connect(&self.config, &self.tls).await;
        let client = Arc::new(client.map_err(|e| self.refused(&e))?);
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&client));
        Ok(client)
    }

    /// `SELECT "id"::text, …, "column"::text, … FROM "table"`
    fn select(&self) -> String {
        let ids = self.ids.iter().map(|id| format!("{}::text", id.name));
        let columns = self.columns.iter().map(|c| format!("{}::text", quoted(&c.name)));
        let list: Vec<_> = ids.chain(columns).collect();
        format!("SELECT {} FROM {}", list.join(", "), self.table)
    }

    fn row(&self, row: &tokio_postgres::Row, place: Place) -> Row {
        let text = |i: usize| row.get::<_, Option<&str>>(i);
        let key = (0..self.ids.len())
            .map(|i| Zeroizing::new(text(i).unwrap_or_default().to_owned()))
            .collect();
        let values = self.columns.iter().enumerate().map(|(i, column)| {
            let Some(text) = text(self.ids.len() + i) else { return Ok(Value::Null) };
            infer::value(text, column.kind).ok_or_else(|| {
                let kind = format!("{:?}", column.kind).to_lowercase();
                format!("column {:?} holds something that is no {kind}", column.name)
            })
        });
        Row { place, key, values: values.collect() }
    }
}

impl Source for PostgresSource {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn scan(&self) -> BoxFuture<'_, Result<BoxStream<'_, Result<Row, SourceError>>, SourceError>> {
        async move {
            let client = self.client().await?;
            let none: [&(dyn ToSql + Sync); 0] = [];
            let rows =
                client.query_raw(&self.select(), none).await.map_err(|e| self.refused(&e))?;
            let rows = rows.boxed().zip(stream::iter(1u64..)).map(move |(row, number)| {
                // The connection lives as long as the stream that reads from it.
                let _held = &client;
                let row = row.map_err(|e| self.refused(&e))?;
                Ok(self.row(&row, Place { unit: "row", number }))
            });
            Ok(rows.boxed())
        }
        .boxed()
    }

    fn fetch<'a>(&'a self, key: &'a RowKey) -> BoxFuture<'a, Result<Vec<Row>, SourceError>> {
        async move {
            let conditions = self
                .ids
                .iter()
                .enumerate()
                .map(|(i, id)| format!("{} = ${}::text::{}", id.name, i + 1, id.sql_type));
            let conditions: Vec<_> = conditions.collect();
            let sql = format!("{} WHERE {} LIMIT 2", self.select(), conditions.join(" AND "));
            let values: Vec<&str> = key.iter().map(|v| v.as_str()).collect();
            let values: Vec<&(dyn ToSql + Sync)> =
                values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
            let client = self.client().await?;
            let rows = client.query(&sql, &values).await.map_err(|e| self.refused(&e))?;
            let rows = rows.iter().zip(1..);
            Ok(rows.map(|(row, number)| self.row(row, Place { unit: "match", number })).collect())
        }
        .boxed()
    }
}

impl std::fmt::Debug for PostgresSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresSource({} in {})", self.table, self.database)
    }
}

/// SQL, "delimited identifier": any character may stand in it, a quote is doubled.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `table` or `schema.table`.
fn quoted_table(table: &str) -> String {
    match table.split_once('.') {
        Some((schema, table)) => format!("{}.{}", quoted(schema), quoted(table)),
        None => quoted(table),
    }
}

fn quoted_type(found: &Type) -> String {
    format!("{}.{}", quoted(found.schema()), quoted(found.name()))
}

fn kind_of(found: &Type) -> ColumnKind {
    match *found {
        Type::INT2 | Type::INT4 | Type::INT8 => ColumnKind::Integer,
        Type::NUMERIC => ColumnKind::Decimal,
        Type::BOOL => ColumnKind::Boolean,
        _ => ColumnKind::Text,
    }
}

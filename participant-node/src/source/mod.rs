//! Where the data lives: a CSV file or a PostgreSQL table, read by column names, never copied.
//!
//! A source is read twice in its life. Publishing walks all rows once, in order, and keeps of each
//! only what the vault needs to find it again: the values of its ID columns, the [`RowKey`].
//! Serving fetches one row by that key at the moment it is asked for, so what a buyer receives is
//! what the source holds now; if that is no longer what was offered, the node says so.
//!
//! # Types
//!
//! A record's columns are text, integer, decimal or boolean. PostgreSQL says which; of a CSV file
//! it is inferred from all its rows (see [`infer`]). An empty CSV field is null.

mod csv;
pub mod infer;
mod postgres;
mod tls;

use std::{fmt, path::PathBuf, str::FromStr};

use encrytrust_protocol::{Column, Value};
use futures::{future::BoxFuture, stream::BoxStream};
use zeroize::Zeroizing;

pub use self::{csv::CsvSource, postgres::PostgresSource};

/// The values of a row's ID columns, as the source writes them. Personal data.
pub type RowKey = Vec<Zeroizing<String>>;

/// Where a row stands in its source, for messages: `line 17`, `row 17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// `line` or `row`.
    pub unit: &'static str,
    /// Which, from 1.
    pub number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.unit, self.number)
    }
}

/// One row.
pub struct Row {
    /// Where it stands.
    pub place: Place,
    /// Its ID columns; empty text for null.
    pub key: RowKey,
    /// Its record, in the order of the columns asked for; or why a value is not of its column's
    /// type. The reason never quotes the value.
    pub values: Result<Vec<Value>, String>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({}, <redacted>)", self.place)
    }
}

/// Rows with named columns.
pub trait Source: Send + Sync + fmt::Debug {
    /// The record's columns with their types, in the order asked for.
    fn columns(&self) -> &[Column];

    /// Every row, in the source's order, a few at a time.
    fn scan(&self) -> BoxFuture<'_, Result<BoxStream<'_, Result<Row, SourceError>>, SourceError>>;

    /// The rows whose ID columns have these values now: one, unless the source changed.
    fn fetch<'a>(&'a self, key: &'a RowKey) -> BoxFuture<'a, Result<Vec<Row>, SourceError>>;
}

/// Where a source is. It may hold a password, so `Debug` and `Display` show it without.
#[derive(Clone, PartialEq, Eq)]
pub enum SourceSpec {
    /// A CSV file with a header line (RFC 4180), UTF-8.
    Csv(PathBuf),
    /// A table of a PostgreSQL database.
    Postgres {
        /// `postgres://user:password@host:port/database?sslmode=…`
        url: Zeroizing<String>,
        /// `table` or `schema.table`; identifiers are quoted, so letters keep their case.
        table: String,
    },
}

/// A source that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The text names no source.
    #[error("{given:?} is not a source; write csv:FILE, or postgres://… with a table")]
    Spec {
        /// What was given, without its password.
        given: String,
    },
    /// The file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not CSV.
    #[error("{path}: {source}")]
    Csv {
        /// The file.
        path: String,
        /// What the reader stumbled over.
        source: ::csv::Error,
    },
    /// A column is missing.
    #[error("{source_name} has no column {column:?}; it has {}", existing.join(", "))]
    NoColumn {
        /// The source.
        source_name: String,
        /// The column asked for.
        column: String,
        /// The columns there are.
        existing: Vec<String>,
    },
    /// A column name stands twice in the source's header, so it names nothing.
    #[error("{source_name} has two columns called {column:?}; rename one")]
    AmbiguousColumn {
        /// The source.
        source_name: String,
        /// The name.
        column: String,
    },
    /// No columns were named, or one twice.
    #[error("{0}")]
    Columns(String),
    /// The database refused or is away.
    #[error("{database}: {why}")]
    Database {
        /// Host and database.
        database: String,
        /// What it said.
        why: String,
    },
    /// The connection settings are wrong.
    #[error("database URL: {0}")]
    Url(String),
}

impl SourceSpec {
    /// Reads `csv:FILE`, or `postgres://…` together with a table.
    pub fn parse(text: &str, table: Option<&str>) -> Result<Self, SourceError> {
        if let Some(path) = text.strip_prefix("csv:") {
            if table.is_some() {
                return Err(SourceError::Columns(
                    "a CSV file has no tables: leave out --table".into(),
                ));
            }
            return Ok(Self::Csv(PathBuf::from(path)));
        }
        let postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        match table {
            Some(table) if postgres => {
                Ok(Self::Postgres { url: Zeroizing::new(text.to_owned()), table: table.to_owned() })
            }
            None if postgres => {
                Err(SourceError::Columns("a PostgreSQL source needs a table: add --table".into()))
            }
            _ => Err(SourceError::Spec { given: without_password(text) }),
        }
    }

    /// The same source with its path made absolute, so that it is found again from elsewhere.
    pub(crate) fn absolute(&self) -> Result<Self, SourceError> {
        match self {
            Self::Csv(path) => std::fs::canonicalize(path)
                .map(Self::Csv)
                .map_err(|source| SourceError::File { path: path.display().to_string(), source }),
            Self::Postgres { .. } => Ok(self.clone()),
        }
    }

    /// A name for the place, the same for everybody who may read it: no user, no password.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Csv(path) => format!("csv:{}", path.display()),
            Self::Postgres { url, table } => {
                let place = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                let place = place.split('?').next().unwrap_or_default();
                let place = place.rsplit_once('@').map_or(place, |(_, host)| host);
                format!("postgres://{place} {table}")
            }
        }
    }

    /// Opens it. With `declared` the columns' types are those; without, the source is asked.
    pub async fn open(
        &self,
        id_columns: &[String],
        columns: &[String],
        declared: Option<&[Column]>,
    ) -> Result<Box<dyn Source>, SourceError> {
        distinct("ID columns", id_columns)?;
        distinct("columns", columns)?;
        Ok(match self {
            Self::Csv(path) => {
                let (path, ids, columns) = (path.clone(), id_columns.to_vec(), columns.to_vec());
                let declared = declared.map(<[_]>::to_vec);
                let open = move || CsvSource::open(path, &ids, &columns, declared);
                Box::new(crate::blocking(open).await?)
            }
            Self::Postgres { url, table } => {
                Box::new(PostgresSource::connect(url, table, id_columns, columns, declared).await?)
            }
        })
    }
}

fn distinct(what: &str, names: &[String]) -> Result<(), SourceError> {
    if names.is_empty() {
        return Err(SourceError::Columns(format!("no {what} named")));
    }
    let mut seen = std::collections::HashSet::new();
    match names.iter().find(|n| !seen.insert(n.as_str())) {
        Some(twice) => Err(SourceError::Columns(format!("{twice:?} is among the {what} twice"))),
        None => Ok(()),
    }
}

/// Hides what stands between `:` and `@` of a URL's authority, and all parameters.
fn without_password(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    }
}

impl FromStr for SourceSpec {
    type Err = SourceError;
    fn from_str(text: &str) -> Result<Self, SourceError> {
        Self::parse(text, None)
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Csv(path) => write!(f, "csv:{}", path.display()),
            Self::Postgres { url, table } => write!(f, "{} {table}", without_password(url)),
        }
    }
}

impl fmt::Debug for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceSpec({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        assert_eq!(SourceSpec::parse("csv:a b.csv", None).unwrap().to_string(), "csv:a b.csv");
        assert!(SourceSpec::parse("csv:a", Some("t")).is_err());
        assert!(SourceSpec::parse("postgres://h/db", None).is_err());
        assert!(SourceSpec::parse("mysql://h/db", Some("t")).is_err());
    }

    #[test]
    fn passwords_are_not_shown() {
        let spec = SourceSpec::parse("postgres://u:s3cr@t@h:5/db?password=x", Some("t")).unwrap();
        assert_eq!(format!("{spec:?}"), "SourceSpec(postgres://…@h:5/db t)");
        assert_eq!(spec.identity(), "postgres://h:5/db t");
    }
}

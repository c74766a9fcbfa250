//! A CSV file with a header line (RFC 4180), UTF-8, with or without a byte-order mark.
//!
//! Rows are found again by an index in memory, from a hash of the row's key to the row's place in
//! the file: forty bytes a row. When the file's size or time of change is another, the index is
//! made anew before the next row is fetched.

use std::{
    collections::HashMap,
    fs::File,
    hash::{BuildHasher, RandomState},
    io::BufReader,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use csv::{Position, Reader, ReaderBuilder, StringRecord};
use encrytrust_protocol::{Column, Value};
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use zeroize::Zeroizing;

use super::{Place, Row, RowKey, Source, SourceError, infer};
use crate::blocking;

/// A CSV file and the columns asked of it.
#[derive(Debug)]
pub struct CsvSource {
    table: Arc<Table>,
    /// Rows by the hash of their key, as of one state of the file.
    index: Arc<Mutex<Option<Index>>>,
}

#[derive(Debug)]
struct Table {
    path: PathBuf,
    /// Where the ID columns stand in a line.
    ids: Vec<usize>,
    /// Where the record's columns stand in a line.
    positions: Vec<usize>,
    columns: Vec<Column>,
}

/// The state of a file by which a change is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
}

#[derive(Debug)]
struct Index {
    stamp: Stamp,
    hasher: RandomState,
    places: HashMap<u64, Vec<Position>>,
}

impl CsvSource {
    /// Reads the header, and all rows once if the columns' types are to be inferred.
    pub fn open(
        path: PathBuf,
        id_columns: &[String],
        columns: &[String],
        declared: Option<Vec<Column>>,
    ) -> Result<Self, SourceError> {
        let mut reader = open(&path)?;
        let header = reader.headers().map_err(|e| csv_error(&path, e))?.clone();
        let find = |name: &String| position(&path, &header, name);
        let ids = id_columns.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let positions = columns.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let columns = match declared {
            Some(columns) => columns,
            None => infer_columns(&path, reader, &positions, columns)?,
        };
        let table = Arc::new(Table { path, ids, positions, columns });
        Ok(Self { table, index: Arc::default() })
    }
}

impl Source for CsvSource {
    fn columns(&self) -> &[Column] {
        &self.table.columns
    }

    fn scan(&self) -> BoxFuture<'_, Result<BoxStream<'_, Result<Row, SourceError>>, SourceError>> {
        async move {
            let table = Arc::clone(&self.table);
            let records = open(&table.path)?.into_records();
            let rows = records.map(move |record| {
                let record = record.map_err(|e| csv_error(&table.path, e))?;
                Ok(table.row(&record))
            });
            Ok(stream::iter(rows).boxed())
        }
        .boxed()
    }

    fn fetch<'a>(&'a self, key: &'a RowKey) -> BoxFuture<'a, Result<Vec<Row>, SourceError>> {
        let (table, index, key) = (Arc::clone(&self.table), Arc::clone(&self.index), key.clone());
        blocking(move || {
            let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
            table.fetch(&mut index, &key)
        })
        .boxed()
    }
}

impl Table {
    fn key(&self, record: &StringRecord) -> RowKey {
        let field = |i: &usize| Zeroizing::new(record.get(*i).unwrap_or_default().to_owned());
        self.ids.iter().map(field).collect()
    }

    fn row(&self, record: &StringRecord) -> Row {
        let line = record.position().map_or(0, Position::line);
        let values = self.positions.iter().zip(&self.columns).map(|(i, column)| {
            match record.get(*i).unwrap_or_default() {
                "" => Ok(Value::Null),
                text => infer::value(text, column.kind).ok_or_else(|| {
                    let kind = format!("{:?}", column.kind).to_lowercase();
                    format!("column {:?} holds something that is no {kind}", column.name)
                }),
            }
        });
        Row {
            place: Place { unit: "line", number: line },
            key: self.key(record),
            values: values.collect(),
        }
    }

    fn fetch(&self, index: &mut Option<Index>, key: &RowKey) -> Result<Vec<Row>, SourceError> {
        let mut reader = open(&self.path)?;
        let stamp = stamp(&self.path)?;
        if index.as_ref().is_none_or(|index| index.stamp != stamp) {
            *index = Some(self.index(stamp)?);
        }
        let Some(index) = index else { return Ok(Vec::new()) };
        let places = index.places.get(&hash(&index.hasher, key));
        let mut rows = Vec::new();
        for place in places.into_iter().flatten() {
            reader.seek(place.clone()).map_err(|e| csv_error(&self.path, e))?;
            let mut record = StringRecord::new();
            if reader.read_record(&mut record).map_err(|e| csv_error(&self.path, e))? {
                let row = self.row(&record);
                if row.key == *key {
                    rows.push(row);
                }
            }
        }
        Ok(rows)
    }

    fn index(&self, stamp: Stamp) -> Result<Index, SourceError> {
        let (hasher, mut places) = (RandomState::new(), HashMap::<u64, Vec<Position>>::new());
        for record in open(&self.path)?.into_records() {
            let record = record.map_err(|e| csv_error(&self.path, e))?;
            if let Some(place) = record.position() {
                let hash = self::hash(&hasher, &self.key(&record));
                places.entry(hash).or_default().push(place.clone());
            }
        }
        Ok(Index { stamp, hasher, places })
    }
}

fn hash(hasher: &RandomState, key: &RowKey) -> u64 {
    hasher.hash_one(key.iter().map(|value| value.as_str()).collect::<Vec<_>>())
}

fn open(path: &Path) -> Result<Reader<BufReader<File>>, SourceError> {
    let file = File::open(path)
        .map_err(|source| SourceError::File { path: path.display().to_string(), source })?;
    Ok(ReaderBuilder::new().from_reader(BufReader::with_capacity(1 << 17, file)))
}

fn stamp(path: &Path) -> Result<Stamp, SourceError> {
    let meta = std::fs::metadata(path)
        .map_err(|source| SourceError::File { path: path.display().to_string(), source })?;
    Ok(Stamp { len: meta.len(), modified: meta.modified().ok() })
}

fn csv_error(path: &Path, source: csv::Error) -> SourceError {
    SourceError::Csv { path: path.display().to_string(), source }
}

fn position(path: &Path, header: &StringRecord, name: &str) -> Result<usize, SourceError> {
    let source_name = || path.display().to_string();
    let mut found = header.iter().enumerate().filter(|(_, n)| *n == name);
    match (found.next(), found.next()) {
        (Some((i, _)), None) => Ok(i),
        (None, _) => Err(SourceError::NoColumn {
            source_name: source_name(),
            column: name.to_owned(),
            existing: header.iter().map(str::to_owned).collect(),
        }),
        _ => Err(SourceError::AmbiguousColumn {
            source_name: source_name(),
            column: name.to_owned(),
        }),
    }
}

fn infer_columns(
    path: &Path,
    mut reader: Reader<BufReader<File>>,
    positions: &[usize],
    names: &[String],
) -> Result<Vec<Column>, SourceError> {
    let mut inferences = vec![infer::Inference::default(); positions.len()];
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| csv_error(path, e))? {
        for (inference, i) in inferences.iter_mut().zip(positions) {
            inference.see(record.get(*i).unwrap_or_default());
        }
    }
    let columns = names.iter().zip(inferences);
    Ok(columns.map(|(name, i)| Column { name: name.clone(), kind: i.kind() }).collect())
}

#[cfg(test)]
mod tests {
    use encrytrust_protocol::ColumnKind;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    fn key(text: &str) -> RowKey {
        vec![Zeroizing::new(text.to_owned())]
    }

    #[tokio::test]
    async fn rows_are_read_by_name_and_fetched_again_by_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("people.csv");
        std::fs::write(&path, "\u{feff}name,id,age\n\"A, B\",1,30\nC,2,\n").unwrap();
        let open = |columns| CsvSource::open(path.clone(), &names("id"), &names(columns), None);

        let source = open("age,name").unwrap();
        assert_eq!(source.columns()[0].kind, ColumnKind::Integer);
        let rows: Vec<_> = source.scan().await.unwrap().collect().await;
        let values: Vec<_> =
            rows.iter().map(|r| r.as_ref().unwrap().values.clone().unwrap()).collect();
        assert_eq!(values[0], [Value::Integer(30), Value::Text("A, B".into())]);
        assert_eq!(values[1], [Value::Null, Value::Text("C".into())]);

        let row = |found: Vec<Row>| found.into_iter().next().map(|r| r.values);
        let second = row(source.fetch(&key("2")).await.unwrap()).unwrap().unwrap();
        assert_eq!(second, values[1]);
        assert!(source.fetch(&key("3")).await.unwrap().is_empty());

        // The file changes under the node: found at its new place, or found to be no longer a
        // number.
        std::fs::write(&path, "name,id,age\nZ,3,1\nC,2,forty\nD,2,4\n").unwrap();
        let changed = source.fetch(&key("2")).await.unwrap();
        assert_eq!(changed.len(), 2);
        assert!(changed[0].values.as_ref().unwrap_err().contains("no integer"));
        assert_eq!(changed[0].place.to_string(), "line 3");
        assert!(source.fetch(&key("1")).await.unwrap().is_empty());

        assert!(matches!(open("weight"), Err(SourceError::NoColumn { .. })));
        std::fs::write(&path, "id,age,age\n").unwrap();
        assert!(matches!(open("age"), Err(SourceError::AmbiguousColumn { .. })));
        std::fs::write(&path, "id,age\n1\n").unwrap();
        assert!(matches!(open("age"), Err(SourceError::Csv { .. })));
    }
}

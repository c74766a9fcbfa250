//! Small tables that enterprises have.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use encrytrust_participant_node::{PublishSpec, source::SourceSpec};
use encrytrust_protocol::TagScheme;

/// A CSV file, and which of its columns mean what.
#[derive(Clone, Debug)]
pub struct Table {
    /// Where it is.
    pub file: PathBuf,
    /// Who a row is about.
    pub id_columns: Vec<String>,
    /// What is on offer.
    pub columns: Vec<String>,
}

impl Table {
    /// Writes a table, or writes it anew: a header, then rows.
    pub fn write<R, V>(
        file: impl AsRef<Path>,
        id_columns: &[&str],
        columns: &[&str],
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Self>
    where
        R: IntoIterator<Item = V>,
        V: AsRef<[u8]>,
    {
        let file = file.as_ref().to_owned();
        let mut writer = csv::Writer::from_path(&file)?;
        writer.write_record(id_columns.iter().chain(columns))?;
        for row in rows {
            writer.write_record(row)?;
        }
        writer.flush()?;
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Ok(Self { file, id_columns: names(id_columns), columns: names(columns) })
    }

    /// What so many people earn: `id,income,note`; person `n` is `ZZ-<n>`.
    pub fn incomes(file: impl AsRef<Path>, people: usize) -> Result<Self> {
        let row = |n: usize| {
            let income = (30_000 + 17 * n).to_string();
            [format!("ZZ-{n:06}"), income, format!("paid on the {n}th")]
        };
        Self::write(file, &["id"], &["income", "note"], (0..people).map(row))
    }

    /// Three companies' shares of the sample's first rows: the same people, different columns.
    ///
    /// The sample has neither names nor numbers, so both are made up from the row's number.
    pub fn german_credit(folder: &Path, rows: usize) -> Result<[Self; 3]> {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/german_credit.csv");
        let mut reader = csv::Reader::from_path(sample)?;
        let header = reader.headers()?.clone();
        let people = reader.records().take(rows).collect::<Result<Vec<_>, _>>()?;
        let share = |file: &str, columns: &[&str]| {
            let place = |name: &&str| {
                header.iter().position(|h| h == *name).with_context(|| format!("no {name}"))
            };
            let places = columns.iter().map(place).collect::<Result<Vec<_>>>()?;
            let rows = people.iter().enumerate().map(|(n, person)| {
                let ids = [format!("ZZ-{:06}", n + 1), format!("Muster {}", n + 1)];
                let values = places.iter().map(|&at| person[at].to_owned());
                ids.into_iter().chain(values).collect::<Vec<_>>()
            });
            Self::write(folder.join(file), &["national_id", "name"], columns, rows)
        };
        Ok([
            share("bank.csv", &["credit_amount", "duration_in_month", "purpose", "creditability"])?,
            share("employers.csv", &["job", "present_employment_since", "foreign_worker"])?,
            share("telecom.csv", &["telephone", "housing", "age_in_years"])?,
        ])
    }

    /// Offers of its rows.
    pub fn on_offer(&self, title: &str, endpoint: Option<&str>) -> PublishSpec {
        PublishSpec {
            source: SourceSpec::Csv(self.file.clone()),
            id_columns: self.id_columns.clone(),
            columns: self.columns.clone(),
            title: title.to_owned(),
            text: String::new(),
            price: 5,
            duration: std::time::Duration::from_secs(30 * 86_400),
            endpoint: endpoint.map(str::to_owned),
            scheme: TagScheme::Voprf,
            dataset: None,
        }
    }

    /// Reads it, lets somebody change its rows (the header is not among them), writes it.
    pub fn edit(&self, change: impl FnOnce(&mut Vec<Vec<String>>)) -> Result<()> {
        let mut reader = csv::Reader::from_path(&self.file)?;
        let header = reader.headers()?.clone();
        let own = |row: csv::StringRecord| row.iter().map(str::to_owned).collect::<Vec<_>>();
        let mut rows = reader.records().map(|row| row.map(own)).collect::<Result<Vec<_>, _>>()?;
        change(&mut rows);
        let mut writer = csv::Writer::from_path(&self.file)?;
        writer.write_record(&header)?;
        for row in rows {
            writer.write_record(row)?;
        }
        Ok(writer.flush()?)
    }
}

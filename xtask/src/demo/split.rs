//! One table becomes three companies' tables: the same thousand people, different columns.
//!
//! The sample has no names and no identity numbers, so each row gets both, made up from its number
//! and recognisably so (see `samples/README.md`).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The columns that say whom a row is about, the same in every company's table.
pub(crate) const ID_COLUMNS: [&str; 2] = ["national_id", "name"];

/// One company's share of the columns.
pub(crate) struct Share {
    pub(crate) file: &'static str,
    pub(crate) columns: &'static [&'static str],
}

pub(crate) const BANK: Share = Share {
    file: "bank.csv",
    columns: &[
        "status_of_existing_checking_account",
        "duration_in_month",
        "credit_history",
        "purpose",
        "credit_amount",
        "savings_account_and_bonds",
        "installment_rate_in_percentage_of_disposable_income",
        "other_debtors_or_guarantors",
        "number_of_existing_credits_at_this_bank",
        "creditability",
    ],
};

pub(crate) const EMPLOYER_REGISTRY: Share = Share {
    file: "employer_registry.csv",
    columns: &[
        "present_employment_since",
        "job",
        "number_of_people_being_liable_to_provide_maintenance_for",
        "foreign_worker",
    ],
};

pub(crate) const TELECOM: Share = Share {
    file: "telecom.csv",
    columns: &[
        "telephone",
        "housing",
        "present_residence_since",
        "age_in_years",
        "property",
        "other_installment_plans",
    ],
};

const FIRST_NAMES: [&str; 40] = [
    "Ada", "Alan", "Amalie", "Anna", "Barbara", "Bernhard", "Carl", "Clara", "David", "Dorothea",
    "Edsger", "Elias", "Emmy", "Erika", "Felix", "Frances", "Georg", "Grace", "Hanna", "Hedy",
    "Ida", "Jakob", "Johanna", "Karen", "Konrad", "Leonhard", "Lise", "Margaret", "Maria", "Max",
    "Niels", "Olga", "Paul", "Radia", "Richard", "Rosa", "Sofia", "Thomas", "Ursula", "Zoë",
];

const FAMILY_NAMES: [&str; 25] = [
    "Muster",
    "Musterau",
    "Musterbach",
    "Musterberg",
    "Musterbrück",
    "Musterdorf",
    "Mustereck",
    "Musterfeld",
    "Musterfrau",
    "Mustergarten",
    "Musterhain",
    "Musterhaus",
    "Musterheim",
    "Musterhof",
    "Musterholz",
    "Musterkamp",
    "Musterland",
    "Mustermann",
    "Mustermoor",
    "Musterried",
    "Musterstein",
    "Mustertal",
    "Musterwald",
    "Musterweg",
    "Musterwiese",
];

/// Who row `row` (from 1) is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) national_id: String,
    pub(crate) name: String,
}

impl Person {
    pub(crate) fn of_row(row: usize) -> Self {
        // ISO 7064 MOD 97-10: the number with its two check digits is 1 modulo 97.
        let check = 98 - (row * 100) % 97;
        let first = FIRST_NAMES[(row - 1) % FIRST_NAMES.len()];
        let family = FAMILY_NAMES[(row - 1) / FIRST_NAMES.len() % FAMILY_NAMES.len()];
        Self { national_id: format!("ZZ-{row:06}-{check:02}"), name: format!("{first} {family}") }
    }
}

/// Write every company's table into `folder`; returns how many people each has.
pub(crate) fn split(table: &Path, folder: &Path) -> Result<usize> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut reader = csv::Reader::from_path(table)
        .with_context(|| format!("cannot read {}", table.display()))?;
    let header = reader.headers()?.clone();
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
    for share in [&BANK, &EMPLOYER_REGISTRY, &TELECOM] {
        write(share, &header, &rows, folder.join(share.file))?;
    }
    Ok(rows.len())
}

fn write(
    share: &Share,
    header: &csv::StringRecord,
    rows: &[csv::StringRecord],
    path: PathBuf,
) -> Result<()> {
    let places: Vec<usize> = share
        .columns
        .iter()
        .map(|name| {
            header.iter().position(|h| h == *name).with_context(|| format!("no column {name}"))
        })
        .collect::<Result<_>>()?;
    ensure!(rows.len() <= FIRST_NAMES.len() * FAMILY_NAMES.len(), "more rows than names");
    let mut out = csv::Writer::from_path(path)?;
    out.write_record(ID_COLUMNS.iter().chain(share.columns))?;
    for (n, row) in rows.iter().enumerate() {
        let person = Person::of_row(n + 1);
        let values = places.iter().map(|&at| &row[at]);
        out.write_record([&*person.national_id, &*person.name].into_iter().chain(values))?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::shell::root;

    #[test]
    fn people_are_distinct_and_their_numbers_check() {
        let people: Vec<_> = (1..=1000).map(Person::of_row).collect();
        let ids: HashSet<_> = people.iter().map(|p| &p.national_id).collect();
        let names: HashSet<_> = people.iter().map(|p| &p.name).collect();
        assert_eq!((ids.len(), names.len()), (1000, 1000));
        for person in &people {
            let digits: String = person.national_id.chars().filter(char::is_ascii_digit).collect();
            assert_eq!(digits.parse::<u64>().expect("eight digits") % 97, 1);
        }
        assert_eq!(people[41].national_id, "ZZ-000042-69");
        assert_eq!(people[41].name, "Alan Musterau");
    }

    #[test]
    fn no_column_goes_to_two_companies_and_all_exist() {
        let sample = root().join("samples/german_credit.csv");
        let mut reader = csv::Reader::from_path(sample).expect("the sample is there");
        let header: HashSet<_> =
            reader.headers().expect("it has a header").iter().map(str::to_owned).collect();
        let shared: Vec<_> = [&BANK, &EMPLOYER_REGISTRY, &TELECOM]
            .into_iter()
            .flat_map(|share| share.columns)
            .map(|c| (*c).to_owned())
            .collect();
        let distinct: HashSet<_> = shared.iter().cloned().collect();
        assert_eq!(distinct.len(), shared.len());
        assert!(distinct.is_subset(&header));
    }
}

//! What is public about the tables: whose they are, their columns and bounds, how many rows.
//!
//! A column declares the least and the greatest value it may hold. These bounds are public, and
//! everything that the compiler proves about ranges rests on them, so data outside is refused
//! where it enters ([`Column::encode`]), never clipped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::{Range, SCALE_MAX, Type, WIDEST, decimal, parse_decimal, power_of_ten};

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnKind {
    /// Numbers with `scale` decimals, within `range` (integers, before division by `10^scale`).
    Number {
        /// Decimals.
        scale: u8,
        /// The bounds.
        range: Range,
        /// The only values that occur, when that is public: then `GROUP BY` may name the column.
        domain: Option<Vec<i128>>,
    },
    /// One of these public names. A program sees a name's position in this list.
    Category(Vec<String>),
    /// `true` or `false`.
    Truth,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

/// A party's table. Nothing is missing in it: every row has every column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The party that owns it.
    pub owner: String,
    /// The column of subject tags by which it can be joined, each at most once.
    pub subject: Option<String>,
    /// The private columns.
    pub columns: Vec<Column>,
    /// How many rows.
    pub rows: u64,
}

/// A secret that a party gives with the query: `:name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// The name, without the colon.
    pub name: String,
    /// Who gives it.
    pub owner: String,
    /// What it is.
    pub kind: ColumnKind,
}

/// Everything a query may name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    tables: Vec<Table>,
    parameters: Vec<Parameter>,
    /// Matching rows, by the sorted names of the tables.
    matches: BTreeMap<String, u64>,
}

/// What is wrong with a declaration or a datum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The same name twice.
    #[error("the name {0:?} is declared twice")]
    Twice(String),
    /// A column's bounds, scale or domain contradict each other.
    #[error("column {column:?}: {why}")]
    Column {
        /// Which.
        column: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A match of tables that are not there, or of more rows than they have.
    #[error("a match of {0:?} is not possible: one is unknown or has fewer rows")]
    Match(Vec<String>),
    /// A datum that is not what the column declares.
    #[error("{datum:?} is not what column {column:?} declares ({declared})")]
    Datum {
        /// The column.
        column: String,
        /// The text that was given.
        datum: String,
        /// What is declared.
        declared: String,
    },
}

impl Column {
    /// Numbers with `scale` decimals between `min` and `max`, both written as plain decimals.
    ///
    /// ```
    /// # use encrytrust_program::catalog::Column;
    /// let balance = Column::number("balance", 2, "-500.00", "99999.99")?;
    /// assert_eq!(balance.encode("12.5")?, 1250);
    /// assert!(balance.encode("100000").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn number(name: &str, scale: u8, min: &str, max: &str) -> Result<Self, CatalogError> {
        let fault = |why| CatalogError::Column { column: name.to_owned(), why };
        let read = |text| at_scale(text, scale).ok_or(fault("a bound is no decimal of this scale"));
        let range = Range::new(read(min)?, read(max)?).ok_or(fault("min is above max"))?;
        let kind = ColumnKind::Number { scale, range, domain: None };
        Ok(Self { name: name.to_owned(), kind })
    }

    /// Whole numbers of a public domain.
    pub fn domain(name: &str, values: &[i128]) -> Result<Self, CatalogError> {
        let fault = |why| CatalogError::Column { column: name.to_owned(), why };
        let (min, max) = (values.iter().min(), values.iter().max());
        let (min, max) = min.zip(max).ok_or(fault("its domain is empty"))?;
        let range = Range { min: *min, max: *max };
        let kind = ColumnKind::Number { scale: 0, range, domain: Some(values.to_vec()) };
        Ok(Self { name: name.to_owned(), kind })
    }

    /// One of these public names.
    #[must_use]
    pub fn category(name: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Self { name: name.to_owned(), kind: ColumnKind::Category(values) }
    }

    /// True or false.
    #[must_use]
    pub fn truth(name: &str) -> Self {
        Self { name: name.to_owned(), kind: ColumnKind::Truth }
    }

    /// The integer that the program computes with, for a datum as it is written in a file.
    pub fn encode(&self, datum: &str) -> Result<i128, CatalogError> {
        self.kind.encode(datum).ok_or_else(|| CatalogError::Datum {
            column: self.name.clone(),
            datum: datum.to_owned(),
            declared: self.kind.describe(),
        })
    }
}

fn at_scale(text: &str, scale: u8) -> Option<i128> {
    let (value, digits) = parse_decimal(text)?;
    value.checked_mul(power_of_ten(scale.checked_sub(digits)?)?)
}

impl ColumnKind {
    /// The type of its values in a program.
    #[must_use]
    pub fn kind(&self) -> Type {
        match self {
            Self::Number { scale, range, .. } => Type::Number { scale: *scale, range: *range },
            Self::Category(names) => {
                let max = i128::try_from(names.len().saturating_sub(1)).unwrap_or(i128::MAX);
                Type::Number { scale: 0, range: Range { min: 0, max } }
            }
            Self::Truth => Type::Truth,
        }
    }

    /// What it declares, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Category(names) => format!("one of {} names", names.len()),
            Self::Number { domain: Some(domain), .. } => format!("one of {} values", domain.len()),
            kind => kind.kind().to_string(),
        }
    }

    /// Is `value` one that the column declares?
    #[must_use]
    pub fn admits(&self, value: i128) -> bool {
        match self {
            Self::Number { domain: Some(domain), .. } => domain.contains(&value),
            kind => kind.kind().admits(value),
        }
    }

    fn encode(&self, datum: &str) -> Option<i128> {
        let value = match self {
            Self::Number { scale, .. } => at_scale(datum, *scale)?,
            Self::Category(names) => {
                i128::try_from(names.iter().position(|name| name == datum)?).ok()?
            }
            Self::Truth => match datum {
                "true" | "1" => 1,
                "false" | "0" => 0,
                _ => return None,
            },
        };
        self.admits(value).then_some(value)
    }

    /// The values of a public domain with their names; `None` when the column has none.
    #[must_use]
    pub fn groups(&self) -> Option<Vec<(i128, String)>> {
        match self {
            Self::Category(names) => Some((0..).zip(names.iter().cloned()).collect()),
            Self::Number { domain: Some(domain), scale, .. } => {
                Some(domain.iter().map(|value| (*value, decimal(*value, *scale))).collect())
            }
            Self::Truth => Some(vec![(0, "false".to_owned()), (1, "true".to_owned())]),
            Self::Number { .. } => None,
        }
    }

    fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Number { scale, .. } if *scale > SCALE_MAX => Some("too many decimals"),
            Self::Number { range, .. } if range.min > range.max => Some("min is above max"),
            Self::Number { range, .. } if range.bits() > WIDEST => Some("its bounds are too wide"),
            Self::Number { range, domain: Some(domain), .. } => {
                let mut sorted = domain.clone();
                sorted.sort_unstable();
                if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
                    Some("a value of its domain comes twice")
                } else if domain.is_empty() || !domain.iter().all(|v| range.contains(*v)) {
                    Some("its domain is empty or leaves its bounds")
                } else {
                    None
                }
            }
            Self::Category(names) => {
                let mut sorted: Vec<&String> = names.iter().collect();
                sorted.sort_unstable();
                if names.is_empty() {
                    Some("it has no names")
                } else {
                    let twice = sorted.windows(2).any(|pair| pair[0] == pair[1]);
                    twice.then_some("one of its names comes twice")
                }
            }
            _ => None,
        }
    }
}

impl Catalog {
    /// Declare a table.
    pub fn add(&mut self, table: Table) -> Result<(), CatalogError> {
        if self.table(&table.name).is_some() {
            return Err(CatalogError::Twice(table.name));
        }
        let mut names: Vec<&str> = table.subject.as_deref().into_iter().collect();
        for column in &table.columns {
            if names.iter().any(|name| name.eq_ignore_ascii_case(&column.name)) {
                return Err(CatalogError::Twice(column.name.clone()));
            }
            names.push(&column.name);
            if let Some(why) = column.kind.fault() {
                return Err(CatalogError::Column { column: column.name.clone(), why });
            }
        }
        self.tables.push(table);
        Ok(())
    }

    /// Declare a secret that comes with the query.
    pub fn add_parameter(&mut self, parameter: Parameter) -> Result<(), CatalogError> {
        if self.parameter(&parameter.name).is_some() {
            return Err(CatalogError::Twice(parameter.name));
        }
        if let Some(why) = parameter.kind.fault() {
            return Err(CatalogError::Column { column: parameter.name, why });
        }
        self.parameters.push(parameter);
        Ok(())
    }

    /// State how many subjects are in all of these tables: found by comparing tags, and public.
    pub fn state_match(&mut self, tables: &[&str], rows: u64) -> Result<(), CatalogError> {
        let possible = |name: &&str| self.table(name).is_some_and(|table| rows <= table.rows);
        if !tables.iter().all(possible) {
            return Err(CatalogError::Match(tables.iter().map(|t| (*t).to_owned()).collect()));
        }
        self.matches.insert(match_key(tables), rows);
        Ok(())
    }

    /// The table of this name, whatever its case.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }

    /// The tables.
    #[must_use]
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The parameter of this name, whatever its case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name))
    }

    /// How many subjects are in all of these tables, where stated.
    #[must_use]
    pub fn matched(&self, tables: &[&str]) -> Option<u64> {
        self.matches.get(&match_key(tables)).copied()
    }
}

fn match_key(tables: &[&str]) -> String {
    let mut names: Vec<String> = tables.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_outside_the_declaration_is_refused() -> Result<(), CatalogError> {
        let age = Column::number("age", 0, "0", "120")?;
        assert_eq!(age.encode("120")?, 120);
        for datum in ["121", "-1", "1.5", "", "twelve"] {
            assert!(age.encode(datum).is_err(), "{datum}");
        }
        let level = Column::domain("level", &[1, 2, 4])?;
        assert!(level.encode("3").is_err());
        assert_eq!(level.encode("4")?, 4);
        let colour = Column::category("colour", &["red", "green"]);
        assert_eq!(colour.encode("green")?, 1);
        assert!(colour.encode("blue").is_err());
        assert_eq!(Column::truth("alive").encode("true")?, 1);
        Ok(())
    }

    #[test]
    fn contradictions_are_refused() -> Result<(), CatalogError> {
        assert!(Column::number("x", 0, "2", "1").is_err());
        assert!(Column::domain("x", &[]).is_err());
        let table = |columns| Table {
            name: "t".into(),
            owner: "a".into(),
            subject: Some("subject".into()),
            columns,
            rows: 3,
        };
        let mut catalog = Catalog::default();
        assert!(catalog.add(table(vec![Column::truth("x"), Column::truth("X")])).is_err());
        assert!(catalog.add(table(vec![Column::category("x", &["a", "a"])])).is_err());
        catalog.add(table(vec![Column::truth("x")]))?;
        assert!(catalog.add(table(vec![])).is_err());
        assert!(catalog.state_match(&["t", "u"], 1).is_err());
        assert!(catalog.state_match(&["t"], 4).is_err());
        Ok(())
    }
}

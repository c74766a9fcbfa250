//! The reference: a program computed in plain sight, in exact integers.
//!
//! An engine is right when it opens the integers that [`interpret`] gives for the same program and
//! inputs. [`Inputs::gather`] brings tables to the rows that the program runs on: the subjects that
//! are in all of them, in the order of their tags. Data outside its declaration stops it here; past
//! that nothing can overflow, because the program was checked.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    clear::{Answer, AnswerError},
    ir::{Comparison, Op, Program, Source, Value},
    types::{Size, Type},
};

/// A table's data, as the integers of [`Column::encode`](crate::catalog::Column::encode).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The tags of the rows' subjects; needed where tables are joined.
    pub subjects: Vec<String>,
    /// The columns, each with one value for every row.
    pub columns: BTreeMap<String, Vec<i128>>,
}

/// The values of a program's inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs(BTreeMap<Source, Vec<i128>>);

/// What is wrong with data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A table, column or parameter without data.
    #[error("no data for {0:?}")]
    Missing(Source),
    /// A table without data.
    #[error("no data for table {0:?}")]
    NoTable(String),
    /// A subject that is in one table twice.
    #[error("a subject is in table {table:?} twice")]
    Twice {
        /// Which table.
        table: String,
    },
    /// Not as many rows as the program was made for.
    #[error("{what} has {have} rows, the program is for {need}")]
    Rows {
        /// Of what.
        what: String,
        /// Found.
        have: u64,
        /// Expected.
        need: u64,
    },
    /// A value outside its declared range.
    #[error("row {row} of {input:?} is outside its declared range")]
    Range {
        /// Which input.
        input: Source,
        /// Which row, from 0.
        row: usize,
    },
    /// What was opened cannot be.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl Inputs {
    /// The inputs of `program` from whole tables, joined where it joins them, and parameters.
    pub fn gather(
        program: &Program,
        tables: &BTreeMap<String, Records>,
        parameters: &BTreeMap<String, i128>,
    ) -> Result<Self, DataError> {
        let rows = rows(program, tables)?;
        let mut inputs = BTreeMap::new();
        for (_, _, source) in program.inputs() {
            let missing = || DataError::Missing(source.clone());
            let values = match source {
                Source::Parameter { name } => vec![*parameters.get(name).ok_or_else(missing)?],
                Source::Column { table, column } => {
                    let records = tables.get(table).ok_or_else(missing)?;
                    let column = records.columns.get(column).ok_or_else(missing)?;
                    let order = rows.get(table).ok_or_else(missing)?;
                    let values: Option<Vec<i128>> =
                        order.iter().map(|row| column.get(*row).copied()).collect();
                    values.ok_or_else(missing)?
                }
            };
            inputs.insert(source.clone(), values);
        }
        Ok(Self(inputs))
    }

    /// Set one input: a column's values over the rows that the program runs on, or one value.
    pub fn set(&mut self, source: Source, values: Vec<i128>) {
        self.0.insert(source, values);
    }

    /// The values of one input.
    #[must_use]
    pub fn get(&self, source: &Source) -> Option<&[i128]> {
        self.0.get(source).map(Vec::as_slice)
    }
}

/// For every table of the frame, which of its rows the program runs on, in order.
fn rows<'a>(
    program: &'a Program,
    tables: &BTreeMap<String, Records>,
) -> Result<BTreeMap<&'a String, Vec<usize>>, DataError> {
    let frame = program.frame();
    let need = frame.rows;
    let mut positions = Vec::new();
    let mut whole = BTreeMap::new();
    for table in &frame.tables {
        let records =
            tables.get(&table.name).ok_or_else(|| DataError::NoTable(table.name.clone()))?;
        let mut lengths = records.columns.values().map(Vec::len).collect::<BTreeSet<usize>>();
        if frame.subject.is_some() {
            lengths.insert(records.subjects.len());
        }
        if let Some(have) = lengths.iter().find(|have| **have as u64 != table.rows) {
            let (have, need) = (*have as u64, table.rows);
            return Err(DataError::Rows { what: table.name.clone(), have, need });
        }
        if frame.subject.is_none() {
            whole.insert(&table.name, (0..lengths.first().copied().unwrap_or_default()).collect());
            continue;
        }
        let by_subject: BTreeMap<&String, usize> =
            records.subjects.iter().enumerate().map(|(row, subject)| (subject, row)).collect();
        if by_subject.len() != records.subjects.len() {
            return Err(DataError::Twice { table: table.name.clone() });
        }
        positions.push((&table.name, by_subject));
    }
    if frame.subject.is_none() {
        return Ok(whole);
    }
    let sets = positions.iter().map(|(_, rows)| rows.keys().copied().collect::<BTreeSet<_>>());
    let shared = sets.reduce(|a, b| &a & &b).unwrap_or_default();
    if shared.len() as u64 != need {
        let what = "the match of the tables".to_owned();
        return Err(DataError::Rows { what, have: shared.len() as u64, need });
    }
    let in_order = |rows: &BTreeMap<&String, usize>| shared.iter().map(|s| rows[*s]).collect();
    Ok(positions.iter().map(|(name, rows)| (*name, in_order(rows))).collect())
}

/// What the program opens, in the order of its opens.
pub fn interpret(program: &Program, inputs: &Inputs) -> Result<Vec<i128>, DataError> {
    let mut last_use: Vec<usize> = (0..program.steps().len()).collect();
    for (at, step) in program.steps().iter().enumerate() {
        for operand in step.op.operands() {
            last_use[operand.0 as usize] = at;
        }
    }
    for open in program.opens() {
        last_use[open.value.0 as usize] = usize::MAX;
    }
    let values = run(program, inputs, |values, at| {
        for operand in program.steps()[at].op.operands() {
            if last_use[operand.0 as usize] == at {
                values[operand.0 as usize] = Vec::new();
            }
        }
    })?;
    Ok(program.opens().iter().map(|open| values[open.value.0 as usize][0]).collect())
}

/// Every value of the program, step by step: for the tests of an engine, which may compare where
/// it went wrong.
pub fn trace(program: &Program, inputs: &Inputs) -> Result<Vec<Vec<i128>>, DataError> {
    run(program, inputs, |_, _| {})
}

/// The answer to the query, computed in plain sight.
pub fn answer(program: &Program, inputs: &Inputs) -> Result<Answer, DataError> {
    Ok(program.answer(&interpret(program, inputs)?)?)
}

fn run(
    program: &Program,
    inputs: &Inputs,
    mut after: impl FnMut(&mut Vec<Vec<i128>>, usize),
) -> Result<Vec<Vec<i128>>, DataError> {
    let mut values: Vec<Vec<i128>> = Vec::with_capacity(program.steps().len());
    for (at, step) in program.steps().iter().enumerate() {
        let made = match &step.op {
            Op::Input { source, .. } => input(inputs, source, step.kind, step.size)?,
            op => compute(op, &values, step.size),
        };
        values.push(made);
        after(&mut values, at);
    }
    Ok(values)
}

fn input(inputs: &Inputs, source: &Source, kind: Type, size: Size) -> Result<Vec<i128>, DataError> {
    let values = inputs.get(source).ok_or_else(|| DataError::Missing(source.clone()))?;
    if values.len() as u64 != size.values() {
        let (have, need) = (values.len() as u64, size.values());
        return Err(DataError::Rows { what: format!("{source:?}"), have, need });
    }
    match values.iter().position(|value| !kind.admits(*value)) {
        Some(row) => Err(DataError::Range { input: source.clone(), row }),
        None => Ok(values.to_vec()),
    }
}

/// One step. No result leaves its range, and every range is within 126 bits: nothing overflows.
fn compute(op: &Op, values: &[Vec<i128>], size: Size) -> Vec<i128> {
    let get = |value: &Value| values[value.0 as usize].as_slice();
    let each = |a: &Value, f: &dyn Fn(i128) -> i128| get(a).iter().map(|x| f(*x)).collect();
    let rows = usize::try_from(size.values()).unwrap_or(usize::MAX);
    let at = |values: &[i128], row: usize| if values.len() == 1 { values[0] } else { values[row] };
    let pairs = |a: &Value, b: &Value, f: &dyn Fn(i128, i128) -> i128| -> Vec<i128> {
        let (a, b) = (get(a), get(b));
        (0..rows).map(|row| f(at(a, row), at(b, row))).collect()
    };
    match op {
        // `run` reads inputs itself.
        Op::Input { .. } => Vec::new(),
        Op::Constant(value) => vec![*value],
        Op::Add(a, b) => pairs(a, b, &|x, y| x + y),
        Op::Sub(a, b) => pairs(a, b, &|x, y| x - y),
        Op::Mul(a, b) => pairs(a, b, &|x, y| x * y),
        Op::Scale { value, by, .. } => each(value, &|x| x * by),
        Op::Compare(Comparison::Less, a, b) => pairs(a, b, &|x, y| i128::from(x < y)),
        Op::Compare(Comparison::Equal, a, b) => pairs(a, b, &|x, y| i128::from(x == y)),
        Op::And(a, b) => pairs(a, b, &|x, y| x & y),
        Op::Or(a, b) => pairs(a, b, &|x, y| x | y),
        Op::Not(a) => each(a, &|x| 1 - x),
        Op::Number(a) => get(a).to_vec(),
        Op::Select { when, then, otherwise } => {
            let (when, then, otherwise) = (get(when), get(then), get(otherwise));
            let chosen = |row| if at(when, row) == 1 { at(then, row) } else { at(otherwise, row) };
            (0..rows).map(chosen).collect()
        }
        Op::Sum(a) => vec![get(a).iter().sum()],
        Op::InnerProduct(a, b) => vec![get(a).iter().zip(get(b)).map(|(x, y)| x * y).sum()],
        Op::Min(a) => get(a).iter().min().copied().into_iter().collect(),
        Op::Max(a) => get(a).iter().max().copied().into_iter().collect(),
    }
}

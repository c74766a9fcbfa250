//! The clear stage: from opened integers to the answer, the same for every engine.
//!
//! Engines hand over the integers they opened and get the table of answers. Two engines that
//! opened the same integers give the same answer to the last bit.

use std::fmt;

use serde::Serialize;

use crate::{
    ir::{Cell, Clear, ClearValue, Program},
    types::{Type, decimal},
};

/// A number of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Number {
    /// `value / 10^scale`, exactly.
    Exact {
        /// The integer.
        value: i128,
        /// Its decimals.
        scale: u8,
    },
    /// A double.
    Real(f64),
    /// No number: an average of nothing, a division by zero.
    Null,
}

impl Number {
    /// The nearest double; `None` for null.
    #[must_use]
    pub fn real(self) -> Option<f64> {
        match self {
            Self::Exact { value, scale } => Some(value as f64 / 10_f64.powi(i32::from(scale))),
            Self::Real(real) => Some(real),
            Self::Null => None,
        }
    }

    fn of(real: f64) -> Self {
        if real.is_finite() { Self::Real(real) } else { Self::Null }
    }

    fn is_zero(self) -> Option<bool> {
        match self {
            Self::Exact { value, .. } => Some(value == 0),
            Self::Real(real) => Some(real == 0.0),
            Self::Null => None,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact { value, scale } => f.write_str(&decimal(*value, *scale)),
            Self::Real(real) => write!(f, "{real}"),
            Self::Null => f.write_str("NULL"),
        }
    }
}

/// One field of an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Field {
    /// A group's name.
    Label(String),
    /// A number.
    Number(Number),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(label) => f.write_str(label),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Field>>,
}

/// Why opened integers cannot be of this program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Not as many as the program opens.
    #[error("{have} opened numbers, the program opens {need}")]
    Count {
        /// Given.
        have: usize,
        /// Expected.
        need: usize,
    },
    /// Outside the range that the program proves.
    #[error(
        "opened number {open} is {value}, which the program's ranges exclude: the engine or an input is wrong"
    )]
    Range {
        /// Which.
        open: usize,
        /// What it is.
        value: i128,
    },
}

impl Program {
    /// The answer that these opened integers, in the order of [`Program::opens`], lead to.
    pub fn answer(&self, opened: &[i128]) -> Result<Answer, AnswerError> {
        let opens = self.opens();
        if opens.len() != opened.len() {
            return Err(AnswerError::Count { have: opened.len(), need: opens.len() });
        }
        let mut exact = Vec::with_capacity(opened.len());
        for (at, (open, value)) in opens.iter().zip(opened).enumerate() {
            match self.step(open.value).map(|step| step.kind) {
                Some(Type::Number { scale, range }) if range.contains(*value) => {
                    exact.push(Number::Exact { value: *value, scale });
                }
                _ => return Err(AnswerError::Range { open: at, value: *value }),
            }
        }
        let mut numbers: Vec<Number> = Vec::with_capacity(self.parts().clear.len());
        for clear in &self.parts().clear {
            numbers.push(step(clear, &exact, &numbers));
        }
        let field = |cell: &Cell| match cell {
            Cell::Label(label) => Field::Label(label.clone()),
            Cell::Number(value) => Field::Number(numbers[value.0 as usize]),
        };
        let rows = self.parts().answer.iter().map(|row| row.iter().map(field).collect()).collect();
        Ok(Answer { columns: self.parts().columns.clone(), rows })
    }
}

fn step(clear: &Clear, opened: &[Number], numbers: &[Number]) -> Number {
    let get = |value: &ClearValue| numbers[value.0 as usize];
    match clear {
        Clear::Opened(open) => opened[*open as usize],
        Clear::Constant { value, scale } => Number::Exact { value: *value, scale: *scale },
        Clear::Add(a, b) => sum(get(a), get(b), 1),
        Clear::Sub(a, b) => sum(get(a), get(b), -1),
        Clear::Mul(a, b) => product(get(a), get(b)),
        Clear::Div(a, b) => quotient(get(a), get(b)),
        Clear::Sqrt(a) => get(a).real().map_or(Number::Null, |real| Number::of(real.sqrt())),
        Clear::NullIf { value, sentinel } => match get(value) {
            Number::Exact { value, .. } if value == *sentinel => Number::Null,
            number => number,
        },
        Clear::IfZero { test, then, otherwise } => match get(test).is_zero() {
            Some(true) => get(then),
            Some(false) => get(otherwise),
            None => Number::Null,
        },
        Clear::Fit { count, sums, products, pick } => {
            let sums: Vec<Number> = sums.iter().map(get).collect();
            let products: Vec<Number> = products.iter().map(get).collect();
            fit(get(count), &sums, &products, *pick as usize).unwrap_or(Number::Null)
        }
    }
}

fn sum(a: Number, b: Number, sign: i128) -> Number {
    let exact = match (a, b) {
        (Number::Exact { value: a, scale: s }, Number::Exact { value: b, scale: t }) => {
            let scale = s.max(t);
            let lift = |value: i128, from: u8| {
                value.checked_mul(10_i128.checked_pow(u32::from(scale - from))?)
            };
            let sum = || lift(a, s)?.checked_add(lift(b, t)?.checked_mul(sign)?);
            sum().map(|value| Number::Exact { value, scale })
        }
        _ => None,
    };
    exact.unwrap_or_else(|| match (a.real(), b.real()) {
        (Some(a), Some(b)) => Number::of(a + b * sign as f64),
        _ => Number::Null,
    })
}

fn product(a: Number, b: Number) -> Number {
    let exact = match (a, b) {
        (Number::Exact { value: a, scale: s }, Number::Exact { value: b, scale: t }) => {
            a.checked_mul(b).zip(s.checked_add(t))
        }
        _ => None,
    };
    match (exact, a.real(), b.real()) {
        (Some((value, scale)), ..) => Number::Exact { value, scale },
        (None, Some(a), Some(b)) => Number::of(a * b),
        _ => Number::Null,
    }
}

fn quotient(a: Number, b: Number) -> Number {
    if b.is_zero() != Some(false) {
        return Number::Null;
    }
    match (a, b) {
        // Divided before the scales are applied: one rounding less.
        (Number::Exact { value: a, scale: s }, Number::Exact { value: b, scale: t }) => {
            Number::of(a as f64 / b as f64 * 10_f64.powi(i32::from(t) - i32::from(s)))
        }
        _ => match (a.real(), b.real()) {
            (Some(a), Some(b)) => Number::of(a / b),
            _ => Number::Null,
        },
    }
}

/// Least squares over the centred moments, which are exact integers before they are doubles.
fn fit(count: Number, sums: &[Number], products: &[Number], pick: usize) -> Option<Number> {
    let size = sums.len();
    let n = count.real().filter(|n| *n > 0.0)?;
    let mut moments = vec![vec![0.0; size]; size];
    let mut upper = products.iter();
    for row in 0..size {
        for column in row..size {
            let centred = sum(product(count, *upper.next()?), product(sums[row], sums[column]), -1);
            moments[row][column] = centred.real()?;
            moments[column][row] = moments[row][column];
        }
    }
    let slopes = solve(moments)?;
    if pick > 0 {
        return Some(Number::of(*slopes.get(pick - 1)?));
    }
    let (y, xs) = sums.split_last()?;
    let mut rest = y.real()?;
    for (slope, x) in slopes.iter().zip(xs) {
        rest -= slope * x.real()?;
    }
    Some(Number::of(rest / n))
}

/// Solve the first k equations for k unknowns, the last column being the right side; `None` when
/// a column is a combination of others. Scaled to unit diagonal and pivoted.
fn solve(mut m: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let k = m.len().checked_sub(1)?;
    let lengths: Vec<f64> = (0..k).map(|i| m[i][i].sqrt()).collect();
    if !lengths.iter().all(|length| length.is_finite() && *length > 0.0) {
        return None;
    }
    for i in 0..k {
        for j in 0..k {
            m[i][j] /= lengths[i] * lengths[j];
        }
        m[i][k] /= lengths[i];
    }
    for at in 0..k {
        let pivot = (at..k).max_by(|a, b| m[*a][at].abs().total_cmp(&m[*b][at].abs()))?;
        // What is left of a unit diagonal after the other columns are taken away: below this it is
        // rounding.
        if m[pivot][at].abs() < 1e-12 {
            return None;
        }
        m.swap(at, pivot);
        let (done, rest) = m.split_at_mut(at + 1);
        let top = &done[at];
        for row in rest.iter_mut().take(k - at - 1) {
            let factor = row[at] / top[at];
            for (entry, above) in row.iter_mut().zip(top).skip(at) {
                *entry -= factor * above;
            }
        }
    }
    let mut slopes = vec![0.0; k];
    for at in (0..k).rev() {
        let known: f64 = (at + 1..k).map(|j| m[at][j] * slopes[j]).sum();
        slopes[at] = (m[at][k] - known) / m[at][at];
    }
    for (slope, length) in slopes.iter_mut().zip(&lengths) {
        *slope /= length;
    }
    Some(slopes)
}

//! The program: columns in, a few opened numbers out, and what is computed from those in clear.
//!
//! Every step defines one value, used only by later steps (static single assignment). Steps are
//! what an engine performs on values nobody sees. [`Open`]s end that: their values, and nothing
//! else, become known to the receivers. [`Clear`] steps turn opened integers into the answer;
//! they hold no secret, and divisions and roots happen only there.

use serde::{Deserialize, Serialize};

use crate::{
    check::{CheckError, check},
    types::{Size, Type},
};

/// A value of the program: the number of the step that defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Value(pub u32);

/// A number of the clear stage: the number of the [`Clear`] step that defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClearValue(pub u32);

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// A column of a party's table, over the rows that the query runs on.
    Column {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A single value that a party gives with the query, written `:name` in SQL.
    Parameter {
        /// The name, without the colon.
        name: String,
    },
}

/// How two numbers of the same scale are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparison {
    /// Is the left one less?
    Less,
    /// Are they equal?
    Equal,
}

/// What a step does. Where one operand is a single value and the other a column, the single value
/// goes with every row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// A party's secret.
    Input {
        /// Who gives it.
        party: String,
        /// What it is.
        source: Source,
    },
    /// A number everyone knows (a truth is 0 or 1).
    Constant(i128),
    /// The sum of two numbers of one scale.
    Add(Value, Value),
    /// The first less the second, of one scale.
    Sub(Value, Value),
    /// The product; scales add up.
    Mul(Value, Value),
    /// The product with a number everyone knows.
    Scale {
        /// What is multiplied.
        value: Value,
        /// The integer to multiply with.
        by: i128,
        /// That integer's own decimals, added to the value's scale.
        digits: u8,
    },
    /// A truth about two numbers of one scale.
    Compare(Comparison, Value, Value),
    /// Both truths.
    And(Value, Value),
    /// Either truth.
    Or(Value, Value),
    /// The other truth.
    Not(Value),
    /// A truth as the number 0 or 1.
    Number(Value),
    /// One number where the truth holds, another where it does not; both of one scale.
    Select {
        /// The truth.
        when: Value,
        /// Taken where it is true.
        then: Value,
        /// Taken where it is false.
        otherwise: Value,
    },
    /// The sum of a column.
    Sum(Value),
    /// The sum of the products of two columns, row by row; scales add up.
    InnerProduct(Value, Value),
    /// The least number of a column.
    Min(Value),
    /// The greatest number of a column.
    Max(Value),
}

impl Op {
    /// The values this step uses, in order.
    #[must_use]
    pub fn operands(&self) -> Vec<Value> {
        match self {
            Self::Input { .. } | Self::Constant(_) => Vec::new(),
            Self::Scale { value, .. }
            | Self::Not(value)
            | Self::Number(value)
            | Self::Sum(value)
            | Self::Min(value)
            | Self::Max(value) => vec![*value],
            Self::Add(a, b)
            | Self::Sub(a, b)
            | Self::Mul(a, b)
            | Self::Compare(_, a, b)
            | Self::And(a, b)
            | Self::Or(a, b)
            | Self::InnerProduct(a, b) => vec![*a, *b],
            Self::Select { when, then, otherwise } => vec![*when, *then, *otherwise],
        }
    }

    /// The same places, to renumber them.
    pub(crate) fn operands_mut(&mut self) -> Vec<&mut Value> {
        match self {
            Self::Input { .. } | Self::Constant(_) => Vec::new(),
            Self::Scale { value, .. }
            | Self::Not(value)
            | Self::Number(value)
            | Self::Sum(value)
            | Self::Min(value)
            | Self::Max(value) => vec![value],
            Self::Add(a, b)
            | Self::Sub(a, b)
            | Self::Mul(a, b)
            | Self::Compare(_, a, b)
            | Self::And(a, b)
            | Self::Or(a, b)
            | Self::InnerProduct(a, b) => vec![a, b],
            Self::Select { when, then, otherwise } => vec![when, then, otherwise],
        }
    }
}

/// One step: what it does, and the type and size of what comes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is done.
    pub op: Op,
    /// The type of the result.
    pub kind: Type,
    /// One value or a column.
    pub size: Size,
}

/// The end of secrecy for one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// What is opened: a single number.
    pub value: Value,
    /// Who learns it.
    pub to: Vec<String>,
    /// What it means, for the people who approve.
    pub meaning: String,
}

/// A step in clear, over opened numbers.
///
/// A number is *exact* (an integer and a scale), *real* (a double), or null. Sums, differences and
/// products of exact numbers stay exact while they fit 127 bits; quotients and roots are real.
/// A division by zero is null, and null spreads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Clear {
    /// The opened number of this position among the program's opens; exact.
    Opened(u32),
    /// An exact number everyone knows.
    Constant {
        /// The integer.
        value: i128,
        /// Its decimals.
        scale: u8,
    },
    /// A sum.
    Add(ClearValue, ClearValue),
    /// A difference.
    Sub(ClearValue, ClearValue),
    /// A product.
    Mul(ClearValue, ClearValue),
    /// A quotient.
    Div(ClearValue, ClearValue),
    /// A square root; null below zero.
    Sqrt(ClearValue),
    /// Null when the integer of `value` is `sentinel`, otherwise `value`.
    NullIf {
        /// An exact number.
        value: ClearValue,
        /// The integer that stands for nothing.
        sentinel: i128,
    },
    /// `then` when `test` is zero, `otherwise` when it is not, null when it is null.
    IfZero {
        /// The number asked about.
        test: ClearValue,
        /// Taken at zero.
        then: ClearValue,
        /// Taken elsewhere.
        otherwise: ClearValue,
    },
    /// One coefficient of the least-squares fit of `y` over `k` columns; null when the columns do
    /// not determine it.
    Fit {
        /// How many rows.
        count: ClearValue,
        /// The sums of `x1 … xk` and, last, of `y`.
        sums: Vec<ClearValue>,
        /// The sums of products of every two of `x1 … xk, y`, row by row of the upper triangle.
        products: Vec<ClearValue>,
        /// 0 for the intercept, `i` for the coefficient of `xi`.
        pick: u32,
    },
}

impl Clear {
    /// The clear numbers this step uses.
    #[must_use]
    pub fn operands(&self) -> Vec<ClearValue> {
        match self {
            Self::Opened(_) | Self::Constant { .. } => Vec::new(),
            Self::Sqrt(value) | Self::NullIf { value, .. } => vec![*value],
            Self::Add(a, b) | Self::Sub(a, b) | Self::Mul(a, b) | Self::Div(a, b) => vec![*a, *b],
            Self::IfZero { test, then, otherwise } => vec![*test, *then, *otherwise],
            Self::Fit { count, sums, products, .. } => {
                std::iter::once(count).chain(sums).chain(products).copied().collect()
            }
        }
    }
}

/// One field of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cell {
    /// The public name of a group.
    Label(String),
    /// A number of the clear stage.
    Number(ClearValue),
}

/// The tables that a query runs on: side by side, matched on a subject, or one below the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The tables, in the order of the query, each with its owner.
    pub tables: Vec<FrameTable>,
    /// The column that names the subject on which tables are matched; without it, each table's rows
    /// follow those of the table before.
    pub subject: Option<String>,
    /// The rows that match in all tables, or all rows; everyone knows this number.
    pub rows: u64,
}

impl Frame {
    /// How many rows the inputs from this table have.
    #[must_use]
    pub const fn rows_of(&self, table: &FrameTable) -> u64 {
        if self.subject.is_some() { self.rows } else { table.rows }
    }
}

/// A table of the frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameTable {
    /// The table's name.
    pub name: String,
    /// The party that owns it.
    pub owner: String,
    /// Its rows before matching.
    pub rows: u64,
}

/// A program's pieces, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// The bits that the magnitude of any value may have.
    pub bits: u32,
    /// What it runs on.
    pub frame: Frame,
    /// What is done in secret.
    pub steps: Vec<Step>,
    /// What becomes known.
    pub opens: Vec<Open>,
    /// What is computed from that.
    pub clear: Vec<Clear>,
    /// The names of the answer's columns.
    pub columns: Vec<String>,
    /// The answer's rows.
    pub answer: Vec<Vec<Cell>>,
}

/// A checked program: whoever holds one need not doubt its types, ranges, sizes or references.
///
/// It can only be made from [`Parts`] that pass the [checker](crate::check), reading one with
/// `serde` included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Program(Parts);

impl Program {
    /// Check these pieces.
    pub fn new(parts: Parts) -> Result<Self, CheckError> {
        check(&parts)?;
        Ok(Self(parts))
    }

    /// The pieces, to read.
    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.0
    }

    /// The steps done in secret.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0.steps
    }

    /// What becomes known to the receivers.
    #[must_use]
    pub fn opens(&self) -> &[Open] {
        &self.0.opens
    }

    /// What it runs on.
    #[must_use]
    pub const fn frame(&self) -> &Frame {
        &self.0.frame
    }

    /// The step that defines `value`; `None` when `value` is of another program.
    #[must_use]
    pub fn step(&self, value: Value) -> Option<&Step> {
        self.0.steps.get(value.0 as usize)
    }

    /// Every input: its value, the party that gives it, and what it is.
    pub fn inputs(&self) -> impl Iterator<Item = (Value, &str, &Source)> {
        (0..).zip(&self.0.steps).filter_map(|(at, step)| match &step.op {
            Op::Input { party, source } => Some((Value(at), party.as_str(), source)),
            _ => None,
        })
    }

    /// For every step, who could compute it.
    #[must_use]
    pub fn places(&self) -> Vec<Place<'_>> {
        let mut places: Vec<Place<'_>> = Vec::with_capacity(self.0.steps.len());
        for step in &self.0.steps {
            let place = match &step.op {
                Op::Input { party, .. } => Place::Local(party),
                op => op
                    .operands()
                    .iter()
                    .fold(Place::Public, |place, operand| place.with(places[operand.0 as usize])),
            };
            places.push(place);
        }
        places
    }
}

impl TryFrom<Parts> for Program {
    type Error = CheckError;

    fn try_from(parts: Parts) -> Result<Self, CheckError> {
        Self::new(parts)
    }
}

impl From<Program> for Parts {
    fn from(program: Program) -> Self {
        program.0
    }
}

/// Who knows enough to compute a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Everyone.
    Public,
    /// This party, from its own inputs: an engine may let it do so and take the result as input.
    Local(&'a str),
    /// Nobody alone.
    Joint,
}

impl<'a> Place<'a> {
    /// Who knows enough for both.
    #[must_use]
    pub fn with(self, other: Place<'a>) -> Place<'a> {
        match (self, other) {
            (Place::Public, place) | (place, Place::Public) => place,
            (Place::Local(a), Place::Local(b)) if a == b => Place::Local(a),
            _ => Place::Joint,
        }
    }
}

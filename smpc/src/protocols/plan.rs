//! What a session computes: protocols over columns, in order. Public, and equal at all parties.

use crate::{
    field::Field,
    party::{Committee, Party},
};

/// A column of a plan: the result of one of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Column(usize);

impl Column {
    /// The column, or the opening, that a step gives.
    pub(crate) const fn at(index: usize) -> Self {
        Self(index)
    }

    /// Its place among the steps.
    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

/// A step that cannot be planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Two columns, or a column and public values, differ in length.
    #[error("columns of {left} and {right} values cannot be combined")]
    Length {
        /// Values on the left.
        left: usize,
        /// Values on the right.
        right: usize,
    },
    /// The column is none of this plan, or holds nothing: the step that opened it.
    #[error("step {} is no column of this plan", .0.index())]
    Column(Column),
    /// The party does not take part.
    #[error("{0} does not take part")]
    Stranger(Party),
    /// A product needs 2d + 1 parties.
    #[error("products need {need} parties, {have} take part: choose a lower degree")]
    Degree {
        /// Parties that take part.
        have: usize,
        /// Parties needed.
        need: usize,
    },
    /// More values than a message can announce.
    #[error("{0} values in one column: split it")]
    TooLong(usize),
}

/// One protocol of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<F> {
    /// A party shares a column of its own.
    Input {
        /// Whose it is.
        dealer: Party,
        /// How many values.
        len: usize,
    },
    /// The sums.
    Add(Column, Column),
    /// The differences.
    Sub(Column, Column),
    /// All values times one public factor.
    Scale(Column, F),
    /// Public values added.
    AddPublic(Column, Vec<F>),
    /// Each value times its public factor.
    MulPublic(Column, Vec<F>),
    /// The sum of a column, as a column of one.
    Sum(Column),
    /// The products.
    Mul(Column, Column),
    /// The inner product, as a column of one.
    InnerProduct(Column, Column),
    /// A column is shown to one party, or to everybody.
    Open {
        /// What is shown.
        column: Column,
        /// To whom; everybody when `None`.
        to: Option<Party>,
    },
}

impl<F> Step<F> {
    /// The columns it reads.
    pub(crate) fn reads(&self) -> impl Iterator<Item = Column> + use<F> {
        let (first, second) = match *self {
            Self::Input { .. } => (None, None),
            Self::Scale(a, _)
            | Self::AddPublic(a, _)
            | Self::MulPublic(a, _)
            | Self::Sum(a)
            | Self::Open { column: a, .. } => (Some(a), None),
            Self::Add(a, b) | Self::Sub(a, b) | Self::Mul(a, b) | Self::InnerProduct(a, b) => {
                (Some(a), Some(b))
            }
        };
        first.into_iter().chain(second)
    }
}

/// A list of protocols, checked as it grows: a session of a plan meets no shape that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<F> {
    committee: Committee,
    steps: Vec<Step<F>>,
    /// How many values each step gives; none for an opening, whose values leave the plan.
    lengths: Vec<Option<usize>>,
}

impl<F: Field> Plan<F> {
    /// Most values of a column.
    pub const LONGEST: usize = 1 << 27;

    /// Nothing to do yet.
    #[must_use]
    pub const fn new(committee: Committee) -> Self {
        Self { committee, steps: Vec::new(), lengths: Vec::new() }
    }

    /// Who takes part.
    #[must_use]
    pub const fn committee(&self) -> Committee {
        self.committee
    }

    /// What is to be done, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step<F>] {
        &self.steps
    }

    /// How many values a column holds.
    pub fn len_of(&self, column: Column) -> Result<usize, PlanError> {
        self.lengths.get(column.0).copied().flatten().ok_or(PlanError::Column(column))
    }

    /// A party shares a column of its own.
    pub fn input(&mut self, dealer: Party, len: usize) -> Result<Column, PlanError> {
        if !self.committee.contains(dealer) {
            return Err(PlanError::Stranger(dealer));
        }
        if len > Self::LONGEST {
            return Err(PlanError::TooLong(len));
        }
        Ok(self.push(Step::Input { dealer, len }, Some(len)))
    }

    /// The sums of two columns.
    pub fn add(&mut self, a: Column, b: Column) -> Result<Column, PlanError> {
        let len = self.pair(a, b)?;
        Ok(self.push(Step::Add(a, b), Some(len)))
    }

    /// The differences of two columns.
    pub fn sub(&mut self, a: Column, b: Column) -> Result<Column, PlanError> {
        let len = self.pair(a, b)?;
        Ok(self.push(Step::Sub(a, b), Some(len)))
    }

    /// A column times one public factor.
    pub fn scale(&mut self, a: Column, factor: F) -> Result<Column, PlanError> {
        let len = self.len_of(a)?;
        Ok(self.push(Step::Scale(a, factor), Some(len)))
    }

    /// A column plus public values.
    pub fn add_public(&mut self, a: Column, values: Vec<F>) -> Result<Column, PlanError> {
        let len = same(self.len_of(a)?, values.len())?;
        Ok(self.push(Step::AddPublic(a, values), Some(len)))
    }

    /// A column times public factors, one each.
    pub fn mul_public(&mut self, a: Column, factors: Vec<F>) -> Result<Column, PlanError> {
        let len = same(self.len_of(a)?, factors.len())?;
        Ok(self.push(Step::MulPublic(a, factors), Some(len)))
    }

    /// The sum of a column.
    pub fn sum(&mut self, a: Column) -> Result<Column, PlanError> {
        self.len_of(a)?;
        Ok(self.push(Step::Sum(a), Some(1)))
    }

    /// The products of two columns.
    pub fn mul(&mut self, a: Column, b: Column) -> Result<Column, PlanError> {
        let len = self.pair(a, b)?;
        self.multiplies()?;
        Ok(self.push(Step::Mul(a, b), Some(len)))
    }

    /// The inner product of two columns.
    pub fn inner_product(&mut self, a: Column, b: Column) -> Result<Column, PlanError> {
        self.pair(a, b)?;
        self.multiplies()?;
        Ok(self.push(Step::InnerProduct(a, b), Some(1)))
    }

    /// Shows a column to one party, or to everybody. The answer names the opening in a session's
    /// outputs and is no column to compute with.
    pub fn open(&mut self, column: Column, to: Option<Party>) -> Result<Column, PlanError> {
        self.len_of(column)?;
        match to.filter(|to| !self.committee.contains(*to)) {
            Some(stranger) => Err(PlanError::Stranger(stranger)),
            None => Ok(self.push(Step::Open { column, to }, None)),
        }
    }

    fn push(&mut self, step: Step<F>, len: Option<usize>) -> Column {
        self.steps.push(step);
        self.lengths.push(len);
        Column(self.steps.len() - 1)
    }

    fn pair(&self, a: Column, b: Column) -> Result<usize, PlanError> {
        same(self.len_of(a)?, self.len_of(b)?)
    }

    fn multiplies(&self) -> Result<(), PlanError> {
        let (have, need) = (self.committee.parties().into(), self.committee.product_threshold());
        if have < need { Err(PlanError::Degree { have, need }) } else { Ok(()) }
    }
}

const fn same(left: usize, right: usize) -> Result<usize, PlanError> {
    if left == right { Ok(left) } else { Err(PlanError::Length { left, right }) }
}

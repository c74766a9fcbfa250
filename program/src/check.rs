//! The one set of typing rules, for who builds a program and for who receives one.
//!
//! [`infer`] gives the type and size of an operation from those of its operands, or says why it
//! has none. [`check`] applies it to every step and compares.

use crate::{
    ir::{Cell, Clear, ClearValue, Frame, Op, Parts, Value},
    types::{Range, SCALE_MAX, Size, Type, WIDEST},
};

/// The most steps, clear steps and cells of an answer.
pub const STEPS_MAX: usize = 1 << 18;

/// The most columns of a least-squares fit, the fitted one included.
pub const FIT_MAX: usize = 64;

/// The most rows of a column.
pub const ROWS_MAX: u64 = 1 << 40;

/// The most decimals that a product may gather.
pub const SCALE_SUM_MAX: u8 = 4 * SCALE_MAX;

/// Why an operation has no type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TypeError {
    /// The result could be too large.
    #[error("the result can need {} bits and {allowed} are allowed", needed.map_or_else(|| "more than 127".to_owned(), |b| b.to_string()))]
    Overflow {
        /// Bits of the largest magnitude, when that is below 128.
        needed: Option<u32>,
        /// Bits allowed.
        allowed: u32,
    },
    /// A number was given for a truth, or a truth for a number.
    #[error("a {expected} is needed here")]
    Kind {
        /// `number` or `truth`.
        expected: &'static str,
    },
    /// Numbers of different scales meet.
    #[error("numbers with {0} and {1} decimals meet")]
    Scales(u8, u8),
    /// Too many decimals.
    #[error("more than {SCALE_SUM_MAX} decimals")]
    Decimals,
    /// Columns of different lengths meet, or a column was needed.
    #[error("the sizes {0} and {1} do not go together")]
    Sizes(Size, Size),
    /// An aggregate over no rows that needs one.
    #[error("a least or greatest number needs a row")]
    NoRows,
    /// An input or constant whose type contradicts it.
    #[error("a constant or input is not of the type it states")]
    Stated,
}

/// Why pieces are no program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A step has no type.
    #[error("step {step}: {fault}")]
    Step {
        /// Which.
        step: usize,
        /// Why.
        fault: TypeError,
    },
    /// A step states another type or size than it has.
    #[error("step {step} states a type or size that it does not have")]
    Statement {
        /// Which.
        step: usize,
    },
    /// A step uses a value that is not defined before it.
    #[error("step {step} uses value {value}, which is not defined before it")]
    Order {
        /// Which step.
        step: usize,
        /// Which value.
        value: u32,
    },
    /// The same input twice.
    #[error("step {step} takes an input that an earlier step takes")]
    Twice {
        /// Which.
        step: usize,
    },
    /// A column whose table or owner is not in the frame.
    #[error("step {step} reads a column that the frame does not have")]
    Foreign {
        /// Which.
        step: usize,
    },
    /// An open of something that is not a single number, or to nobody.
    #[error("open {open} is not of a single number to at least one party")]
    Open {
        /// Which.
        open: usize,
    },
    /// A clear step refers to what is not there.
    #[error("clear step {step} refers to what is not there before it")]
    Clear {
        /// Which.
        step: usize,
    },
    /// An answer's row does not fit the columns or refers to what is not there.
    #[error("row {row} of the answer does not fit")]
    Answer {
        /// Which.
        row: usize,
    },
    /// Tables that do not make a frame.
    #[error("the tables, their subject and the number of rows do not go together")]
    Frame,
    /// A limit is passed.
    #[error("{what} is past its limit")]
    Limit {
        /// Of what.
        what: &'static str,
    },
}

/// The type and size of what `op` makes, given those of its operands in order.
///
/// An input or a constant has the type that it `states`.
pub fn infer(
    op: &Op,
    operands: &[(Type, Size)],
    states: (Type, Size),
    bits: u32,
) -> Result<(Type, Size), TypeError> {
    let number = |at: usize| match operands.get(at) {
        Some((Type::Number { scale, range }, _)) => Ok((*scale, *range)),
        _ => Err(TypeError::Kind { expected: "number" }),
    };
    let truth = |at: usize| match operands.get(at) {
        Some((Type::Truth, _)) => Ok(()),
        _ => Err(TypeError::Kind { expected: "truth" }),
    };
    let size = |at: usize| operands.get(at).map_or(Size::One, |(_, size)| *size);
    let together = |a: Size, b: Size| a.with(b).ok_or(TypeError::Sizes(a, b));
    let rows = |at: usize| match size(at) {
        Size::Rows(rows) => Ok(rows),
        one => Err(TypeError::Sizes(one, Size::Rows(0))),
    };
    let fits = |scale: u8, range: Option<Range>| fit(scale, range, bits);
    let same = |a: u8, b: u8| if a == b { Ok(a) } else { Err(TypeError::Scales(a, b)) };
    let scales = |a: u8, b: u8| a.checked_add(b).ok_or(TypeError::Decimals);

    Ok(match op {
        Op::Input { .. } => match states.0 {
            Type::Truth => states,
            Type::Number { scale, range } => {
                Range::new(range.min, range.max).ok_or(TypeError::Stated)?;
                (fits(scale, Some(range))?, states.1)
            }
        },
        Op::Constant(value) => match states {
            (Type::Truth, Size::One) if *value == 0 || *value == 1 => states,
            (Type::Number { scale, range }, Size::One) if range == Range::only(*value) => {
                (fits(scale, Some(range))?, Size::One)
            }
            _ => return Err(TypeError::Stated),
        },
        Op::Add(..) | Op::Sub(..) => {
            let ((s, a), (t, b)) = (number(0)?, number(1)?);
            let range = if matches!(op, Op::Add(..)) { a.plus(b) } else { a.minus(b) };
            (fits(same(s, t)?, range)?, together(size(0), size(1))?)
        }
        Op::Mul(x, y) => {
            let ((s, a), (t, b)) = (number(0)?, number(1)?);
            let range = if x == y { a.square() } else { a.product(b) };
            (fits(scales(s, t)?, range)?, together(size(0), size(1))?)
        }
        Op::Scale { by, digits, .. } => {
            let (s, a) = number(0)?;
            (fits(scales(s, *digits)?, a.product(Range::only(*by)))?, size(0))
        }
        Op::Compare(..) => {
            let ((s, a), (t, b)) = (number(0)?, number(1)?);
            // An engine compares by the difference, so that must fit as well.
            fits(same(s, t)?, a.minus(b))?;
            (Type::Truth, together(size(0), size(1))?)
        }
        Op::And(..) | Op::Or(..) => {
            truth(0)?;
            truth(1)?;
            (Type::Truth, together(size(0), size(1))?)
        }
        Op::Not(_) => {
            truth(0)?;
            (Type::Truth, size(0))
        }
        Op::Number(_) => {
            truth(0)?;
            (Type::Number { scale: 0, range: Range { min: 0, max: 1 } }, size(0))
        }
        Op::Select { .. } => {
            truth(0)?;
            let ((s, a), (t, b)) = (number(1)?, number(2)?);
            // It is computed as `otherwise + when * (then - otherwise)`.
            fits(s, a.minus(b))?;
            let size = together(size(0), together(size(1), size(2))?)?;
            (fits(same(s, t)?, Some(a.hull(b)))?, size)
        }
        Op::Sum(_) => {
            let (s, a) = number(0)?;
            (fits(s, a.times(rows(0)?))?, Size::One)
        }
        Op::InnerProduct(x, y) => {
            let ((s, a), (t, b)) = (number(0)?, number(1)?);
            let (n, m) = (rows(0)?, rows(1)?);
            if n != m {
                return Err(TypeError::Sizes(size(0), size(1)));
            }
            let range = if x == y { a.square() } else { a.product(b) };
            let range = range.and_then(|product| product.times(n));
            (fits(scales(s, t)?, range)?, Size::One)
        }
        Op::Min(_) | Op::Max(_) => {
            let (s, a) = number(0)?;
            if rows(0)? == 0 {
                return Err(TypeError::NoRows);
            }
            // Found by comparing its values with each other.
            fits(s, a.minus(a))?;
            (fits(s, Some(a))?, Size::One)
        }
    })
}

/// The number type of this scale and range, if it is narrow enough.
fn fit(scale: u8, range: Option<Range>, bits: u32) -> Result<Type, TypeError> {
    let needed = range.map(|range| range.bits());
    match range {
        _ if scale > SCALE_SUM_MAX => Err(TypeError::Decimals),
        Some(range) if range.bits() <= bits => Ok(Type::Number { scale, range }),
        _ => Err(TypeError::Overflow { needed, allowed: bits }),
    }
}

/// The bits of the difference that a comparison looks at, its sign not counted.
#[must_use]
pub fn comparison_width(left: Type, right: Type) -> u32 {
    match (left, right) {
        (Type::Number { range: a, .. }, Type::Number { range: b, .. }) => {
            a.minus(b).map_or(WIDEST, |range| range.bits())
        }
        _ => 1,
    }
}

/// Is this a program?
pub fn check(parts: &Parts) -> Result<(), CheckError> {
    let limit = |holds: bool, what| if holds { Ok(()) } else { Err(CheckError::Limit { what }) };
    limit((1..=WIDEST).contains(&parts.bits), "the width of a value")?;
    limit(parts.frame.rows <= ROWS_MAX, "the number of rows")?;
    frame(&parts.frame)?;
    limit(parts.steps.len() <= STEPS_MAX, "the number of steps")?;
    limit(parts.opens.len() <= STEPS_MAX, "the number of opens")?;
    limit(parts.clear.len() <= STEPS_MAX, "the number of clear steps")?;
    limit(parts.answer.len() <= STEPS_MAX, "the answer")?;
    limit(parts.answer.len().saturating_mul(parts.columns.len()) <= STEPS_MAX, "the answer")?;

    steps(parts)?;
    for (at, open) in parts.opens.iter().enumerate() {
        let step = parts.steps.get(open.value.0 as usize);
        let single = step
            .is_some_and(|step| step.size == Size::One && matches!(step.kind, Type::Number { .. }));
        if !single || open.to.is_empty() {
            return Err(CheckError::Open { open: at });
        }
    }
    for (at, clear) in parts.clear.iter().enumerate() {
        if !clear_holds(parts, at, clear) {
            return Err(CheckError::Clear { step: at });
        }
    }
    let there = |value: &ClearValue| (value.0 as usize) < parts.clear.len();
    for (row, cells) in parts.answer.iter().enumerate() {
        let known = cells.iter().all(|cell| match cell {
            Cell::Label(_) => true,
            Cell::Number(value) => there(value),
        });
        if cells.len() != parts.columns.len() || !known {
            return Err(CheckError::Answer { row });
        }
    }
    Ok(())
}

/// Are there tables, each once, large enough, and a subject where there are several?
fn frame(frame: &Frame) -> Result<(), CheckError> {
    let mut names: Vec<&str> = frame.tables.iter().map(|table| table.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let rows = match (frame.tables.as_slice(), &frame.subject) {
        ([_, ..], None) => {
            let rows =
                frame.tables.iter().try_fold(0_u64, |sum, table| sum.checked_add(table.rows));
            rows == Some(frame.rows)
        }
        ([_, _, ..], Some(_)) => frame.tables.iter().all(|table| frame.rows <= table.rows),
        _ => false,
    };
    if rows && names.len() == frame.tables.len() { Ok(()) } else { Err(CheckError::Frame) }
}

fn steps(parts: &Parts) -> Result<(), CheckError> {
    let mut inputs = std::collections::BTreeSet::new();
    for (at, step) in parts.steps.iter().enumerate() {
        let mut operands = Vec::new();
        for Value(value) in step.op.operands() {
            let defined = parts.steps.get(value as usize).filter(|_| (value as usize) < at);
            let operand = defined.ok_or(CheckError::Order { step: at, value })?;
            operands.push((operand.kind, operand.size));
        }
        if let Op::Input { party, source } = &step.op {
            if !inputs.insert((party, source)) {
                return Err(CheckError::Twice { step: at });
            }
            if !belongs(parts, party, source, step.size) {
                return Err(CheckError::Foreign { step: at });
            }
        }
        let inferred = infer(&step.op, &operands, (step.kind, step.size), parts.bits)
            .map_err(|fault| CheckError::Step { step: at, fault })?;
        if inferred != (step.kind, step.size) {
            return Err(CheckError::Statement { step: at });
        }
    }
    Ok(())
}

/// Does the frame have this input, at this size?
fn belongs(parts: &Parts, party: &str, source: &crate::ir::Source, size: Size) -> bool {
    match source {
        crate::ir::Source::Parameter { .. } => size == Size::One,
        crate::ir::Source::Column { table, .. } => parts.frame.tables.iter().any(|t| {
            t.name == *table && t.owner == party && size == Size::Rows(parts.frame.rows_of(t))
        }),
    }
}

fn clear_holds(parts: &Parts, at: usize, clear: &Clear) -> bool {
    let before = clear.operands().iter().all(|operand| (operand.0 as usize) < at);
    before
        && match clear {
            Clear::Opened(open) => (*open as usize) < parts.opens.len(),
            Clear::Constant { scale, .. } => *scale <= SCALE_SUM_MAX,
            Clear::Fit { sums, products, pick, .. } => {
                let n = sums.len();
                (2..=FIT_MAX).contains(&n)
                    && products.len() == n * (n + 1) / 2
                    && (*pick as usize) < n
            }
            _ => true,
        }
}

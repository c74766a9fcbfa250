//! What a program does, costs and reveals, for the people who approve it.
//!
//! The text is what `EXPLAIN` prints; the same structure serializes with `serde`. Costs are counts
//! of operations on secrets that no party knows alone. What one party can compute from its own
//! columns is listed apart: an engine may let the owner do it before anything is shared. Rounds and
//! bytes are an engine's to say; [`Depth`] bounds the rounds from below.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{
    check::comparison_width,
    ir::{Cell, Clear, ClearValue, Comparison, Op, Place, Program, Source, Step, Value},
    types::{Size, Type, decimal},
};

/// How much of what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Multiplications, a choice or a truth operation being one for every row.
    pub multiplications: u64,
    /// Inner products; each costs an engine about one multiplication.
    pub inner_products: u64,
    /// Tests for less, by the bits of the difference.
    pub less: BTreeMap<u32, u64>,
    /// Tests for equality, by the bits of the difference.
    pub equal: BTreeMap<u32, u64>,
}

/// The longest chain of operations that must wait for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Depth {
    /// Layers in all. With the input before and the opening after, no engine that multiplies by
    /// exchanging messages needs fewer rounds than this and two.
    pub layers: u64,
    /// How many of these layers compare: an engine spends several rounds on each.
    pub comparisons: u64,
}

/// A value that becomes known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opened {
    /// What it means.
    pub meaning: String,
    /// Its type.
    pub kind: Type,
    /// Who learns it.
    pub to: Vec<String>,
}

/// What one party gives and comes to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Party {
    /// Who.
    pub name: String,
    /// Its columns and parameters that the program reads.
    pub gives: Vec<String>,
    /// What it learns.
    pub learns: Vec<String>,
}

/// Everything there is to say about a program before it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The tables and matching.
    pub frame: String,
    /// The steps in secret, one line each.
    pub steps: Vec<String>,
    /// What is opened.
    pub opens: Vec<Opened>,
    /// The steps in clear, one line each.
    pub clear: Vec<String>,
    /// The answer's rows, one line each.
    pub answer: Vec<String>,
    /// Operations that need all parties.
    pub joint: Counts,
    /// Operations on one party's own columns.
    pub local: Counts,
    /// The chain of joint operations.
    pub depth: Depth,
    /// Bits of the widest value.
    pub widest: u32,
    /// What every party gives and learns.
    pub parties: Vec<Party>,
}

/// Explain `program`.
#[must_use]
pub fn explain(program: &Program) -> Explanation {
    let parts = program.parts();
    let places = program.places();
    let (mut joint, mut local) = (Counts::default(), Counts::default());
    let mut depths: Vec<Depth> = Vec::with_capacity(parts.steps.len());
    let mut widest = 0;
    for (step, place) in parts.steps.iter().zip(&places) {
        if let Type::Number { range, .. } = step.kind {
            widest = widest.max(range.bits());
        }
        let before = step.op.operands().iter().map(|v| depths[v.0 as usize]).max();
        let mut depth = before.unwrap_or_default();
        if *place == Place::Joint {
            joint.count(program, step);
            let (layers, comparisons) = layers(program, step);
            depth.layers += layers;
            depth.comparisons += comparisons;
        } else {
            local.count(program, step);
        }
        depths.push(depth);
    }
    let opens: Vec<Opened> = parts
        .opens
        .iter()
        .map(|open| Opened {
            meaning: open.meaning.clone(),
            kind: parts.steps[open.value.0 as usize].kind,
            to: open.to.clone(),
        })
        .collect();
    let depth = parts.opens.iter().map(|open| depths[open.value.0 as usize]).max();
    Explanation {
        frame: frame(program),
        steps: (0..)
            .zip(parts.steps.iter().zip(&places))
            .map(|(at, (step, place))| step_line(Value(at), step, *place))
            .collect(),
        clear: (0..).zip(&parts.clear).map(|(at, clear)| clear_line(at, clear)).collect(),
        answer: parts.answer.iter().map(|row| answer_line(&parts.columns, row)).collect(),
        joint,
        local,
        depth: depth.unwrap_or_default(),
        widest,
        parties: parties(program, &opens),
        opens,
    }
}

impl Counts {
    fn count(&mut self, program: &Program, step: &Step) {
        let kind = |value: &Value| program.step(*value).map_or(Type::Truth, |step| step.kind);
        let rows = |value: &Value| program.step(*value).map_or(1, |step| step.size.values());
        let size = step.size.values();
        match &step.op {
            Op::Mul(..) | Op::And(..) | Op::Or(..) | Op::Select { .. } => {
                self.multiplications += size;
            }
            Op::InnerProduct(..) => self.inner_products += 1,
            Op::Compare(how, a, b) => {
                let widths = match how {
                    Comparison::Less => &mut self.less,
                    Comparison::Equal => &mut self.equal,
                };
                *widths.entry(comparison_width(kind(a), kind(b))).or_default() += size;
            }
            Op::Min(a) | Op::Max(a) => {
                let games = rows(a).saturating_sub(1);
                self.multiplications += games;
                *self.less.entry(comparison_width(kind(a), kind(a))).or_default() += games;
            }
            Op::Input { .. }
            | Op::Constant(_)
            | Op::Add(..)
            | Op::Sub(..)
            | Op::Scale { .. }
            | Op::Not(_)
            | Op::Number(_)
            | Op::Sum(_) => {}
        }
    }
}

/// The layers that a joint step adds, and how many of them compare.
fn layers(program: &Program, step: &Step) -> (u64, u64) {
    match &step.op {
        Op::Mul(..) | Op::And(..) | Op::Or(..) | Op::Select { .. } | Op::InnerProduct(..) => (1, 0),
        Op::Compare(..) => (1, 1),
        Op::Min(a) | Op::Max(a) => {
            let rows = program.step(*a).map_or(1, |step| step.size.values());
            let rounds = u64::from(u64::BITS - rows.saturating_sub(1).leading_zeros());
            (2 * rounds, rounds)
        }
        _ => (0, 0),
    }
}

fn frame(program: &Program) -> String {
    let frame = program.frame();
    let tables: Vec<String> = frame
        .tables
        .iter()
        .map(|table| format!("{} of {} ({} rows)", table.name, table.owner, table.rows))
        .collect();
    match &frame.subject {
        None if tables.len() > 1 => {
            format!("{}, one below the other: {} rows", tables.join(", "), frame.rows)
        }
        None => tables.join(", "),
        Some(subject) => {
            format!("{}, matched by {subject}: {} rows", tables.join(", "), frame.rows)
        }
    }
}

fn parties(program: &Program, opens: &[Opened]) -> Vec<Party> {
    let frame = program.frame();
    let mut names: Vec<&str> = frame.tables.iter().map(|table| table.owner.as_str()).collect();
    names.extend(program.inputs().map(|(_, party, _)| party));
    names.extend(opens.iter().flat_map(|open| open.to.iter().map(String::as_str)));
    let mut seen = Vec::new();
    names.retain(|name| {
        let new = !seen.contains(name);
        seen.push(*name);
        new
    });
    let party = |name: &str| {
        let given = program.inputs().filter(|(_, party, _)| *party == name);
        let mut learns = vec!["the query, the catalog, and how many rows match".to_owned()];
        if frame.subject.is_some() && frame.tables.iter().any(|table| table.owner == name) {
            learns.push("which subjects of its table match".to_owned());
        }
        let opened = opens.iter().filter(|open| open.to.iter().any(|to| to == name));
        learns.extend(opened.map(|open| open.meaning.clone()));
        Party {
            name: name.to_owned(),
            gives: given.map(|(_, _, source)| source_name(source)).collect(),
            learns,
        }
    };
    names.into_iter().map(party).collect()
}

fn source_name(source: &Source) -> String {
    match source {
        Source::Column { table, column } => format!("{table}.{column}"),
        Source::Parameter { name } => format!(":{name}"),
    }
}

fn step_line(at: Value, step: &Step, place: Place<'_>) -> String {
    let what = match &step.op {
        Op::Input { party, source } => format!("input {} from {party}", source_name(source)),
        Op::Constant(value) => match step.kind {
            Type::Number { scale, .. } => format!("constant {}", decimal(*value, scale)),
            Type::Truth => format!("constant {}", *value == 1),
        },
        Op::Add(a, b) => format!("{a} + {b}"),
        Op::Sub(a, b) => format!("{a} - {b}"),
        Op::Mul(a, b) => format!("{a} * {b}"),
        Op::Scale { value, by, digits } => format!("{value} scaled by {}", decimal(*by, *digits)),
        Op::Compare(Comparison::Less, a, b) => format!("{a} < {b}"),
        Op::Compare(Comparison::Equal, a, b) => format!("{a} = {b}"),
        Op::And(a, b) => format!("{a} and {b}"),
        Op::Or(a, b) => format!("{a} or {b}"),
        Op::Not(a) => format!("not {a}"),
        Op::Number(a) => format!("{a} as 0 or 1"),
        Op::Select { when, then, otherwise } => format!("if {when} then {then} else {otherwise}"),
        Op::Sum(a) => format!("sum {a}"),
        Op::InnerProduct(a, b) => format!("sum {a} * {b}"),
        Op::Min(a) => format!("min {a}"),
        Op::Max(a) => format!("max {a}"),
    };
    let size = match step.size {
        Size::One => String::new(),
        rows @ Size::Rows(_) => format!(", {rows}"),
    };
    let place = match place {
        Place::Public => "; public".to_owned(),
        Place::Local(party) if !matches!(step.op, Op::Input { .. }) => format!("; {party} alone"),
        _ => String::new(),
    };
    format!("{at} = {what}: {}{size}{place}", step.kind)
}

fn clear_line(at: u32, clear: &Clear) -> String {
    let list = |values: &[ClearValue]| {
        values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let what = match clear {
        Clear::Opened(open) => format!("opened #{open}"),
        Clear::Constant { value, scale } => decimal(*value, *scale),
        Clear::Add(a, b) => format!("{a} + {b}"),
        Clear::Sub(a, b) => format!("{a} - {b}"),
        Clear::Mul(a, b) => format!("{a} * {b}"),
        Clear::Div(a, b) => format!("{a} / {b}"),
        Clear::Sqrt(a) => format!("square root of {a}"),
        Clear::NullIf { value, sentinel } => format!("{value}, null if its integer is {sentinel}"),
        Clear::IfZero { test, then, otherwise } => {
            format!("{then} if {test} is zero, else {otherwise}")
        }
        Clear::Fit { count, sums, products, pick } => format!(
            "least squares over {count} rows, sums {}, products {}: {}",
            list(sums),
            list(products),
            if *pick == 0 { "intercept".to_owned() } else { format!("coefficient {pick}") }
        ),
    };
    format!("{} = {what}", ClearValue(at))
}

fn answer_line(columns: &[String], row: &[Cell]) -> String {
    let cells = columns.iter().zip(row).map(|(name, cell)| match cell {
        Cell::Label(label) => format!("{name} = {label}"),
        Cell::Number(value) => format!("{name} = {value}"),
    });
    cells.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl fmt::Display for ClearValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { multiplications, inner_products, less, equal } = self;
        write!(f, "{multiplications} multiplications, {inner_products} inner products")?;
        for (widths, name) in [(less, "less-than"), (equal, "equality")] {
            for (bits, count) in widths {
                write!(
                    f,
                    ", {count} {name} tests of {bits} bit{}",
                    if *bits == 1 { "" } else { "s" }
                )?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let block = |f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]| {
            writeln!(f, "{title}")?;
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
        };
        writeln!(f, "over {}", self.frame)?;
        block(f, "in secret", &self.steps)?;
        let opened = |(at, open): (usize, &Opened)| {
            format!("#{at} to {}: {} ({})", open.to.join(", "), open.meaning, open.kind)
        };
        let opened: Vec<String> = self.opens.iter().enumerate().map(opened).collect();
        block(f, "opened, and with it learned", &opened)?;
        block(f, "in clear, from what was opened", &self.clear)?;
        block(f, "answer", &self.answer)?;
        let cost = [
            format!("together: {}", self.joint),
            format!("each party alone: {}", self.local),
            format!("opened: {}", self.opens.len()),
            format!(
                "at least {} rounds: input, {} layers ({} of them compare), opening",
                self.depth.layers + 2,
                self.depth.layers,
                self.depth.comparisons
            ),
            format!("widest value: {} bits and a sign", self.widest),
        ];
        block(f, "cost", &cost)?;
        for party in &self.parties {
            let gives = match party.gives.as_slice() {
                [] => "nothing".to_owned(),
                gives => gives.join(", "),
            };
            block(f, &format!("{} gives {gives} and learns", party.name), &party.learns)?;
        }
        Ok(())
    }
}

//! Building a program step by step, with what is equal computed once.
//!
//! The builder knows nothing of SQL. It aligns scales, folds what is public, and leaves every
//! decision about types to [`infer`].

use std::collections::HashMap;

use crate::{
    check::{TypeError, infer},
    ir::{Clear, ClearValue, Comparison, Op, Open, Source, Step, Value},
    types::{Range, SCALE_MAX, Size, Type, power_of_ten},
};

/// Who could compute a value, as [`Place`](crate::ir::Place) of a finished program says it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seat {
    Public,
    Local(String),
    Joint,
}

/// The pieces of a program while it grows.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(crate) bits: u32,
    pub(crate) steps: Vec<Step>,
    pub(crate) opens: Vec<Open>,
    pub(crate) clear: Vec<Clear>,
    receivers: Vec<String>,
    seats: Vec<Seat>,
    known: HashMap<(Op, Type), Value>,
    opened: HashMap<Value, ClearValue>,
    cleared: HashMap<Clear, ClearValue>,
}

type Made = Result<Value, TypeError>;

impl Builder {
    pub(crate) fn new(bits: u32, receivers: Vec<String>) -> Self {
        Self {
            bits,
            receivers,
            seats: Vec::new(),
            steps: Vec::new(),
            opens: Vec::new(),
            clear: Vec::new(),
            known: HashMap::new(),
            opened: HashMap::new(),
            cleared: HashMap::new(),
        }
    }

    pub(crate) fn step(&self, value: Value) -> &Step {
        &self.steps[value.0 as usize]
    }

    /// The constant that `value` is, if it is one.
    pub(crate) fn public(&self, value: Value) -> Option<i128> {
        match self.step(value).op {
            Op::Constant(constant) => Some(constant),
            _ => None,
        }
    }

    pub(crate) fn scale_of(&self, value: Value) -> Result<u8, TypeError> {
        match self.step(value).kind {
            Type::Number { scale, .. } => Ok(scale),
            Type::Truth => Err(TypeError::Kind { expected: "number" }),
        }
    }

    pub(crate) fn is_truth(&self, value: Value) -> bool {
        self.step(value).kind == Type::Truth
    }

    fn emit(&mut self, op: Op, states: (Type, Size)) -> Made {
        let operands: Vec<(Type, Size)> =
            op.operands().iter().map(|v| (self.step(*v).kind, self.step(*v).size)).collect();
        let (kind, size) = infer(&op, &operands, states, self.bits)?;
        if let Some(value) = self.known.get(&(op.clone(), kind)) {
            return Ok(*value);
        }
        let value = Value(u32::try_from(self.steps.len()).unwrap_or(u32::MAX));
        self.known.insert((op.clone(), kind), value);
        self.seats.push(self.seat(&op));
        self.steps.push(Step { op, kind, size });
        Ok(value)
    }

    fn seat(&self, op: &Op) -> Seat {
        if let Op::Input { party, .. } = op {
            return Seat::Local(party.clone());
        }
        let seats = op.operands().into_iter().map(|value| self.seats[value.0 as usize].clone());
        seats.fold(Seat::Public, |all, seat| match (all, seat) {
            (Seat::Public, seat) | (seat, Seat::Public) => seat,
            (all, seat) if all == seat => all,
            _ => Seat::Joint,
        })
    }

    fn derive(&mut self, op: Op) -> Made {
        self.emit(op, (Type::Truth, Size::One))
    }

    pub(crate) fn input(&mut self, party: &str, source: Source, kind: Type, size: Size) -> Made {
        self.emit(Op::Input { party: party.to_owned(), source }, (kind, size))
    }

    pub(crate) fn constant(&mut self, value: i128, scale: u8) -> Made {
        let kind = Type::Number { scale, range: Range::only(value) };
        self.emit(Op::Constant(value), (kind, Size::One))
    }

    pub(crate) fn truth(&mut self, value: bool) -> Made {
        self.emit(Op::Constant(i128::from(value)), (Type::Truth, Size::One))
    }

    /// Multiply by `by / 10^digits`, `by` being public.
    pub(crate) fn scaled(&mut self, value: Value, by: i128, digits: u8) -> Made {
        if let Some(constant) = self.public(value) {
            let scale = self.scale_of(value)?.checked_add(digits).ok_or(TypeError::Decimals)?;
            let product = constant.checked_mul(by).ok_or(self.too_wide())?;
            return self.constant(product, scale);
        }
        if (by, digits) == (1, 0) {
            return Ok(value);
        }
        self.derive(Op::Scale { value, by, digits })
    }

    fn too_wide(&self) -> TypeError {
        TypeError::Overflow { needed: None, allowed: self.bits }
    }

    /// Both numbers with as many decimals as the one that has more.
    fn aligned(&mut self, a: Value, b: Value) -> Result<(Value, Value), TypeError> {
        let (s, t) = (self.scale_of(a)?, self.scale_of(b)?);
        let mut lift = |value, from: u8, to: u8| {
            let power = power_of_ten(to - from).ok_or(TypeError::Decimals)?;
            self.scaled(value, power, to - from)
        };
        if s < t { Ok((lift(a, s, t)?, b)) } else { Ok((a, lift(b, t, s)?)) }
    }

    pub(crate) fn add(&mut self, a: Value, b: Value) -> Made {
        let (a, b) = self.aligned(a, b)?;
        match (self.public(a), self.public(b)) {
            (Some(x), Some(y)) => {
                let sum = x.checked_add(y).ok_or(self.too_wide())?;
                self.constant(sum, self.scale_of(a)?)
            }
            (Some(0), None) => Ok(b),
            (None, Some(0)) => Ok(a),
            _ => self.derive(Op::Add(a, b)),
        }
    }

    pub(crate) fn sub(&mut self, a: Value, b: Value) -> Made {
        let (a, b) = self.aligned(a, b)?;
        match (self.public(a), self.public(b)) {
            (Some(x), Some(y)) => {
                let difference = x.checked_sub(y).ok_or(self.too_wide())?;
                self.constant(difference, self.scale_of(a)?)
            }
            (None, Some(0)) => Ok(a),
            _ => self.derive(Op::Sub(a, b)),
        }
    }

    pub(crate) fn mul(&mut self, a: Value, b: Value) -> Made {
        let (s, t) = (self.scale_of(a)?, self.scale_of(b)?);
        match (self.public(a), self.public(b)) {
            (_, Some(by)) => self.scaled(a, by, t),
            (Some(by), None) => self.scaled(b, by, s),
            (None, None) => self.derive(Op::Mul(a.min(b), a.max(b))),
        }
    }

    pub(crate) fn compare(&mut self, how: Comparison, a: Value, b: Value) -> Made {
        let (a, b) = self.aligned(a, b)?;
        match (self.public(a), self.public(b), how) {
            (Some(x), Some(y), Comparison::Less) => self.truth(x < y),
            (Some(x), Some(y), Comparison::Equal) => self.truth(x == y),
            (_, _, Comparison::Equal) => {
                self.derive(Op::Compare(Comparison::Equal, a.min(b), a.max(b)))
            }
            _ => self.derive(Op::Compare(how, a, b)),
        }
    }

    pub(crate) fn not(&mut self, a: Value) -> Made {
        match self.step(a).op {
            Op::Constant(value) if self.is_truth(a) => self.truth(value == 0),
            Op::Not(inner) => Ok(inner),
            _ => self.derive(Op::Not(a)),
        }
    }

    pub(crate) fn and(&mut self, a: Value, b: Value) -> Made {
        self.both(a, b, 0, Op::And(a.min(b), a.max(b)))
    }

    pub(crate) fn or(&mut self, a: Value, b: Value) -> Made {
        self.both(a, b, 1, Op::Or(a.min(b), a.max(b)))
    }

    /// All of these truths, or any of them: first what each party knows alone, then together, in
    /// pairs, so that no result waits for more than a few others.
    pub(crate) fn fold(&mut self, truths: Vec<Value>, all: bool) -> Made {
        let mut shared: Vec<Value> = Vec::new();
        let mut own: Vec<(Seat, Vec<Value>)> = Vec::new();
        for truth in truths {
            let seat = self.seats[truth.0 as usize].clone();
            match own.iter_mut().find(|(of, _)| *of == seat) {
                _ if seat == Seat::Joint => shared.push(truth),
                Some((_, known)) => known.push(truth),
                None => own.push((seat, vec![truth])),
            }
        }
        let mut together = Vec::new();
        for (_, known) in own {
            together.push(self.in_pairs(known, all)?);
        }
        together.extend(shared);
        self.in_pairs(together, all)
    }

    fn in_pairs(&mut self, mut truths: Vec<Value>, all: bool) -> Made {
        while truths.len() > 1 {
            let mut half = Vec::with_capacity(truths.len().div_ceil(2));
            for pair in truths.chunks(2) {
                half.push(match pair {
                    [a, b] if all => self.and(*a, *b)?,
                    [a, b] => self.or(*a, *b)?,
                    rest => rest[0],
                });
            }
            truths = half;
        }
        match truths.first() {
            Some(truth) if self.is_truth(*truth) => Ok(*truth),
            Some(_) => Err(TypeError::Kind { expected: "truth" }),
            None => self.truth(all),
        }
    }

    /// `decides` is the constant that settles the result whatever the other truth is.
    fn both(&mut self, a: Value, b: Value, decides: i128, op: Op) -> Made {
        if !self.is_truth(a) || !self.is_truth(b) {
            return Err(TypeError::Kind { expected: "truth" });
        }
        match (self.public(a), self.public(b)) {
            (Some(x), _) => Ok(if x == decides { a } else { b }),
            (_, Some(y)) => Ok(if y == decides { b } else { a }),
            _ if a == b => Ok(a),
            _ => self.derive(op),
        }
    }

    pub(crate) fn number(&mut self, truth: Value) -> Made {
        match self.public(truth) {
            Some(value) if self.is_truth(truth) => self.constant(value, 0),
            _ => self.derive(Op::Number(truth)),
        }
    }

    pub(crate) fn select(&mut self, when: Value, then: Value, otherwise: Value) -> Made {
        let (then, otherwise) = self.aligned(then, otherwise)?;
        match self.public(when) {
            Some(0) => Ok(otherwise),
            Some(_) => Ok(then),
            None => self.chosen(when, then, otherwise),
        }
    }

    /// Choosing between public numbers needs no multiplication of secrets.
    fn chosen(&mut self, when: Value, then: Value, otherwise: Value) -> Made {
        if !self.is_truth(when) {
            return Err(TypeError::Kind { expected: "truth" });
        }
        match (self.public(then), self.public(otherwise)) {
            (Some(x), Some(y)) => {
                let scale = self.scale_of(then)?;
                let number = self.number(when)?;
                let step = x.checked_sub(y).ok_or(self.too_wide())?;
                let step = self.scaled(number, step, scale)?;
                self.add(step, otherwise)
            }
            _ => self.derive(Op::Select { when, then, otherwise }),
        }
    }

    /// The sum of `value` over the rows of `mask`, or over all `rows`.
    pub(crate) fn sum(&mut self, value: Value, mask: Option<Value>, rows: u64) -> Made {
        if let Op::Mul(a, b) = self.step(value).op {
            let columns = [a, b].map(|v| matches!(self.step(v).size, Size::Rows(_)));
            if columns == [true, true] {
                return self.products(a, b, mask, rows);
            }
        }
        let count = |builder: &mut Self| match mask {
            None => builder.constant(i128::from(rows), 0),
            Some(mask) => {
                let ones = builder.number(mask)?;
                match builder.step(ones).size {
                    Size::Rows(_) => builder.derive(Op::Sum(ones)),
                    Size::One => builder.scaled(ones, i128::from(rows), 0),
                }
            }
        };
        if self.step(value).size == Size::One {
            let count = count(self)?;
            return self.mul(value, count);
        }
        match mask {
            None => self.derive(Op::Sum(value)),
            Some(mask) => self.masked(value, mask),
        }
    }

    /// The sum of a column over the rows of `mask`.
    fn masked(&mut self, column: Value, mask: Value) -> Made {
        let ones = self.number(mask)?;
        match self.step(ones).size {
            Size::Rows(_) => self.inner_product(ones, column),
            Size::One => {
                let sum = self.derive(Op::Sum(column))?;
                self.mul(ones, sum)
            }
        }
    }

    /// The sum of `a * b` over the rows of `mask`, or over all `rows`.
    pub(crate) fn products(&mut self, a: Value, b: Value, mask: Option<Value>, rows: u64) -> Made {
        let columns = [a, b].map(|value| self.step(value).size != Size::One);
        if columns != [true, true] {
            let product = self.mul(a, b)?;
            return self.sum(product, mask, rows);
        }
        let Some(mask) = mask else { return self.inner_product(a, b) };
        // What one party knows, it multiplies alone: both columns, or one of them and the mask.
        let seat = |value: Value| &self.seats[value.0 as usize];
        if seat(a) == seat(b) && *seat(a) != Seat::Joint && seat(mask) != seat(a) {
            let product = self.derive(Op::Mul(a.min(b), a.max(b)))?;
            return self.masked(product, mask);
        }
        let (a, b) = if seat(b) == seat(mask) && seat(a) != seat(b) { (b, a) } else { (a, b) };
        let ones = self.number(mask)?;
        let kept = self.mul(ones, a)?;
        match self.step(kept).size {
            Size::Rows(_) => self.inner_product(kept, b),
            Size::One => self.products(kept, b, None, rows),
        }
    }

    fn inner_product(&mut self, a: Value, b: Value) -> Made {
        self.derive(Op::InnerProduct(a.min(b), a.max(b)))
    }

    pub(crate) fn extreme(&mut self, value: Value, greatest: bool) -> Made {
        match self.step(value).size {
            Size::One => Ok(value),
            Size::Rows(_) if greatest => self.derive(Op::Max(value)),
            Size::Rows(_) => self.derive(Op::Min(value)),
        }
    }

    /// The clear number that `value` becomes by being opened, unless everyone knows it anyway.
    pub(crate) fn open(
        &mut self,
        value: Value,
        meaning: impl FnOnce() -> String,
    ) -> Result<ClearValue, TypeError> {
        let scale = self.scale_of(value)?;
        if let Some(constant) = self.public(value) {
            return Ok(self.clear(Clear::Constant { value: constant, scale }));
        }
        if let Some(opened) = self.opened.get(&value) {
            return Ok(*opened);
        }
        let at = u32::try_from(self.opens.len()).unwrap_or(u32::MAX);
        self.opens.push(Open { value, to: self.receivers.clone(), meaning: meaning() });
        let clear = self.clear(Clear::Opened(at));
        self.opened.insert(value, clear);
        Ok(clear)
    }

    pub(crate) fn clear(&mut self, clear: Clear) -> ClearValue {
        if let Some(value) = self.cleared.get(&clear) {
            return *value;
        }
        let value = ClearValue(u32::try_from(self.clear.len()).unwrap_or(u32::MAX));
        self.cleared.insert(clear.clone(), value);
        self.clear.push(clear);
        value
    }

    /// A public divisor as a factor `by / 10^digits`, where its reciprocal ends.
    pub(crate) fn reciprocal(divisor: i128, scale: u8) -> Option<(i128, u8)> {
        (0..=SCALE_MAX).find_map(|digits| {
            let numerator = power_of_ten(digits)?.checked_mul(power_of_ten(scale)?)?;
            let ends = numerator.checked_rem(divisor)? == 0;
            Some((numerator.checked_div(divisor)?, digits)).filter(|_| ends)
        })
    }
}

/// Drop what nothing opened depends on, and number the rest anew.
pub(crate) fn prune(steps: Vec<Step>, opens: &mut [Open]) -> Vec<Step> {
    let mut used = vec![false; steps.len()];
    for open in opens.iter() {
        used[open.value.0 as usize] = true;
    }
    for at in (0..steps.len()).rev() {
        if used[at] {
            for operand in steps[at].op.operands() {
                used[operand.0 as usize] = true;
            }
        }
    }
    let mut next = 0;
    let numbers: Vec<Value> = used
        .iter()
        .map(|used| {
            let number = Value(next);
            next += u32::from(*used);
            number
        })
        .collect();
    let renumber = |value: &mut Value| *value = numbers[value.0 as usize];
    for open in opens {
        renumber(&mut open.value);
    }
    let kept = steps.into_iter().zip(&used).filter(|(_, used)| **used);
    kept.map(|(mut step, _)| {
        step.op.operands_mut().into_iter().for_each(renumber);
        step
    })
    .collect()
}

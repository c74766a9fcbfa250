//! Sums over all parts of a stack, and what is made of them: moments, extremes, regressions.

use sqlparser::ast::{Expr, Function};

use super::{
    Compiler, SqlError,
    aggregate::{Aggregate, Made, Opened, arguments},
    refused, typed,
};
use crate::{
    check::{FIT_MAX, TypeError},
    ir::{Cell, Clear, Comparison, Value},
    types::{Range, Type},
};

impl Compiler<'_> {
    /// The sum over all parts of what `within` makes of one, given its mask and rows.
    fn over_parts(
        &mut self,
        expr: &Expr,
        mut within: impl FnMut(&mut Self, Option<Value>, u64) -> Result<Value, SqlError>,
    ) -> Result<Value, SqlError> {
        let mut sum = typed(self.builder.constant(0, 0), expr)?;
        for (part, rows) in self.scope.parts().into_iter().enumerate() {
            self.scope.part = part;
            let value = within(self, self.masks[part], rows)?;
            sum = if part == 0 { value } else { typed(self.builder.add(sum, value), expr)? };
        }
        self.scope.part = 0;
        Ok(sum)
    }

    pub(super) fn count(&mut self, expr: &Expr) -> Result<Value, SqlError> {
        self.over_parts(expr, |this, mask, rows| {
            let one = typed(this.builder.constant(1, 0), expr)?;
            typed(this.builder.sum(one, mask, rows), expr)
        })
    }

    pub(super) fn sum(&mut self, x: &Expr, expr: &Expr) -> Result<Value, SqlError> {
        self.over_parts(expr, |this, mask, rows| {
            let x = this.row(x)?;
            typed(this.builder.sum(x, mask, rows), expr)
        })
    }

    fn products(&mut self, x: &Expr, y: &Expr, expr: &Expr) -> Result<Value, SqlError> {
        self.over_parts(expr, |this, mask, rows| {
            let (x, y) = (this.row(x)?, this.row(y)?);
            typed(this.builder.products(x, y, mask, rows), expr)
        })
    }

    pub(super) fn opened_count(&mut self, expr: &Expr) -> Opened {
        let count = self.count(expr)?;
        self.reveal(count, expr, || "the number of rows".to_owned())
    }

    /// `n·Σxy − Σx·Σy`, secret: the moment about the means, times n².
    fn centred_secret(&mut self, x: &Expr, y: &Expr, expr: &Expr) -> Result<Value, SqlError> {
        let xy = self.products(x, y, expr)?;
        let (n, sx, sy) = (self.count(expr)?, self.sum(x, expr)?, self.sum(y, expr)?);
        let left = typed(self.builder.mul(n, xy), expr)?;
        let right = typed(self.builder.mul(sx, sy), expr)?;
        typed(self.builder.sub(left, right), expr)
    }

    pub(super) fn centred(&mut self, x: &Expr, y: &Expr, expr: &Expr) -> Opened {
        let centred = self.centred_secret(x, y, expr)?;
        self.reveal(centred, expr, || {
            if x == y {
                format!("n·Σx² − (Σx)² of x = {x}")
            } else {
                format!("n·Σxy − Σx·Σy of x = {x}, y = {y}")
            }
        })
    }

    /// A variance or covariance.
    pub(super) fn moment(&mut self, x: &Expr, y: &Expr, population: bool, expr: &Expr) -> Opened {
        let centred = self.centred(x, y, expr)?;
        let n = self.opened_count(expr)?;
        let other = if population {
            n
        } else {
            let one = self.number(1);
            self.builder.clear(Clear::Sub(n, one))
        };
        let pairs = self.builder.clear(Clear::Mul(n, other));
        Ok(self.builder.clear(Clear::Div(centred, pairs)))
    }

    /// `(Σy·Σx² − Σx·Σxy) / (n·Σx² − (Σx)²)`.
    pub(super) fn intercept(&mut self, y: &Expr, x: &Expr, expr: &Expr) -> Made {
        let below = self.centred(x, x, expr)?;
        let (xx, xy) = (self.products(x, x, expr)?, self.products(x, y, expr)?);
        let (sx, sy) = (self.sum(x, expr)?, self.sum(y, expr)?);
        let left = typed(self.builder.mul(sy, xx), expr)?;
        let right = typed(self.builder.mul(sx, xy), expr)?;
        let above = typed(self.builder.sub(left, right), expr)?;
        let meaning = || format!("Σy·Σx² − Σx·Σxy of x = {x}, y = {y}");
        let above = self.reveal(above, expr, meaning)?;
        Ok(self.made(Clear::Div(above, below)))
    }

    pub(super) fn extreme(&mut self, x: &Expr, greatest: bool, expr: &Expr) -> Made {
        let word = if greatest { "greatest" } else { "least" };
        let mut values = Vec::new();
        let mut hull: Option<(u8, Range)> = None;
        for part in 0..self.masks.len() {
            self.scope.part = part;
            let value = self.row(x)?;
            let Type::Number { scale, range } = self.builder.step(value).kind else {
                return typed(Err(TypeError::Kind { expected: "number" }), expr);
            };
            hull = Some((scale, hull.map_or(range, |(_, hull)| hull.hull(range))));
            values.push(value);
        }
        self.scope.part = 0;
        // Rows that do not count take a value beyond all that do, which a least or greatest of
        // nothing then shows.
        let beyond = hull.and_then(|(scale, range)| {
            let beyond = if greatest { range.min.checked_sub(1) } else { range.max.checked_add(1) };
            Some((scale, beyond?))
        });
        let fault = TypeError::Overflow { needed: None, allowed: self.builder.bits };
        let (scale, beyond) = typed(beyond.ok_or(fault), expr)?;
        let mut found: Option<Value> = None;
        for (value, mask) in values.into_iter().zip(self.masks.clone()) {
            let made = self.extreme_of(value, mask, (beyond, scale), greatest);
            let made = made.and_then(|made| self.farther(found, made, greatest));
            found = Some(typed(made, expr)?);
        }
        let found = typed(found.ok_or(TypeError::NoRows), expr)?;
        let nothing = self.masks.iter().any(Option::is_some).then_some(beyond);
        let value =
            self.reveal(found, expr, || format!("the {word} {x}, or that there is none"))?;
        Ok(match nothing {
            Some(sentinel) => self.made(Clear::NullIf { value, sentinel }),
            None => Aggregate::Clear(value),
        })
    }

    /// The least or greatest of one part's rows.
    fn extreme_of(
        &mut self,
        value: Value,
        mask: Option<Value>,
        (beyond, scale): (i128, u8),
        greatest: bool,
    ) -> Result<Value, TypeError> {
        let Some(mask) = mask else { return self.builder.extreme(value, greatest) };
        let constant = self.builder.constant(beyond, scale)?;
        let kept = self.builder.select(mask, value, constant)?;
        self.builder.extreme(kept, greatest)
    }

    /// The lesser or greater of two single numbers.
    fn farther(
        &mut self,
        one: Option<Value>,
        other: Value,
        greatest: bool,
    ) -> Result<Value, TypeError> {
        let Some(one) = one else { return Ok(other) };
        let (less, more) = if greatest { (other, one) } else { (one, other) };
        let first = self.builder.compare(Comparison::Less, less, more)?;
        self.builder.select(first, one, other)
    }

    /// `LINREG(y, x1, …)`: the intercept and a coefficient for every x, each a column.
    pub(super) fn regression(
        &mut self,
        call: &Function,
        expr: &Expr,
        name: &str,
        columns: &mut Vec<String>,
        row: &mut Vec<Cell>,
    ) -> Result<(), SqlError> {
        let args: Option<Vec<&Expr>> = arguments(call, expr)?.into_iter().collect();
        let Some([y, xs @ ..]) = args.as_deref().filter(|args| (2..=FIT_MAX).contains(&args.len()))
        else {
            return refused(expr, "this LINREG", "write LINREG(y, x1, …) with 1 to 63 columns");
        };
        let order: Vec<&Expr> = xs.iter().chain([y]).copied().collect();
        let count = self.opened_count(expr)?;
        let (mut sums, mut products) = (Vec::new(), Vec::new());
        for (at, text) in order.iter().enumerate() {
            let sum = self.sum(text, expr)?;
            sums.push(self.reveal(sum, expr, || format!("the sum of {text}"))?);
            for with in &order[at..] {
                let product = self.products(text, with, expr)?;
                let meaning = || format!("the sum of the products of {text} and {with}");
                products.push(self.reveal(product, expr, meaning)?);
            }
        }
        let names = std::iter::once("intercept".to_owned()).chain(xs.iter().map(|x| x.to_string()));
        for (pick, part) in (0..).zip(names) {
            let (sums, products) = (sums.clone(), products.clone());
            let fit = self.builder.clear(Clear::Fit { count, sums, products, pick });
            columns.push(format!("{name}_{part}"));
            row.push(Cell::Number(fit));
        }
        Ok(())
    }
}

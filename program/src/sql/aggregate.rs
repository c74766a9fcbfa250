//! What the rows of a group become, and what is opened for it.
//!
//! Sums, differences and products of aggregates stay secret until something that only the clear
//! stage can do, a quotient or a root, needs them; then exactly its operands are opened. A
//! variance opens `n·Σx² − (Σx)²` and `n`, not the sums that went into them.

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator,
};

use super::{Compiler, SqlError, error::called, literal_number, refused, typed};
use crate::{
    check::TypeError,
    ir::{Cell, Clear, ClearValue, Comparison, Value},
    types::{Range, Type},
};

/// An aggregate, still secret or already in clear.
#[derive(Clone, Copy, Debug)]
enum Aggregate {
    Secret(Value),
    Clear(ClearValue),
}

type Made = Result<Aggregate, SqlError>;
type Opened = Result<ClearValue, SqlError>;

impl Compiler<'_> {
    /// One item of the SELECT list: its columns' names and its cells.
    pub(super) fn item(
        &mut self,
        expr: &Expr,
        alias: Option<&str>,
        columns: &mut Vec<String>,
        row: &mut Vec<Cell>,
    ) -> Result<(), SqlError> {
        let name = alias.map_or_else(|| expr.to_string(), str::to_owned);
        if let Some(place) = self.scope.as_column(expr) {
            let place = place?;
            let key = self.group.iter().find(|(key, _)| {
                std::ptr::eq(key.column.table, place.table)
                    && key.column.column.name == place.column.name
            });
            let Some((_, label)) = key else {
                return refused(expr, "a column on its own", "aggregate it, or group by it");
            };
            columns.push(name);
            row.push(Cell::Label(label.clone()));
            return Ok(());
        }
        if let Expr::Function(call) = expr
            && call.name.to_string().eq_ignore_ascii_case("LINREG")
        {
            let name = alias.unwrap_or("linreg");
            return self
                .with_filter(call, expr, |this| this.regression(call, expr, name, columns, row));
        }
        let made = self.aggregate(expr)?;
        let value = self.opened(made, expr)?;
        columns.push(name);
        row.push(Cell::Number(value));
        Ok(())
    }

    fn aggregate(&mut self, expr: &Expr) -> Made {
        self.deeper(|this| this.aggregate_within(expr))
    }

    fn aggregate_within(&mut self, expr: &Expr) -> Made {
        match expr {
            Expr::Nested(inner) => self.aggregate(inner),
            Expr::UnaryOp { op: UnaryOperator::Plus, expr: inner } => self.aggregate(inner),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
                match self.aggregate(inner)? {
                    Aggregate::Secret(value) => {
                        typed(self.builder.scaled(value, -1, 0), expr).map(Aggregate::Secret)
                    }
                    Aggregate::Clear(value) => {
                        let zero = self.number(0);
                        Ok(self.made(Clear::Sub(zero, value)))
                    }
                }
            }
            Expr::Value(value) => match literal_number(&value.value) {
                Some((value, scale)) => {
                    typed(self.builder.constant(value, scale), expr).map(Aggregate::Secret)
                }
                None => refused(expr, "this value beside aggregates", "write a plain decimal"),
            },
            Expr::BinaryOp { left, op, right } => {
                let (a, b) = (self.aggregate(left)?, self.aggregate(right)?);
                self.arithmetic((a, left), op, (b, right), expr)
            }
            Expr::Function(call) => self.with_filter(call, expr, |this| this.function(call, expr)),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                refused(expr, "a column outside an aggregate", "aggregate it")
            }
            other => {
                refused(other, &format!("`{other}` over aggregates"), "compute it with the answer")
            }
        }
    }

    fn arithmetic(
        &mut self,
        (a, left): (Aggregate, &Expr),
        op: &BinaryOperator,
        (b, right): (Aggregate, &Expr),
        expr: &Expr,
    ) -> Made {
        use BinaryOperator as B;
        if let (Aggregate::Secret(a), Aggregate::Secret(b)) = (a, b) {
            let made = match op {
                B::Plus => Some(self.builder.add(a, b)),
                B::Minus => Some(self.builder.sub(a, b)),
                B::Multiply => Some(self.builder.mul(a, b)),
                _ => None,
            };
            if let Some(made) = made {
                return typed(made, expr).map(Aggregate::Secret);
            }
        }
        let clear = match op {
            B::Plus => Clear::Add,
            B::Minus => Clear::Sub,
            B::Multiply => Clear::Mul,
            B::Divide => Clear::Div,
            other => {
                let construct = format!("the operator {other} over aggregates");
                return refused(expr, &construct, "compute it with the answer");
            }
        };
        let (a, b) = (self.opened(a, left)?, self.opened(b, right)?);
        Ok(self.made(clear(a, b)))
    }

    /// Compute `within` over the rows that also pass the call's `FILTER`.
    fn with_filter<T>(
        &mut self,
        call: &Function,
        expr: &Expr,
        within: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let Some(filter) = &call.filter else { return within(self) };
        let before = self.masks.clone();
        self.narrow(expr, |this| this.truth(filter))?;
        self.filters.push(filter.to_string());
        let made = within(self);
        self.filters.pop();
        self.masks = before;
        made
    }

    fn function(&mut self, call: &Function, expr: &Expr) -> Made {
        let name = call.name.to_string().to_uppercase();
        let args = arguments(call, expr)?;
        match (name.as_str(), args.as_slice()) {
            ("COUNT", [argument]) => {
                if let Some(counted) = argument {
                    // Nothing is NULL, so this is the number of rows; the name must exist though.
                    if let Some(place) = self.scope.as_column(counted) {
                        place?;
                    } else {
                        self.row(counted)?;
                    }
                }
                self.count(expr).map(Aggregate::Secret)
            }
            ("SUM", [Some(x)]) => self.sum(x, expr).map(Aggregate::Secret),
            ("AVG", [Some(x)]) => {
                let sum = self.sum(x, expr)?;
                let sum = self.reveal(sum, expr, || format!("the sum of {x}"))?;
                let count = self.opened_count(expr)?;
                Ok(self.made(Clear::Div(sum, count)))
            }
            ("MIN" | "MAX", [Some(x)]) => self.extreme(x, name == "MAX", expr),
            (
                "VARIANCE" | "VAR_SAMP" | "VAR_POP" | "STDDEV" | "STDDEV_SAMP" | "STDDEV_POP",
                [Some(x)],
            ) => {
                let moment = self.moment(x, x, name.ends_with("_POP"), expr)?;
                let root = name.starts_with("STDDEV");
                Ok(if root { self.made(Clear::Sqrt(moment)) } else { Aggregate::Clear(moment) })
            }
            ("COVAR" | "COVAR_SAMP" | "COVAR_POP", [Some(x), Some(y)]) => {
                Ok(Aggregate::Clear(self.moment(x, y, name.ends_with("_POP"), expr)?))
            }
            ("CORR", [Some(y), Some(x)]) => {
                let (xx, yy) = (self.centred(x, x, expr)?, self.centred(y, y, expr)?);
                let xy = self.centred(x, y, expr)?;
                let (x, y) =
                    (self.builder.clear(Clear::Sqrt(xx)), self.builder.clear(Clear::Sqrt(yy)));
                let lengths = self.builder.clear(Clear::Mul(x, y));
                Ok(self.made(Clear::Div(xy, lengths)))
            }
            ("REGR_COUNT", [Some(y), Some(x)]) => {
                self.row(y)?;
                self.row(x)?;
                self.count(expr).map(Aggregate::Secret)
            }
            ("REGR_SLOPE", [Some(y), Some(x)]) => {
                let (xy, xx) = (self.centred(x, y, expr)?, self.centred(x, x, expr)?);
                Ok(self.made(Clear::Div(xy, xx)))
            }
            ("REGR_R2", [Some(y), Some(x)]) => {
                let (xx, yy) = (self.centred(x, x, expr)?, self.centred(y, y, expr)?);
                let xy = self.centred(x, y, expr)?;
                let (down, along) = (Clear::Div(xy, xx), Clear::Div(xy, yy));
                let (down, along) = (self.builder.clear(down), self.builder.clear(along));
                let fit = self.builder.clear(Clear::Mul(down, along));
                // A constant y is explained wholly, a constant x explains nothing at all.
                let (zero, one) = (self.number(0), self.number(1));
                let null = self.builder.clear(Clear::Div(one, zero));
                let known = Clear::IfZero { test: yy, then: one, otherwise: fit };
                let known = self.builder.clear(known);
                Ok(self.made(Clear::IfZero { test: xx, then: null, otherwise: known }))
            }
            ("REGR_INTERCEPT", [Some(y), Some(x)]) => self.intercept(y, x, expr),
            ("LINREG", _) => {
                refused(expr, "LINREG inside an expression", "make it an item of its own")
            }
            _ => {
                let construct = format!("{name} with {} arguments", args.len());
                let known = "COUNT SUM AVG VARIANCE STDDEV COVAR CORR MIN MAX REGR_SLOPE \
                             REGR_INTERCEPT REGR_R2 REGR_COUNT LINREG are";
                refused(expr, &construct, known)
            }
        }
    }

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

    fn count(&mut self, expr: &Expr) -> Result<Value, SqlError> {
        self.over_parts(expr, |this, mask, rows| {
            let one = typed(this.builder.constant(1, 0), expr)?;
            typed(this.builder.sum(one, mask, rows), expr)
        })
    }

    fn sum(&mut self, x: &Expr, expr: &Expr) -> Result<Value, SqlError> {
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

    fn opened_count(&mut self, expr: &Expr) -> Opened {
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

    fn centred(&mut self, x: &Expr, y: &Expr, expr: &Expr) -> Opened {
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
    fn moment(&mut self, x: &Expr, y: &Expr, population: bool, expr: &Expr) -> Opened {
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
    fn intercept(&mut self, y: &Expr, x: &Expr, expr: &Expr) -> Made {
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

    fn extreme(&mut self, x: &Expr, greatest: bool, expr: &Expr) -> Made {
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
    fn regression(
        &mut self,
        call: &Function,
        expr: &Expr,
        name: &str,
        columns: &mut Vec<String>,
        row: &mut Vec<Cell>,
    ) -> Result<(), SqlError> {
        let args: Option<Vec<&Expr>> = arguments(call, expr)?.into_iter().collect();
        let Some([y, xs @ ..]) = args.as_deref().filter(|args| (2..=64).contains(&args.len()))
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

    fn number(&mut self, value: i128) -> ClearValue {
        self.builder.clear(Clear::Constant { value, scale: 0 })
    }

    fn made(&mut self, clear: Clear) -> Aggregate {
        Aggregate::Clear(self.builder.clear(clear))
    }

    fn opened(&mut self, aggregate: Aggregate, expr: &Expr) -> Opened {
        match aggregate {
            Aggregate::Clear(value) => Ok(value),
            Aggregate::Secret(value) => self.reveal(value, expr, || expr.to_string()),
        }
    }

    /// Open `value`, saying what it is, of which group, past which filters.
    fn reveal(&mut self, value: Value, expr: &Expr, meaning: impl Fn() -> String) -> Opened {
        let groups = self.group.iter().map(|(key, name)| format!("{} = {name}", key.expr));
        let conditions: Vec<String> = groups.chain(self.filters.iter().cloned()).collect();
        let meaning = || match conditions.as_slice() {
            [] => meaning(),
            all => format!("{} where {}", meaning(), all.join(" and ")),
        };
        let opened = self.builder.open(value, meaning);
        typed(opened, expr)
    }
}

/// The arguments of a call, `None` for `*`.
fn arguments<'e>(call: &'e Function, expr: &Expr) -> Result<Vec<Option<&'e Expr>>, SqlError> {
    let refuse = |construct: &str, instead: &str| {
        let (construct, instead) = (construct.to_owned(), instead.to_owned());
        Err(SqlError::Unsupported { at: called(call), construct, instead })
    };
    let Function {
        name: _,
        uses_odbc_syntax,
        parameters,
        args,
        filter: _,
        null_treatment,
        over,
        within_group,
    } = call;
    if over.is_some() {
        return refuse("a window function (OVER)", "group by a column with a public domain");
    }
    if *uses_odbc_syntax
        || !matches!(parameters, FunctionArguments::None)
        || null_treatment.is_some()
        || !within_group.is_empty()
    {
        return refuse("this form of call", "write NAME(arguments)");
    }
    let FunctionArguments::List(list) = args else {
        return refuse("a call without a list of arguments", "write NAME(arguments)");
    };
    if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return refuse("DISTINCT or a clause among arguments", "leave it out");
    }
    let star = call.name.to_string().eq_ignore_ascii_case("COUNT");
    list.args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => Ok(Some(argument)),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if star => Ok(None),
            _ => refused(expr, "this argument", "write an expression over columns"),
        })
        .collect()
}

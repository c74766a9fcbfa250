//! What the rows of a group become, and what is opened for it.
//!
//! Sums, differences and products of aggregates stay secret until something that only the clear
//! stage can do, a quotient or a root, needs them; then exactly its operands are opened. A
//! variance opens `n·Σx² − (Σx)²` and `n`, not the sums that went into them.

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator,
};

use super::{Compiler, SqlError, error::called, literal_number, refused, typed};
use crate::ir::{Cell, Clear, ClearValue, Value};

/// An aggregate, still secret or already in clear.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aggregate {
    Secret(Value),
    Clear(ClearValue),
}

pub(super) type Made = Result<Aggregate, SqlError>;
pub(super) type Opened = Result<ClearValue, SqlError>;

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

    pub(super) fn number(&mut self, value: i128) -> ClearValue {
        self.builder.clear(Clear::Constant { value, scale: 0 })
    }

    pub(super) fn made(&mut self, clear: Clear) -> Aggregate {
        Aggregate::Clear(self.builder.clear(clear))
    }

    fn opened(&mut self, aggregate: Aggregate, expr: &Expr) -> Opened {
        match aggregate {
            Aggregate::Clear(value) => Ok(value),
            Aggregate::Secret(value) => self.reveal(value, expr, || expr.to_string()),
        }
    }

    /// Open `value`, saying what it is, of which group, past which filters.
    pub(super) fn reveal(
        &mut self,
        value: Value,
        expr: &Expr,
        meaning: impl Fn() -> String,
    ) -> Opened {
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
pub(super) fn arguments<'e>(
    call: &'e Function,
    expr: &Expr,
) -> Result<Vec<Option<&'e Expr>>, SqlError> {
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

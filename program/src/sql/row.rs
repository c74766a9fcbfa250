//! What is computed for every row: arithmetic, comparisons, AND/OR/NOT, `CASE`.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value as Literal};

use super::{Compiler, SqlError, error::start, literal_number, refused, scope::Place, typed};
use crate::{
    build::Builder,
    catalog::ColumnKind,
    check::TypeError,
    ir::{Comparison, Source, Value},
    types::Size,
};

type Made = Result<Value, SqlError>;

impl<'a> Compiler<'a> {
    /// A condition.
    pub(super) fn truth(&mut self, expr: &Expr) -> Made {
        let value = self.row(expr)?;
        if self.builder.is_truth(value) {
            return Ok(value);
        }
        typed(Err(TypeError::Kind { expected: "truth" }), expr)
    }

    /// The input that a column is.
    pub(super) fn column(&mut self, place: Place<'a>, expr: &Expr) -> Made {
        let source =
            Source::Column { table: place.table.name.clone(), column: place.column.name.clone() };
        let size = Size::Rows(self.scope.parts()[self.scope.part]);
        let kind = place.column.kind.kind();
        typed(self.builder.input(&place.table.owner, source, kind, size), expr)
    }

    /// Any expression over the columns of a row.
    pub(super) fn row(&mut self, expr: &Expr) -> Made {
        self.deeper(|this| this.row_within(expr))
    }

    fn row_within(&mut self, expr: &Expr) -> Made {
        match expr {
            Expr::Nested(inner) => self.row(inner),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.named(expr),
            Expr::Value(value) => self.literal(&value.value, expr),
            Expr::UnaryOp { op: UnaryOperator::Plus, expr: inner } => self.row(inner),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
                let inner = self.row(inner)?;
                typed(self.builder.scaled(inner, -1, 0), expr)
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => {
                let inner = self.truth(inner)?;
                typed(self.builder.not(inner), expr)
            }
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, expr),
            Expr::Between { expr: inner, negated, low, high } => {
                let least = self.compare(inner, &BinaryOperator::GtEq, low, expr)?;
                let most = self.compare(inner, &BinaryOperator::LtEq, high, expr)?;
                let both = typed(self.builder.and(least, most), expr)?;
                if *negated { typed(self.builder.not(both), expr) } else { Ok(both) }
            }
            Expr::InList { expr: inner, list, negated } => {
                let mut equal = Vec::with_capacity(list.len());
                for item in list {
                    equal.push(self.compare(inner, &BinaryOperator::Eq, item, expr)?);
                }
                let any = typed(self.builder.fold(equal, false), expr)?;
                if *negated { typed(self.builder.not(any), expr) } else { Ok(any) }
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let Some(otherwise) = else_result else {
                    return refused(expr, "CASE without ELSE", "nothing here is NULL; write ELSE");
                };
                let mut chosen = self.row(otherwise)?;
                for case in conditions.iter().rev() {
                    let when = match operand {
                        Some(value) => {
                            self.compare(value, &BinaryOperator::Eq, &case.condition, expr)?
                        }
                        None => self.truth(&case.condition)?,
                    };
                    let then = self.row(&case.result)?;
                    chosen = typed(self.builder.select(when, then, chosen), expr)?;
                }
                Ok(chosen)
            }
            Expr::Function(call) => {
                let name = call.name.to_string().to_uppercase();
                let construct = format!("{name}() inside a row's expression");
                refused(expr, &construct, "aggregates stand outside, over whole columns")
            }
            Expr::IsNull(_) | Expr::IsNotNull(_) => {
                refused(expr, "IS NULL", "no column here has missing values")
            }
            Expr::Like { .. } | Expr::ILike { .. } => {
                refused(expr, "LIKE", "compare with names by = or IN")
            }
            Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => {
                refused(expr, "a subquery", "write one SELECT")
            }
            other => refused(other, &format!("`{other}`"), "see the subset that is"),
        }
    }

    fn named(&mut self, expr: &Expr) -> Made {
        let place = match self.scope.as_column(expr) {
            Some(place) => place?,
            None => return refused(expr, "this name", "name a column"),
        };
        if matches!(place.column.kind, ColumnKind::Category(_)) {
            let instead = "compare it with one of its names, or group by it";
            return refused(expr, "computing with a column of names", instead);
        }
        self.column(place, expr)
    }

    fn literal(&mut self, literal: &Literal, expr: &Expr) -> Made {
        if let Some((value, scale)) = literal_number(literal) {
            return typed(self.builder.constant(value, scale), expr);
        }
        match literal {
            Literal::Boolean(value) => typed(self.builder.truth(*value), expr),
            Literal::Placeholder(name) => {
                let parameter = self.scope.parameter(name, start(expr))?;
                if matches!(parameter.kind, ColumnKind::Category(_)) {
                    let instead = "compare a column of the same names with it";
                    return refused(expr, "computing with a name", instead);
                }
                self.parameter(name, expr)
            }
            Literal::SingleQuotedString(_) => {
                let instead = "compare a column that has this name with it";
                refused(expr, "text on its own", instead)
            }
            Literal::Null => refused(expr, "NULL", "no column here has missing values"),
            other => refused(expr, &format!("the literal {other}"), "write a plain decimal"),
        }
    }

    fn parameter(&mut self, name: &str, expr: &Expr) -> Made {
        let parameter = self.scope.parameter(name, start(expr))?;
        let source = Source::Parameter { name: parameter.name.clone() };
        let kind = parameter.kind.kind();
        typed(self.builder.input(&parameter.owner, source, kind, Size::One), expr)
    }

    fn binary(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr, expr: &Expr) -> Made {
        use BinaryOperator as B;
        match op {
            B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq => {
                return self.compare(left, op, right, expr);
            }
            B::And | B::Or => return self.chain(op, expr),
            B::Plus | B::Minus | B::Multiply | B::Divide => {}
            other => {
                return refused(expr, &format!("the operator {other}"), "see docs/spec/program.md");
            }
        }
        let (a, b) = (self.row(left)?, self.row(right)?);
        let made = match op {
            B::Plus => self.builder.add(a, b),
            B::Minus => self.builder.sub(a, b),
            B::Multiply => self.builder.mul(a, b),
            _ => return self.divide(a, b, expr),
        };
        typed(made, expr)
    }

    /// `a AND b AND …`, or the same with `OR`, however long.
    fn chain(&mut self, op: &BinaryOperator, expr: &Expr) -> Made {
        let (mut links, mut rest) = (Vec::new(), vec![expr]);
        while let Some(link) = rest.pop() {
            match link {
                Expr::BinaryOp { left, op: same, right } if same == op => {
                    rest.extend([right.as_ref(), left.as_ref()]);
                }
                Expr::Nested(inner) if matches!(inner.as_ref(), Expr::BinaryOp { op: same, .. } if same == op) =>
                {
                    rest.push(inner);
                }
                other => links.push(self.truth(other)?),
            }
        }
        typed(self.builder.fold(links, *op == BinaryOperator::And), expr)
    }

    /// Division by a number everyone knows, whose reciprocal is a decimal.
    fn divide(&mut self, a: Value, b: Value, expr: &Expr) -> Made {
        let scale = typed(self.builder.scale_of(b), expr)?;
        let factor = self.builder.public(b).and_then(|divisor| Builder::reciprocal(divisor, scale));
        match factor {
            Some((by, digits)) => typed(self.builder.scaled(a, by, digits), expr),
            None => {
                let instead = "divide aggregates, or by a constant whose reciprocal is a decimal";
                refused(expr, "dividing a row's value by this", instead)
            }
        }
    }

    fn compare(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr, whole: &Expr) -> Made {
        use BinaryOperator as B;
        let (a, b) = match self.names(left, right)? {
            Some(_) if !matches!(op, B::Eq | B::NotEq) => {
                return refused(whole, "an order between names", "compare them by = or IN");
            }
            Some(pair) => pair,
            None => (self.row(left)?, self.row(right)?),
        };
        let builder = &mut self.builder;
        let made = if builder.is_truth(a) && builder.is_truth(b) {
            let numbers = builder.number(a).and_then(|a| Ok((a, builder.number(b)?)));
            match op {
                B::Eq | B::NotEq => numbers,
                _ => return refused(whole, "an order between truths", "compare them by ="),
            }
        } else {
            Ok((a, b))
        };
        let (a, b) = typed(made, whole)?;
        let made = match op {
            B::Eq => builder.compare(Comparison::Equal, a, b),
            B::NotEq => builder.compare(Comparison::Equal, a, b).and_then(|v| builder.not(v)),
            B::Lt => builder.compare(Comparison::Less, a, b),
            B::Gt => builder.compare(Comparison::Less, b, a),
            B::GtEq => builder.compare(Comparison::Less, a, b).and_then(|v| builder.not(v)),
            _ => builder.compare(Comparison::Less, b, a).and_then(|v| builder.not(v)),
        };
        typed(made, whole)
    }

    /// Both sides as codes, when one of them is a column (or parameter) of names.
    fn names(&mut self, left: &Expr, right: &Expr) -> Result<Option<(Value, Value)>, SqlError> {
        let names = match (self.name_list(left)?, self.name_list(right)?) {
            (None, None) => return Ok(None),
            (Some(a), Some(b)) if a == b => a,
            (Some(_), Some(_)) => {
                return refused(left, "comparing different lists of names", "declare one list");
            }
            (Some(names), None) | (None, Some(names)) => names,
        };
        Ok(Some((self.code(left, names)?, self.code(right, names)?)))
    }

    fn name_list(&self, expr: &Expr) -> Result<Option<&'a [String]>, SqlError> {
        let kind = match (self.scope.as_column(expr), expr) {
            (Some(place), _) => &place?.column.kind,
            (None, Expr::Value(value)) => match &value.value {
                Literal::Placeholder(name) => &self.scope.parameter(name, start(expr))?.kind,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(match kind {
            ColumnKind::Category(names) => Some(names),
            _ => None,
        })
    }

    fn code(&mut self, expr: &Expr, names: &[String]) -> Made {
        if let Some(place) = self.scope.as_column(expr) {
            return self.column(place?, expr);
        }
        let literal = match expr {
            Expr::Value(value) => &value.value,
            other => return refused(other, "comparing a name with this", "write 'a name'"),
        };
        match literal {
            Literal::Placeholder(name) => self.parameter(name, expr),
            Literal::SingleQuotedString(text) => {
                let at = (0..).zip(names).find(|(_, name)| *name == text).map(|(at, _)| at);
                let code = at.ok_or_else(|| SqlError::Name {
                    at: start(expr),
                    name: text.clone(),
                    fault: format!("is none of the declared names: {}", names.join(", ")),
                })?;
                typed(self.builder.constant(code, 0), expr)
            }
            _ => refused(expr, "comparing a name with this", "write 'a name'"),
        }
    }
}

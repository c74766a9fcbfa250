//! Why a query was refused, and where in it.

use std::fmt;

use sqlparser::{
    ast::{Expr, Function, ObjectName},
    tokenizer::Location,
};

use crate::check::{CheckError, TypeError};

/// A place in the query's text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The line.
    pub line: u64,
    /// The character in the line.
    pub column: u64,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl From<Location> for At {
    fn from(place: Location) -> Self {
        Self { line: place.line.max(1), column: place.column.max(1) }
    }
}

/// Why a query was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// It is no SQL.
    #[error("not SQL: {0}")]
    Syntax(String),
    /// It is SQL that this compiler does not take.
    #[error("{at}: {construct} is not supported; {instead}")]
    Unsupported {
        /// Where.
        at: At,
        /// What.
        construct: String,
        /// What to write, or why not.
        instead: String,
    },
    /// A name that the catalog does not have, or has more than once.
    #[error("{at}: {name:?} {fault}")]
    Name {
        /// Where.
        at: At,
        /// The name.
        name: String,
        /// What is wrong with it.
        fault: String,
    },
    /// An expression without a type: above all one that could overflow.
    #[error("{at}: in `{expression}` {fault}")]
    Type {
        /// Where it begins.
        at: At,
        /// The expression.
        expression: String,
        /// Why.
        fault: TypeError,
    },
    /// The number of matching rows was not stated.
    #[error(
        "{at}: nobody stated how many subjects the tables {tables:?} share; match their tags and state it"
    )]
    Unmatched {
        /// Where.
        at: At,
        /// The tables.
        tables: Vec<String>,
    },
    /// The query asks for too much.
    #[error("the query has more than {limit} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// No receiver, or a width out of bounds.
    #[error("the options name no receiver, or a width outside 1 to 126 bits")]
    Options,
    /// The whole does not pass the checker.
    #[error(transparent)]
    Check(#[from] CheckError),
}

/// Where an expression begins. Walks down its left side without recursion.
pub(super) fn start(mut expr: &Expr) -> At {
    loop {
        expr = match expr {
            Expr::BinaryOp { left, .. } => left,
            Expr::Nested(inner)
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::UnaryOp { expr: inner, .. }
            | Expr::Between { expr: inner, .. }
            | Expr::InList { expr: inner, .. }
            | Expr::InSubquery { expr: inner, .. }
            | Expr::Like { expr: inner, .. }
            | Expr::Cast { expr: inner, .. } => inner,
            Expr::Identifier(name) => return name.span.start.into(),
            Expr::CompoundIdentifier(names) => {
                return names.first().map_or(FIRST, |name| name.span.start.into());
            }
            Expr::Value(value) => return value.span.start.into(),
            Expr::Function(call) => return called(call),
            Expr::Case { case_token, .. } => return case_token.0.span.start.into(),
            other => return sqlparser::ast::Spanned::span(other).start.into(),
        }
    }
}

const FIRST: At = At { line: 1, column: 1 };

pub(super) fn called(call: &Function) -> At {
    named(&call.name)
}

pub(super) fn named(name: &ObjectName) -> At {
    let first = name.0.first().and_then(|part| part.as_ident());
    first.map_or(FIRST, |name| name.span.start.into())
}

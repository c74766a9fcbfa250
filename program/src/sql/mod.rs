//! One `SELECT` becomes one program.
//!
//! | module | turns into steps |
//! |---|---|
//! | `scope` | `FROM`, `JOIN … USING`, `UNION ALL`, names |
//! | `row` | what is computed for every row: arithmetic, comparisons, `CASE` |
//! | `aggregate` | what a group's rows become, and what is opened for it |
//! | `moments` | sums over all tables, variances, extremes, regressions |
//!
//! What is not understood is refused with its place; nothing is skipped. The parser's structures
//! are taken apart field by field, so a part of SQL that a later parser version adds does not
//! compile here until someone has decided about it.

mod aggregate;
mod error;
mod moments;
mod row;
mod scope;

use sqlparser::{
    ast::{
        Expr, GroupByExpr, Query, Select, SelectFlavor, SelectItem, SetExpr, Statement,
        Value as Literal,
    },
    dialect::GenericDialect,
    parser::{Parser, ParserError},
    tokenizer::{Token, TokenWithSpan, Tokenizer},
};

pub use self::error::{At, SqlError};
use self::{
    error::start,
    scope::{GroupKey, Scope},
};
use crate::{
    build::{Builder, prune},
    catalog::Catalog,
    ir::{Cell, Comparison, Parts, Program, Value},
    types::WIDEST,
};

/// The most words and signs of a query.
pub const TOKENS_MAX: usize = 2_000;

/// The most groups of an answer.
pub const GROUPS_MAX: usize = 4_096;

/// The deepest nesting of an expression; `a + b + c` nests twice.
pub const DEPTH_MAX: usize = 200;

/// How to compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The bits that a magnitude may have, at most 126; fewer for an engine with a smaller field.
    pub bits: u32,
    /// The parties that learn the answer.
    pub receivers: Vec<String>,
}

impl Options {
    /// The widest values, and one receiver.
    #[must_use]
    pub fn to(receiver: &str) -> Self {
        Self { bits: WIDEST, receivers: vec![receiver.to_owned()] }
    }
}

/// Compile one query over the tables of a catalog.
pub fn compile(sql: &str, catalog: &Catalog, options: &Options) -> Result<Program, SqlError> {
    if options.receivers.is_empty() || !(1..=WIDEST).contains(&options.bits) {
        return Err(SqlError::Options);
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|fault| SqlError::Syntax(fault.to_string()))?;
    let tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).collect();
    if tokens.len() > TOKENS_MAX {
        return Err(SqlError::TooLarge { what: "words and signs", limit: TOKENS_MAX });
    }
    let words = Words(&tokens);
    let statements = Parser::new(&GenericDialect {})
        .with_tokens_with_locations(tokens.clone())
        .parse_statements()
        .map_err(|fault| match fault {
            ParserError::RecursionLimitExceeded => {
                SqlError::TooLarge { what: "nested parentheses", limit: 50 }
            }
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
                SqlError::Syntax(text)
            }
        })?;
    let query = match statements.as_slice() {
        [Statement::Query(query)] => query,
        [] => return Err(SqlError::Syntax("there is no statement".to_owned())),
        [_] => return Err(words.refuse("", "a statement other than SELECT", "write one SELECT")),
        _ => return Err(words.refuse(";", "a second statement", "write one SELECT")),
    };
    let select = match plain_query(query, &words)? {
        SetExpr::Select(select) => plain_select(select, &words)?,
        SetExpr::SetOperation { op, .. } => {
            let op = op.to_string();
            return Err(words.refuse(&op, &op, "write one SELECT over the tables together"));
        }
        _ => return Err(words.refuse("", "a query other than SELECT", "write one SELECT")),
    };
    let scope = Scope::new(&select.from, catalog, &words)?;
    let compiler = Compiler {
        builder: Builder::new(options.bits, options.receivers.clone()),
        scope,
        masks: Vec::new(),
        group: Vec::new(),
        filters: Vec::new(),
        depth: 0,
    };
    compiler.select(select, &words)
}

/// The query's words, to say where one of them is.
struct Words<'a>(&'a [TokenWithSpan]);

impl Words<'_> {
    fn find(&self, word: &str) -> At {
        let found = self.0.iter().find(|token| match &token.token {
            Token::Word(w) => w.value.eq_ignore_ascii_case(word),
            token => token.to_string() == word,
        });
        found.or(self.0.first()).map_or(At { line: 1, column: 1 }, |t| t.span.start.into())
    }

    fn refuse(&self, word: &str, construct: &str, instead: &str) -> SqlError {
        let (construct, instead) = (construct.to_owned(), instead.to_owned());
        SqlError::Unsupported { at: self.find(word), construct, instead }
    }

    /// Refuse the first construct that is present: (is it?, its word, what to do instead).
    fn none_of(&self, constructs: &[(bool, &str, &str)]) -> Result<(), SqlError> {
        match constructs.iter().find(|(present, ..)| *present) {
            Some((_, word, instead)) => Err(self.refuse(word, word, instead)),
            None => Ok(()),
        }
    }
}

const LATER: &str = "the receiver can do it with the answer";
const UNKNOWN: &str = "leave it out";

/// The body of a query that is nothing more.
fn plain_query<'a>(query: &'a Query, words: &Words<'_>) -> Result<&'a SetExpr, SqlError> {
    let Query {
        with,
        body,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    words.none_of(&[
        (with.is_some(), "WITH", "write the expression where it is used"),
        (order_by.is_some(), "ORDER", LATER),
        (limit_clause.is_some(), "LIMIT", LATER),
        (fetch.is_some(), "FETCH", LATER),
        (!locks.is_empty() || for_clause.is_some(), "FOR", UNKNOWN),
        (settings.is_some(), "SETTINGS", UNKNOWN),
        (format_clause.is_some(), "FORMAT", UNKNOWN),
        (!pipe_operators.is_empty(), "|>", UNKNOWN),
    ])?;
    Ok(body)
}

/// This `SELECT`, when it has no more than items, tables, a condition and groups.
fn plain_select<'a>(select: &'a Select, words: &Words<'_>) -> Result<&'a Select, SqlError> {
    let Select {
        select_token: _,
        distinct,
        top,
        top_before_distinct: _,
        projection: _,
        exclude,
        into,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        connect_by,
        flavor,
    } = select;
    words.none_of(&[
        (distinct.is_some(), "DISTINCT", "group by a column with a public domain"),
        (top.is_some(), "TOP", LATER),
        (exclude.is_some(), "EXCLUDE", UNKNOWN),
        (into.is_some(), "INTO", UNKNOWN),
        (!lateral_views.is_empty(), "LATERAL", UNKNOWN),
        (prewhere.is_some(), "PREWHERE", "write WHERE"),
        (!cluster_by.is_empty(), "CLUSTER", UNKNOWN),
        (!distribute_by.is_empty(), "DISTRIBUTE", UNKNOWN),
        (!sort_by.is_empty(), "SORT", LATER),
        (having.is_some(), "HAVING", LATER),
        (!named_window.is_empty(), "WINDOW", UNKNOWN),
        (qualify.is_some(), "QUALIFY", UNKNOWN),
        (value_table_mode.is_some(), "AS", UNKNOWN),
        (connect_by.is_some(), "CONNECT", UNKNOWN),
        (*flavor != SelectFlavor::Standard, "FROM", "begin with SELECT"),
    ])?;
    Ok(select)
}

/// A query while its steps are made.
struct Compiler<'a> {
    builder: Builder,
    scope: Scope<'a>,
    /// Which rows of every part count: those of `WHERE`, of the group and of `FILTER`.
    masks: Vec<Option<Value>>,
    /// The current group: the names of its keys' values.
    group: Vec<(GroupKey<'a>, String)>,
    /// The conditions of the `FILTER`s around the current call.
    filters: Vec<String>,
    depth: usize,
}

impl<'a> Compiler<'a> {
    fn select(mut self, select: &Select, words: &Words<'_>) -> Result<Program, SqlError> {
        let keys = self.group_keys(&select.group_by, words)?;
        self.masks = vec![None; self.scope.parts().len()];
        if let Some(condition) = &select.selection {
            self.narrow(condition, |this| this.truth(condition))?;
        }
        let filter = self.masks.clone();
        let mut columns = Vec::new();
        let mut answer = Vec::new();
        for group in combinations(&keys)? {
            self.masks.clone_from(&filter);
            self.group.clear();
            for (key, (code, name)) in keys.iter().zip(group) {
                self.narrow(&key.expr, |this| this.key_is(key, code))?;
                self.group.push((key.clone(), name));
            }
            let mut row: Vec<Cell> = Vec::new();
            columns.clear();
            for item in &select.projection {
                let (expr, alias) = match item {
                    SelectItem::UnnamedExpr(expr) => (expr, None),
                    SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.value.as_str())),
                    SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
                        return Err(words.refuse(
                            "*",
                            "SELECT *",
                            "rows stay secret; aggregate them",
                        ));
                    }
                };
                self.item(expr, alias, &mut columns, &mut row)?;
            }
            answer.push(row);
        }
        let Builder { bits, steps, mut opens, clear, .. } = self.builder;
        let steps = prune(steps, &mut opens);
        let frame = self.scope.frame();
        Ok(Program::new(Parts { bits, frame, steps, opens, clear, columns, answer })?)
    }

    fn group_keys(
        &mut self,
        group_by: &GroupByExpr,
        words: &Words<'_>,
    ) -> Result<Vec<GroupKey<'a>>, SqlError> {
        match group_by {
            GroupByExpr::Expressions(keys, modifiers) if modifiers.is_empty() => {
                keys.iter().map(|key| self.scope.group_key(key)).collect()
            }
            _ => Err(words.refuse("GROUP", "this GROUP BY", "name the columns to group by")),
        }
    }

    /// The truth that a row belongs to the group of `key` with this code.
    fn key_is(&mut self, key: &GroupKey<'a>, code: i128) -> Result<Value, SqlError> {
        let column = match self.scope.as_column(&key.expr) {
            Some(place) => self.column(place?, &key.expr)?,
            None => self.column(key.column, &key.expr)?,
        };
        let made = if self.builder.is_truth(column) {
            if code == 1 { Ok(column) } else { self.builder.not(column) }
        } else {
            let scale = self.builder.scale_of(column);
            scale.and_then(|scale| {
                let code = self.builder.constant(code, scale)?;
                self.builder.compare(Comparison::Equal, column, code)
            })
        };
        typed(made, &key.expr)
    }

    /// From here on only rows for which `truth`, made for each part, holds count as well.
    fn narrow(
        &mut self,
        expr: &Expr,
        mut truth: impl FnMut(&mut Self) -> Result<Value, SqlError>,
    ) -> Result<(), SqlError> {
        for part in 0..self.masks.len() {
            self.scope.part = part;
            let truth = truth(self)?;
            self.masks[part] = Some(match self.masks[part] {
                None => truth,
                Some(mask) => typed(self.builder.and(mask, truth), expr)?,
            });
        }
        self.scope.part = 0;
        Ok(())
    }

    /// Descend one level, within bounds.
    fn deeper<T>(
        &mut self,
        within: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        if self.depth >= DEPTH_MAX {
            return Err(SqlError::TooLarge { what: "nested operations", limit: DEPTH_MAX });
        }
        self.depth += 1;
        let made = within(self);
        self.depth -= 1;
        made
    }
}

/// All combinations of the keys' values; one empty combination without keys.
fn combinations(keys: &[GroupKey<'_>]) -> Result<Vec<Vec<(i128, String)>>, SqlError> {
    let mut all = vec![Vec::new()];
    for key in keys {
        if all.len().saturating_mul(key.values.len()) > GROUPS_MAX {
            return Err(SqlError::TooLarge { what: "groups", limit: GROUPS_MAX });
        }
        all = all
            .iter()
            .flat_map(|group: &Vec<(i128, String)>| {
                key.values.iter().map(|value| {
                    let mut longer = group.clone();
                    longer.push(value.clone());
                    longer
                })
            })
            .collect();
    }
    Ok(all)
}

/// Say where and in what expression a type was missing.
fn typed<T>(made: Result<T, crate::check::TypeError>, expr: &Expr) -> Result<T, SqlError> {
    made.map_err(|fault| SqlError::Type { at: start(expr), expression: expr.to_string(), fault })
}

fn refused<T>(expr: &Expr, construct: &str, instead: &str) -> Result<T, SqlError> {
    let (construct, instead) = (construct.to_owned(), instead.to_owned());
    Err(SqlError::Unsupported { at: start(expr), construct, instead })
}

/// A number that is written out.
fn literal_number(literal: &Literal) -> Option<(i128, u8)> {
    match literal {
        Literal::Number(text, false) => crate::types::parse_decimal(text),
        _ => None,
    }
}

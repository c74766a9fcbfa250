//! Names: which tables the query runs on, and which column or parameter a word means.

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, SelectItem, SetExpr, SetOperator,
    SetQuantifier, TableFactor, TableWithJoins,
};

use super::{
    At, SqlError, Words,
    error::{named, start},
    plain_query, plain_select, refused,
};
use crate::{
    catalog::{Catalog, Column, ColumnKind, Parameter, Table},
    check::ROWS_MAX,
    ir::{Frame, FrameTable},
};

const MOST_ROWS: &str = "2^40 rows are the most";
const SUBQUERY: &str = "this subquery";
const PILE: &str = "write (SELECT * FROM a UNION ALL SELECT * FROM b) AS t";

/// The tables of a query, under the names it gives them.
pub(super) struct Scope<'a> {
    catalog: &'a Catalog,
    tables: Vec<(String, &'a Table)>,
    subject: Option<String>,
    rows: u64,
    /// Tables one below the other, under one name; empty when they are side by side.
    stack: Vec<&'a Table>,
    /// Which table of the stack names mean at the moment.
    pub(super) part: usize,
}

/// A column with its table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) table: &'a Table,
    pub(super) column: &'a Column,
}

/// A column to group by, with the values of its public domain.
#[derive(Clone, Debug)]
pub(super) struct GroupKey<'a> {
    pub(super) column: Place<'a>,
    pub(super) values: Vec<(i128, String)>,
    pub(super) expr: Expr,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        from: &[TableWithJoins],
        catalog: &'a Catalog,
        words: &Words<'_>,
    ) -> Result<Self, SqlError> {
        let TableWithJoins { relation, joins } = match from {
            [one] => one,
            [] => return Err(words.refuse("", "SELECT without FROM", "name a table")),
            _ => {
                return Err(words.refuse(
                    "FROM",
                    "a list of tables",
                    "write JOIN … USING (subject)",
                ));
            }
        };
        let at = words.find("FROM");
        let mut scope = Self {
            catalog,
            tables: Vec::new(),
            subject: None,
            rows: 0,
            stack: Vec::new(),
            part: 0,
        };
        if let TableFactor::Derived { lateral: false, subquery, alias: Some(alias) } = relation
            && joins.is_empty()
            && alias.columns.is_empty()
        {
            scope.pile(plain_query(subquery, words)?, &alias.name.value, words)?;
            return Ok(scope);
        }
        scope.take(relation, words)?;
        for join in joins {
            scope.join(join, words)?;
        }
        let names: Vec<&str> = scope.tables.iter().map(|(_, table)| table.name.as_str()).collect();
        scope.rows = match scope.tables.as_slice() {
            [(_, table)] => table.rows,
            _ => catalog.matched(&names).ok_or_else(|| SqlError::Unmatched {
                at,
                tables: names.iter().map(|name| (*name).to_owned()).collect(),
            })?,
        };
        if scope.rows == 0 {
            return Err(words.refuse(
                "FROM",
                "a query over no rows",
                "there is nothing to compute",
            ));
        }
        if scope.rows > ROWS_MAX {
            return Err(words.refuse("FROM", "a table of this size", MOST_ROWS));
        }
        Ok(scope)
    }

    /// `(SELECT * FROM a UNION ALL SELECT * FROM b …) AS t`.
    fn pile(&mut self, body: &SetExpr, alias: &str, words: &Words<'_>) -> Result<(), SqlError> {
        let mut leaves = vec![body];
        while let Some(leaf) = leaves.pop() {
            let select = match leaf {
                SetExpr::SetOperation {
                    op: SetOperator::Union,
                    set_quantifier: SetQuantifier::All,
                    left,
                    right,
                } => {
                    leaves.extend([right.as_ref(), left.as_ref()]);
                    continue;
                }
                SetExpr::Select(select) => plain_select(select, words)?,
                _ => return Err(words.refuse("FROM", SUBQUERY, PILE)),
            };
            let all = matches!(select.projection.as_slice(), [SelectItem::Wildcard(options)] if *options == Default::default());
            let grouped = select.group_by != GroupByExpr::Expressions(Vec::new(), Vec::new());
            match select.from.as_slice() {
                [TableWithJoins { relation, joins }]
                    if all && joins.is_empty() && select.selection.is_none() && !grouped =>
                {
                    self.take(relation, words)?;
                }
                _ => return Err(words.refuse("FROM", SUBQUERY, PILE)),
            }
        }
        for (_, table) in self.tables.drain(..) {
            if table.rows == 0 {
                return Err(words.refuse("FROM", "a table without rows", "leave it out"));
            }
            self.stack.push(table);
        }
        let total = self.stack.iter().try_fold(0_u64, |sum, table| sum.checked_add(table.rows));
        match total.filter(|rows| *rows <= ROWS_MAX) {
            Some(rows) => self.rows = rows,
            None => return Err(words.refuse("FROM", "tables of this size", MOST_ROWS)),
        }
        self.tables.push((alias.to_owned(), self.stack[0]));
        Ok(())
    }

    /// The rows of every part: of all that match, or of each table of a stack.
    pub(super) fn parts(&self) -> Vec<u64> {
        match self.stack.as_slice() {
            [] => vec![self.rows],
            stack => stack.iter().map(|table| table.rows).collect(),
        }
    }

    fn join(&mut self, join: &Join, words: &Words<'_>) -> Result<(), SqlError> {
        self.take(&join.relation, words)?;
        let constraint = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) if !join.global => {
                constraint
            }
            _ => {
                let instead = "write JOIN … USING (subject)";
                return Err(words.refuse("JOIN", "a join other than an inner one", instead));
            }
        };
        let JoinConstraint::Using(columns) = constraint else {
            return Err(words.refuse("JOIN", "this join condition", "write USING (subject)"));
        };
        let [column] = columns.as_slice() else {
            return Err(words.refuse("USING", "USING with several columns", "name the subject"));
        };
        let name = column.0.first().and_then(|part| part.as_ident());
        let name = name.filter(|_| column.0.len() == 1).map_or("", |name| name.value.as_str());
        for (_, table) in &self.tables {
            if !table.subject.as_deref().is_some_and(|s| s.eq_ignore_ascii_case(name)) {
                return Err(SqlError::Name {
                    at: named(column),
                    name: name.to_owned(),
                    fault: format!("is not the subject of table {:?}", table.name),
                });
            }
        }
        self.subject = Some(name.to_owned());
        Ok(())
    }

    fn take(&mut self, factor: &TableFactor, words: &Words<'_>) -> Result<(), SqlError> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
        } = factor
        else {
            return Err(words.refuse("FROM", "this kind of table", "name a table of the catalog"));
        };
        if !(with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty()) {
            return Err(words.refuse("FROM", "a hint or partition", "name only the table"));
        }
        let at = named(name);
        let text = match name.0.as_slice() {
            [part] => part.as_ident().map(|ident| ident.value.clone()),
            _ => None,
        };
        let text = text.unwrap_or_else(|| name.to_string());
        let unknown = || SqlError::Name { at, name: text.clone(), fault: "is no table".to_owned() };
        let table = self.catalog.table(&text).ok_or_else(unknown)?;
        let called = match alias {
            Some(alias) if alias.columns.is_empty() => alias.name.value.clone(),
            Some(_) => return Err(words.refuse("AS", "renaming columns", "use their names")),
            None => text.clone(),
        };
        let twice = |(name, other): &(String, &Table)| {
            name.eq_ignore_ascii_case(&called) || other.name == table.name
        };
        if self.tables.iter().any(twice) {
            let fault = "is in this query already".to_owned();
            return Err(SqlError::Name { at, name: called, fault });
        }
        self.tables.push((called, table));
        Ok(())
    }

    /// The column that these words mean.
    pub(super) fn find(&self, words: &[Ident]) -> Result<Place<'a>, SqlError> {
        let (qualifier, name) = match words {
            [name] => (None, name),
            [table, name] => (Some(table.value.as_str()), name),
            _ => return Err(fault(words, "is no column")),
        };
        let of = |called: &str| qualifier.is_none_or(|q| q.eq_ignore_ascii_case(called));
        let mut found: Option<Place<'a>> = None;
        for (_, table) in self.tables.iter().filter(|(called, _)| of(called)) {
            let named = |text: &str| text.eq_ignore_ascii_case(&name.value);
            if table.subject.as_deref().is_some_and(named) {
                let why = "is a pseudonym: it joins tables and cannot be computed with";
                return Err(fault(words, why));
            }
            for column in table.columns.iter().filter(|column| named(&column.name)) {
                if found.is_some() {
                    return Err(fault(words, "is in several tables; write table.column"));
                }
                found = Some(Place { table, column });
            }
        }
        let place = found.ok_or_else(|| fault(words, "is no column of these tables"))?;
        self.in_part(place, words)
    }

    /// The same column in the current table of the stack.
    fn in_part(&self, place: Place<'a>, words: &[Ident]) -> Result<Place<'a>, SqlError> {
        let Some(table) = self.stack.get(self.part) else { return Ok(place) };
        let named = |column: &&Column| column.name.eq_ignore_ascii_case(&place.column.name);
        let alike = |column: &&Column| match (&column.kind, &place.column.kind) {
            (
                ColumnKind::Number { scale, domain, .. },
                ColumnKind::Number { scale: other, domain: among, .. },
            ) => scale == other && domain == among,
            (kind, other) => kind == other,
        };
        match table.columns.iter().find(named).filter(alike) {
            Some(column) => Ok(Place { table, column }),
            None => {
                let why = format!("is absent from table {:?}, or declared otherwise", table.name);
                Err(fault(words, &why))
            }
        }
    }

    /// The column that an expression is, if it is one.
    pub(super) fn as_column(&self, expr: &Expr) -> Option<Result<Place<'a>, SqlError>> {
        match expr {
            Expr::Identifier(name) => Some(self.find(std::slice::from_ref(name))),
            Expr::CompoundIdentifier(names) => Some(self.find(names)),
            Expr::Nested(inner) => self.as_column(inner),
            _ => None,
        }
    }

    pub(super) fn parameter(&self, text: &str, at: At) -> Result<&'a Parameter, SqlError> {
        let unknown =
            || SqlError::Name { at, name: text.to_owned(), fault: "is no parameter".to_owned() };
        text.strip_prefix(':').and_then(|name| self.catalog.parameter(name)).ok_or_else(unknown)
    }

    pub(super) fn group_key(&self, expr: &Expr) -> Result<GroupKey<'a>, SqlError> {
        let Some(column) = self.as_column(expr) else {
            return refused(expr, "grouping by an expression", "name a column");
        };
        let column = column?;
        let values = column.column.kind.groups().ok_or_else(|| SqlError::Name {
            at: start(expr),
            name: expr.to_string(),
            fault: "declares no public domain, so which groups exist is secret".to_owned(),
        })?;
        Ok(GroupKey { column, values, expr: expr.clone() })
    }

    pub(super) fn frame(&self) -> Frame {
        let beside = self.tables.iter().map(|(_, table)| *table);
        let below = self.stack.iter().copied();
        let tables: Vec<&Table> =
            if self.stack.is_empty() { beside.collect() } else { below.collect() };
        let tables = tables.into_iter().map(|table| FrameTable {
            name: table.name.clone(),
            owner: table.owner.clone(),
            rows: table.rows,
        });
        Frame { tables: tables.collect(), subject: self.subject.clone(), rows: self.rows }
    }
}

fn fault(words: &[Ident], fault: &str) -> SqlError {
    let at = words.first().map_or(At { line: 1, column: 1 }, |name| name.span.start.into());
    let name = words.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".");
    SqlError::Name { at, name, fault: fault.to_owned() }
}

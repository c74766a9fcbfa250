//! The analyst's language: one SQL query becomes a small program that any engine can run on data
//! it does not see.
//!
//! ```text
//! SQL --sql--> Program --engine--> opened integers --clear--> Answer
//!                 |                      ^
//!                 +------interpret-------+   the reference, in plain sight
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`catalog`] | what is public about the tables: owners, columns, bounds, row counts |
//! | [`sql`] | the compiler, and its refusals |
//! | [`types`] | numbers with a scale and a range |
//! | [`ir`] | the program: secret steps, opens, clear steps |
//! | [`mod@check`] | the one set of typing rules |
//! | [`mod@interpret`] | the program computed in exact integers: what every engine is tested against |
//! | [`clear`] | from opened integers to the answer, the same for every engine |
//! | [`mod@explain`] | what it does, costs and reveals, before it runs |
//!
//! Every value has a range that is known before any data is. An operation that could leave the
//! allowed width is refused when the query is compiled, with its place; a program that exists
//! cannot overflow. Divisions and roots happen only in clear, on numbers that were opened, and
//! what is opened is listed: that list is what the receivers learn.
//!
//! # Caveats
//!
//! - The bounds of columns are promises of their owners. A party that breaks them can wrap its own
//!   contribution; an engine that must not trust it proves ranges.
//! - An answer says something about the data, always. Two queries that differ in one row's
//!   condition reveal that row. Minimum group sizes and noise are decided where jobs are approved.
//! - Which subjects match is known to the tables' owners, and how many, to everyone.
//!
//! # Example: two companies, one question
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use encrytrust_program::{
//!     catalog::{Catalog, Column, Table},
//!     explain::explain,
//!     interpret::{Inputs, Records, answer},
//!     sql::{Options, compile},
//! };
//!
//! let table = |name: &str, owner: &str, rows, columns| Table {
//!     name: name.into(),
//!     owner: owner.into(),
//!     subject: Some("subject".into()),
//!     columns,
//!     rows,
//! };
//! let balance = Column::number("balance", 2, "-500", "100000")?;
//! let calls = Column::number("calls", 0, "0", "5000")?;
//! let mut catalog = Catalog::default();
//! catalog.add(table("bank", "alder", 3, vec![balance.clone()]))?;
//! catalog.add(table("telecom", "birch", 3, vec![calls.clone()]))?;
//! catalog.state_match(&["bank", "telecom"], 2)?; // found by comparing tags
//!
//! let sql = "SELECT AVG(balance) AS mean FROM bank JOIN telecom USING (subject) WHERE calls > 10";
//! let program = compile(sql, &catalog, &Options::to("ana"))?;
//! assert!(explain(&program).to_string().contains("the sum of balance"));
//!
//! // What an engine must arrive at, without seeing this:
//! let records = |subjects: [&str; 3], column: &Column, data: [&str; 3]| {
//!     let values = data.iter().map(|datum| column.encode(datum)).collect::<Result<_, _>>()?;
//!     Ok::<_, encrytrust_program::catalog::CatalogError>(Records {
//!         subjects: subjects.map(str::to_owned).to_vec(),
//!         columns: BTreeMap::from([(column.name.clone(), values)]),
//!     })
//! };
//! let data = BTreeMap::from([
//!     ("bank".to_owned(), records(["t1", "t2", "t3"], &balance, ["10", "20.50", "-3"])?),
//!     ("telecom".to_owned(), records(["t2", "t3", "t4"], &calls, ["11", "12", "13"])?),
//! ]);
//! let inputs = Inputs::gather(&program, &data, &BTreeMap::new())?;
//! assert_eq!(answer(&program, &inputs)?.rows[0][0].to_string(), "8.75");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod build;
pub mod catalog;
pub mod check;
pub mod clear;
pub mod explain;
pub mod interpret;
pub mod ir;
pub mod sql;
pub mod types;

pub use crate::{
    catalog::Catalog,
    clear::Answer,
    explain::explain,
    interpret::{Inputs, interpret},
    ir::Program,
    sql::{Options, compile},
};

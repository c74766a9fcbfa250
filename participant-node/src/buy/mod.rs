//! The buyer: look a subject up, ask for a record, make sure it is the one that was offered
//! (white paper, sections 6.5 and 6.6).

mod find;
mod get;
mod judge;
mod receipt;

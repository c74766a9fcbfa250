//! From a CSV file to a receipt, through a real platform on a real port.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod adversaries;
mod market;
mod postgres;
mod publishing;
mod trading;

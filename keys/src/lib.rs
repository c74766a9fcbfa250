//! Keys.
pub mod files;
pub mod platform;
pub mod pool;
mod random;
pub mod seal;
mod signing;
pub mod subject;
pub mod tags;

pub use signing::SignError;

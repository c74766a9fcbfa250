//! What whole-system tests share: a market to act in, people to act, and somebody to stand in
//! between.
//!
//! Nothing of the product is imitated. [`MarketUnderTest`] runs the platform itself on a free port,
//! its members are participants' nodes in directories of their own, and all of them talk HTTP
//! through a [`Proxy`](proxy::Proxy) that records everything and, for those who need it, rewrites
//! answers or leads to another platform. Whoever has to do what no node would do speaks the
//! protocol by [`Hand`].

pub mod chance;
pub mod clock;
mod hand;
mod market;
pub mod proxy;
mod table;
mod wire;

pub use hand::Hand;
pub use market::{Deadline, MarketUnderTest, Platform, Provider};
pub use table::Table;
pub use wire::{Answer, Wire};

//! What whole-system tests share: a market to act in, and somebody to stand in between.

pub mod proxy;

//! Kill -9, again and again, and nothing that was promised is lost.
//!
//! These tests kill real `ets` processes at random instants; the seed of the instants is printed,
//! and `ETS_SEED=… cargo test -p encrytrust-tests --test crash` takes the same ones again.
//!
//! SIGKILL leaves the operating system's page cache alone, so these tests find what is written too
//! late, in the wrong order, twice or not at all by a process that dies. Whether it was *synced*
//! when the power goes is tested with injected faults in `index-chain` (`crash`, the table of crash
//! points).

mod ets;
mod platform;
mod provider;
mod publisher;

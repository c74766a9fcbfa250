//! Computing on shares: several parties learn a result and nothing else.
//!
//! Each input is cut into shares, one per party, of which any d together are random numbers
//! (Shamir 1979). Sums of shares are shares of the sum. For products the parties exchange one
//! message each (Gennaro, Rabin and Rabin 1998). At the end they open the result, and only that.
//!
//! | module | what it is |
//! |---|---|
//! | [`field`] | the numbers: 2^61 - 1 for bulk, 2^127 - 1 for long sums, ristretto255's exponents under commitments |
//! | [`prg`] | randomness, from one seed of the operating system |
//! | [`sharing`] | shares of whole columns; opening that corrects wrong shares and names their senders |
//! | [`feldman`] | dealers that can be checked, and complaints that everybody can judge |
//! | [`protocols`] | what one party computes in each protocol, and plans made of them |
//! | [`session`] | one party's side of a plan as a state machine: messages in, messages out |
//!
//! Everything here is replayed from its inputs: no socket, no clock, no thread. The formats and
//! equations are those of `docs/spec/smpc.md`.
//!
//! # What an adversary can do
//!
//! A [`session::Session`] is secure against parties that follow the protocol and pool what they
//! see, up to d of them. Against parties that lie it promises only to name those that are silent,
//! speak out of turn, or send wrong shares of what is opened. Who wants dealt shares checked deals
//! under [`feldman`].
//!
//! # Example: a mean that nobody could compute alone
//!
//! Three companies learn the mean of all their values, and none learns another's.
//!
//! ```
//! use std::{collections::VecDeque, sync::Arc};
//!
//! use encrytrust_smpc::{
//!     Committee,
//!     field::{Field, Mersenne61},
//!     prg::Seed,
//!     protocols::Plan,
//!     session::{Effect, Event, Session},
//! };
//!
//! // Any one company may be curious: degree 1.
//! let committee = Committee::new(3, 1)?;
//! let mut plan = Plan::new(committee);
//! let columns: Vec<_> =
//!     committee.iter().map(|owner| plan.input(owner, 2)).collect::<Result<_, _>>()?;
//! let two = plan.add(columns[0], columns[1])?;
//! let three = plan.add(two, columns[2])?;
//! let sum = plan.sum(three)?;
//! plan.open(sum, None)?;
//! let plan = Arc::new(plan);
//!
//! // One process per company in life, one loop here: whatever a session wants sent, is carried.
//! let salaries = [[3_000, 4_100], [2_800, 5_200], [3_600, 3_300]];
//! let mut sessions = Vec::new();
//! let mut wire = VecDeque::new();
//! for (me, own) in committee.iter().zip(salaries) {
//!     let private = vec![own.map(Mersenne61::from_u64).to_vec()];
//!     let started = Session::start([1; 32], me, Arc::clone(&plan), private, &Seed::random())?;
//!     wire.extend(started.1.into_iter().map(|effect| (me, effect)));
//!     sessions.push(started.0);
//! }
//! let mut answers = Vec::new();
//! while let Some((from, effect)) = wire.pop_front() {
//!     match effect {
//!         Effect::Send { to, bytes } => {
//!             let wanted = sessions[to.index()].handle(Event::Message { from, bytes });
//!             wire.extend(wanted.into_iter().map(|effect| (to, effect)));
//!         }
//!         Effect::Opened { values, .. } => answers.push(values[0].to_u64()),
//!         Effect::Done { .. } => {}
//!         Effect::Failed(error) => return Err(error.into()),
//!     }
//! }
//! assert_eq!(answers, [22_000; 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod feldman;
pub mod field;
mod party;
pub mod prg;
pub mod protocols;
pub mod session;
pub mod sharing;

pub use party::{Committee, CommitteeError, Party};

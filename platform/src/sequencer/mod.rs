//! The one writer: what is in the logs, and in which order, is decided on a single thread.
//!
//! ```text
//! handlers ── orders, bounded ──▶ sequencer:  take everything that waits
//!                                             admit each entry in its order
//!                                             append, one fsync for all      ◀── durable
//!                                             apply to the derived state     ◀── visible
//!          ◀── verdicts ────────────────────  answer
//!                                             when it is time: seal a block  ◀── provable
//! ```
//!
//! The more waits, the more entries share one fsync. Handlers have decoded the entries and checked
//! their signatures, on all cores; what is left to do here is what depends on the order.
//!
//! # When the disk refuses
//!
//! What a failed write left behind is known only after the logs are opened again. So the sequencer
//! stops for good: it answers nothing, drops every order, and the platform says 503 to writers
//! until the process is started again. Readers are served on.

mod group;
mod members;
mod view;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use encrytrust_index_chain::{
    chain::{Chain, ChainError},
    checkpoint::LogName,
    log::{Log, LogError},
};
use encrytrust_keys::platform::PlatformKey;
use encrytrust_protocol::{EntryId, IndexEntry, Problem, Sha256Hash};
use metrics::{gauge, histogram};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    freshness::now_millis,
    heads::Heads,
    problem::{Refused, STORAGE},
    state::{MemberError, State, StateError},
};

pub(crate) use group::ReceiptOrder;
pub(crate) use members::{MemberOrder, Membership};

/// Orders that may wait; when it is full, handlers wait.
const QUEUE: usize = 4096;

/// Entries in one group, more or less: it bounds how long the first of a group waits.
const GROUP_ENTRIES: usize = 20_000;

/// The sequencer could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SequencerError {
    /// The public logs or the blocks.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The members log.
    #[error("members log: {0}")]
    Members(#[from] LogError),
    /// The derived state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The members log holds what cannot have been admitted.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// The operating system gives no randomness.
    #[error("the system's randomness: {0}")]
    Randomness(#[from] getrandom::Error),
}

/// What became of one entry.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// On disk, at this index.
    Accepted(u64),
    /// It was there already, at this index.
    Present(u64),
    /// Not taken.
    Refused(Box<Problem>),
}

/// An entry of the index that was decoded and verified.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) id: EntryId,
    pub(crate) entry: IndexEntry,
}

/// What a handler asks for.
pub(crate) enum Order {
    /// Take these into the index.
    Index { candidates: Vec<Candidate>, reply: oneshot::Sender<Vec<Verdict>> },
    /// Take this into the trades log.
    Receipt { receipt: Box<ReceiptOrder>, reply: oneshot::Sender<Verdict> },
    /// Take this into the members log.
    Member { order: Box<MemberOrder>, reply: oneshot::Sender<Result<Membership, Problem>> },
    /// Finish what waits, seal, and end.
    Stop,
}

impl Order {
    fn entries(&self) -> usize {
        match self {
            Self::Index { candidates, .. } => candidates.len(),
            _ => 1,
        }
    }
}

/// The way to the sequencer.
#[derive(Clone)]
pub(crate) struct Sequencer {
    orders: mpsc::Sender<Order>,
    failed: Arc<AtomicBool>,
}

impl Sequencer {
    /// Takes entries into the index; a verdict for each, in order, when they are on disk.
    pub(crate) async fn index(&self, candidates: Vec<Candidate>) -> Result<Vec<Verdict>, Refused> {
        self.send(|reply| Order::Index { candidates, reply }).await
    }

    /// Takes a receipt into the trades log.
    pub(crate) async fn receipt(&self, receipt: ReceiptOrder) -> Result<Verdict, Refused> {
        self.send(|reply| Order::Receipt { receipt: Box::new(receipt), reply }).await
    }

    /// Takes a message into the members log.
    pub(crate) async fn member(&self, order: MemberOrder) -> Result<Membership, Refused> {
        let answer = self.send(|reply| Order::Member { order: Box::new(order), reply }).await?;
        answer.map_err(Refused::from)
    }

    /// Lets it finish what waits.
    pub(crate) async fn stop(&self) {
        // One that is gone has stopped.
        let _ = self.orders.send(Order::Stop).await;
    }

    /// Whether it takes orders.
    pub(crate) fn works(&self) -> bool {
        !self.failed.load(Ordering::Acquire) && !self.orders.is_closed()
    }

    async fn send<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Refused> {
        let gone = || Refused::from(STORAGE.because("the platform takes nothing at the moment"));
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

/// What the sequencer works with.
pub(crate) struct Desk {
    pub(crate) chain: Chain,
    pub(crate) members: Log,
    pub(crate) state: State,
    pub(crate) key: PlatformKey,
    pub(crate) interval: Duration,
    /// Participants that may wait for an administrator.
    pub(crate) pending_max: usize,
    pub(crate) heads: Arc<watch::Sender<Heads>>,
}

/// The thread, to be joined after [`Sequencer::stop`].
pub(crate) type Handle = thread::JoinHandle<Result<(), SequencerError>>;

/// Starts the sequencer.
pub(crate) fn start(desk: Desk) -> std::io::Result<(Sequencer, Handle)> {
    let (orders, queue) = mpsc::channel(QUEUE);
    let failed = Arc::new(AtomicBool::new(false));
    let sequencer = Sequencer { orders, failed: Arc::clone(&failed) };
    let handle = thread::Builder::new().name("sequencer".into()).spawn(move || {
        // A runtime of its own, to wait for orders and for time; the work itself blocks it, and
        // nothing else runs on it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let result = match runtime {
            Ok(runtime) => runtime.block_on(Worker::new(desk).run(queue)),
            Err(e) => Err(SequencerError::Chain(ChainError::Log(LogError::Disk {
                file: "sequencer".into(),
                source: e,
            }))),
        };
        if let Err(error) = &result {
            failed.store(true, Ordering::Release);
            tracing::error!(%error, "the sequencer stopped; nothing is taken until a new start");
        }
        result
    })?;
    Ok((sequencer, handle))
}

struct Worker {
    desk: Desk,
    /// Something is in the logs that no block names yet.
    unsealed: bool,
    sealed_at: Instant,
}

impl Worker {
    fn new(desk: Desk) -> Self {
        let sealed = desk.heads.borrow().clone();
        let unsealed =
            LogName::ALL.into_iter().any(|log| desk.chain.next_index(log) > sealed.of(log).size());
        Self { desk, unsealed, sealed_at: Instant::now() }
    }

    async fn run(mut self, mut queue: mpsc::Receiver<Order>) -> Result<(), SequencerError> {
        let mut orders = Vec::new();
        loop {
            let due = self.sealed_at + self.desk.interval;
            if self.unsealed && Instant::now() >= due {
                self.seal()?;
            }
            let first = if self.unsealed {
                match tokio::time::timeout_at(due.into(), queue.recv()).await {
                    Ok(order) => order,
                    Err(_) => continue,
                }
            } else {
                queue.recv().await
            };
            let mut stop = first.is_none();
            let mut entries = 0;
            let mut next = first;
            while let Some(order) = next {
                if matches!(order, Order::Stop) {
                    stop = true;
                    break;
                }
                entries += order.entries();
                orders.push(order);
                next = if entries < GROUP_ENTRIES { queue.try_recv().ok() } else { None };
            }
            self.work(&mut orders)?;
            if stop {
                return self.finish();
            }
        }
    }

    /// Works off orders in their order: runs of entries share a commit.
    fn work(&mut self, orders: &mut Vec<Order>) -> Result<(), SequencerError> {
        let mut run = Vec::new();
        for order in orders.drain(..) {
            match order {
                Order::Index { .. } | Order::Receipt { .. } => run.push(order),
                Order::Member { order, reply } => {
                    self.group(std::mem::take(&mut run))?;
                    let answer = members::take(&mut self.desk, *order)?;
                    // Whoever does not wait any more can ask where the participant stands.
                    drop(reply.send(answer));
                }
                Order::Stop => {}
            }
        }
        self.group(run)
    }

    fn group(&mut self, run: Vec<Order>) -> Result<(), SequencerError> {
        if !run.is_empty() {
            self.unsealed |= group::take(&mut self.desk, run)? > 0;
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<(), SequencerError> {
        let began = Instant::now();
        let sealed = seal(&mut self.desk.chain, &self.desk.key)?;
        self.desk.heads.send_replace(sealed);
        self.unsealed = false;
        self.sealed_at = Instant::now();
        histogram!("ets_seal_seconds").record(began.elapsed().as_secs_f64());
        gauge!("ets_block_height").set(self.desk.heads.borrow().height() as f64);
        Ok(())
    }

    fn finish(mut self) -> Result<(), SequencerError> {
        if self.unsealed {
            self.seal()?;
        }
        self.desk.state.flush()?;
        tracing::info!("the sequencer has finished");
        Ok(())
    }
}

/// Seals what is in the logs, with the clock's time and fresh randomness.
pub(crate) fn seal(chain: &mut Chain, key: &PlatformKey) -> Result<Heads, SequencerError> {
    let mut randomness = [0; 32];
    getrandom::fill(&mut randomness)?;
    let sealed = chain.seal(now_millis(), Sha256Hash::from(randomness), key)?;
    Ok(Heads::of_block(&sealed))
}

#[cfg(test)]
mod tests;

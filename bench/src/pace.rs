//! Sending at a pace: as fast as answers come, or at times fixed beforehand.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use hdrhistogram::Histogram;

use crate::wire::{Answer, Connection};

/// When requests leave.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// When the last answer came, until the time is over.
    Closed {
        /// How long to go on.
        lasting: Duration,
    },
    /// At fixed times, whatever comes back.
    Open {
        /// Requests per second, all connections together.
        rate: f64,
    },
}

/// What to send, and what an answer must be.
pub struct Work<'a> {
    /// Where to.
    pub address: SocketAddr,
    /// Connections, each with a thread of its own.
    pub connections: usize,
    /// Request number `n`, as often as it is asked for; `None` ends the run.
    pub request: &'a (dyn Fn(usize) -> Option<&'a [u8]> + Sync),
    /// Refuses an answer that is not what was wanted.
    pub check: &'a (dyn Fn(&Answer<'_>) -> Result<()> + Sync),
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Requests answered, and answered well.
    pub requests: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Microseconds from when each request should have left to its whole answer.
    pub latency: Histogram<u64>,
}

impl Outcome {
    /// Requests answered per second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of requests did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.latency.value_at_quantile(share))
    }
}

/// The longest latency that is told apart from longer ones: a minute.
const LATENCY_MAX: u64 = 60_000_000;

/// A request number that no run reaches: where an endless supply ends when a run is given up.
pub const NEVER: usize = usize::MAX / 2;

/// Sends, at a pace. The first answer that is not what was wanted ends the run as an error: a load
/// test of refusals measures nothing.
pub fn run(work: &Work<'_>, pace: Pace) -> Result<Outcome> {
    let next = AtomicUsize::new(0);
    let fault = Mutex::new(None);
    let total = Mutex::new((0, Duration::ZERO, histogram()?));
    let mut connections = (0..work.connections)
        .map(|_| Connection::open(work.address))
        .collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    thread::scope(|scope| {
        for connection in &mut connections {
            let (next, fault, total) = (&next, &fault, &total);
            scope.spawn(move || {
                let done = one(work, pace, start, next, connection).and_then(|(count, mine)| {
                    let ended = start.elapsed();
                    let mut total = total.lock().map_err(|_| anyhow!("a thread panicked"))?;
                    (total.0, total.1) = (total.0 + count, total.1.max(ended));
                    total.2.add(&mine).context("latencies")
                });
                if let Err(error) = done {
                    next.store(NEVER, Ordering::Relaxed);
                    if let Ok(mut first) = fault.lock() {
                        first.get_or_insert(error);
                    }
                }
            });
        }
    });
    if let Some(error) = fault.into_inner().map_err(|_| anyhow!("a thread panicked"))? {
        return Err(error);
    }
    let (requests, elapsed, latency) =
        total.into_inner().map_err(|_| anyhow!("a thread panicked"))?;
    Ok(Outcome { requests, elapsed, latency })
}

/// One connection's part.
fn one(
    work: &Work<'_>,
    pace: Pace,
    start: Instant,
    next: &AtomicUsize,
    connection: &mut Connection,
) -> Result<(u64, Histogram<u64>)> {
    let (mut count, mut latency) = (0, histogram()?);
    loop {
        if let Pace::Closed { lasting } = pace
            && start.elapsed() >= lasting
        {
            break;
        }
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = (work.request)(number) else { break };
        let due = match pace {
            Pace::Closed { .. } => Instant::now(),
            Pace::Open { rate } => start + Duration::from_secs_f64(number as f64 / rate),
        };
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let answer = connection.exchange(request)?;
        let took = due.elapsed();
        (work.check)(&answer)?;
        latency.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
        count += 1;
    }
    Ok((count, latency))
}

fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, LATENCY_MAX, 3).context("a histogram")
}

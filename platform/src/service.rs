//! Everything a handler may look at.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use encrytrust_index_chain::{chain::ChainReader, checkpoint::LogName, log::LogReader};
use encrytrust_keys::{identity::Trust, platform::PlatformKey, tags::TagKey};
use encrytrust_protocol::{Market, Message, ParticipantId, PlatformInfo, PublicKey, Verified};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, watch};

use crate::{
    config::Config,
    freshness::{Once, Replays, now},
    heads::{Head, Heads},
    limits::Gate,
    problem::{Refused, WRONG_MARKET},
    relay::Relay,
    sequencer::Sequencer,
    standing,
    state::State,
};

/// One running platform, shared by all handlers.
pub(crate) struct Service {
    pub(crate) config: Config,
    pub(crate) key: PlatformKey,
    pub(crate) tag_key: Arc<TagKey>,
    pub(crate) info: Verified<PlatformInfo>,
    pub(crate) trust: Trust,
    pub(crate) state: State,
    pub(crate) chain: ChainReader,
    pub(crate) members: LogReader,
    pub(crate) sequencer: Sequencer,
    pub(crate) heads: watch::Receiver<Heads>,
    /// For witnesses, to add their cosignatures.
    pub(crate) publisher: Arc<watch::Sender<Heads>>,
    pub(crate) gate: Gate,
    pub(crate) replays: Replays,
    pub(crate) relay: Relay,
    /// Bytes of submissions that may be in memory.
    pub(crate) in_flight: Semaphore,
    /// Threads for signatures and subject tags.
    pub(crate) workers: rayon::ThreadPool,
    pub(crate) metrics: PrometheusHandle,
    /// Turns true when the platform stops, so that nobody is kept waiting.
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) requests: RequestIds,
}

/// Request ids: a random stem for each start, then a count.
pub(crate) struct RequestIds {
    stem: u32,
    count: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        Ok(Self { stem: getrandom::u32()?, count: AtomicU64::new(0) })
    }
}

impl Service {
    pub(crate) fn market(&self) -> &Market {
        &self.config.market
    }

    /// The published heads.
    pub(crate) fn heads(&self) -> Heads {
        self.heads.borrow().clone()
    }

    pub(crate) fn log(&self, log: LogName) -> &LogReader {
        self.chain.log(log)
    }

    /// Refuses a message for another market.
    pub(crate) fn check_market(&self, named: &Market) -> Result<(), Refused> {
        if named == self.market() {
            return Ok(());
        }
        WRONG_MARKET.refuse(format!("signed for {named}; this is {}", self.market()))
    }

    /// Lets a signed request by a pool key pass, once: its market, its time, its key, its rate.
    pub(crate) fn admit<M: Once + Message<Signer = PublicKey>>(
        &self,
        request: &Verified<M>,
        market: &Market,
    ) -> Result<ParticipantId, Refused> {
        self.check_market(market)?;
        let standing = standing::of(&self.state, &request.signer(), now())
            .map_err(|e| Refused::internal("looking up a key", e))?;
        let participant = standing.active()?;
        self.gate.request_by(&participant)?;
        self.replays.admit(request)?;
        Ok(participant)
    }

    /// Waits for a checkpoint of a log that has the entry at `index`.
    pub(crate) async fn included(&self, log: LogName, index: u64) -> Result<Heads, Refused> {
        let mut heads = self.heads.clone();
        let has = |heads: &Heads| Head::size(heads.of(log)) > index;
        match heads.wait_for(has).await {
            Ok(heads) => Ok(heads.clone()),
            Err(_) => crate::problem::STORAGE
                .refuse("the entry is on disk; the platform stopped before it was sealed"),
        }
    }

    pub(crate) fn next_request_id(&self) -> String {
        let count = self.requests.count.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}{count:08x}", self.requests.stem)
    }

    /// Whether it can take what it is sent.
    pub(crate) fn ready(&self) -> bool {
        self.sequencer.works() && !*self.stopping.borrow()
    }
}

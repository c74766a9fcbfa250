//! Which requests were answered. A request is answered once, also across restarts.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use encrytrust_protocol::{CLOCK_SKEW_MAX, TradeId, UnixSeconds};

use crate::{
    blocking,
    files::now,
    vault::{DeliveryEvent, Follower, Journal, VaultError, VaultKey},
};

/// How long a trade is remembered in memory: a request older than the clock skew is refused as
/// stale, so a replay of one answered before that needs no memory.
const REMEMBERED: u64 = 4 * CLOCK_SKEW_MAX;

/// Trades that were answered, and those being answered now.
pub(super) struct Trades {
    journal: Arc<Mutex<Journal<DeliveryEvent>>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    answered: HashMap<TradeId, UnixSeconds>,
    begun: HashSet<TradeId>,
}

impl Trades {
    pub(super) fn open(vault: &Path, key: &VaultKey) -> Result<Self, VaultError> {
        let journal = Journal::open(vault, "deliveries", key)?;
        let (mut seen, horizon) = (Seen::default(), now().saturating_sub(REMEMBERED));
        Follower::<DeliveryEvent>::new(vault, "deliveries", key).read(|event| {
            if event.at >= horizon {
                seen.answered.insert(event.trade, event.at);
            }
        })?;
        Ok(Self { journal: Arc::new(Mutex::new(journal)), seen: Mutex::new(seen) })
    }

    /// Takes a trade's place; false if it is taken.
    pub(super) fn begin(&self, trade: TradeId) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        !seen.answered.contains_key(&trade) && seen.begun.insert(trade)
    }

    /// Gives the place of a trade back that was not answered.
    pub(super) fn give_back(&self, trade: &TradeId) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).begun.remove(trade);
    }

    /// Writes that a trade is answered; on disk when this returns.
    pub(super) async fn record(&self, event: DeliveryEvent) -> Result<(), VaultError> {
        let (journal, written) = (Arc::clone(&self.journal), event.clone());
        blocking(move || journal.lock().unwrap_or_else(PoisonError::into_inner).append(&[written]))
            .await?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let horizon = event.at.saturating_sub(REMEMBERED);
        if seen.answered.len().is_power_of_two() {
            seen.answered.retain(|_, at| *at >= horizon);
        }
        seen.begun.remove(&event.trade);
        seen.answered.insert(event.trade, event.at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trade_is_answered_once_also_after_a_restart() {
        let (dir, key) = (tempfile::tempdir().unwrap(), VaultKey::generate().unwrap());
        let (trade, offer) = (TradeId::from([1; 32]), [2; 32].into());
        let event = DeliveryEvent { trade, offer, buyer: [3; 32].into(), price: 5, at: now() };
        let trades = Trades::open(dir.path(), &key).unwrap();
        assert!(trades.begin(trade));
        assert!(!trades.begin(trade), "while it is being answered");
        trades.give_back(&trade);
        assert!(trades.begin(trade), "it was not answered after all");
        trades.record(event).await.unwrap();
        assert!(!trades.begin(trade));
        drop(trades);
        assert!(!Trades::open(dir.path(), &key).unwrap().begin(trade));
    }
}

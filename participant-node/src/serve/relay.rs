//! Requests from the platform's relay: one patient question for each key that has offers.

use std::{collections::HashSet, sync::Arc, time::Duration};

use encrytrust_keys::pool::PoolKey;
use encrytrust_protocol::{PublicKey, RelayPacket};
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

use super::{Server, answer::refusal};
use crate::vault::OfferBook;

/// Requests answered at the same time.
const AT_ONCE: usize = 16;

/// How often the node looks for keys that have offers now.
const LOOK: Duration = Duration::from_secs(2);

/// How long to wait after the platform failed to answer, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Fetches and answers until it is dropped.
pub(super) async fn fetch(server: Server) {
    let (mut watched, mut polls) = (HashSet::<PublicKey>::new(), JoinSet::new());
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        for key in server.keys_with_offers() {
            if watched.insert(key.public()) {
                polls.spawn(watch(server.clone(), key, Arc::clone(&slots)));
            }
        }
        sleep(LOOK).await;
    }
}

impl Server {
    /// The pool's keys that signed offers which stand.
    fn keys_with_offers(&self) -> Vec<PoolKey> {
        let signers = match self.offers.with_news(OfferBook::keys) {
            Ok(signers) => signers,
            Err(error) => {
                tracing::error!("the vault cannot be read: {error}");
                return Vec::new();
            }
        };
        let mut ring = self.node.ring();
        if signers.iter().any(|key| ring.get(key).is_none()) {
            match self.node.newer_ring() {
                Ok(newer) => ring = newer.unwrap_or(ring),
                Err(error) => tracing::error!("the pool cannot be read: {error}"),
            }
        }
        signers.iter().filter_map(|key| ring.get(key).cloned()).collect()
    }
}

/// Asks for one key's requests for ever.
async fn watch(server: Server, key: PoolKey, slots: Arc<Semaphore>) {
    let mut pause = PAUSE.0;
    loop {
        match server.node.platform().relay_next(&key).await {
            Ok(waiting) => {
                pause = PAUSE.0;
                for packet in waiting.packets {
                    let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
                    let server = server.clone();
                    tokio::spawn(async move {
                        reply(&server, packet).await;
                        drop(slot);
                    });
                }
            }
            Err(error) => {
                tracing::warn!("the relay cannot be asked, again in {pause:?}: {error}");
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

async fn reply(server: &Server, waiting: RelayPacket) {
    let reply = match server.answer(&waiting.packet).await {
        Ok(reply) => reply,
        Err(problem) => refusal(&problem),
    };
    if let Err(error) = server.node.platform().relay_reply(&waiting.id, &reply).await {
        tracing::warn!("a reply could not be handed in: {error}");
    }
}

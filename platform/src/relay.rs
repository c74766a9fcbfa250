//! Mailboxes for providers that cannot be reached: sealed requests wait here for a node to fetch
//! them, and its sealed reply goes back to the buyer who waits.
//!
//! ```text
//! buyer ── POST /v1/relay/{key} ──▶ mailbox of the key ◀── POST /v1/relay/next ── node
//! buyer ◀──────── reply ─────────── waiting, by id ◀── POST /v1/relay/replies/{id} ── node
//! ```
//!
//! The relay can open neither. It lives in memory alone: a request is as old as the connection of
//! the buyer who waits for it, and whatever is lost, that buyer asks again. What it holds is
//! bounded in count, bytes and time.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::web::Bytes;
use encrytrust_protocol::{Nonce, PublicKey, RelayPacket, RelayPackets};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout, timeout_at},
};

use crate::{
    config::Limits,
    problem::{BUSY, NODE_AWAY, NOT_FOUND, Refused},
};

/// How long a node's poll waits for something to fetch.
pub(crate) const POLL: Duration = Duration::from_secs(25);

/// The relay of one platform.
pub(crate) struct Relay {
    waiting_per_key: usize,
    bytes_max: usize,
    patience: Duration,
    state: Arc<Mutex<Mailboxes>>,
}

#[derive(Default)]
struct Mailboxes {
    boxes: HashMap<PublicKey, Mailbox>,
    /// Buyers that wait, by the id of their request.
    waiting: HashMap<Nonce, oneshot::Sender<Bytes>>,
    /// Bytes of requests whose buyers wait.
    bytes: usize,
}

#[derive(Default)]
struct Mailbox {
    packets: VecDeque<(Nonce, Bytes)>,
    news: Arc<Notify>,
}

/// A request whose buyer waits. When the buyer goes, so does everything the relay holds for it.
struct Waiting {
    state: Arc<Mutex<Mailboxes>>,
    key: PublicKey,
    id: Nonce,
    bytes: usize,
}

fn lock(state: &Mutex<Mailboxes>) -> MutexGuard<'_, Mailboxes> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Relay {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            waiting_per_key: limits.relay_waiting_per_key,
            bytes_max: limits.relay_bytes,
            patience: Duration::from_secs(limits.relay_seconds),
            state: Arc::default(),
        }
    }

    /// Leaves a sealed request for the holder of `key` and waits for the sealed reply.
    pub(crate) async fn ask(&self, key: PublicKey, packet: Bytes) -> Result<Bytes, Refused> {
        let (reply, _waiting) = self.leave(key, packet)?;
        match timeout(self.patience, reply).await {
            Ok(Ok(reply)) => Ok(reply),
            _ => NODE_AWAY.refuse(format!(
                "the node of key {key} did not answer within {} s",
                self.patience.as_secs()
            )),
        }
    }

    fn leave(
        &self,
        key: PublicKey,
        packet: Bytes,
    ) -> Result<(oneshot::Receiver<Bytes>, Waiting), Refused> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|e| Refused::internal("the system's randomness", e))?;
        let (id, bytes) = (Nonce::from(id), packet.len());
        let mut state = lock(&self.state);
        if state.bytes + bytes > self.bytes_max {
            return BUSY.refuse("the relay is full");
        }
        let mailbox = state.boxes.entry(key).or_default();
        if mailbox.packets.len() >= self.waiting_per_key {
            return BUSY.refuse(format!("{} requests wait for this key", mailbox.packets.len()));
        }
        mailbox.packets.push_back((id, packet));
        mailbox.news.notify_one();
        let (sender, receiver) = oneshot::channel();
        state.waiting.insert(id, sender);
        state.bytes += bytes;
        Ok((receiver, Waiting { state: Arc::clone(&self.state), key, id, bytes }))
    }

    /// Fetches what waits for `key`; waits up to [`POLL`] for something to come.
    pub(crate) async fn next(&self, key: PublicKey) -> RelayPackets {
        let deadline = Instant::now() + POLL;
        loop {
            let news = {
                let mut state = lock(&self.state);
                let mailbox = state.boxes.entry(key).or_default();
                let count = mailbox.packets.len().min(RelayPackets::COUNT_MAX);
                if count > 0 {
                    let packets = mailbox
                        .packets
                        .drain(..count)
                        .map(|(id, packet)| RelayPacket { id, packet: packet.to_vec().into() });
                    return RelayPackets { packets: packets.collect() };
                }
                Arc::clone(&mailbox.news)
            };
            let waited = timeout_at(deadline, news.notified()).await;
            if waited.is_err() {
                drop(news);
                lock(&self.state).tidy(&key);
                return RelayPackets { packets: Vec::new() };
            }
        }
    }

    /// Whether a buyer waits for the reply to a request.
    pub(crate) fn awaits(&self, id: &Nonce) -> bool {
        lock(&self.state).waiting.contains_key(id)
    }

    /// Hands a buyer the reply it waits for.
    pub(crate) fn reply(&self, id: &Nonce, reply: Bytes) -> Result<(), Refused> {
        let buyer = lock(&self.state).waiting.remove(id);
        match buyer.map(|buyer| buyer.send(reply)) {
            Some(Ok(())) => Ok(()),
            _ => NOT_FOUND.refuse("nobody waits for this reply (any more)"),
        }
    }

    /// Requests whose buyers wait.
    pub(crate) fn len(&self) -> usize {
        lock(&self.state).waiting.len()
    }
}

impl Mailboxes {
    /// Drops a mailbox that is empty and that nobody watches.
    fn tidy(&mut self, key: &PublicKey) {
        let idle =
            |mailbox: &Mailbox| mailbox.packets.is_empty() && Arc::strong_count(&mailbox.news) == 1;
        if self.boxes.get(key).is_some_and(idle) {
            self.boxes.remove(key);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.bytes -= self.bytes;
        state.waiting.remove(&self.id);
        if let Some(mailbox) = state.boxes.get_mut(&self.key) {
            mailbox.packets.retain(|(id, _)| *id != self.id);
        }
        state.tidy(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(limits: &Limits) -> Arc<Relay> {
        Arc::new(Relay::new(limits))
    }

    #[tokio::test]
    async fn a_reply_finds_the_buyer_who_waits() {
        let relay = relay(&Limits::default());
        let key = PublicKey::from([1; 32]);
        let node = tokio::spawn({
            let relay = Arc::clone(&relay);
            async move {
                let fetched = relay.next(key).await.packets;
                assert_eq!(fetched[0].packet[..], b"ask"[..]);
                assert!(relay.awaits(&fetched[0].id));
                relay.reply(&fetched[0].id, Bytes::from_static(b"answer")).unwrap();
                assert!(relay.reply(&fetched[0].id, Bytes::new()).is_err(), "once");
            }
        });
        let answer = relay.ask(key, Bytes::from_static(b"ask")).await.unwrap();
        assert_eq!(answer, "answer");
        node.await.unwrap();
        assert_eq!(relay.len(), 0);
        assert_eq!(lock(&relay.state).bytes, 0);
    }

    #[tokio::test]
    async fn a_buyer_who_goes_leaves_nothing_behind() {
        let relay = relay(&Limits { relay_seconds: 0, ..Limits::default() });
        let key = PublicKey::from([1; 32]);
        let error = relay.ask(key, Bytes::from_static(b"ask")).await.unwrap_err();
        assert_eq!(error.problem().slug(), "node-away");
        assert!(lock(&relay.state).boxes.is_empty());
        assert_eq!((relay.len(), lock(&relay.state).bytes), (0, 0));
    }

    #[tokio::test]
    async fn mailboxes_are_bounded() {
        let relay =
            relay(&Limits { relay_waiting_per_key: 1, relay_bytes: 5, ..Limits::default() });
        let (a, b) = (PublicKey::from([1; 32]), PublicKey::from([2; 32]));
        let first = relay.leave(a, Bytes::from_static(b"abc"));
        assert!(first.is_ok());
        assert!(relay.leave(a, Bytes::from_static(b"d")).is_err(), "count");
        assert!(relay.leave(b, Bytes::from_static(b"abc")).is_err(), "bytes");
        assert!(relay.leave(b, Bytes::from_static(b"ab")).is_ok());
    }
}

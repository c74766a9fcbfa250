//! From entries to proofs: vault first, then the platform, then the vault again.

use std::sync::Arc;

use encrytrust_keys::{SignError, pool::KeyRing};
use encrytrust_protocol::{EntryId, Market};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use rayon::prelude::*;

use crate::{
    blocking,
    client::{ClientError, Submitted},
    error::NodeError,
    node::Node,
    report::{Progress, Published, RefusedRow, Step},
    source::Place,
    vault::{Follower, Journal, OfferBook, OfferEvent, Pending, Terms},
};

/// Submissions that wait for their block at the same time.
const IN_FLIGHT: usize = 4;

/// Bytes of one submission, unless a single entry has more.
const BYTES: usize = 4 << 20;

/// One entry to be sent, and the row it is about.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) entry: Pending,
    pub(super) place: Option<Place>,
}

/// A submission and what became of it.
type Answer = (Vec<(EntryId, Item)>, Result<Vec<Submitted>, ClientError>);

/// The publishing end of a vault.
pub(super) struct Sender<'a> {
    node: &'a Node,
    ring: Arc<KeyRing>,
    journal: Journal<OfferEvent>,
    book: OfferBook,
    flight: FuturesUnordered<BoxFuture<'a, Answer>>,
    progress: Progress<'a>,
    done: u64,
}

impl<'a> Sender<'a> {
    /// Opens the vault for publishing; nobody else can publish meanwhile.
    pub(super) fn open(
        node: &'a Node,
        ring: Arc<KeyRing>,
        progress: Progress<'a>,
    ) -> Result<Self, NodeError> {
        let (vault, key) = (node.vault(), node.vault_key());
        let journal = Journal::open(&vault, "offers", key)?;
        let mut book = OfferBook::default();
        Follower::new(&vault, "offers", key).read(|event| book.apply(event))?;
        let flight = FuturesUnordered::new();
        Ok(Self { node, ring, journal, book, flight, progress, done: 0 })
    }

    /// Where the offers stand.
    pub(super) fn book(&self) -> &OfferBook {
        &self.book
    }

    /// Writes the terms that entries will refer to.
    ///
    /// Their validity is one that no earlier run had: two runs within a second would make offers of
    /// the same bytes, and one that was withdrawn in between would be in the index, but not stand.
    pub(super) fn add_terms(&mut self, terms: &Terms) -> Result<u32, NodeError> {
        let (number, mut terms) = (self.book.next_terms(), terms.clone());
        while self.book.has_validity(&terms.valid) {
            terms.valid.from = terms.valid.from.saturating_sub(1);
            terms.valid.until = terms.valid.until.saturating_sub(1);
        }
        self.record(vec![OfferEvent::Terms(terms)])?;
        Ok(number)
    }

    /// Sends what an interrupted run left on its way, byte for byte.
    pub(super) async fn resume(&mut self, report: &mut Published) -> Result<(), NodeError> {
        let pending = self.book.pending();
        for batch in pending.chunks(super::BATCH) {
            let items = batch.iter().map(|entry| Item { entry: entry.clone(), place: None });
            let signed = self.sign(items.collect()).await?;
            self.launch(signed, report).await?;
        }
        self.drain(0, report).await?;
        // What was finished now is counted as such and not as what it was.
        let resumed = report.new + report.updated + report.withdrawn;
        (report.new, report.updated, report.withdrawn) = (0, 0, 0);
        report.resumed = resumed;
        Ok(())
    }

    /// Signs a batch, writes it to the vault, and sends it. Returns before it is included.
    pub(super) async fn dispatch(
        &mut self,
        items: Vec<Item>,
        report: &mut Published,
    ) -> Result<(), NodeError> {
        if items.is_empty() {
            return Ok(());
        }
        let signed = self.sign(items).await?;
        let events = signed.iter().map(|signed| match &signed.item.entry {
            Pending::Offer(sent) => OfferEvent::Sent(sent.clone()),
            Pending::Withdrawal(ended) => OfferEvent::Ended(ended.clone()),
        });
        self.record(events.collect())?;
        self.launch(signed, report).await
    }

    /// Waits until everything sent is included.
    pub(super) async fn finish(&mut self, report: &mut Published) -> Result<(), NodeError> {
        self.drain(0, report).await
    }

    async fn sign(&self, items: Vec<Item>) -> Result<Vec<SignedItem>, NodeError> {
        let (market, ring) = (self.node.market().clone(), Arc::clone(&self.ring));
        let jobs = items.into_iter().map(|item| {
            let terms = match &item.entry {
                Pending::Offer(sent) => self.book.terms(sent.terms).cloned(),
                Pending::Withdrawal(_) => None,
            };
            (item, terms)
        });
        let jobs: Vec<_> = jobs.collect();
        let sign = move || {
            let jobs = jobs.into_par_iter();
            jobs.map(|(item, terms)| SignedItem::new(item, terms.as_deref(), &market, &ring))
                .collect::<Result<Vec<_>, NodeError>>()
        };
        blocking(sign).await
    }

    async fn launch(
        &mut self,
        signed: Vec<SignedItem>,
        report: &mut Published,
    ) -> Result<(), NodeError> {
        let platform = self.node.platform();
        for group in groups(signed, BYTES) {
            self.drain(IN_FLIGHT - 1, report).await?;
            let submit = async move {
                let entries: Vec<_> = group.iter().map(|s| (s.id, Arc::clone(&s.bytes))).collect();
                let answer = platform.submit_offers(&entries).await;
                (group.into_iter().map(|s| (s.id, s.item)).collect(), answer)
            };
            self.flight.push(submit.boxed());
        }
        Ok(())
    }

    /// Waits until at most `left` submissions are on their way.
    async fn drain(&mut self, left: usize, report: &mut Published) -> Result<(), NodeError> {
        while self.flight.len() > left {
            let Some((items, answer)) = self.flight.next().await else { break };
            self.settle(items, answer, report)?;
        }
        Ok(())
    }

    fn settle(
        &mut self,
        items: Vec<(EntryId, Item)>,
        answer: Result<Vec<Submitted>, ClientError>,
        report: &mut Published,
    ) -> Result<(), NodeError> {
        let submitted = match answer {
            Ok(submitted) => submitted,
            // A refusal of the whole batch: nothing of it is in the index, nor will be.
            Err(error) if is_final(&error) => {
                let refused = items.iter().map(|(id, _)| OfferEvent::Refused { id: *id });
                self.record(refused.collect())?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        self.done += items.len() as u64;
        let mut events = Vec::with_capacity(items.len());
        for ((id, item), submitted) in items.into_iter().zip(submitted) {
            match submitted {
                Submitted::Included { index } => {
                    events.push(OfferEvent::Settled { id, index });
                    match item.entry {
                        Pending::Withdrawal(_) => report.withdrawn += 1,
                        Pending::Offer(sent) if sent.supersedes.is_some() => report.updated += 1,
                        Pending::Offer(_) => report.new += 1,
                    }
                }
                Submitted::Refused { why } => {
                    events.push(OfferEvent::Refused { id });
                    let row = match (item.place, &item.entry) {
                        (Some(place), _) => place.to_string(),
                        (None, Pending::Withdrawal(_)) => "a row that is gone".to_owned(),
                        (None, Pending::Offer(_)) => "a row of an earlier run".to_owned(),
                    };
                    report.refused.push(RefusedRow { row, why });
                }
            }
        }
        self.record(events)?;
        (self.progress)(Step::Sending { done: self.done });
        Ok(())
    }

    /// Writes events to the vault, on disk, and takes them into account.
    fn record(&mut self, events: Vec<OfferEvent>) -> Result<(), NodeError> {
        self.journal.append(&events)?;
        events.into_iter().for_each(|event| self.book.apply(event));
        Ok(())
    }
}

/// Cuts a batch into submissions of at most `max` bytes.
fn groups(signed: Vec<SignedItem>, max: usize) -> Vec<Vec<SignedItem>> {
    let (mut groups, mut bytes) = (Vec::<Vec<SignedItem>>::new(), usize::MAX);
    for item in signed {
        bytes = bytes.saturating_add(item.bytes.len());
        match groups.last_mut().filter(|_| bytes <= max) {
            Some(group) => group.push(item),
            None => {
                bytes = item.bytes.len();
                groups.push(vec![item]);
            }
        }
    }
    groups
}

/// Whether the platform said no, as opposed to nothing or "later".
fn is_final(error: &ClientError) -> bool {
    let ClientError::Refused { problem, .. } = error else { return false };
    (400..500).contains(&problem.status) && !matches!(problem.status, 408 | 429)
}

struct SignedItem {
    id: EntryId,
    bytes: Arc<[u8]>,
    item: Item,
}

impl SignedItem {
    /// Signs an entry; the same entry gives the same bytes each time.
    fn new(
        mut item: Item,
        terms: Option<&Terms>,
        market: &Market,
        ring: &KeyRing,
    ) -> Result<Self, NodeError> {
        let failed = |e: SignError| NodeError::Usage(format!("cannot sign: {e}"));
        let lost = |key| {
            let why = format!("the pool lost the key {key}, which an offer on its way needs");
            NodeError::state("keys/pool.keys", why)
        };
        let (id, bytes) = match &mut item.entry {
            Pending::Offer(sent) => {
                let key = ring.get(&sent.key).ok_or_else(|| lost(sent.key))?;
                let terms =
                    terms.ok_or_else(|| NodeError::state("vault/offers", "terms are missing"))?;
                let signed = key.sign_offer(sent.offer(market, terms)).map_err(failed)?;
                sent.id = signed.id();
                (signed.id(), signed.shared_bytes())
            }
            Pending::Withdrawal(ended) => {
                let key = ring.get(&ended.key).ok_or_else(|| lost(ended.key))?;
                let signed = key.sign_withdrawal(ended.withdrawal(market)).map_err(failed)?;
                ended.id = signed.id();
                (signed.id(), signed.shared_bytes())
            }
        };
        Ok(Self { id, bytes, item })
    }
}

#[cfg(test)]
mod tests {
    use encrytrust_protocol::{Subject, TagScheme};

    use super::*;
    use crate::vault::Ended;

    #[test]
    fn submissions_are_cut_by_their_bytes() {
        let item = |size: usize| {
            let subject = Subject { scheme: TagScheme::Voprf, tag: [0; 32].into() };
            let ended = Ended::new(subject, [0; 32].into(), [0; 32].into(), 0);
            let item = Item { entry: Pending::Withdrawal(ended), place: None };
            SignedItem { id: [0; 32].into(), bytes: vec![0; size].into(), item }
        };
        let cut = |sizes: &[usize]| -> Vec<usize> {
            let items = sizes.iter().map(|size| item(*size)).collect();
            groups(items, 10).iter().map(Vec::len).collect()
        };
        assert_eq!(cut(&[4, 4, 4, 2, 4]), [2, 3]);
        assert_eq!(cut(&[11, 1, 9, 1]), [1, 2, 1]);
        assert!(cut(&[]).is_empty());
    }
}

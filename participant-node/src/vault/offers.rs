//! What was published: a fold over `vault/offers`.
//!
//! ```text
//! Terms ──▶ Sent ──(platform)──▶ Settled      an offer is in the index
//!           Ended ─(platform)──▶ Settled      a withdrawal is
//!           Sent or Ended ─────▶ Refused      the platform would not have it
//! ```
//!
//! `Sent` and `Ended` are on disk before a byte leaves. Together with their terms they determine
//! the signed bytes (Ed25519 is deterministic), so a run that was killed between sending and
//! hearing the answer sends the very same bytes again, and the platform says `present`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use encrytrust_protocol::{
    Commitment, Description, EntryId, Market, Offer, OfferId, PublicKey, Subject, SubjectTag,
    TagScheme, UnixSeconds, Validity, Withdrawal,
};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::source::{RowKey, SourceSpec};

/// One entry of `vault/offers`.
#[derive(Clone, Debug, Encode, Decode)]
pub(crate) enum OfferEvent {
    /// What the offers that follow have in common.
    #[n(0)]
    Terms(#[n(0)] Terms),
    /// An offer is on its way.
    #[n(1)]
    Sent(#[n(0)] Sent),
    /// A withdrawal is on its way.
    #[n(2)]
    Ended(#[n(0)] Ended),
    /// The platform proved that an entry is in the index.
    #[n(3)]
    Settled {
        /// Which.
        #[n(0)]
        id: EntryId,
        /// Where.
        #[n(1)]
        index: u64,
    },
    /// The platform refused an entry.
    #[n(4)]
    Refused {
        /// Which.
        #[n(0)]
        id: EntryId,
    },
}

/// What the offers of one run of publishing have in common.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Terms {
    /// SHA-256 of the name that distinguishes this product of the provider.
    #[n(0)]
    pub(crate) dataset: Bytes32,
    /// Where its rows are.
    #[n(1)]
    pub(crate) location: Location,
    #[n(2)]
    pub(crate) id_columns: Vec<String>,
    #[n(3)]
    pub(crate) scheme: TagScheme,
    #[n(4)]
    pub(crate) description: Description,
    #[n(5)]
    pub(crate) price: u64,
    #[n(6)]
    pub(crate) endpoint: Option<String>,
    #[n(7)]
    pub(crate) valid: Validity,
}

/// 32 bytes with a CBOR byte string's encoding.
pub(crate) type Bytes32 = minicbor::bytes::ByteArray<32>;

impl Terms {
    /// Whether an offer under `self` says the same as one under `other`, validity aside.
    pub(crate) fn same_words(&self, other: &Self) -> bool {
        self.description == other.description
            && self.price == other.price
            && self.endpoint == other.endpoint
    }

    /// Whether rows are found in the same way.
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        self.location == other.location && self.id_columns == other.id_columns
    }
}

/// Where rows are, as it is written.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Location {
    #[n(0)]
    Csv(#[n(0)] String),
    #[n(1)]
    Postgres {
        #[n(0)]
        url: String,
        #[n(1)]
        table: String,
    },
}

impl From<SourceSpec> for Location {
    fn from(spec: SourceSpec) -> Self {
        match spec {
            SourceSpec::Csv(path) => Self::Csv(path.to_string_lossy().into_owned()),
            SourceSpec::Postgres { url, table } => Self::Postgres { url: url.to_string(), table },
        }
    }
}

impl From<&Location> for SourceSpec {
    fn from(location: &Location) -> Self {
        match location {
            Location::Csv(path) => Self::Csv(PathBuf::from(path)),
            Location::Postgres { url, table } => {
                Self::Postgres { url: Zeroizing::new(url.clone()), table: table.clone() }
            }
        }
    }
}

impl std::fmt::Debug for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Terms({})", SourceSpec::from(&self.location))
    }
}

/// An offer, as far as its terms do not say it.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Sent {
    /// The name of the signed offer, once it is signed.
    #[n(0)]
    pub(crate) id: OfferId,
    /// Which terms, counted from 0.
    #[n(1)]
    pub(crate) terms: u32,
    #[n(2)]
    pub(crate) tag: SubjectTag,
    /// The row's ID columns.
    #[n(3)]
    row: Vec<String>,
    #[n(4)]
    pub(crate) commitment: Commitment,
    /// The pool key that signs.
    #[n(5)]
    pub(crate) key: PublicKey,
    #[n(6)]
    pub(crate) supersedes: Option<OfferId>,
}

impl Sent {
    pub(crate) fn new(
        terms: u32,
        tag: SubjectTag,
        row: &RowKey,
        commitment: Commitment,
        key: PublicKey,
        supersedes: Option<OfferId>,
    ) -> Self {
        let row = row.iter().map(|v| v.to_string()).collect();
        Self { id: OfferId::from([0; 32]), terms, tag, row, commitment, key, supersedes }
    }

    /// The offer, to be signed by [`Sent::key`].
    pub(crate) fn offer(&self, market: &Market, terms: &Terms) -> Offer {
        Offer {
            market: market.clone(),
            subject: Subject { scheme: terms.scheme, tag: self.tag },
            description: terms.description.clone(),
            commitment: self.commitment,
            price: terms.price,
            endpoint: terms.endpoint.clone(),
            valid: terms.valid,
            supersedes: self.supersedes,
        }
    }
}

/// A withdrawal.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Ended {
    /// The name of the signed withdrawal, once it is signed.
    #[n(0)]
    pub(crate) id: EntryId,
    #[n(1)]
    pub(crate) subject: Subject,
    #[n(2)]
    pub(crate) withdraws: OfferId,
    #[n(3)]
    pub(crate) key: PublicKey,
    #[n(4)]
    pub(crate) at: UnixSeconds,
}

impl Ended {
    pub(crate) fn new(
        subject: Subject,
        withdraws: OfferId,
        key: PublicKey,
        at: UnixSeconds,
    ) -> Self {
        Self { id: EntryId::from([0; 32]), subject, withdraws, key, at }
    }

    /// The withdrawal, to be signed by [`Ended::key`].
    pub(crate) fn withdrawal(&self, market: &Market) -> Withdrawal {
        Withdrawal {
            market: market.clone(),
            subject: self.subject,
            withdraws: self.withdraws,
            at: self.at,
        }
    }
}

/// An offer that stands.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) id: OfferId,
    pub(crate) terms: Arc<Terms>,
    pub(crate) tag: SubjectTag,
    pub(crate) row: RowKey,
    pub(crate) commitment: Commitment,
    pub(crate) key: PublicKey,
}

/// An entry on its way.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    Offer(Sent),
    Withdrawal(Ended),
}

/// Where a provider's offers stand.
#[derive(Debug, Default)]
pub(crate) struct OfferBook {
    terms: Vec<Arc<Terms>>,
    /// The newest terms of each dataset: where its rows are by now.
    newest: HashMap<Bytes32, Arc<Terms>>,
    offers: HashMap<OfferId, Arc<Held>>,
    current: HashMap<(Bytes32, SubjectTag), OfferId>,
    /// Superseded or withdrawn.
    ended: HashSet<OfferId>,
    pending: BTreeMap<EntryId, Pending>,
}

impl OfferBook {
    /// Takes the next entry into account.
    pub(crate) fn apply(&mut self, event: OfferEvent) {
        match event {
            OfferEvent::Terms(terms) => {
                let terms = Arc::new(terms);
                self.newest.insert(terms.dataset, Arc::clone(&terms));
                self.terms.push(terms);
            }
            OfferEvent::Sent(sent) => {
                self.pending.insert(sent.id, Pending::Offer(sent));
            }
            OfferEvent::Ended(ended) => {
                self.pending.insert(ended.id, Pending::Withdrawal(ended));
            }
            OfferEvent::Settled { id, .. } => match self.pending.remove(&id) {
                Some(Pending::Offer(sent)) => self.settle(sent),
                Some(Pending::Withdrawal(ended)) => self.end(&ended.withdraws),
                None => {}
            },
            OfferEvent::Refused { id } => {
                self.pending.remove(&id);
            }
        }
    }

    fn settle(&mut self, sent: Sent) {
        if let Some(old) = &sent.supersedes {
            self.end(old);
        }
        if let Some(held) = self.hold(sent) {
            self.current.insert((held.terms.dataset, held.tag), held.id);
            self.offers.insert(held.id, Arc::new(held));
        }
    }

    fn hold(&self, sent: Sent) -> Option<Held> {
        let Sent { id, tag, row, commitment, key, .. } = sent;
        let terms = Arc::clone(self.terms.get(sent.terms as usize)?);
        let row = row.into_iter().map(Zeroizing::new).collect();
        Some(Held { id, terms, tag, row, commitment, key })
    }

    fn end(&mut self, offer: &OfferId) {
        self.ended.insert(*offer);
        if let Some(held) = self.offers.remove(offer) {
            let place = (held.terms.dataset, held.tag);
            if self.current.get(&place) == Some(offer) {
                self.current.remove(&place);
            }
        }
    }

    /// The number the next terms will have.
    pub(crate) fn next_terms(&self) -> u32 {
        u32::try_from(self.terms.len()).expect("fewer runs of publishing than 2^32")
    }

    /// Terms by their number.
    pub(crate) fn terms(&self, number: u32) -> Option<&Arc<Terms>> {
        self.terms.get(number as usize)
    }

    /// Whether some run offered under this very validity.
    pub(crate) fn has_validity(&self, valid: &Validity) -> bool {
        self.terms.iter().any(|terms| terms.valid == *valid)
    }

    /// The newest terms of a dataset. Where its rows are, these say, also for older offers.
    pub(crate) fn newest(&self, dataset: &Bytes32) -> Option<&Arc<Terms>> {
        self.newest.get(dataset)
    }

    /// The offer that stands for a subject in a dataset.
    pub(crate) fn current(&self, dataset: &Bytes32, tag: &SubjectTag) -> Option<&Arc<Held>> {
        self.current.get(&(*dataset, *tag)).and_then(|id| self.offers.get(id))
    }

    /// Every offer that stands in a dataset.
    pub(crate) fn dataset(&self, dataset: &Bytes32) -> impl Iterator<Item = &Arc<Held>> {
        self.offers.values().filter(move |held| held.terms.dataset == *dataset)
    }

    /// An offer of this node: one that stands, or one whose inclusion it has yet to hear of.
    pub(crate) fn offer(&self, id: &OfferId) -> Option<Arc<Held>> {
        match self.offers.get(id) {
            Some(held) => Some(Arc::clone(held)),
            None => match self.pending.get(id) {
                Some(Pending::Offer(sent)) => self.hold(sent.clone()).map(Arc::new),
                _ => None,
            },
        }
    }

    /// Whether an offer was this node's and is no more.
    pub(crate) fn has_ended(&self, id: &OfferId) -> bool {
        self.ended.contains(id)
    }

    /// Every offer whose inclusion was proved to this node, those that have ended among them.
    pub(crate) fn proved(&self) -> impl Iterator<Item = OfferId> {
        self.offers.keys().chain(&self.ended).copied()
    }

    /// What an interrupted run left on its way.
    pub(crate) fn pending(&self) -> Vec<Pending> {
        self.pending.values().cloned().collect()
    }

    /// The keys that sign offers which stand.
    pub(crate) fn keys(&self) -> HashSet<PublicKey> {
        self.offers.values().map(|held| held.key).collect()
    }
}

#[cfg(test)]
mod tests;

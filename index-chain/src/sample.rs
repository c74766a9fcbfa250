//! Signed entries, and a market full of them, for this crate's tests.

use std::sync::Arc;

use ed25519_dalek::{Signer, SigningKey};
use encrytrust_protocol::*;

use crate::{
    chain::Chain,
    checkpoint::{LogName, tests::key},
    disk::FaultyDisk,
};

pub(crate) const NOW: UnixSeconds = 1_800_000_000;

pub(crate) fn market() -> Market {
    Market::new("market.example").expect("a valid name")
}

/// Somebody with one key.
pub(crate) struct Sample(SigningKey);

impl Sample {
    pub(crate) fn provider(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    pub(crate) fn public(&self) -> PublicKey {
        (&self.0).into()
    }

    fn seal<M: Message<Signer = PublicKey>>(&self, message: M) -> Verified<M> {
        Signed::seal(message, self.public(), |tbs| self.0.sign(tbs).to_vec()).unwrap()
    }

    pub(crate) fn offer(&self, subject: u64, now: u64, supersedes: Option<OfferId>) -> IndexEntry {
        self.offer_with(subject, |offer| {
            offer.valid = Validity { from: now, until: now + 86_400 };
            offer.supersedes = supersedes;
        })
    }

    pub(crate) fn offer_with(&self, subject: u64, change: impl FnOnce(&mut Offer)) -> IndexEntry {
        let mut offer = Offer {
            market: market(),
            subject: self.subject(subject),
            description: Description {
                title: "Credit history".into(),
                columns: vec![Column { name: "amount".into(), kind: ColumnKind::Integer }],
                text: String::new(),
            },
            commitment: Commitment::from([2; 32]),
            price: 5,
            endpoint: None,
            valid: Validity { from: 1_700_000_000, until: 1_850_000_000 },
            supersedes: None,
        };
        change(&mut offer);
        IndexEntry::Offer(self.seal(offer))
    }

    fn subject(&self, number: u64) -> Subject {
        let mut tag = [0; 32];
        tag[..8].copy_from_slice(&number.to_be_bytes());
        Subject { scheme: TagScheme::Voprf, tag: SubjectTag::from(tag) }
    }

    pub(crate) fn withdrawal(&self, subject: u64, withdraws: OfferId, at: u64) -> IndexEntry {
        let subject = self.subject(subject);
        let withdrawal = Withdrawal { market: market(), subject, withdraws, at };
        IndexEntry::Withdrawal(self.seal(withdrawal))
    }

    /// This buyer's receipt for what `provider` delivered.
    pub(crate) fn receipt(
        &self,
        provider: &Self,
        offer: OfferId,
        trade: u8,
        at: u64,
    ) -> Verified<Receipt> {
        let delivery = provider.seal(Delivery {
            market: market(),
            trade: EntryId::from([trade; 32]),
            offer,
            buyer: self.public(),
            block: BlockHash::from([3; 32]),
            price: 5,
            packet: Sha256Hash::from([4; 32]),
            at,
        });
        self.sign_receipt(delivery.bytes(), at)
    }

    /// A receipt around somebody else's delivery.
    pub(crate) fn receipt_over(&self, other: &Verified<Receipt>, at: u64) -> Verified<Receipt> {
        self.sign_receipt(&other.message().delivery, at)
    }

    fn sign_receipt(&self, delivery: &[u8], at: u64) -> Verified<Receipt> {
        let delivery = delivery.to_vec().into();
        self.seal(Receipt { market: market(), delivery, outcome: Outcome::Accepted, at })
    }
}

/// A market on a disk: 300 offers in three blocks, updates, a withdrawal, receipts.
pub(crate) struct Bench {
    pub(crate) disk: FaultyDisk,
    pub(crate) chain: Chain,
    pub(crate) offers: Vec<IndexEntry>,
}

pub(crate) fn platform() -> PublicKey {
    key(1).public()
}

fn open(disk: &FaultyDisk) -> Chain {
    Chain::open_on(Arc::new(disk.clone()), &market(), platform()).unwrap().0
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::new_with_first_subject(0)
    }

    /// The same market, except for whom the first offer is about.
    pub(crate) fn new_with_first_subject(subject: u64) -> Self {
        let disk = FaultyDisk::new();
        let mut bench = Self { chain: open(&disk), disk, offers: Vec::new() };
        let (bank, buyer) = (Sample::provider(1), Sample::provider(2));
        for round in 0..3 {
            let named = |i| if i == 0 { subject } else { i };
            let offers = (0..100).map(|i| bank.offer(named(100 * round + i), NOW, None));
            let offers: Vec<_> = offers.collect();
            bench.index(&offers);
            bench.offers.extend(offers);
            let (first, second) = (bench.id(0), bench.id(1));
            match round {
                1 => bench.index(&[bank.offer(subject, NOW, Some(first))]),
                2 => bench.index(&[bank.withdrawal(1, second, NOW)]),
                _ => {}
            }
            let sold = bench.id(100 * round as usize);
            bench.trades(&[buyer.receipt(&bank, sold, round as u8, NOW)]);
            bench.seal(NOW + round);
        }
        bench
    }

    pub(crate) fn id(&self, i: usize) -> OfferId {
        self.offers[i].id()
    }

    pub(crate) fn index(&mut self, entries: &[IndexEntry]) {
        let bytes: Vec<_> = entries.iter().map(IndexEntry::bytes).collect();
        self.chain.append(LogName::Index, &bytes).unwrap();
    }

    pub(crate) fn trades(&mut self, receipts: &[Verified<Receipt>]) {
        let bytes: Vec<_> = receipts.iter().map(Verified::bytes).collect();
        self.chain.append(LogName::Trades, &bytes).unwrap();
    }

    pub(crate) fn seal(&mut self, seconds: u64) {
        let randomness = Sha256Hash::from([7; 32]);
        self.chain.seal(seconds * 1_000, randomness, &key(1)).unwrap();
    }
}

//! Signed entries for this crate's tests.

use ed25519_dalek::{Signer, SigningKey};
use encrytrust_protocol::*;

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

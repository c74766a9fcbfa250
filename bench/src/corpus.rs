//! Offers to publish: three providers, each with an offer about every subject, as in the demo.

use std::time::{SystemTime, UNIX_EPOCH};

use encrytrust_keys::{pool::PoolKey, seal::SealKey};
use encrytrust_protocol::{
    Column, ColumnKind, Commitment, Description, Market, Offer, Sha256Hash, Subject, SubjectTag,
    Suite, TagScheme, UnixSeconds, Validity, Verified,
};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Providers.
pub const PROVIDERS: u64 = 3;

/// Pool keys of each.
pub const KEYS_EACH: u64 = 16;

const YEAR: u64 = 365 * 86_400;

/// What each provider knows about a subject.
const TABLES: [(&str, &[(&str, ColumnKind)]); PROVIDERS as usize] = [
    (
        "Credit history",
        &[
            ("checking_status", ColumnKind::Text),
            ("duration_months", ColumnKind::Integer),
            ("credit_history", ColumnKind::Text),
            ("credit_amount", ColumnKind::Integer),
            ("savings_status", ColumnKind::Text),
            ("existing_credits", ColumnKind::Integer),
        ],
    ),
    (
        "Employment record",
        &[
            ("employment_since", ColumnKind::Text),
            ("job", ColumnKind::Text),
            ("foreign_worker", ColumnKind::Boolean),
            ("dependents", ColumnKind::Integer),
            ("age_years", ColumnKind::Integer),
        ],
    ),
    (
        "Household and telephone",
        &[
            ("telephone", ColumnKind::Boolean),
            ("residence_since", ColumnKind::Integer),
            ("housing", ColumnKind::Text),
            ("property", ColumnKind::Text),
        ],
    ),
];

/// The market all of this happens on.
pub fn market() -> Market {
    Market::new("bench.example").expect("a valid name")
}

/// This machine's clock, Unix seconds.
pub fn now() -> UnixSeconds {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Makes offers. Offer `n` is provider `n % 3`'s about subject `n / 3`, under one of that
/// provider's keys; keys, tags and commitments are the same on every run.
#[derive(Debug)]
pub struct Corpus {
    keys: Vec<PoolKey>,
    valid: Validity,
}

impl Corpus {
    /// Offers that are valid now and for a year.
    pub fn now() -> Self {
        let key = |n: u64| {
            let seal = SealKey::from_secret(Suite::X25519, &digest("seal key", n));
            PoolKey::from_parts(&digest("pool key", n), seal)
        };
        let keys = (0..PROVIDERS * KEYS_EACH).map(key).collect();
        Self { keys, valid: Validity { from: now() - 3_600, until: now() + YEAR } }
    }

    /// The pool keys of one provider.
    pub fn keys_of(&self, provider: u64) -> &[PoolKey] {
        let first = at(provider * KEYS_EACH);
        &self.keys[first..first + at(KEYS_EACH)]
    }

    /// The key that signs offer `n`.
    pub fn key(&self, n: u64) -> &PoolKey {
        &self.keys_of(n % PROVIDERS)[at(n / PROVIDERS % KEYS_EACH)]
    }

    /// The tag that offer `n` is about.
    pub fn tag_of(n: u64) -> SubjectTag {
        digest("subject", n / PROVIDERS).into()
    }

    /// Offer `n`.
    pub fn offer(&self, n: u64) -> Offer {
        let (title, columns) = TABLES[at(n % PROVIDERS)];
        let column =
            |(name, kind): &(&str, ColumnKind)| Column { name: (*name).into(), kind: *kind };
        Offer {
            market: market(),
            subject: Subject { scheme: TagScheme::Voprf, tag: Self::tag_of(n) },
            description: Description {
                title: title.into(),
                columns: columns.iter().map(column).collect(),
                text: String::new(),
            },
            commitment: Commitment::from(digest("record", n)),
            price: 5,
            endpoint: None,
            valid: self.valid,
            supersedes: None,
        }
    }

    /// Offer `n`, signed.
    pub fn sign(&self, n: u64) -> Verified<Offer> {
        self.key(n).sign_offer(self.offer(n)).expect("the offers above are within every limit")
    }

    /// Bodies of `each` offers, one after the other, from offer `first` on; on all cores.
    pub fn bodies(&self, first: u64, count: u64, each: u64) -> Vec<Vec<u8>> {
        let body = |n: u64| {
            let start = first + n * each;
            let mut body = Vec::new();
            (start..start + each).for_each(|n| body.extend_from_slice(self.sign(n).bytes()));
            body
        };
        (0..count).into_par_iter().map(body).collect()
    }
}

/// 32 bytes that look random and are the same on every run.
fn digest(what: &str, n: u64) -> [u8; 32] {
    Sha256::new().chain_update(what).chain_update(n.to_be_bytes()).finalize().into()
}

/// A hash nobody will meet again: for nonces.
pub fn random() -> anyhow::Result<Sha256Hash> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.into())
}

fn at(n: u64) -> usize {
    usize::try_from(n).expect("small numbers")
}

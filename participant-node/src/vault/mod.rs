//! What the node remembers, and nobody else may read.
//!
//! ```text
//! vault/offers/      what was published: terms, row keys, tags, what is on its way
//! vault/deliveries/  which requests were answered: a replay is known by its trade id
//! vault/purchases/   what was bought
//! vault/tags         subject tags known already: (keyed hash of the ID, tag)
//! keys/vault.key     the one secret behind all of it
//! ```
//!
//! The three logs are `index-chain` logs: appended, fsynced, checked from the first byte when
//! opened. Each entry is sealed (XChaCha20-Poly1305) under a key derived from the vault's secret,
//! bound to its log and its place. Each log has one writer at a time, publishing, serving or
//! buying; the server follows what a publisher writes without stopping it.
//!
//! The salt of a commitment is never stored. It is derived from the vault's secret, the tag and
//! the content, so it differs for every version of a record and is there again whenever the same
//! content is read from the source.

mod journal;
mod offers;
mod tags;
mod trades;

use std::io;

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use encrytrust_index_chain::log::LogError;
use encrytrust_keys::{files::Stored, subject::SubjectId};
use encrytrust_protocol::{Record, SubjectTag, Value};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

pub(crate) use self::{
    journal::{Follower, Journal},
    offers::{Ended, Held, OfferBook, OfferEvent, Pending, Sent, Terms},
    tags::TagCache,
    trades::{DeliveryEvent, JudgedEvent, PurchaseEvent},
};

/// Bytes that sealing adds to an entry: a nonce and an authentication tag.
const NONCE: usize = 24;

/// A vault that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The log below refused, is damaged, or belongs to a running process.
    #[error("vault/{log}: {source}")]
    Log {
        /// Which log.
        log: &'static str,
        /// What it said.
        source: Box<LogError>,
    },
    /// The file system refused.
    #[error("vault/{file}: {source}")]
    File {
        /// Which file.
        file: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// An entry does not open: another vault's key, or damage that the log's hashes do not show.
    #[error("vault/{log}, entry {index}: {why}; is keys/vault.key the one it was written with?")]
    Entry {
        /// Which log.
        log: &'static str,
        /// Which entry.
        index: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// The secret behind the vault: seals its entries, salts commitments, hides cached IDs.
#[derive(Clone)]
pub(crate) struct VaultKey(Zeroizing<[u8; 32]>);

impl VaultKey {
    /// A fresh secret from the operating system's randomness.
    pub(crate) fn generate() -> io::Result<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret).map_err(io::Error::other)?;
        Ok(Self(secret))
    }

    /// HMAC-SHA256 of the parts, each behind its length, under a label of their own.
    fn derive(&self, label: &str, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes any key length");
        for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Zeroizing::new(mac.finalize().into_bytes().into())
    }

    /// The record of these values about this subject: the salt follows from the content.
    pub(crate) fn record(
        &self,
        dataset: &[u8; 32],
        tag: &SubjectTag,
        values: Vec<Value>,
    ) -> Record {
        let content = Zeroizing::new(Record::canonical_values(&values));
        let salt = self.derive("encrytrust/vault/salt/v1", &[dataset, tag.as_ref(), &content]);
        Record::new(*salt, values)
    }

    /// What stands for a subject ID in the tag cache: without this key it is found by nobody.
    pub(crate) fn mark(&self, id: &SubjectId) -> [u8; 32] {
        id.expose(|bytes| *self.derive("encrytrust/vault/subject/v1", &[bytes]))
    }

    /// Which of `count` keys signs for a subject: the same as long as the count is.
    pub(crate) fn choose(&self, tag: &SubjectTag, count: usize) -> usize {
        let hash = self.derive("encrytrust/vault/choice/v1", &[tag.as_ref()]);
        let (first, _) = hash.split_first_chunk().expect("32 bytes hold 8");
        let place = u64::from_be_bytes(*first) % count.max(1) as u64;
        usize::try_from(place).expect("smaller than a count in memory")
    }

    fn check(&self, record: &[u8]) -> [u8; 8] {
        let hash = self.derive("encrytrust/vault/tag-check/v1", &[record]);
        *hash.first_chunk().expect("32 bytes hold 8")
    }

    fn cipher(&self, log: &str) -> XChaCha20Poly1305 {
        let key = self.derive("encrytrust/vault/seal/v1", &[log.as_bytes()]);
        XChaCha20Poly1305::new_from_slice(&*key).expect("32 bytes are a key")
    }
}

fn seal(cipher: &XChaCha20Poly1305, index: u64, plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    let payload = Payload { msg: plain, aad: &index.to_be_bytes() };
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(io::Error::other)?;
    Ok([&nonce[..], &sealed].concat())
}

fn open(cipher: &XChaCha20Poly1305, index: u64, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let payload = Payload { msg: sealed, aad: &index.to_be_bytes() };
    cipher.decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
}

impl Stored for VaultKey {
    const KIND: &'static str = "vault";

    fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.to_vec())
    }

    fn from_secret_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }
}

impl std::fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VaultKey(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salts_follow_content_subject_and_dataset() {
        let key = VaultKey(Zeroizing::new([7; 32]));
        let commitment = |dataset: u8, tag: u8, value: i64| {
            key.record(&[dataset; 32], &[tag; 32].into(), vec![Value::Integer(value)]).commitment()
        };
        assert_eq!(commitment(1, 1, 1), commitment(1, 1, 1));
        let all =
            [commitment(1, 1, 1), commitment(2, 1, 1), commitment(1, 2, 1), commitment(1, 1, 2)];
        assert!((0..4).all(|i| (0..i).all(|j| all[i] != all[j])));
    }

    #[test]
    fn an_entry_opens_in_its_place_only() {
        let key = VaultKey(Zeroizing::new([7; 32]));
        let sealed = seal(&key.cipher("a"), 5, b"secret").unwrap();
        assert_eq!(&**open(&key.cipher("a"), 5, &sealed).unwrap(), b"secret");
        assert!(open(&key.cipher("a"), 6, &sealed).is_none());
        assert!(open(&key.cipher("b"), 5, &sealed).is_none());
        assert!(open(&key.cipher("a"), 5, &sealed[..10]).is_none());
    }

    #[test]
    fn keys_are_chosen_evenly_and_for_good() {
        let key = VaultKey(Zeroizing::new([7; 32]));
        let mut counts = [0; 8];
        for i in 0..4000u32 {
            let mut tag = [0; 32];
            tag[..4].copy_from_slice(&i.to_be_bytes());
            counts[key.choose(&tag.into(), 8)] += 1;
        }
        assert!(counts.iter().all(|c| (400..600).contains(c)), "{counts:?}");
    }
}

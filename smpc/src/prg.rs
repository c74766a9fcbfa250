//! Randomness: a seed from the operating system, stretched by AES-256 in counter mode.
//!
//! A polynomial per value would cost a system call per value; a seed per dealing costs one, and
//! AES delivers more bytes per second than the field arithmetic can use. Streams for different
//! purposes come from one seed by [`Seed::derive`], so that no two of them overlap.

use std::fmt;

use aes::Aes256;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::field::Field;

/// Thirty-two secret bytes from which a [`Prg`] starts. Wiped when dropped, never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A fresh seed from the operating system.
    ///
    /// # Panics
    ///
    /// When the system has no randomness to give: a share made without it would be no secret.
    #[must_use]
    pub fn random() -> Self {
        let mut seed = Self([0; 32]);
        getrandom::fill(&mut seed.0).expect("the operating system gives randomness");
        seed
    }

    /// A seed from bytes that are already uniform: agreed between two parties, or fixed by a test.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be sent to whoever shall draw the same stream.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A seed for one purpose: SHA-256 of this one, a label and an index.
    #[must_use]
    pub fn derive(&self, label: &str, index: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"encrytrust/smpc/seed/v1");
        hash.update(self.0);
        hash.update((label.len() as u64).to_be_bytes());
        hash.update(label.as_bytes());
        hash.update(index.to_be_bytes());
        Self(hash.finalize().into())
    }

    /// The stream that starts here.
    #[must_use]
    pub fn prg(&self) -> Prg {
        Prg { cipher: Ctr128BE::new(&self.0.into(), &[0; 16].into()) }
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(<redacted>)")
    }
}

/// A stream of uniform bytes and field elements; the same seed gives the same stream.
pub struct Prg {
    cipher: Ctr128BE<Aes256>,
}

impl Prg {
    /// A stream from a fresh seed of the operating system.
    #[must_use]
    pub fn random() -> Self {
        Seed::random().prg()
    }

    /// Overwrites `out` with the next bytes of the stream.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.cipher.write_keystream(out);
    }

    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// Overwrites `out` with uniform field elements.
    pub fn elements<F: Field>(&mut self, out: &mut [F]) {
        F::sample(self, out);
    }

    /// One uniform field element.
    pub fn element<F: Field>(&mut self) -> F {
        let mut one = [F::ZERO];
        F::sample(self, &mut one);
        one[0]
    }
}

impl fmt::Debug for Prg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prg(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_is_aes_256_ctr() {
        // NIST SP 800-38A gives no zero-IV vector; this is AES-256 of blocks 0 and 1 under the
        // zero key (FIPS 197 via CAVP's KAT for the first).
        let stream: [u8; 16] = Seed::from_bytes([0; 32]).prg().bytes();
        assert_eq!(hex::encode(stream), "dc95c078a2408989ad48a21492842087");
    }

    #[test]
    fn derived_streams_differ() {
        let seed = Seed::from_bytes([1; 32]);
        let first: [u8; 16] = seed.derive("a", 0).prg().bytes();
        assert_ne!(first, seed.derive("a", 1).prg().bytes());
        assert_ne!(first, seed.derive("b", 0).prg().bytes());
        assert_eq!(first, seed.derive("a", 0).prg().bytes());
    }

    #[test]
    fn secrets_are_not_shown() {
        let seed = Seed::from_bytes([7; 32]);
        assert_eq!(format!("{seed:?} {:?}", seed.prg()), "Seed(<redacted>) Prg(<redacted>)");
    }
}

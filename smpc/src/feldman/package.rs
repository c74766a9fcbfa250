//! What one party gets from a dealer, in private.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::Header;
use crate::{
    field::{DecodeError, Field},
    party::Party,
    prg::Prg,
    sharing::{Polynomials, Shares},
};

/// A SHA-256 digest.
pub type Digest32 = [u8; 32];

/// One party's shares, and shares of what hides them: blinding exponents or masks.
///
/// The salt keeps the digest, which everybody sees, from confirming a guess. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Package<F: Field> {
    dealer: Party,
    shares: Shares<F>,
    hiding: Shares<F>,
    salt: [u8; 32],
}

impl<F: Field> Package<F> {
    /// A party's package from a dealer's polynomials.
    pub(super) fn new(
        dealer: Party,
        party: Party,
        values: &Polynomials<F>,
        hiding: &Polynomials<F>,
        prg: &mut Prg,
    ) -> Self {
        let (shares, hiding) = (values.shares(party), hiding.shares(party));
        Self { dealer, shares, hiding, salt: prg.bytes() }
    }

    /// Who made it.
    #[must_use]
    pub const fn dealer(&self) -> Party {
        self.dealer
    }

    /// Whose it is.
    #[must_use]
    pub const fn party(&self) -> Party {
        self.shares.party()
    }

    /// The shares.
    #[must_use]
    pub const fn shares(&self) -> &Shares<F> {
        &self.shares
    }

    /// Shares of what hides them.
    #[must_use]
    pub const fn hiding(&self) -> &Shares<F> {
        &self.hiding
    }

    /// The shares, to compute with.
    #[must_use]
    pub fn into_shares(self) -> Shares<F> {
        self.shares.clone()
    }

    /// What the dealer broadcasts about it.
    #[must_use]
    pub fn digest(&self, header: &Header) -> Digest32 {
        let mut hash = Sha256::new();
        hash.update(b"encrytrust/smpc/package/v1");
        hash.update(header.encode());
        hash.update((F::NAME.len() as u64).to_be_bytes());
        hash.update(F::NAME.as_bytes());
        hash.update(self.party().number().to_be_bytes());
        hash.update(self.salt);
        for column in [self.shares.expose(), self.hiding.expose()] {
            hash.update((column.len() as u64).to_be_bytes());
            for block in column.chunks(512) {
                hash.update(Zeroizing::new(F::encode(block)));
            }
        }
        hash.finalize().into()
    }

    /// `dealer || party || salt || shares || hiding`: to be sent in private, or broadcast as
    /// evidence.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let elements = self.shares.len() + self.hiding.len();
        // Of the right capacity from the start: growing would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(36 + elements * F::BYTES));
        bytes.extend(self.dealer.number().to_be_bytes());
        bytes.extend(self.party().number().to_be_bytes());
        bytes.extend(self.salt);
        for column in [self.shares.expose(), self.hiding.expose()] {
            bytes.extend_from_slice(&Zeroizing::new(F::encode(column)));
        }
        bytes
    }

    /// Reads a package of `values` shares and `hiding` others; `None` when the bytes are anything
    /// else, down to one element that is not canonical.
    #[must_use]
    pub fn decode(bytes: &[u8], values: usize, hiding: usize) -> Option<Self> {
        let elements = values.checked_add(hiding)?.checked_mul(F::BYTES)?;
        if bytes.len() != elements.checked_add(36)? {
            return None;
        }
        let (start, columns) = bytes.split_at(36);
        let number = |at: usize| Party::new(u16::from_be_bytes([start[at], start[at + 1]]));
        let (dealer, party) = (number(0)?, number(2)?);
        let read = |bytes| -> Result<_, DecodeError> { Ok(Shares::new(party, F::decode(bytes)?)) };
        let (shares, hiding) = columns.split_at(values * F::BYTES);
        Some(Self {
            dealer,
            shares: read(shares).ok()?,
            hiding: read(hiding).ok()?,
            salt: start[4..].try_into().ok()?,
        })
    }
}

impl<F: Field> Drop for Package<F> {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

impl<F: Field> fmt::Debug for Package<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Package(from {} for {}, <redacted>)", self.dealer, self.party())
    }
}

//! Verifiable sharing: a dealer that hands out shares of nothing is caught and named.
//!
//! Shamir's sharing believes the dealer. Here the dealer also broadcasts a *dealing*: something
//! that fixes its polynomials without showing them, and one SHA-256 digest per party of the
//! [`Package`] that party gets in private. Everybody checks its own package against the broadcast.
//!
//! | form | fixes the polynomials by | field | broadcast for 10^6 values, d = 1 |
//! |---|---|---|---|
//! | [`bare`] | g^coefficient per value (Feldman 1987; white paper, section 5.1) | ristretto255 | 64 MB |
//! | [`blinded`] | one Pedersen vector commitment per 4,096 values and coefficient | ristretto255 | 16 KB |
//! | [`batched`] | a random linear combination of all values, masked | any | 32 B |
//!
//! - [`bare`] is what the white paper describes. Its commitments hide a secret only as far as the
//!   secret cannot be guessed, so it takes [`bare::HighEntropy`] secrets and no others.
//! - [`blinded`] hides every secret unconditionally, and commitments can be computed with: a sum
//!   that is opened later can be checked against the sum of the commitments.
//! - [`batched`] proves once, when dealing, that shares lie on polynomials of the degree. It says
//!   nothing about shares that are opened later.
//!
//! # Flow: deal, check, complain, settle
//!
//! 1. The dealer broadcasts the dealing and sends each party its package.
//! 2. A party calls [`Dealing::accept`] and holds [`Shares`], or a [`Complaint`] to broadcast.
//! 3. A package that opens its digest and contradicts the dealing convicts the dealer: everybody
//!    computes the same [`Verdict`]. When the package did not come, or is not the one whose
//!    digest was broadcast, the complaint says only that, and the dealer answers by broadcasting
//!    the package. An answer that is missing or wrong convicts the dealer.
//! 4. A complaint against an honest dealer convicts whoever raised it, or is settled by an answer
//!    that shows nothing but the complainer's own share.
//!
//! # Caveats
//!
//! Broadcast means that all parties see the same bytes; the session sees to that. An honest
//! party's shares become public only if the dealer lied about them, or it claims that none came.

pub mod bare;
pub mod batched;
pub mod blinded;
mod complaint;
mod group;
mod package;

use std::fmt;

pub use self::{
    complaint::{Complaint, Verdict},
    package::{Digest32, Package},
};
use crate::{
    field::{DecodeError, Field},
    party::{Committee, Party},
    sharing::Shares,
};

/// What dealer and parties agree on before a dealing: it is part of everything that is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// A name for this computation that is used once.
    pub session: [u8; 32],
    /// Who takes part.
    pub committee: Committee,
    /// Whose secrets are shared.
    pub dealer: Party,
    /// How many.
    pub len: u32,
}

impl Header {
    /// Bytes of an encoded header.
    pub const BYTES: usize = 42;

    /// `session || parties || degree || dealer || len`, integers big-endian.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(&self.session);
        bytes[32..34].copy_from_slice(&self.committee.parties().to_be_bytes());
        bytes[34..36].copy_from_slice(&self.committee.degree().to_be_bytes());
        bytes[36..38].copy_from_slice(&self.dealer.number().to_be_bytes());
        bytes[38..].copy_from_slice(&self.len.to_be_bytes());
        bytes
    }

    fn values(&self) -> usize {
        self.len as usize
    }

    fn parties(&self) -> usize {
        self.committee.parties().into()
    }

    fn threshold(&self) -> usize {
        self.committee.threshold()
    }
}

/// A broadcast that is no dealing, for everybody to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{dealer} broadcast no dealing: {why}")]
pub struct Malformed {
    /// Who broadcast it.
    pub dealer: Party,
    /// What is wrong with it.
    pub why: Flaw,
}

/// What is wrong with a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It was made for another session, committee, dealer or number of values.
    #[error("it belongs to another session, committee, dealer or number of values")]
    Header,
    /// Its length is not the one that follows from the header.
    #[error("{have} bytes instead of {want}")]
    Length {
        /// Its length.
        have: usize,
        /// What the header asks for.
        want: usize,
    },
    /// A commitment is not a canonical encoding of a group element.
    #[error("commitment {index} is not a canonical ristretto255 element")]
    Point {
        /// Its place, from 0.
        index: usize,
    },
    /// A polynomial's coefficients are not canonical field elements.
    #[error(transparent)]
    Element(#[from] DecodeError),
}

/// How a package contradicts the dealing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The package did not come, or is not the one whose digest was broadcast.
    #[error("sent no package that opens the digest it broadcast")]
    Withheld,
    /// The package holds more or fewer values than agreed.
    #[error("sent a package of the wrong length")]
    Length,
    /// A share contradicts its commitment.
    #[error("sent a share of value {index} that contradicts its commitment")]
    Value {
        /// The value, from 0.
        index: usize,
    },
    /// A block of shares contradicts its commitment.
    #[error("sent shares of block {index} that contradict its commitment")]
    Block {
        /// The block of 4,096 values, from 0.
        index: usize,
    },
    /// The shares do not combine to the polynomial that was broadcast.
    #[error("sent shares that do not combine to the polynomial it broadcast")]
    Combination,
}

/// A dealer's broadcast, in any of the three forms.
pub trait Dealing: Sized + fmt::Debug {
    /// The field of the shares.
    type Field: Field;

    /// What was agreed on.
    fn header(&self) -> &Header;

    /// The digests of the packages, in the order of the parties.
    fn digests(&self) -> &[Digest32];

    /// What everybody reads.
    fn encode(&self) -> Vec<u8>;

    /// Reads a broadcast that is expected under `header`. Lengths are compared before anything
    /// is allocated; every group or field element must be canonical.
    fn decode(header: &Header, bytes: &[u8]) -> Result<Self, Malformed>;

    /// How the contents of a package that opens its digest contradict the broadcast; `None` if
    /// they do not. Deterministic: everybody comes to the same answer.
    fn fault(&self, package: &Package<Self::Field>) -> Option<Fault>;

    /// Whether a package opens the digest that was broadcast for its party.
    fn opens(&self, package: &Package<Self::Field>) -> bool {
        package.dealer() == self.header().dealer
            && self.header().committee.contains(package.party())
            && package.digest(self.header()) == self.digests()[package.party().index()]
    }

    /// A party's first look at what it was sent: its shares, or what to tell everybody.
    fn accept(
        &self,
        by: Party,
        package: Option<Package<Self::Field>>,
    ) -> Result<Shares<Self::Field>, Complaint<Self::Field>> {
        let dealer = self.header().dealer;
        match package.filter(|p| p.party() == by && self.opens(p)) {
            None => Err(Complaint::withheld(dealer, by)),
            Some(package) if self.fault(&package).is_some() => Err(Complaint::wrong(package)),
            Some(package) => Ok(package.into_shares()),
        }
    }
}

/// Reads what comes before the body of every dealing, and gives the body.
fn decode_start<'a>(
    form: u8,
    header: &Header,
    bytes: &'a [u8],
    body: usize,
) -> Result<(Vec<Digest32>, &'a [u8]), Malformed> {
    let malformed = |why| Malformed { dealer: header.dealer, why };
    let digests = header.parties() * 32;
    let want = 1 + Header::BYTES + digests + body;
    if bytes.len() != want {
        return Err(malformed(Flaw::Length { have: bytes.len(), want }));
    }
    let (start, rest) = bytes.split_at(1 + Header::BYTES);
    if start[0] != form || start[1..] != header.encode() {
        return Err(malformed(Flaw::Header));
    }
    let (digests, body) = rest.split_at(digests);
    Ok((digests.as_chunks::<32>().0.to_vec(), body))
}

fn encode_start(form: u8, header: &Header, digests: &[Digest32]) -> Vec<u8> {
    let mut bytes = vec![form];
    bytes.extend(header.encode());
    bytes.extend(digests.as_flattened());
    bytes
}

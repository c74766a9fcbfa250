//! Who takes part, and how many may fail.

use std::{fmt, num::NonZeroU16};

use crate::field::Field;

/// One of the parties, numbered from 1: the number is also the point at which its shares lie.
///
/// Rank r of a message-passing run is party r + 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party(NonZeroU16);

impl Party {
    /// The party of a number from 1; `None` for 0, where the secret lies.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its number, from 1.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0.get()
    }

    /// Its place in a list of all parties, from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// Its point in a field.
    #[must_use]
    pub fn point<F: Field>(self) -> F {
        F::from_u64(u64::from(self.0.get()))
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "party {}", self.0)
    }
}

/// A number of parties and a degree that do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{parties} parties with degree {degree}: from 1 to {} parties, and more of them than the degree",
    Committee::LARGEST
)]
pub struct CommitteeError {
    /// Parties asked for.
    pub parties: u16,
    /// Degree asked for.
    pub degree: u16,
}

/// The parties of a computation and the degree of their polynomials.
///
/// Any `degree` shares say nothing about a secret; any `degree + 1` give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Committee {
    parties: u16,
    degree: u16,
}

impl Committee {
    /// Most parties of one computation.
    pub const LARGEST: u16 = 1024;

    /// `parties` parties, polynomials of `degree`.
    pub const fn new(parties: u16, degree: u16) -> Result<Self, CommitteeError> {
        if parties == 0 || parties > Self::LARGEST || degree >= parties {
            return Err(CommitteeError { parties, degree });
        }
        Ok(Self { parties, degree })
    }

    /// The white paper's "any t of n reconstruct": degree t - 1.
    pub const fn with_threshold(threshold: u16, parties: u16) -> Result<Self, CommitteeError> {
        Self::new(parties, threshold.wrapping_sub(1))
    }

    /// The largest degree at which more than two thirds of the parties suffice for everything,
    /// multiplication included: ceil(n / 3) - 1.
    pub const fn two_thirds(parties: u16) -> Result<Self, CommitteeError> {
        Self::new(parties, parties.div_ceil(3).saturating_sub(1))
    }

    /// The largest degree at which products can be taken while nobody fails: floor((n - 1) / 2).
    pub const fn honest_majority(parties: u16) -> Result<Self, CommitteeError> {
        Self::new(parties, parties.saturating_sub(1) / 2)
    }

    /// How many parties there are.
    #[must_use]
    pub const fn parties(self) -> u16 {
        self.parties
    }

    /// The degree of the polynomials, which is how many parties may pool what they know.
    #[must_use]
    pub const fn degree(self) -> u16 {
        self.degree
    }

    /// Shares that give a secret: degree + 1.
    #[must_use]
    pub const fn threshold(self) -> usize {
        self.degree as usize + 1
    }

    /// Shares that give a product: 2 degree + 1.
    #[must_use]
    pub const fn product_threshold(self) -> usize {
        2 * self.degree as usize + 1
    }

    /// Wrong shares that can be corrected among `shares` of them.
    #[must_use]
    pub const fn correctable(self, shares: usize) -> usize {
        shares.saturating_sub(self.threshold()) / 2
    }

    /// Everybody, in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Party> + Clone {
        (0..self.parties).map(|index| Party(NonZeroU16::MIN.saturating_add(index)))
    }

    /// Whether a party is one of them.
    #[must_use]
    pub const fn contains(self, party: Party) -> bool {
        party.number() <= self.parties
    }
}

impl fmt::Display for Committee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parties, degree {}", self.parties, self.degree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_follow_from_what_is_promised() {
        for n in 1..=Committee::LARGEST {
            let thirds = Committee::two_thirds(n).unwrap();
            assert!(3 * thirds.degree() < n);
            // More than two thirds alive, as an integer: floor(2n / 3) + 1.
            assert!(usize::from(2 * n / 3 + 1) >= thirds.product_threshold());
            let half = Committee::honest_majority(n).unwrap();
            assert!(half.product_threshold() <= usize::from(n));
            assert!(half.product_threshold() + 2 > usize::from(n));
        }
        assert_eq!(Committee::with_threshold(3, 5).unwrap().degree(), 2);
        for (threshold, parties) in [(0, 5), (6, 5), (1, 0), (2, 1025)] {
            assert!(Committee::with_threshold(threshold, parties).is_err());
        }
    }
}

//! One party's column of shares, and what it can do without asking anybody.

use std::fmt;

use zeroize::Zeroize;

use crate::{field::Field, party::Party};

/// Columns that cannot be computed with together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// Shares of two parties lie at different points.
    #[error("shares of {left} and {right} lie at different points and cannot be combined")]
    Parties {
        /// Whose shares were there.
        left: Party,
        /// Whose shares came.
        right: Party,
    },
    /// Columns differ in length.
    #[error("{party} holds {have} values where {want} belong")]
    Length {
        /// Whose column.
        party: Party,
        /// Its length.
        have: usize,
        /// The expected length.
        want: usize,
    },
}

impl ShareError {
    /// Whose column is at fault.
    #[must_use]
    pub const fn culprit(&self) -> Party {
        match self {
            Self::Parties { right, .. } => *right,
            Self::Length { party, .. } => *party,
        }
    }
}

/// One party's shares of a column of secrets. Wiped when dropped, never shown.
///
/// The operations below act on the secrets through the shares, and need no message.
#[derive(Clone, PartialEq, Eq)]
pub struct Shares<F: Field> {
    party: Party,
    values: Vec<F>,
}

impl<F: Field> Shares<F> {
    /// A party's values: dealt to it, or received.
    #[must_use]
    pub const fn new(party: Party, values: Vec<F>) -> Self {
        Self { party, values }
    }

    /// Shares of public values: every party's share is the value itself.
    #[must_use]
    pub fn public(party: Party, values: &[F]) -> Self {
        Self::new(party, values.to_vec())
    }

    /// Whose they are.
    #[must_use]
    pub const fn party(&self) -> Party {
        self.party
    }

    /// The column. It is as secret as a share is: to be sent to its owner, or opened.
    #[must_use]
    pub fn expose(&self) -> &[F] {
        &self.values
    }

    /// The column, to compute on in place.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut [F] {
        &mut self.values
    }

    /// How many secrets are shared.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn agree(&self, other: &Self) -> Result<(), ShareError> {
        if self.party != other.party {
            return Err(ShareError::Parties { left: self.party, right: other.party });
        }
        self.long_as(other.len())
    }

    fn long_as(&self, want: usize) -> Result<(), ShareError> {
        if self.len() != want {
            return Err(ShareError::Length { party: self.party, have: self.len(), want });
        }
        Ok(())
    }

    /// Adds the other secrets to these.
    pub fn add(&mut self, other: &Self) -> Result<(), ShareError> {
        self.agree(other)?;
        F::add_slice(&mut self.values, &other.values);
        Ok(())
    }

    /// Takes the other secrets from these.
    pub fn sub(&mut self, other: &Self) -> Result<(), ShareError> {
        self.agree(other)?;
        F::sub_slice(&mut self.values, &other.values);
        Ok(())
    }

    /// Adds public values.
    pub fn add_public(&mut self, values: &[F]) -> Result<(), ShareError> {
        self.long_as(values.len())?;
        F::add_slice(&mut self.values, values);
        Ok(())
    }

    /// Multiplies each secret by its public factor.
    pub fn mul_public(&mut self, factors: &[F]) -> Result<(), ShareError> {
        self.long_as(factors.len())?;
        F::mul_slice(&mut self.values, factors);
        Ok(())
    }

    /// Multiplies all secrets by one public factor.
    pub fn scale(&mut self, factor: F) {
        F::scale_slice(&mut self.values, factor);
    }

    /// The sum of the secrets.
    #[must_use]
    pub fn sum(&self) -> Self {
        Self::new(self.party, vec![F::sum(&self.values)])
    }

    /// The inner product of the secrets with public factors.
    pub fn dot_public(&self, factors: &[F]) -> Result<Self, ShareError> {
        self.long_as(factors.len())?;
        Ok(Self::new(self.party, vec![F::inner_product(&self.values, factors)]))
    }
}

impl<F: Field> Drop for Shares<F> {
    fn drop(&mut self) {
        self.values.zeroize();
    }
}

impl<F: Field> fmt::Debug for Shares<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shares({}, {} values, <redacted>)", self.party, self.len())
    }
}

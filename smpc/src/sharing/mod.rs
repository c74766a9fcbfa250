//! Shamir sharing of whole columns (Shamir 1979; section 5.1 of the white paper).
//!
//! A column of secrets becomes a column of polynomials of degree d whose constant terms are the
//! secrets and whose other coefficients are random. Party i holds their values at i: one
//! [`Shares`] per party. Any d of these are independent of the secrets. Any d + 1 give them back
//! by Lagrange's weights ([`weights_at`]); with more, [`reconstruct`] checks the surplus and, when
//! shares contradict each other, corrects the wrong ones and names who sent them.
//!
//! Sharing is linear: parties add, subtract and scale by public numbers without a word to each
//! other. Only products of two secrets need messages.

mod decode;
mod lagrange;
mod reconstruct;
mod shares;

use std::fmt;

use zeroize::Zeroize;

pub(crate) use self::lagrange::weights_between;
pub use self::{
    decode::{DecodeFailure, correct},
    lagrange::{DuplicateParty, weights_at, weights_at_zero},
    reconstruct::{Opened, ReconstructError, reconstruct},
    shares::{ShareError, Shares},
};
use crate::{
    field::Field,
    party::{Committee, Party},
    prg::Prg,
};

/// A column of random polynomials with given constant terms: what a dealer knows, and nobody
/// else may. Wiped when dropped.
#[derive(Clone)]
pub struct Polynomials<F: Field> {
    committee: Committee,
    /// `coefficients[k][j]` belongs to x^k of polynomial j.
    coefficients: Vec<Vec<F>>,
}

impl<F: Field> Polynomials<F> {
    /// Polynomials through the secrets, their other coefficients drawn from `prg`.
    #[must_use]
    pub fn random(committee: Committee, secrets: &[F], prg: &mut Prg) -> Self {
        let mut coefficients = vec![secrets.to_vec()];
        for _ in 0..committee.degree() {
            let mut column = vec![F::ZERO; secrets.len()];
            prg.elements(&mut column);
            coefficients.push(column);
        }
        Self { committee, coefficients }
    }

    /// How many polynomials there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.coefficients[0].len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whose polynomials these are.
    #[must_use]
    pub const fn committee(&self) -> Committee {
        self.committee
    }

    /// The coefficients of x^k, one per polynomial; `k` from 0 to the degree.
    #[must_use]
    pub fn coefficients(&self, k: usize) -> &[F] {
        &self.coefficients[k]
    }

    /// One party's shares: every polynomial at its point, by Horner's rule in blocks that stay in
    /// the cache.
    #[must_use]
    pub fn shares(&self, party: Party) -> Shares<F> {
        const BLOCK: usize = 2048;
        let point = party.point();
        let (top, lower) = self.coefficients.split_last().expect("a constant term is always there");
        let mut values = top.clone();
        for (block, values) in values.chunks_mut(BLOCK).enumerate() {
            let start = block * BLOCK;
            for column in lower.iter().rev() {
                F::horner_slice(values, point, &column[start..start + values.len()]);
            }
        }
        Shares::new(party, values)
    }

    /// Everybody's shares, in the order of the parties.
    #[must_use]
    pub fn all_shares(&self) -> Vec<Shares<F>> {
        self.committee.iter().map(|party| self.shares(party)).collect()
    }
}

impl<F: Field> Drop for Polynomials<F> {
    fn drop(&mut self) {
        self.coefficients.zeroize();
    }
}

impl<F: Field> fmt::Debug for Polynomials<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Polynomials({}, {} of them, <redacted>)", self.committee, self.len())
    }
}

/// Shares a column of secrets: one column of shares per party.
#[must_use]
pub fn deal<F: Field>(committee: Committee, secrets: &[F], prg: &mut Prg) -> Vec<Shares<F>> {
    Polynomials::random(committee, secrets, prg).all_shares()
}

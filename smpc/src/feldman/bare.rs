//! Feldman's commitments, one per value and coefficient, as the white paper has them.
//!
//! For the polynomial f_a with coefficients r_0 = a, r_1, …, r_d the dealer broadcasts
//! `g_k = g^(r_k)`, and party x checks its share by
//!
//! ```text
//! g^(f_a(x)) = product over k of g_k^(x^k)
//! ```
//!
//! With h_k for a second polynomial f_b, a sum of shares is checked by
//!
//! ```text
//! g^(f_a(x) + f_b(x)) = product over k of (g_k h_k)^(x^k)
//! ```
//!
//! (Section 5.1 of the white paper; Feldman 1987. The white paper works in a subgroup of prime
//! order p of Z_q^*; here the group is ristretto255, whose order is prime and whose exponents
//! are [`Ristretto`].)
//!
//! # Only for secrets that cannot be guessed
//!
//! g^a is computed from a by anyone. If a is a salary below 2^20, baby-step giant-step finds it
//! with about 2^11 group operations, in milliseconds; if it is any of N candidates, N trials do.
//! So this form takes [`HighEntropy`] secrets: keys, seeds, blinding exponents. For data, use
//! [`blinded`](super::blinded).

use curve25519_dalek::RistrettoPoint;

use super::{
    Dealing, Digest32, Fault, Header, Malformed, Package, decode_start, encode_start,
    group::{at, cancels, decode_points, encode_points, factors},
};
use crate::{
    field::{Field, Ristretto, same_length},
    party::Party,
    prg::Prg,
    sharing::Polynomials,
};

const FORM: u8 = 1;

/// A secret that lies where guesses lie: within 2^128 of zero, on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "secret {index} is a small number, which a bare commitment gives away: share it under blinded commitments"
)]
pub struct Guessable {
    /// Its place, from 0.
    pub index: usize,
}

/// Secrets that nobody can guess, and which a bare commitment therefore hides.
///
/// The computational assumption is the discrete logarithm in ristretto255, and a secret of at
/// least 2^128 equally likely values. Equal secrets still give equal commitments.
#[derive(Clone)]
pub struct HighEntropy(Vec<Ristretto>);

impl HighEntropy {
    /// Fresh uniform secrets.
    #[must_use]
    pub fn sample(len: usize, prg: &mut Prg) -> Self {
        let mut secrets = vec![Ristretto::ZERO; len];
        prg.elements(&mut secrets);
        Self(secrets)
    }

    /// Takes the caller's word that these values are unguessable. Small numbers, which data is
    /// made of, are refused; a password or an ID number hashed to full size would not be
    /// noticed, and would be found by search.
    pub fn vouch(secrets: Vec<Ristretto>) -> Result<Self, Guessable> {
        let this = Self(secrets);
        let small = |s: &Ristretto| s.words()[2..] == [0, 0] || (-*s).words()[2..] == [0, 0];
        match this.0.iter().position(small) {
            Some(index) => Err(Guessable { index }),
            None => Ok(this),
        }
    }

    /// The secrets.
    #[must_use]
    pub fn expose(&self) -> &[Ristretto] {
        &self.0
    }
}

impl Drop for HighEntropy {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl std::fmt::Debug for HighEntropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HighEntropy({} values, <redacted>)", self.0.len())
    }
}

/// Commitments to the coefficients of a column of polynomials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitments {
    /// `points[j * threshold + k]` commits to coefficient k of polynomial j.
    points: Vec<RistrettoPoint>,
    threshold: usize,
}

impl Commitments {
    /// g to the power of every coefficient, in constant time.
    #[must_use]
    pub fn to(polynomials: &Polynomials<Ristretto>) -> Self {
        let threshold = polynomials.committee().threshold();
        let coefficients = (0..polynomials.len()).flat_map(|j| (0..threshold).map(move |k| (j, k)));
        let commit = |(j, k): (usize, usize)| polynomials.coefficients(k)[j].to_scalar();
        let points = coefficients.map(|c| RistrettoPoint::mul_base(&commit(c))).collect();
        Self { points, threshold }
    }

    /// How many polynomials are committed to.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len() / self.threshold
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The white paper's equation for one share: `g^share = product over k of g_k^(x^k)`.
    ///
    /// # Panics
    ///
    /// When there is no polynomial of this index.
    #[must_use]
    pub fn holds(&self, party: Party, index: usize, share: Ristretto) -> bool {
        RistrettoPoint::mul_base(&share.to_scalar()) == self.at(party, index)
    }

    /// Commitments to the sums of the polynomials: the products g_k h_k. `None` when the columns
    /// differ in length or degree.
    #[must_use]
    pub fn product(&self, other: &Self) -> Option<Self> {
        if self.threshold != other.threshold || self.points.len() != other.points.len() {
            return None;
        }
        let points = self.points.iter().zip(&other.points).map(|(g, h)| g + h).collect();
        Some(Self { points, threshold: self.threshold })
    }

    /// The equation of every share at once, combined under random factors of the caller's; the
    /// index of the first share that is wrong, if one is.
    ///
    /// # Panics
    ///
    /// When there are more or fewer shares than polynomials.
    #[must_use]
    pub fn first_fault(&self, party: Party, shares: &[Ristretto], prg: &mut Prg) -> Option<usize> {
        same_length(shares.len(), self.len());
        let mut scalars = factors(prg, shares.len());
        let total = Ristretto::inner_product(&scalars, shares);
        scalars.push(-total);
        let expected = (0..shares.len()).map(|index| self.at(party, index));
        let base = RistrettoPoint::mul_base(&Ristretto::ONE.to_scalar());
        if cancels(&scalars, expected.chain([base])) {
            return None;
        }
        shares.iter().enumerate().position(|(index, share)| !self.holds(party, index, *share))
    }

    /// The commitment to a share.
    fn at(&self, party: Party, index: usize) -> RistrettoPoint {
        let start = index * self.threshold;
        at(party, self.points[start..start + self.threshold].iter())
    }
}

/// A broadcast of bare commitments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BareDealing {
    header: Header,
    digests: Vec<Digest32>,
    commitments: Commitments,
}

impl BareDealing {
    /// Shares unguessable secrets: the broadcast, and everybody's package in order.
    ///
    /// # Panics
    ///
    /// When the header announces another number of secrets.
    #[must_use]
    pub fn deal(
        header: Header,
        secrets: &HighEntropy,
        prg: &mut Prg,
    ) -> (Self, Vec<Package<Ristretto>>) {
        assert_eq!(secrets.0.len(), header.values(), "the header announces how many secrets");
        let polynomials = Polynomials::random(header.committee, &secrets.0, prg);
        let nothing = Polynomials::random(header.committee, &[], prg);
        let package = |party| Package::new(header.dealer, party, &polynomials, &nothing, prg);
        let packages: Vec<_> = header.committee.iter().map(package).collect();
        let digests = packages.iter().map(|p| p.digest(&header)).collect();
        (Self { header, digests, commitments: Commitments::to(&polynomials) }, packages)
    }

    /// The commitments, to compute with.
    #[must_use]
    pub const fn commitments(&self) -> &Commitments {
        &self.commitments
    }
}

impl Dealing for BareDealing {
    type Field = Ristretto;

    fn header(&self) -> &Header {
        &self.header
    }

    fn digests(&self) -> &[Digest32] {
        &self.digests
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = encode_start(FORM, &self.header, &self.digests);
        bytes.extend(encode_points(&self.commitments.points));
        bytes
    }

    fn decode(header: &Header, bytes: &[u8]) -> Result<Self, Malformed> {
        let threshold = header.threshold();
        let body = header.values() * threshold * 32;
        let (digests, body) = decode_start(FORM, header, bytes, body)?;
        let points = decode_points(header, body)?;
        Ok(Self { header: *header, digests, commitments: Commitments { points, threshold } })
    }

    fn fault(&self, package: &Package<Ristretto>) -> Option<Fault> {
        let shares = package.shares();
        if shares.len() != self.header.values() || !package.hiding().is_empty() {
            return Some(Fault::Length);
        }
        let wrong =
            self.commitments.first_fault(package.party(), shares.expose(), &mut Prg::random());
        wrong.map(|index| Fault::Value { index })
    }
}

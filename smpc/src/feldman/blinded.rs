//! Blinded vector commitments: one group element per 4,096 values and coefficient.
//!
//! A block of polynomials f_1 … f_m (m up to 4,096) with coefficients a_(j,k) gets a blinding
//! polynomial with random coefficients b_k, and for each k the commitment
//!
//! ```text
//! C_k = h^(b_k) · product over j of G_j^(a_(j,k))
//! ```
//!
//! (Pedersen 1991 in the form for vectors.) Party x holds its shares s_j and its share r of the
//! blinding polynomial, and checks
//!
//! ```text
//! h^r · product over j of G_j^(s_j) = product over k of C_k^(x^k)
//! ```
//!
//! C_k is a uniform group element whatever is committed to: nothing is found by search. To open
//! one commitment in two ways is to know a relation between the generators, which are hashed
//! to the group from labels and have none that anybody knows.
//!
//! Commitments are linear, as shares are: the sum of two dealings' commitments is one to the sums
//! of their values. So shares of a *result* can be checked when they are opened
//! ([`Commitments::holds`]).
//!
//! # Cost
//!
//! The dealer pays one multiplication of 4,097 terms per block and coefficient; a verifier
//! combines its blocks under random factors of its own and pays one for all of them.
//!
//! # Caveat: timing
//!
//! A large product of powers is fast because it looks at the exponents' digits (Pippenger 1976);
//! whoever shares the dealer's processor may see traces of them. [`Timing::Constant`] does not
//! look, and takes several times longer.

use curve25519_dalek::{
    RistrettoPoint,
    traits::{MultiscalarMul, VartimeMultiscalarMul},
};
use zeroize::Zeroizing;

use super::{
    Dealing, Digest32, Fault, Header, Malformed, Package, decode_start, encode_start,
    group::{BLINDING, BLOCK, GENERATORS, at, cancels, decode_points, encode_points, factors},
};
use crate::{
    field::{Field, Ristretto},
    party::Party,
    prg::Prg,
    sharing::Polynomials,
};

const FORM: u8 = 2;

/// How a dealer computes its commitments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// In time that does not depend on the secrets.
    Constant,
    /// Fast, for a processor that no stranger shares.
    Variable,
}

/// Commitments to the coefficients of blocks of polynomials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitments {
    /// `points[b * threshold + k]` commits to the coefficients of x^k in block b.
    points: Vec<RistrettoPoint>,
    threshold: usize,
    len: usize,
}

impl Commitments {
    /// Blocks that a column of this length makes: each needs one blinding polynomial.
    #[must_use]
    pub const fn blocks(len: usize) -> usize {
        len.div_ceil(BLOCK)
    }

    /// Commitments to polynomials, blinded by one further polynomial per block.
    ///
    /// # Panics
    ///
    /// When there are more or fewer blinding polynomials, or of another degree.
    #[must_use]
    pub fn to(
        values: &Polynomials<Ristretto>,
        blinding: &Polynomials<Ristretto>,
        timing: Timing,
    ) -> Self {
        let (len, threshold) = (values.len(), values.committee().threshold());
        assert_eq!(blinding.len(), Self::blocks(len), "one blinding polynomial per block");
        assert_eq!(blinding.committee(), values.committee(), "blinding of the same degree");
        let mut points = Vec::new();
        for block in 0..Self::blocks(len) {
            for k in 0..threshold {
                let column = &values.coefficients(k)[block * BLOCK..len.min((block + 1) * BLOCK)];
                let blind = &blinding.coefficients(k)[block];
                let scalars: Zeroizing<Vec<_>> =
                    Zeroizing::new(column.iter().chain([blind]).map(|c| c.to_scalar()).collect());
                let generators = GENERATORS[..column.len()].iter().chain([&*BLINDING]);
                points.push(match timing {
                    Timing::Constant => RistrettoPoint::multiscalar_mul(&*scalars, generators),
                    Timing::Variable => {
                        RistrettoPoint::vartime_multiscalar_mul(&*scalars, generators)
                    }
                });
            }
        }
        Self { points, threshold, len }
    }

    /// How many values are committed to.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Commitments to the sums of two columns; `None` when they differ in length or degree.
    #[must_use]
    pub fn sum(&self, other: &Self) -> Option<Self> {
        if self.threshold != other.threshold || self.len != other.len {
            return None;
        }
        let points = self.points.iter().zip(&other.points).map(|(a, b)| a + b).collect();
        Some(Self { points, ..*self })
    }

    /// Commitments to the column times one public factor.
    #[must_use]
    pub fn scaled(&self, factor: Ristretto) -> Self {
        let factor = factor.to_scalar();
        Self { points: self.points.iter().map(|p| p * factor).collect(), ..*self }
    }

    /// Whether a party's shares, with its shares of the blinding exponents, are the committed
    /// ones: dealt shares, or shares of a result, opened with the same combination of blinds.
    #[must_use]
    pub fn holds(
        &self,
        party: Party,
        shares: &[Ristretto],
        blinds: &[Ristretto],
        prg: &mut Prg,
    ) -> bool {
        let blocks = Self::blocks(self.len);
        if shares.len() != self.len || blinds.len() != blocks {
            return false;
        }
        let factors = factors(prg, blocks);
        // The combination of all blocks is one block; the last may be shorter than the others.
        let (full, last) = shares.split_at(self.len / BLOCK * BLOCK);
        let columns: Vec<_> = full.chunks(BLOCK).collect();
        let mut scalars = Zeroizing::new(vec![Ristretto::ZERO; self.len.min(BLOCK)]);
        if !columns.is_empty() {
            Ristretto::combine(&mut scalars, &factors[..columns.len()], &columns);
        }
        if let Some(factor) = factors.get(columns.len()) {
            scalars.iter_mut().zip(last).for_each(|(sum, share)| *sum += *factor * *share);
        }
        let generators = GENERATORS[..scalars.len()].iter().copied();
        scalars.push(Ristretto::inner_product(&factors, blinds));
        scalars.extend(factors.iter().map(|f| -*f));
        let expected = (0..blocks).map(|block| self.at(party, block));
        cancels(&scalars, generators.chain([*BLINDING]).chain(expected))
    }

    /// Whether one block's shares and blinding share are the committed ones.
    fn block_holds(
        &self,
        party: Party,
        block: usize,
        shares: &[Ristretto],
        blind: Ristretto,
    ) -> bool {
        let mut scalars = Zeroizing::new(shares.to_vec());
        scalars.extend([blind, -Ristretto::ONE]);
        let generators = GENERATORS[..shares.len()].iter().copied();
        cancels(&scalars, generators.chain([*BLINDING, self.at(party, block)]))
    }

    /// The commitment to a party's shares of a block.
    fn at(&self, party: Party, block: usize) -> RistrettoPoint {
        let start = block * self.threshold;
        at(party, self.points[start..start + self.threshold].iter())
    }
}

/// A broadcast of blinded vector commitments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindedDealing {
    header: Header,
    digests: Vec<Digest32>,
    commitments: Commitments,
}

impl BlindedDealing {
    /// Shares secrets of any kind: the broadcast, and everybody's package in order.
    ///
    /// # Panics
    ///
    /// When the header announces another number of secrets.
    #[must_use]
    pub fn deal(
        header: Header,
        secrets: &[Ristretto],
        timing: Timing,
        prg: &mut Prg,
    ) -> (Self, Vec<Package<Ristretto>>) {
        assert_eq!(secrets.len(), header.values(), "the header announces how many secrets");
        let values = Polynomials::random(header.committee, secrets, prg);
        let mut blinds = Zeroizing::new(vec![Ristretto::ZERO; Commitments::blocks(secrets.len())]);
        prg.elements(&mut blinds);
        let blinding = Polynomials::random(header.committee, &blinds, prg);
        let package = |party| Package::new(header.dealer, party, &values, &blinding, prg);
        let packages: Vec<_> = header.committee.iter().map(package).collect();
        let digests = packages.iter().map(|p| p.digest(&header)).collect();
        let commitments = Commitments::to(&values, &blinding, timing);
        (Self { header, digests, commitments }, packages)
    }

    /// The commitments, to compute with.
    #[must_use]
    pub const fn commitments(&self) -> &Commitments {
        &self.commitments
    }
}

impl Dealing for BlindedDealing {
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
        let (threshold, len) = (header.threshold(), header.values());
        let body = Commitments::blocks(len) * threshold * 32;
        let (digests, body) = decode_start(FORM, header, bytes, body)?;
        let points = decode_points(header, body)?;
        Ok(Self { header: *header, digests, commitments: Commitments { points, threshold, len } })
    }

    fn fault(&self, package: &Package<Ristretto>) -> Option<Fault> {
        let (party, commitments) = (package.party(), &self.commitments);
        let (shares, blinds) = (package.shares().expose(), package.hiding().expose());
        if shares.len() != commitments.len || blinds.len() != Commitments::blocks(shares.len()) {
            return Some(Fault::Length);
        }
        if commitments.holds(party, shares, blinds, &mut Prg::random()) {
            return None;
        }
        let mut blocks = shares.chunks(BLOCK).zip(blinds).enumerate();
        blocks
            .position(|(block, (shares, blind))| {
                !commitments.block_holds(party, block, shares, *blind)
            })
            .map(|index| Fault::Block { index })
    }
}

//! What the commitments share: powers of small points, reading group elements, and generators
//! that nobody chose.

use std::sync::LazyLock;

use curve25519_dalek::{
    RistrettoPoint,
    ristretto::CompressedRistretto,
    traits::{Identity, IsIdentity, VartimeMultiscalarMul},
};
use sha2::{Digest, Sha512};

use super::{Flaw, Header, Malformed};
use crate::{
    field::{Field, Ristretto},
    party::Party,
    prg::Prg,
};

/// Values per vector commitment.
pub(super) const BLOCK: usize = 4096;

/// The generators of a block's values: ristretto255 from the SHA-512 of a label and an index
/// (RFC 9496, section 4.3.4), so that nobody knows a relation between any two.
pub(super) static GENERATORS: LazyLock<Vec<RistrettoPoint>> = LazyLock::new(|| {
    (0..BLOCK as u32).map(|index| generator("encrytrust/smpc/generator/value/v1", index)).collect()
});

/// The generator of the blinding exponents, made in the same way.
pub(super) static BLINDING: LazyLock<RistrettoPoint> =
    LazyLock::new(|| generator("encrytrust/smpc/generator/blinding/v1", 0));

fn generator(label: &str, index: u32) -> RistrettoPoint {
    let mut hash = Sha512::new();
    hash.update(label.as_bytes());
    hash.update(index.to_be_bytes());
    RistrettoPoint::from_uniform_bytes(&hash.finalize().into())
}

/// A point times a small public number.
fn times(point: &RistrettoPoint, factor: u16) -> RistrettoPoint {
    let mut product = RistrettoPoint::identity();
    for bit in (0..u16::BITS - factor.leading_zeros()).rev() {
        product += product;
        if factor >> bit & 1 == 1 {
            product += point;
        }
    }
    product
}

/// The commitment to a polynomial's value at a party's point, from those to its coefficients,
/// lowest first: the product over k of `C_k^(x^k)`, by Horner's rule.
pub(super) fn at<'a>(
    party: Party,
    coefficients: impl DoubleEndedIterator<Item = &'a RistrettoPoint>,
) -> RistrettoPoint {
    coefficients.rev().fold(RistrettoPoint::identity(), |sum, c| times(&sum, party.number()) + c)
}

/// Whether the product of powers is one. Variable-time.
pub(super) fn cancels(
    scalars: &[Ristretto],
    points: impl IntoIterator<Item = RistrettoPoint>,
) -> bool {
    let scalars = scalars.iter().map(|s| s.to_scalar());
    RistrettoPoint::vartime_multiscalar_mul(scalars, points).is_identity()
}

/// A verifier's own random factors of 128 bits: a false claim survives their combination with
/// probability 2^-128.
pub(super) fn factors(prg: &mut Prg, len: usize) -> Vec<Ristretto> {
    let factor = |_| {
        let mut bytes = [0; 32];
        prg.fill(&mut bytes[..16]);
        Ristretto::read(&bytes).expect("128 bits are below the order")
    };
    (0..len).map(factor).collect()
}

/// Reads group elements one after the other.
pub(super) fn decode_points(
    header: &Header,
    bytes: &[u8],
) -> Result<Vec<RistrettoPoint>, Malformed> {
    let read = |(index, bytes): (usize, &[u8; 32])| {
        let why = Flaw::Point { index };
        let point = CompressedRistretto(*bytes).decompress();
        point.ok_or(Malformed { dealer: header.dealer, why })
    };
    bytes.as_chunks::<32>().0.iter().enumerate().map(read).collect()
}

/// Writes group elements one after the other.
pub(super) fn encode_points<'a>(
    points: impl IntoIterator<Item = &'a RistrettoPoint>,
) -> impl Iterator<Item = u8> {
    points.into_iter().flat_map(|point| point.compress().to_bytes())
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::Scalar;

    use super::*;

    #[test]
    fn small_multiples() {
        let g = RistrettoPoint::mul_base(&Scalar::ONE);
        for factor in [0, 1, 2, 3, 5, 1023, 1024, u16::MAX] {
            assert_eq!(times(&g, factor), g * Scalar::from(factor));
        }
    }

    #[test]
    fn generators_differ() {
        let mut all: Vec<_> = GENERATORS.iter().map(|g| g.compress().to_bytes()).collect();
        all.push(BLINDING.compress().to_bytes());
        all.push(RistrettoPoint::mul_base(&Scalar::ONE).compress().to_bytes());
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), BLOCK + 2);
    }
}

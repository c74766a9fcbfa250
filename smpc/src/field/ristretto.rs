//! The scalar field of ristretto255: what a commitment's exponents are made of.
//!
//! `curve25519-dalek` does the arithmetic of single elements. Sums of products are what bulk
//! verification spends its time on; here they wait unreduced in 512 bits and pay for one
//! reduction per 32 products.

use curve25519_dalek::Scalar;
use zeroize::Zeroize;

use super::{Field, operators, same_length};
use crate::prg::Prg;

/// An element of the field of order 2^252 + 27742317777372353535851937790883648493.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Zeroize)]
pub struct Ristretto(pub(crate) Scalar);

/// Products of two canonical scalars, each below 2^506, that fit 512 bits together.
const LAZY: usize = 32;

/// 512 bits as little-endian words.
type Wide = [u64; 8];

impl Ristretto {
    /// The residue of 512 uniform bits is uniform within 2^-259.
    #[must_use]
    pub fn from_uniform_bytes(bytes: &[u8; 64]) -> Self {
        Self(Scalar::from_bytes_mod_order_wide(bytes))
    }

    /// The scalar as `curve25519-dalek` knows it.
    #[must_use]
    pub const fn to_scalar(self) -> Scalar {
        self.0
    }

    /// Its four little-endian words.
    #[inline(always)]
    pub(crate) fn words(&self) -> [u64; 4] {
        let (words, _) = self.0.as_bytes().as_chunks::<8>();
        std::array::from_fn(|i| u64::from_le_bytes(words[i]))
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
}

impl From<Scalar> for Ristretto {
    fn from(scalar: Scalar) -> Self {
        // A scalar built by `from_bits`-like means may be unreduced; adding zero reduces it.
        Self(scalar + Scalar::ZERO)
    }
}

/// `sum += left * right`, over the integers. The caller keeps the sum below 2^512.
#[inline(always)]
fn accumulate(sum: &mut Wide, left: [u64; 4], right: [u64; 4]) {
    for (i, l) in left.into_iter().enumerate() {
        let mut carry = 0;
        for (j, r) in right.into_iter().enumerate() {
            // (2^64 - 1)^2 + 2 (2^64 - 1) = 2^128 - 1: nothing is lost.
            let t = u128::from(l)
                .wrapping_mul(u128::from(r))
                .wrapping_add(u128::from(sum[i + j]))
                .wrapping_add(u128::from(carry));
            sum[i + j] = t as u64;
            carry = (t >> 64) as u64;
        }
        for word in &mut sum[i + 4..] {
            let (value, overflow) = word.overflowing_add(carry);
            *word = value;
            carry = u64::from(overflow);
        }
    }
}

fn reduce(wide: &Wide) -> Ristretto {
    let mut bytes = [0; 64];
    for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(wide) {
        *chunk = word.to_le_bytes();
    }
    Ristretto::from_uniform_bytes(&bytes)
}

operators!(Ristretto);

impl Field for Ristretto {
    const NAME: &'static str = "ristretto255";
    const BYTES: usize = 32;
    const REPETITIONS: usize = 1;
    const ZERO: Self = Self(Scalar::ZERO);
    const ONE: Self = Self(Scalar::ONE);

    fn from_u64(value: u64) -> Self {
        Self(Scalar::from(value))
    }

    fn write(&self, out: &mut [u8]) {
        out.copy_from_slice(self.0.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Option::from(Scalar::from_canonical_bytes(bytes.try_into().ok()?)).map(Self)
    }

    /// Each element is the residue of 512 bits.
    fn sample(prg: &mut Prg, out: &mut [Self]) {
        let mut bytes = zeroize::Zeroizing::new([0; 4096]);
        for block in out.chunks_mut(bytes.len() / 64) {
            let bytes = &mut bytes[..block.len() * 64];
            prg.fill(bytes);
            for (element, wide) in block.iter_mut().zip(bytes.as_chunks::<64>().0) {
                *element = Self::from_uniform_bytes(wide);
            }
        }
    }

    fn invert(&self) -> Option<Self> {
        (self.0 != Scalar::ZERO).then(|| Self(self.0.invert()))
    }

    fn inner_product(left: &[Self], right: &[Self]) -> Self {
        same_length(left.len(), right.len());
        let mut sum = Self::ZERO;
        for (left, right) in left.chunks(LAZY).zip(right.chunks(LAZY)) {
            let mut wide = Wide::default();
            for (l, r) in left.iter().zip(right) {
                accumulate(&mut wide, l.words(), r.words());
            }
            sum += reduce(&wide);
        }
        sum
    }

    fn combine(out: &mut [Self], weights: &[Self], columns: &[&[Self]]) {
        same_length(weights.len(), columns.len());
        columns.iter().for_each(|column| same_length(out.len(), column.len()));
        for (index, out) in out.iter_mut().enumerate() {
            *out = Self::ZERO;
            for (weights, columns) in weights.chunks(LAZY).zip(columns.chunks(LAZY)) {
                let mut wide = Wide::default();
                for (weight, column) in weights.iter().zip(columns) {
                    accumulate(&mut wide, weight.words(), column[index].words());
                }
                *out += reduce(&wide);
            }
        }
    }
}

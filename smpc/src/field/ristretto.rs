//! The scalar field of ristretto255: what a commitment's exponents are made of.
//!
//! The order is 2^252 + δ with δ of 125 bits, so that 2^252 is -δ: a product of 512 bits is
//! reduced by multiplying what lies above bit 252 by δ and taking it away, three times over. Sums
//! of products wait unreduced in 512 bits: 32 of them fit.
//!
//! `curve25519-dalek` serves where elements become exponents, and inverts.

use curve25519_dalek::Scalar;
use zeroize::Zeroize;

use super::{Field, operators, same_length};
use crate::prg::Prg;

/// An element of the field of order 2^252 + 27742317777372353535851937790883648493: four
/// little-endian words, below the order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Zeroize)]
pub struct Ristretto([u64; 4]);

/// The order less 2^252.
const DELTA: [u64; 2] = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6];

/// The order.
const ORDER: [u64; 4] = [DELTA[0], DELTA[1], 0, 1 << 60];

/// Bits 252 … 255 of a number are those above this, in its fourth word.
const LOW: u64 = (1 << 60) - 1;

/// Products of two elements, each below 2^506, that fit 512 bits together.
const LAZY: usize = 32;

/// 512 bits as little-endian words.
type Wide = [u64; 8];

/// `left + right`, the carry out of the last word dropped.
#[inline(always)]
fn add<const N: usize>(left: [u64; N], right: [u64; N]) -> [u64; N] {
    let mut carry = 0;
    std::array::from_fn(|i| {
        let sum = u128::from(left[i]).wrapping_add(right[i].into()).wrapping_add(carry);
        carry = sum >> 64;
        sum as u64
    })
}

/// `left - right` and all ones if that is negative, else zero.
#[inline(always)]
fn subtract<const N: usize>(left: [u64; N], right: [u64; N]) -> ([u64; N], u64) {
    let mut borrow = 0;
    let difference = std::array::from_fn(|i| {
        let difference = u128::from(left[i]).wrapping_sub(right[i].into()).wrapping_sub(borrow);
        borrow = (difference >> 64) & 1;
        difference as u64
    });
    (difference, (borrow as u64).wrapping_neg())
}

/// The order, under a mask of all ones or zero.
#[inline(always)]
fn order_if(mask: u64) -> [u64; 4] {
    ORDER.map(|word| word & mask)
}

/// `sum += left * right`, over the integers. The caller keeps the sum below 2^(64 N).
#[inline(always)]
fn accumulate<const N: usize, const L: usize, const R: usize>(
    sum: &mut [u64; N],
    left: [u64; L],
    right: [u64; R],
) {
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
        for word in &mut sum[i + R..] {
            let (value, overflow) = word.overflowing_add(carry);
            *word = value;
            carry = u64::from(overflow);
        }
    }
}

/// Bits 0 … 251, and the next `64 H` bits.
#[inline(always)]
fn split<const N: usize, const H: usize>(number: [u64; N]) -> ([u64; 4], [u64; H]) {
    let word = |i: usize| if i < N { number[i] } else { 0 };
    let low = [number[0], number[1], number[2], number[3] & LOW];
    (low, std::array::from_fn(|i| word(i + 3) >> 60 | word(i + 4) << 4))
}

/// Reduces any 512-bit number.
///
/// With x = a + 2^252 h, δh = b + 2^252 k, δk = c + 2^252 l, and a, b, c below 2^252: x is
/// a - b + c - δl. There h is below 2^260, k below 2^133, l below 2^6.
#[inline(always)]
fn reduce(wide: &Wide) -> Ristretto {
    let (a, h) = split::<8, 5>(*wide);
    let mut product = [0; 7];
    accumulate(&mut product, h, DELTA);
    let (b, k) = split::<7, 3>(product);
    let mut product = [0; 5];
    accumulate(&mut product, k, DELTA);
    let (c, [l]) = split::<5, 1>(product);
    let mut small = [0; 4];
    accumulate(&mut small, [l], DELTA);
    // a + c + 2 order - b - δl lies above 2^252 - 2^131 and below 2^254 + 2^127: words suffice.
    let twice = add(ORDER, ORDER);
    let (value, _) = subtract(add(add(a, c), twice), b);
    let (value, _) = subtract(value, small);
    fold(value)
}

/// Reduces a number below 2^256: bits above 252 count -δ each, and one addition of the order
/// makes up for what falls below zero. What is not below the order after that is less than
/// 2^252, and so below it.
#[inline(always)]
fn fold(value: [u64; 4]) -> Ristretto {
    let (low, [high]) = split::<4, 1>(value);
    let mut product = [0; 4];
    accumulate(&mut product, [high], DELTA);
    let (difference, negative) = subtract(low, product);
    Ristretto(add(difference, order_if(negative)))
}

impl Ristretto {
    /// The residue of 512 uniform bits is uniform within 2^-259.
    #[must_use]
    pub fn from_uniform_bytes(bytes: &[u8; 64]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        reduce(&std::array::from_fn(|i| u64::from_le_bytes(words[i])))
    }

    /// The scalar as `curve25519-dalek` knows it.
    #[must_use]
    pub fn to_scalar(self) -> Scalar {
        Scalar::from_bytes_mod_order(self.to_bytes())
    }

    /// Its four little-endian words.
    pub(crate) const fn words(&self) -> [u64; 4] {
        self.0
    }

    fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *chunk = word.to_le_bytes();
        }
        bytes
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        let (difference, negative) = subtract(add(self.0, other.0), ORDER);
        Self(add(difference, order_if(negative)))
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        let (difference, negative) = subtract(self.0, other.0);
        Self(add(difference, order_if(negative)))
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        let mut wide = Wide::default();
        accumulate(&mut wide, self.0, other.0);
        reduce(&wide)
    }
}

impl From<Scalar> for Ristretto {
    fn from(scalar: Scalar) -> Self {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(scalar.as_bytes());
        Self::from_uniform_bytes(&bytes)
    }
}

operators!(Ristretto);

impl Field for Ristretto {
    const NAME: &'static str = "ristretto255";
    const BYTES: usize = 32;
    const REPETITIONS: usize = 1;
    const ZERO: Self = Self([0; 4]);
    const ONE: Self = Self([1, 0, 0, 0]);

    fn from_u64(value: u64) -> Self {
        Self([value, 0, 0, 0])
    }

    fn write(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.to_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        let (words, _) = bytes.as_chunks::<8>();
        let words = std::array::from_fn(|i| u64::from_le_bytes(words[i]));
        let (_, below) = subtract(words, ORDER);
        (below != 0).then_some(Self(words))
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
        (*self != Self::ZERO).then(|| Self::from(self.to_scalar().invert()))
    }

    fn inner_product(left: &[Self], right: &[Self]) -> Self {
        same_length(left.len(), right.len());
        let mut sum = Self::ZERO;
        for (left, right) in left.chunks(LAZY).zip(right.chunks(LAZY)) {
            let mut wide = Wide::default();
            for (l, r) in left.iter().zip(right) {
                accumulate(&mut wide, l.0, r.0);
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
                    accumulate(&mut wide, weight.0, column[index].0);
                }
                *out += reduce(&wide);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers at the seams of the reduction, against `curve25519-dalek`'s.
    #[test]
    fn reduction_agrees_with_dalek() {
        let words = [0, 1, LOW, LOW + 1, u64::MAX, DELTA[0], DELTA[1], u64::MAX << 60];
        let mut prg = crate::prg::Seed::from_bytes([4; 32]).prg();
        for turn in 0..200_000_u32 {
            let mut bytes: [u8; 64] = prg.bytes();
            let choices: [u8; 8] = prg.bytes();
            if !turn.is_multiple_of(4) {
                for (chunk, choice) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(choices) {
                    *chunk = words[usize::from(choice % 8)].to_le_bytes();
                }
            }
            let ours = Ristretto::from_uniform_bytes(&bytes);
            let dalek = Scalar::from_bytes_mod_order_wide(&bytes);
            assert_eq!(ours.to_bytes(), dalek.to_bytes(), "{bytes:?}");
            assert_eq!(Ristretto::from(dalek), ours);
            assert_eq!(Ristretto::read(dalek.as_bytes()), Some(ours));
        }
    }

    /// Every 256-bit number just below and above a multiple of the order, and of 2^252.
    #[test]
    fn folding_at_the_seams() {
        let wide = |value: [u64; 4]| {
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(&Ristretto(value).to_bytes());
            Scalar::from_bytes_mod_order_wide(&bytes).to_bytes()
        };
        for base in [ORDER, [0, 0, 0, 1 << 60]] {
            let mut multiple = [0; 4];
            for _ in 0..15 {
                multiple = add(multiple, base);
                for distance in 0..3 {
                    let above = add(multiple, [distance, 0, 0, 0]);
                    let (below, _) = subtract(multiple, [distance, 0, 0, 0]);
                    assert_eq!(fold(above).to_bytes(), wide(above));
                    assert_eq!(fold(below).to_bytes(), wide(below));
                }
            }
        }
    }
}

//! Prime fields, one element or a whole column at a time.
//!
//! | field | order | for |
//! |---|---|---|
//! | [`Mersenne61`] | 2^61 - 1 | bulk work: a product is one 64-bit multiplication and two shifts |
//! | [`Mersenne127`] | 2^127 - 1 | sums and products that do not fit 61 bits |
//! | [`Ristretto`] | 2^252 + 27742317777372353535851937790883648493 | shares under commitments: the exponents of the ristretto255 group (RFC 9496) |
//!
//! Arithmetic is constant-time: no branch and no memory address depends on a value, and nothing
//! divides. Loops over slices carry no dependency from one element to the next, so that the
//! compiler may vectorise them. What is variable-time says so.
//!
//! Every element has exactly one encoding, little-endian and of fixed width; [`Field::read`]
//! refuses all others.

mod mersenne127;
mod mersenne61;
mod ristretto;

use std::{
    fmt::Debug,
    ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub, SubAssign},
};

use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroize;

pub use self::{mersenne61::Mersenne61, mersenne127::Mersenne127, ristretto::Ristretto};
use crate::prg::Prg;

/// Bytes that are not the encoding of a column of field elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The length is not a multiple of the element's width.
    #[error("{bytes} bytes do not hold a whole number of {field} elements of {width} bytes")]
    Length {
        /// Bytes given.
        bytes: usize,
        /// Bytes per element.
        width: usize,
        /// The field.
        field: &'static str,
    },
    /// An element's encoding is not its canonical one.
    #[error("element {index} is not a canonical {field} encoding")]
    NotCanonical {
        /// Its place, from 0.
        index: usize,
        /// The field.
        field: &'static str,
    },
}

/// A prime field.
///
/// Slice operations panic when lengths differ: columns of different lengths are a bug of the
/// caller, not an input. Everything that handles received columns checks their lengths first.
pub trait Field:
    Copy
    + Debug
    + Default
    + Eq
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + ConditionallySelectable
    + ConstantTimeEq
    + Zeroize
{
    /// Name, as errors and transcripts have it.
    const NAME: &'static str;
    /// Bytes of an encoded element.
    const BYTES: usize;
    /// Independent random checks after which a false claim survives with probability of at most
    /// 2^-120: two in a field of 61 bits, one elsewhere.
    const REPETITIONS: usize;
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;

    /// The residue of an unsigned integer.
    fn from_u64(value: u64) -> Self;

    /// The residue of a signed integer: negative ones count down from the order.
    fn from_i64(value: i64) -> Self {
        let magnitude = Self::from_u64(value.unsigned_abs());
        Self::conditional_select(&magnitude, &-magnitude, (((value >> 63) & 1) as u8).into())
    }

    /// Writes the canonical encoding into exactly [`Field::BYTES`] bytes.
    fn write(&self, out: &mut [u8]);

    /// Reads a canonical encoding of exactly [`Field::BYTES`] bytes.
    fn read(bytes: &[u8]) -> Option<Self>;

    /// Overwrites `out` with uniform elements, exactly uniform or within 2^-250 of it.
    fn sample(prg: &mut Prg, out: &mut [Self]);

    /// The inverse, by Fermat's little theorem; `None` for zero.
    fn invert(&self) -> Option<Self>;

    /// This element to a *public* power, given as little-endian 64-bit words.
    #[must_use]
    fn pow_public(&self, exponent: &[u64]) -> Self {
        let mut power = Self::ONE;
        for bit in (0..exponent.len() * 64).rev() {
            power *= power;
            if exponent[bit / 64] >> (bit % 64) & 1 == 1 {
                power *= *self;
            }
        }
        power
    }

    /// `left[i] += right[i]`.
    fn add_slice(left: &mut [Self], right: &[Self]) {
        same_length(left.len(), right.len());
        left.iter_mut().zip(right).for_each(|(l, r)| *l += *r);
    }

    /// `left[i] -= right[i]`.
    fn sub_slice(left: &mut [Self], right: &[Self]) {
        same_length(left.len(), right.len());
        left.iter_mut().zip(right).for_each(|(l, r)| *l -= *r);
    }

    /// `left[i] *= right[i]`.
    fn mul_slice(left: &mut [Self], right: &[Self]) {
        same_length(left.len(), right.len());
        left.iter_mut().zip(right).for_each(|(l, r)| *l *= *r);
    }

    /// `left[i] *= factor`.
    fn scale_slice(left: &mut [Self], factor: Self) {
        left.iter_mut().for_each(|l| *l *= factor);
    }

    /// `sum[i] = sum[i] * factor + add[i]`: one step of Horner's rule for a column.
    fn horner_slice(sum: &mut [Self], factor: Self, add: &[Self]) {
        same_length(sum.len(), add.len());
        sum.iter_mut().zip(add).for_each(|(s, a)| *s = *s * factor + *a);
    }

    /// The sum of all elements.
    #[must_use]
    fn sum(values: &[Self]) -> Self {
        values.iter().fold(Self::ZERO, |sum, v| sum + *v)
    }

    /// `left[0] * right[0] + left[1] * right[1] + …`.
    #[must_use]
    fn inner_product(left: &[Self], right: &[Self]) -> Self {
        same_length(left.len(), right.len());
        left.iter().zip(right).fold(Self::ZERO, |sum, (l, r)| sum + *l * *r)
    }

    /// `out[i] = weights[0] * columns[0][i] + weights[1] * columns[1][i] + …`.
    fn combine(out: &mut [Self], weights: &[Self], columns: &[&[Self]]) {
        same_length(weights.len(), columns.len());
        out.fill(Self::ZERO);
        for (weight, column) in weights.iter().zip(columns) {
            same_length(out.len(), column.len());
            out.iter_mut().zip(*column).for_each(|(o, c)| *o += *weight * *c);
        }
    }

    /// The encoding of a column: its elements', one after the other.
    #[must_use]
    fn encode(values: &[Self]) -> Vec<u8> {
        let mut bytes = vec![0; values.len() * Self::BYTES];
        for (value, chunk) in values.iter().zip(bytes.chunks_exact_mut(Self::BYTES)) {
            value.write(chunk);
        }
        bytes
    }

    /// Reads a column back; one non-canonical element or a leftover byte refuses the whole.
    fn decode(bytes: &[u8]) -> Result<Vec<Self>, DecodeError> {
        let chunks = bytes.chunks_exact(Self::BYTES);
        if !chunks.remainder().is_empty() {
            let (bytes, width) = (bytes.len(), Self::BYTES);
            return Err(DecodeError::Length { bytes, width, field: Self::NAME });
        }
        chunks
            .enumerate()
            .map(|(index, chunk)| {
                Self::read(chunk).ok_or(DecodeError::NotCanonical { index, field: Self::NAME })
            })
            .collect()
    }
}

/// Panics unless two columns are equally long.
#[track_caller]
pub(crate) fn same_length(left: usize, right: usize) {
    assert_eq!(left, right, "columns of {left} and {right} elements");
}

/// The operators that follow from `add`, `sub`, `mul` and `neg` of one element.
macro_rules! operators {
    ($field:ty) => {
        impl std::ops::Add for $field {
            type Output = Self;
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.plus(other)
            }
        }
        impl std::ops::Sub for $field {
            type Output = Self;
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.minus(other)
            }
        }
        impl std::ops::Mul for $field {
            type Output = Self;
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.times(other)
            }
        }
        impl std::ops::Neg for $field {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                Self::default().minus(self)
            }
        }
        impl std::ops::AddAssign for $field {
            #[inline(always)]
            fn add_assign(&mut self, other: Self) {
                *self = self.plus(other);
            }
        }
        impl std::ops::SubAssign for $field {
            #[inline(always)]
            fn sub_assign(&mut self, other: Self) {
                *self = self.minus(other);
            }
        }
        impl std::ops::MulAssign for $field {
            #[inline(always)]
            fn mul_assign(&mut self, other: Self) {
                *self = self.times(other);
            }
        }
        impl subtle::ConstantTimeEq for $field {
            fn ct_eq(&self, other: &Self) -> subtle::Choice {
                self.0.ct_eq(&other.0)
            }
        }
        impl subtle::ConditionallySelectable for $field {
            fn conditional_select(a: &Self, b: &Self, choice: subtle::Choice) -> Self {
                Self(subtle::ConditionallySelectable::conditional_select(&a.0, &b.0, choice))
            }
        }
    };
}
pub(crate) use operators;

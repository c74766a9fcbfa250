//! The field of order 2^127 - 1.

use zeroize::Zeroize;

use super::{Field, operators};
use crate::prg::Prg;

/// An element of the field of order 2^127 - 1, in 0 ..= 2^127 - 2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Zeroize)]
pub struct Mersenne127(u128);

const P: u128 = (1 << 127) - 1;
const LOW: u128 = u64::MAX as u128;

impl Mersenne127 {
    /// 2^127 - 1.
    pub const ORDER: u128 = P;

    /// The element, if the number is below the order.
    #[must_use]
    pub const fn new(value: u128) -> Option<Self> {
        if value < P { Some(Self(value)) } else { None }
    }

    /// The number in 0 ..= 2^127 - 2.
    #[must_use]
    pub const fn to_u128(self) -> u128 {
        self.0
    }

    /// The number in -(2^126 - 1) ..= 2^126 - 1: the upper half of the field is negative.
    #[must_use]
    pub const fn to_i128(self) -> i128 {
        let upper = (((P / 2).wrapping_sub(self.0) as i128) >> 127) as u128;
        self.0.wrapping_sub(upper & P) as i128
    }

    /// The residue of a signed integer.
    #[must_use]
    pub const fn from_i128(value: i128) -> Self {
        let magnitude = Self::reduce(value.unsigned_abs());
        let negative = Self(0).minus(magnitude);
        let mask = (value >> 127) as u128;
        Self(magnitude.0 ^ (mask & (magnitude.0 ^ negative.0)))
    }

    /// Takes the order away once from a number below twice the order.
    #[inline(always)]
    const fn once(value: u128) -> Self {
        let less = value.wrapping_sub(P);
        let borrowed = ((less as i128) >> 127) as u128;
        Self(less.wrapping_add(borrowed & P))
    }

    /// Reduces any 128-bit number.
    #[inline(always)]
    const fn reduce(value: u128) -> Self {
        Self::once((value & P).wrapping_add(value >> 127))
    }

    #[inline(always)]
    const fn plus(self, other: Self) -> Self {
        Self::once(self.0.wrapping_add(other.0))
    }

    #[inline(always)]
    const fn minus(self, other: Self) -> Self {
        let difference = self.0.wrapping_sub(other.0);
        let borrowed = ((difference as i128) >> 127) as u128;
        Self(difference.wrapping_add(borrowed & P))
    }

    /// Four products of 64-bit halves. With 2^127 = 1 and so 2^128 = 2, the middle ones, at
    /// 2^64, are cut at bit 63 and the upper one is doubled.
    #[inline(always)]
    const fn times(self, other: Self) -> Self {
        let (a0, a1) = (self.0 & LOW, self.0 >> 64);
        let (b0, b1) = (other.0 & LOW, other.0 >> 64);
        // Upper halves are below 2^63: the middle sum is below 2^128, and so are the two below.
        let low = a0.wrapping_mul(b0);
        let middle = a0.wrapping_mul(b1).wrapping_add(a1.wrapping_mul(b0));
        let high = a1.wrapping_mul(b1);
        let first = (low & P).wrapping_add(low >> 127).wrapping_add(middle >> 63);
        let second = ((middle & (LOW >> 1)) << 64).wrapping_add(high << 1);
        Self::reduce(first).plus(Self::reduce(second))
    }
}

operators!(Mersenne127);

impl Field for Mersenne127 {
    const NAME: &'static str = "2^127-1";
    const BYTES: usize = 16;
    const REPETITIONS: usize = 1;
    const ZERO: Self = Self(0);
    const ONE: Self = Self(1);

    fn from_u64(value: u64) -> Self {
        Self(u128::from(value))
    }

    fn write(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::new(u128::from_le_bytes(bytes.try_into().ok()?))
    }

    /// One hundred and twenty-seven bits at a time; the one value that is no element is drawn
    /// again.
    fn sample(prg: &mut Prg, out: &mut [Self]) {
        let mut bytes = zeroize::Zeroizing::new([0; 4096]);
        for block in out.chunks_mut(bytes.len() / 16) {
            let bytes = &mut bytes[..block.len() * 16];
            prg.fill(bytes);
            for (element, word) in block.iter_mut().zip(bytes.as_chunks::<16>().0) {
                element.0 = u128::from_le_bytes(*word) & P;
                while element.0 == P {
                    element.0 = u128::from_le_bytes(prg.bytes()) & P;
                }
            }
        }
    }

    fn invert(&self) -> Option<Self> {
        let exponent = P - 2;
        (self.0 != 0).then(|| self.pow_public(&[exponent as u64, (exponent >> 64) as u64]))
    }
}

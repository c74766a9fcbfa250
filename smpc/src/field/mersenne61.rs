//! The field of order 2^61 - 1.
//!
//! Because 2^61 is 1, a product of 122 bits is reduced by adding its upper half to its lower
//! one. Sums of products wait in 128 bits and are reduced once: 64 products fit.
//!
//! Sums are written `wrapping_add` where the bounds stand beside them: a check per addition would
//! cost a branch, and the vectors.

use zeroize::Zeroize;

use super::{Field, operators, same_length};
use crate::prg::Prg;

/// An element of the field of order 2^61 - 1, in 0 ..= 2^61 - 2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Zeroize)]
pub struct Mersenne61(u64);

const P: u64 = (1 << 61) - 1;

/// Products that fit 128 bits together: each is below 2^122.
const LAZY: usize = 64;

impl Mersenne61 {
    /// 2^61 - 1.
    pub const ORDER: u64 = P;

    /// The element, if the number is below the order.
    #[must_use]
    pub const fn new(value: u64) -> Option<Self> {
        if value < P { Some(Self(value)) } else { None }
    }

    /// The number in 0 ..= 2^61 - 2.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// The number in -(2^60 - 1) ..= 2^60 - 1: the upper half of the field is negative.
    #[must_use]
    pub const fn to_i64(self) -> i64 {
        let upper = (((P / 2).wrapping_sub(self.0) as i64) >> 63) as u64;
        self.0.wrapping_sub(upper & P) as i64
    }

    /// Takes the order away once from a number below twice the order.
    #[inline(always)]
    const fn once(value: u64) -> Self {
        let less = value.wrapping_sub(P);
        let borrowed = ((less as i64) >> 63) as u64;
        Self(less.wrapping_add(borrowed & P))
    }

    /// Reduces any 128-bit number.
    #[inline(always)]
    const fn reduce(value: u128) -> Self {
        let low = (value as u64) & P;
        let middle = ((value >> 61) as u64) & P;
        let high = (value >> 122) as u64;
        Self::once(Self::once(low.wrapping_add(middle)).0.wrapping_add(high))
    }

    #[inline(always)]
    const fn plus(self, other: Self) -> Self {
        Self::once(self.0.wrapping_add(other.0))
    }

    #[inline(always)]
    const fn minus(self, other: Self) -> Self {
        let difference = self.0.wrapping_sub(other.0);
        let borrowed = ((difference as i64) >> 63) as u64;
        Self(difference.wrapping_add(borrowed & P))
    }

    #[inline(always)]
    const fn times(self, other: Self) -> Self {
        let product = self.wide(other);
        Self::once(((product as u64) & P).wrapping_add((product >> 61) as u64))
    }

    #[inline(always)]
    const fn wide(self, other: Self) -> u128 {
        (self.0 as u128).wrapping_mul(other.0 as u128)
    }
}

operators!(Mersenne61);

impl Field for Mersenne61 {
    const NAME: &'static str = "2^61-1";
    const BYTES: usize = 8;
    const REPETITIONS: usize = 2;
    const ZERO: Self = Self(0);
    const ONE: Self = Self(1);

    fn from_u64(value: u64) -> Self {
        Self::once((value & P) + (value >> 61))
    }

    fn write(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::new(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Sixty-one bits at a time; the one value in 2^61 that is no element is drawn again.
    fn sample(prg: &mut Prg, out: &mut [Self]) {
        let mut bytes = zeroize::Zeroizing::new([0; 4096]);
        for block in out.chunks_mut(bytes.len() / 8) {
            let bytes = &mut bytes[..block.len() * 8];
            prg.fill(bytes);
            let mut refused = 0;
            for (element, word) in block.iter_mut().zip(bytes.as_chunks::<8>().0) {
                element.0 = u64::from_le_bytes(*word) & P;
                refused |= u64::from(element.0 == P);
            }
            while refused != 0 {
                refused = 0;
                for element in block.iter_mut().filter(|e| e.0 == P) {
                    element.0 = u64::from_le_bytes(prg.bytes()) & P;
                    refused |= u64::from(element.0 == P);
                }
            }
        }
    }

    fn invert(&self) -> Option<Self> {
        (self.0 != 0).then(|| self.pow_public(&[P - 2]))
    }

    fn inner_product(left: &[Self], right: &[Self]) -> Self {
        same_length(left.len(), right.len());
        let mut sum = Self::ZERO;
        for (left, right) in left.chunks(LAZY).zip(right.chunks(LAZY)) {
            let wide =
                left.iter().zip(right).fold(0, |sum: u128, (l, r)| sum.wrapping_add(l.wide(*r)));
            sum += Self::reduce(wide);
        }
        sum
    }

    fn sum(values: &[Self]) -> Self {
        let mut sum = Self::ZERO;
        // Seven elements below 2^61 fit 64 bits; eight independent sums can be vectorised.
        for block in values.chunks(56) {
            let mut lanes = [0_u64; 8];
            for lane_values in block.chunks(8) {
                lanes
                    .iter_mut()
                    .zip(lane_values)
                    .for_each(|(lane, v)| *lane = lane.wrapping_add(v.0));
            }
            sum += Self::reduce(lanes.iter().map(|lane| u128::from(*lane)).sum());
        }
        sum
    }

    fn combine(out: &mut [Self], weights: &[Self], columns: &[&[Self]]) {
        same_length(weights.len(), columns.len());
        columns.iter().for_each(|column| same_length(out.len(), column.len()));
        // The usual few parties, without a detour through memory.
        if let ([u, v], [a, b]) = (weights, columns) {
            for ((o, a), b) in out.iter_mut().zip(*a).zip(*b) {
                *o = Self::reduce(u.wide(*a).wrapping_add(v.wide(*b)));
            }
            return;
        }
        if let ([u, v, w], [a, b, c]) = (weights, columns) {
            for (((o, a), b), c) in out.iter_mut().zip(*a).zip(*b).zip(*c) {
                let sum = u.wide(*a).wrapping_add(v.wide(*b));
                *o = Self::reduce(sum.wrapping_add(w.wide(*c)));
            }
            return;
        }
        let mut wide = [0_u128; 256];
        let mut start = 0;
        for block in out.chunks_mut(wide.len()) {
            let wide = &mut wide[..block.len()];
            block.fill(Self::ZERO);
            for (weights, columns) in weights.chunks(LAZY).zip(columns.chunks(LAZY)) {
                wide.fill(0);
                for (weight, column) in weights.iter().zip(columns) {
                    let column = &column[start..start + wide.len()];
                    wide.iter_mut()
                        .zip(column)
                        .for_each(|(w, c)| *w = w.wrapping_add(weight.wide(*c)));
                }
                block.iter_mut().zip(&*wide).for_each(|(o, w)| *o += Self::reduce(*w));
            }
            start += block.len();
        }
        wide.zeroize();
    }
}

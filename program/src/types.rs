//! Numbers with a scale and a range, and truths.
//!
//! A number is an integer `v` that stands for `v / 10^scale`. Its range is inclusive and is known
//! before any data is: an operation whose result could leave the allowed width has no type, so a
//! program that has one cannot be built, and one that was built cannot overflow.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The widest magnitude a program may ask for: signed values in a prime field of 127 bits.
pub const WIDEST: u32 = 126;

/// The most decimals a number may have.
pub const SCALE_MAX: u8 = 18;

/// All integers from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// The least value.
    pub min: i128,
    /// The greatest value.
    pub max: i128,
}

impl Range {
    /// The range from `min` to `max`; `None` when they are the wrong way round.
    #[must_use]
    pub const fn new(min: i128, max: i128) -> Option<Self> {
        if min <= max { Some(Self { min, max }) } else { None }
    }

    /// The range that holds one value.
    #[must_use]
    pub const fn only(value: i128) -> Self {
        Self { min: value, max: value }
    }

    /// Is `value` one of these?
    #[must_use]
    pub const fn contains(&self, value: i128) -> bool {
        self.min <= value && value <= self.max
    }

    /// Bits of the largest magnitude: 0 for the range of zero alone.
    #[must_use]
    pub fn bits(&self) -> u32 {
        let magnitude = self.min.unsigned_abs().max(self.max.unsigned_abs());
        u128::BITS - magnitude.leading_zeros()
    }

    /// Everything in either range.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// What sums of one value from each can be; `None` past 127 bits.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self { min: self.min.checked_add(other.min)?, max: self.max.checked_add(other.max)? })
    }

    /// What differences can be; `None` past 127 bits.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        Some(Self { min: self.min.checked_sub(other.max)?, max: self.max.checked_sub(other.min)? })
    }

    /// What products can be; `None` past 127 bits.
    #[must_use]
    pub fn product(self, other: Self) -> Option<Self> {
        let corners = [
            self.min.checked_mul(other.min)?,
            self.min.checked_mul(other.max)?,
            self.max.checked_mul(other.min)?,
            self.max.checked_mul(other.max)?,
        ];
        let min = corners.into_iter().min()?;
        let max = corners.into_iter().max()?;
        Some(Self { min, max })
    }

    /// What squares can be; `None` past 127 bits.
    #[must_use]
    pub fn square(self) -> Option<Self> {
        let product = self.product(self)?;
        let min = if self.contains(0) {
            0
        } else {
            let nearest = self.min.unsigned_abs().min(self.max.unsigned_abs());
            i128::try_from(nearest).ok()?.checked_mul(i128::try_from(nearest).ok()?)?
        };
        Some(Self { min, max: product.max })
    }

    /// What the sum of `rows` values can be; `None` past 127 bits.
    #[must_use]
    pub fn times(self, rows: u64) -> Option<Self> {
        self.product(Self::only(i128::from(rows)))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.min, self.max)
    }
}

/// What a value of the program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    /// A fixed-point number: an integer of `range`, to be read as divided by `10^scale`.
    Number {
        /// Decimals.
        scale: u8,
        /// The integers it can be, before the division by `10^scale`.
        range: Range,
    },
    /// True or false.
    Truth,
}

impl Type {
    /// Is the value `value` (a truth being 0 or 1) of this type?
    #[must_use]
    pub const fn admits(&self, value: i128) -> bool {
        match self {
            Self::Number { range, .. } => range.contains(value),
            Self::Truth => value == 0 || value == 1,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { scale, range } => {
                let (min, max) = (decimal(range.min, *scale), decimal(range.max, *scale));
                write!(f, "number {min}..={max}")?;
                if *scale > 0 { write!(f, " in steps of {}", decimal(1, *scale)) } else { Ok(()) }
            }
            Self::Truth => f.write_str("truth"),
        }
    }
}

/// One value, or one for each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Size {
    /// A single value.
    One,
    /// A column of so many rows.
    Rows(u64),
}

impl Size {
    /// How many values that is.
    #[must_use]
    pub const fn values(&self) -> u64 {
        match self {
            Self::One => 1,
            Self::Rows(rows) => *rows,
        }
    }

    /// The size of an operation on both, a single value going with every row; `None` when two
    /// columns have different lengths.
    #[must_use]
    pub fn with(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::One, size) | (size, Self::One) => Some(size),
            (a, b) => (a == b).then_some(a),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One => f.write_str("one"),
            Self::Rows(rows) => write!(f, "{rows} rows"),
        }
    }
}

/// `10^digits`; `None` past 127 bits.
#[must_use]
pub const fn power_of_ten(digits: u8) -> Option<i128> {
    10_i128.checked_pow(digits as u32)
}

/// Write `value / 10^scale` without rounding.
#[must_use]
pub fn decimal(value: i128, scale: u8) -> String {
    if scale == 0 {
        return value.to_string();
    }
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, rest) = digits.split_at(digits.len() - usize::from(scale));
    format!("{sign}{whole}.{rest}")
}

/// Read a plain decimal such as `-12.50` as an integer and its number of decimals, trailing zeros
/// of the fraction dropped; `None` when it is none, or too long.
#[must_use]
pub fn parse_decimal(text: &str) -> Option<(i128, u8)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if digits == "." || digits.is_empty() || !plain(whole) || !plain(fraction) {
        return None;
    }
    let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= SCALE_MAX)?;
    let magnitude: i128 = format!("0{whole}{fraction}").parse().ok()?;
    Some((if negative { -magnitude } else { magnitude }, scale))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_read_and_written() {
        for (text, value) in
            [("0", (0, 0)), ("-12.50", (-125, 1)), (".5", (5, 1)), ("3.", (3, 0)), ("007", (7, 0))]
        {
            assert_eq!(parse_decimal(text), Some(value), "{text}");
        }
        for text in ["", ".", "-", "1e3", "1.2.3", "--1", "+1", "0.0000000000000000001"] {
            assert_eq!(parse_decimal(text), None, "{text}");
        }
        assert_eq!(decimal(-125, 1), "-12.5");
        assert_eq!(decimal(5, 3), "0.005");
        assert_eq!(decimal(-5, 3), "-0.005");
    }

    fn range() -> impl Strategy<Value = (Range, i128)> {
        (-1000_i128..1000, 0_i128..500, any::<prop::sample::Index>()).prop_map(|(min, span, at)| {
            let inside = min + at.index(span as usize + 1) as i128;
            (Range { min, max: min + span }, inside)
        })
    }

    proptest! {
        #[test]
        fn ranges_hold_what_can_happen((a, x) in range(), (b, y) in range(), rows in 0_u64..9) {
            prop_assert!(a.plus(b).is_some_and(|r| r.contains(x + y)));
            prop_assert!(a.minus(b).is_some_and(|r| r.contains(x - y)));
            prop_assert!(a.product(b).is_some_and(|r| r.contains(x * y)));
            prop_assert!(a.square().is_some_and(|r| r.contains(x * x)));
            prop_assert!(a.times(rows).is_some_and(|r| r.contains(x * i128::from(rows))));
            prop_assert!(a.hull(b).contains(x) && a.hull(b).contains(y));
        }

        #[test]
        fn decimals_come_back(value in -1_000_000_i128..1_000_000, scale in 0_u8..=18) {
            let (read, digits) = parse_decimal(&decimal(value, scale)).ok_or_else(|| TestCaseError::fail("unread"))?;
            prop_assert_eq!(read * 10_i128.pow(u32::from(scale - digits)), value);
        }
    }
}

//! Which type a column of texts has.
//!
//! A type is given to a column only if every value that is not empty can be written in it and read
//! back as the same text, so nothing is lost by it:
//!
//! - **boolean**: `true` or `false`;
//! - **integer**: decimal digits without leading zeros, a minus sign before them, 64 bits;
//! - **decimal**: integers of any length, and such with a fraction: `-12.50`;
//! - **text**: everything else, among it `007`, `1e5`, `+1`, `yes`, and columns without any value.
//!
//! A publication that finds other types than the one before it changes every record of the source,
//! hence every offer: a stray word in a column of numbers is worth a look.

use encrytrust_protocol::{ColumnKind, Value};

/// What the values seen so far allow.
#[derive(Debug, Clone, Copy)]
pub struct Inference {
    seen: bool,
    boolean: bool,
    integer: bool,
    decimal: bool,
}

impl Default for Inference {
    fn default() -> Self {
        Self { seen: false, boolean: true, integer: true, decimal: true }
    }
}

impl Inference {
    /// Takes the next value into account.
    pub fn see(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.seen = true;
        self.boolean &= matches!(text, "true" | "false");
        self.integer &= integer(text).is_some();
        self.decimal &= is_decimal(text);
    }

    /// The narrowest type that fits all.
    pub fn kind(&self) -> ColumnKind {
        match self {
            Self { seen: false, .. } => ColumnKind::Text,
            Self { boolean: true, .. } => ColumnKind::Boolean,
            Self { integer: true, .. } => ColumnKind::Integer,
            Self { decimal: true, .. } => ColumnKind::Decimal,
            _ => ColumnKind::Text,
        }
    }
}

/// Reads a text as a value of a type; `None` if it is not one.
pub fn value(text: &str, kind: ColumnKind) -> Option<Value> {
    match kind {
        ColumnKind::Text => Some(Value::Text(text.to_owned())),
        ColumnKind::Boolean => match text {
            "true" | "t" => Some(Value::Boolean(true)),
            "false" | "f" => Some(Value::Boolean(false)),
            _ => None,
        },
        ColumnKind::Integer => integer(text).map(Value::Integer),
        ColumnKind::Decimal => is_decimal(text).then(|| Value::Text(text.to_owned())),
    }
}

fn integer(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (whole(text.strip_prefix('-').unwrap_or(text)) && text != "-0").then_some(number)
}

/// Digits without leading zeros.
fn whole(digits: &str) -> bool {
    let all = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    all && (digits.len() == 1 || !digits.starts_with('0'))
}

/// At most 128 bytes, as the protocol has it.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    text.len() <= 128
        && match unsigned.split_once('.') {
            None => whole(unsigned),
            Some((digits, fraction)) => {
                whole(digits)
                    && !fraction.is_empty()
                    && fraction.bytes().all(|b| b.is_ascii_digit())
            }
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(values: &[&str]) -> ColumnKind {
        let mut inference = Inference::default();
        values.iter().for_each(|v| inference.see(v));
        inference.kind()
    }

    #[test]
    fn the_narrowest_type_without_loss() {
        assert_eq!(kind_of(&["1", "", "-20"]), ColumnKind::Integer);
        assert_eq!(kind_of(&["1", "2.50"]), ColumnKind::Decimal);
        assert_eq!(kind_of(&["9223372036854775808"]), ColumnKind::Decimal);
        assert_eq!(kind_of(&["true", "false"]), ColumnKind::Boolean);
        for text in [&["007"][..], &["1", "x"], &["1e5"], &["+1"], &["yes"], &[".5"], &[""], &[]] {
            assert_eq!(kind_of(text), ColumnKind::Text, "{text:?}");
        }
    }

    #[test]
    fn values_are_read_as_their_type_or_not_at_all() {
        assert_eq!(value("-5", ColumnKind::Integer), Some(Value::Integer(-5)));
        assert_eq!(value("05", ColumnKind::Integer), None);
        assert_eq!(value("t", ColumnKind::Boolean), Some(Value::Boolean(true)));
        assert_eq!(value("NaN", ColumnKind::Decimal), None);
        assert_eq!(value("0.50", ColumnKind::Decimal), Some(Value::Text("0.50".into())));
    }
}

//! One way to write each value (RFC 8949, section 4.2.1), and a reader that takes no other.

use minicbor::{Decode, Encode};

/// Bytes that are not the one encoding of the value they should hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Refused before a byte was read.
    #[error("{what}: {size} bytes, more than the {limit} allowed")]
    TooLong {
        /// What was expected.
        what: &'static str,
        /// Bytes offered.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not CBOR, or CBOR of another shape.
    #[error("{what} expected: {why}")]
    Shape {
        /// What was expected.
        what: &'static str,
        /// What the decoder stumbled over.
        why: String,
    },
    /// The value is followed by bytes that belong to nothing.
    #[error("{count} bytes after the end of the {what}")]
    Trailing {
        /// What was expected.
        what: &'static str,
        /// How many bytes are left over.
        count: usize,
    },
    /// Readable, but not the deterministic encoding: a second spelling would be a second identity.
    #[error("this {what} is not in deterministic CBOR (RFC 8949, section 4.2)")]
    NotDeterministic {
        /// What was expected.
        what: &'static str,
    },
    /// Signed for something else.
    #[error("signed as {found:?}, not as {expected:?}")]
    WrongTyp {
        /// The label this reader serves.
        expected: &'static str,
        /// The label in the protected header.
        found: String,
    },
    /// Well-formed, and outside what the protocol allows.
    #[error("{field}: {why}")]
    Limit {
        /// The field at fault.
        field: &'static str,
        /// What it must be.
        why: String,
    },
}

impl DecodeError {
    /// The field is outside its limits.
    pub(crate) fn limit(field: &'static str, why: impl Into<String>) -> Self {
        Self::Limit { field, why: why.into() }
    }
}

/// Writes a value as deterministic CBOR.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to a Vec does not fail")
}

/// Reads a value that fills `bytes` to the end, refusing every encoding but the deterministic one.
///
/// The length is compared with `limit` before anything is read, so memory is bounded by what the
/// caller was ready to accept.
pub fn decode<T>(what: &'static str, bytes: &[u8], limit: usize) -> Result<T, DecodeError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    if bytes.len() > limit {
        return Err(DecodeError::TooLong { what, size: bytes.len(), limit });
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let value: T = decoder.decode().map_err(|e| DecodeError::Shape { what, why: e.to_string() })?;
    let read = decoder.position();
    if read < bytes.len() {
        return Err(DecodeError::Trailing { what, count: bytes.len() - read });
    }
    if encode(&value) != bytes {
        return Err(DecodeError::NotDeterministic { what });
    }
    Ok(value)
}

/// Cuts a CBOR sequence (RFC 8742) into its items, at most `items_max` of them.
///
/// Only lengths are looked at; whether an item is what it should be is its own reader's matter, so
/// that one bad offer does not sink its neighbours.
pub fn split_sequence(bytes: &[u8], items_max: usize) -> Result<Vec<&[u8]>, DecodeError> {
    let what = "CBOR sequence";
    let mut decoder = minicbor::Decoder::new(bytes);
    let mut items = Vec::new();
    while decoder.position() < bytes.len() {
        if items.len() == items_max {
            return Err(DecodeError::limit("sequence", format!("at most {items_max} items")));
        }
        let start = decoder.position();
        decoder.skip().map_err(|e| DecodeError::Shape { what, why: e.to_string() })?;
        items.push(&bytes[start..decoder.position()]);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_spelling_is_refused() {
        assert_eq!(decode::<u64>("number", &[0x05], 9), Ok(5));
        let long_form = [0x18, 0x05];
        assert_eq!(
            decode::<u64>("number", &long_form, 9),
            Err(DecodeError::NotDeterministic { what: "number" })
        );
    }

    #[test]
    fn trailing_bytes_and_oversize_are_refused() {
        assert_eq!(
            decode::<u64>("number", &[0x05, 0x00], 9),
            Err(DecodeError::Trailing { what: "number", count: 1 })
        );
        assert!(matches!(
            decode::<u64>("number", &[0x05, 0x00], 1),
            Err(DecodeError::TooLong { .. })
        ));
        assert!(matches!(decode::<u64>("number", &[0x18], 9), Err(DecodeError::Shape { .. })));
    }

    #[test]
    fn sequences_are_cut_at_item_borders() {
        assert_eq!(split_sequence(&[0x01, 0x42, 9, 9, 0x80], 9).unwrap().len(), 3);
        assert!(split_sequence(&[0x01, 0x01], 1).is_err());
        assert!(split_sequence(&[0x42, 9], 9).is_err());
        assert_eq!(split_sequence(&[], 9).unwrap().len(), 0);
    }

    #[test]
    fn deep_nesting_is_skipped_without_recursion() {
        let deep = vec![0x81; 1 << 20];
        assert!(split_sequence(&deep, 9).is_err());
    }
}

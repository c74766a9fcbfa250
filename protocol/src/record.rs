//! The thing sold, and the commitment it is checked against.

use minicbor::{Decode, Decoder, Encode, Encoder, data::Type, decode, encode};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{Column, ColumnKind, Commitment, DecodeError, cbor};

/// One value of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Zeroize)]
#[serde(untagged)]
pub enum Value {
    /// Not known.
    Null,
    /// For [`ColumnKind::Boolean`].
    Boolean(bool),
    /// For [`ColumnKind::Integer`].
    Integer(i64),
    /// For [`ColumnKind::Text`], and for [`ColumnKind::Decimal`] in plain decimal notation.
    Text(String),
}

/// A record as it is delivered: the values in the order of the offer's columns, and the salt that
/// opens the commitment.
///
/// The salt is what keeps a commitment from being opened by trying likely records. It differs for
/// every version of a record and reaches a buyer together with it.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Record {
    salt: [u8; 32],
    values: Vec<Value>,
}

impl Record {
    /// The most bytes a record has in its encoding: one mebibyte.
    pub const BYTES_MAX: usize = 1 << 20;

    /// Puts values under a salt.
    pub fn new(salt: [u8; 32], values: Vec<Value>) -> Self {
        Self { salt, values }
    }

    /// The values, in the order of the offer's columns.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The salt, for whoever re-checks the commitment.
    pub fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    /// The canonical encoding of the values alone: a deterministic CBOR array.
    pub fn canonical_values(values: &[Value]) -> Vec<u8> {
        minicbor::to_vec(values).expect("writing to a Vec does not fail")
    }

    /// SHA-256(salt ‖ deterministic CBOR array of the values).
    pub fn commitment(&self) -> Commitment {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(self.salt)
            .chain_update(Self::canonical_values(&self.values))
            .finalize()
            .into();
        Commitment::from(hash)
    }

    /// The bytes that are sealed to a buyer.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads what [`Record::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        cbor::decode("record", bytes, Self::BYTES_MAX)
    }

    /// Whether there is one value a column, each of its column's type.
    pub fn matches(&self, columns: &[Column]) -> Result<(), DecodeError> {
        if self.values.len() != columns.len() {
            let why = format!("{} for {} columns", self.values.len(), columns.len());
            return Err(DecodeError::limit("values", why));
        }
        for (value, column) in self.values.iter().zip(columns) {
            value.check(column.kind).map_err(|e| match e {
                DecodeError::Limit { why, .. } => {
                    DecodeError::limit("value", format!("column {:?}: {why}", column.name))
                }
                other => other,
            })?;
        }
        Ok(())
    }
}

impl Value {
    fn check(&self, kind: ColumnKind) -> Result<(), DecodeError> {
        match (self, kind) {
            (Self::Null, _)
            | (Self::Boolean(_), ColumnKind::Boolean)
            | (Self::Integer(_), ColumnKind::Integer)
            | (Self::Text(_), ColumnKind::Text) => Ok(()),
            (Self::Text(text), ColumnKind::Decimal) => {
                if is_plain_decimal(text) {
                    Ok(())
                } else {
                    Err(DecodeError::limit("value", "a decimal number without exponent"))
                }
            }
            _ => Err(DecodeError::limit("value", format!("not of type {kind:?}"))),
        }
    }
}

/// `-?` digits, optionally `.` digits; at most 128 bytes.
fn is_plain_decimal(text: &str) -> bool {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    text.len() <= 128
        && match unsigned.split_once('.') {
            Some((whole, fraction)) => digits(whole) && digits(fraction),
            None => digits(unsigned),
        }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Record(<{} values redacted>)", self.values.len())
    }
}

impl<C> Encode<C> for Value {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        match self {
            Self::Null => e.null()?.ok(),
            Self::Boolean(b) => e.bool(*b)?.ok(),
            Self::Integer(i) => e.i64(*i)?.ok(),
            Self::Text(s) => e.str(s)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for Value {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        match d.datatype()? {
            Type::Null => d.null().map(|()| Self::Null),
            Type::Bool => d.bool().map(Self::Boolean),
            Type::String => d.str().map(|s| Self::Text(s.to_owned())),
            _ => d.i64().map(Self::Integer),
        }
    }
}

impl<C> Encode<C> for Record {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.map(2)?.u8(0)?.bytes(&self.salt)?.u8(1)?.encode_with(&self.values, ctx)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Record {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        let wrong = |what: &str| decode::Error::message(what);
        if d.map()? != Some(2) || d.u8()? != 0 {
            return Err(wrong("a map of salt and values expected"));
        }
        let salt = d.bytes()?.try_into().map_err(|_| wrong("a salt of 32 bytes expected"))?;
        if d.u8()? != 1 {
            return Err(wrong("values expected"));
        }
        Ok(Self { salt, values: d.decode_with(ctx)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Integer),
            ".*".prop_map(Value::Text),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(salt: [u8; 32], values in prop::collection::vec(any_value(), 0..20)) {
            let record = Record::new(salt, values);
            prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
        }

        #[test]
        fn another_salt_is_another_commitment(a: [u8; 32], b: [u8; 32]) {
            prop_assume!(a != b);
            let values = vec![Value::Integer(5)];
            prop_assert_ne!(
                Record::new(a, values.clone()).commitment(),
                Record::new(b, values).commitment()
            );
        }
    }

    #[test]
    fn the_commitment_is_plain_sha256() {
        let record = Record::new([0; 32], vec![Value::Text("a".into()), Value::Integer(-1)]);
        let mut preimage = vec![0; 32];
        preimage.extend_from_slice(&[0x82, 0x61, b'a', 0x20]);
        let hash: [u8; 32] = Sha256::digest(&preimage).into();
        assert_eq!(record.commitment(), Commitment::from(hash));
    }

    #[test]
    fn values_have_their_columns_types() {
        let column = |kind| vec![Column { name: "c".into(), kind }];
        let record = |v| Record::new([0; 32], vec![v]);
        assert!(record(Value::Integer(1)).matches(&column(ColumnKind::Integer)).is_ok());
        assert!(record(Value::Integer(1)).matches(&column(ColumnKind::Text)).is_err());
        for good in ["0", "-1.50", "12345678901234567890.1"] {
            assert!(record(Value::Text(good.into())).matches(&column(ColumnKind::Decimal)).is_ok());
        }
        for bad in ["", "1e5", ".5", "1.", "+1", "--1", "NaN"] {
            let error = record(Value::Text(bad.into())).matches(&column(ColumnKind::Decimal));
            assert!(error.is_err(), "{bad:?}");
        }
        assert!(record(Value::Null).matches(&[]).is_err());
    }

    #[test]
    fn debug_tells_no_values() {
        let record = Record::new([7; 32], vec![Value::Text("secret".into())]);
        assert!(!format!("{record:?}").contains("secret"));
    }
}

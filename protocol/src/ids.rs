//! Names and hashes that must not be confused with one another.

use std::{fmt, str::FromStr};

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use serde::{Deserialize, Serialize, de};

/// A text that does not spell the identifier it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct ParseIdError {
    what: &'static str,
    why: String,
}

/// Seconds since 1970-01-01T00:00:00Z, leap seconds ignored.
pub type UnixSeconds = u64;

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds ignored.
pub type UnixMillis = u64;

macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl From<[u8; $len]> for $name {
            fn from(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = ParseIdError;
            fn try_from(bytes: &[u8]) -> Result<Self, ParseIdError> {
                bytes.try_into().map(Self).map_err(|_| ParseIdError {
                    what: stringify!($name),
                    why: format!("{} bytes, not {}", bytes.len(), $len),
                })
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|e| ParseIdError {
                    what: stringify!($name),
                    why: format!("{} hex digits expected: {e}", $len * 2),
                })?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                Self::try_from(d.bytes()?).map_err(|e| decode::Error::message(e.to_string()))
            }
        }
    };
}

fixed_bytes!(
    /// A plain SHA-256 hash of something named where it stands.
    Sha256Hash, 32
);
fixed_bytes!(
    /// The pseudonym of a subject: see `docs/spec/subject-tag.md`.
    SubjectTag, 32
);
fixed_bytes!(
    /// SHA-256 over a 32-byte salt and the canonical [`Record`](crate::Record).
    Commitment, 32
);
fixed_bytes!(
    /// The name of a signed message: its RFC 6962 leaf hash, SHA-256(0x00 ‖ bytes).
    EntryId, 32
);
fixed_bytes!(
    /// SHA-256 of a block's `COSE_Sign1` bytes.
    BlockHash, 32
);
fixed_bytes!(
    /// SHA-256 of an identity's SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7), DER.
    ParticipantId, 32
);
fixed_bytes!(
    /// SHA-256 of a certificate, DER.
    CertificateId, 32
);
fixed_bytes!(
    /// An Ed25519 public key (RFC 8032): one key of a participant's pool, or the platform's.
    PublicKey, 32
);
fixed_bytes!(
    /// Sixteen bytes from the OS that make two otherwise equal messages differ.
    Nonce, 16
);

/// The name of an offer: the [`EntryId`] of its signed bytes.
pub type OfferId = EntryId;

/// The name of a trade: the [`EntryId`] of the buyer's signed request.
pub type TradeId = EntryId;

impl BlockHash {
    /// What the first block names as the block before it.
    pub const NONE: Self = Self([0; 32]);
}

impl From<&ed25519_dalek::SigningKey> for PublicKey {
    fn from(key: &ed25519_dalek::SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
    }
}

/// The name of a market, which every message carries so that it cannot be used on another.
///
/// It is also the stem of the log origins (`<market>/index`, `<market>/trades`), hence the
/// alphabet: a schema-less URL of lower-case letters, digits, `.`, `-`, `/`, `:` and `_`, 3 to
/// 100 bytes, as C2SP tlog-checkpoint recommends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Market(String);

impl Market {
    /// Checks the alphabet and the length.
    pub fn new(name: impl Into<String>) -> Result<Self, ParseIdError> {
        let name = name.into();
        let fault = |why: &str| Err(ParseIdError { what: "market name", why: why.to_owned() });
        if !(3..=100).contains(&name.len()) {
            return fault("3 to 100 bytes");
        }
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-/:_".contains(&b);
        if !name.bytes().all(allowed) {
            return fault("only lower-case letters, digits and . - / : _");
        }
        if name.starts_with('/') || name.ends_with('/') {
            return fault("no slash at either end");
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Market {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Market {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(d)?).map_err(de::Error::custom)
    }
}

impl<C> Encode<C> for Market {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Market {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Self::new(d.str()?).map_err(|e| decode::Error::message(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_parse_as_hex() {
        let id = EntryId::from([0xab; 32]);
        assert_eq!(id.to_string().parse::<EntryId>(), Ok(id));
        assert!("ab".parse::<EntryId>().is_err());
        assert!("zz".repeat(32).parse::<EntryId>().is_err());
    }

    #[test]
    fn market_names_are_schemaless_urls() {
        for good in ["market.example", "localhost:7700", "a.b/c-d_e"] {
            assert!(Market::new(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "Market.example", "with space", "/x/", "new\nline", "plus+sign"] {
            assert!(Market::new(bad).is_err(), "{bad:?}");
        }
    }
}

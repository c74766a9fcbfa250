//! What the index holds: offers and their withdrawals (white paper, section 6.3).

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{
    BadSignature, Commitment, DecodeError, ENTRY_BYTES_MAX, EntryId, Market, Message, OfferId,
    PublicKey, Signed, SubjectTag, UnixSeconds, Verified, domain, peek_typ,
};

/// How a subject tag was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum TagScheme {
    /// By the platform's verifiable OPRF (RFC 9497): nobody finds an ID by trying them all alone.
    #[n(0)]
    Voprf,
    /// SHA-256 of the normalised ID, as the white paper has it: guessable, kept for interoperation.
    #[n(1)]
    Sha256,
}

/// Whom an offer is about, by pseudonym only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(map)]
pub struct Subject {
    /// How the tag was made.
    #[n(0)]
    pub scheme: TagScheme,
    /// The pseudonym.
    #[n(1)]
    pub tag: SubjectTag,
}

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// Any text.
    #[n(0)]
    Text,
    /// A whole number of 64 bits, signed.
    #[n(1)]
    Integer,
    /// A decimal number, written as text without exponent.
    #[n(2)]
    Decimal,
    /// True or false.
    #[n(3)]
    Boolean,
}

/// One column of the record on offer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Column {
    /// Its name, unique in the offer.
    #[n(0)]
    pub name: String,
    /// The type of its values.
    #[n(1)]
    #[serde(rename = "type")]
    pub kind: ColumnKind,
}

/// What anyone may know about the data.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Description {
    /// One line, 1 to 200 bytes.
    #[n(0)]
    pub title: String,
    /// The record's columns in the order of its values, 1 to 256.
    #[n(1)]
    pub columns: Vec<Column>,
    /// Free text, at most 4,000 bytes.
    #[n(2)]
    pub text: String,
}

/// When an offer can be taken: `from <= t < until`, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Validity {
    /// First second.
    #[n(0)]
    pub from: UnixSeconds,
    /// First second after.
    #[n(1)]
    pub until: UnixSeconds,
}

impl Validity {
    /// Whether `t` lies inside.
    pub fn contains(&self, t: UnixSeconds) -> bool {
        (self.from..self.until).contains(&t)
    }
}

/// A signed promise: this record about this subject, at this price, from this key's holder.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Offer {
    /// The market it stands on.
    #[n(0)]
    pub market: Market,
    /// Whom it is about.
    #[n(1)]
    pub subject: Subject,
    /// What anyone may know about the data.
    #[n(2)]
    pub description: Description,
    /// What the record will be checked against.
    #[n(3)]
    pub commitment: Commitment,
    /// What one delivery costs, in the market's credits.
    #[n(4)]
    pub price: u64,
    /// Where the provider's node answers; `None`: through the platform's relay.
    #[n(5)]
    pub endpoint: Option<String>,
    /// When it can be taken.
    #[n(6)]
    pub valid: Validity,
    /// The offer it replaces: same signer, same subject.
    #[n(7)]
    pub supersedes: Option<OfferId>,
}

impl Offer {
    /// The highest price, so that sums of many fit 64 bits.
    pub const PRICE_MAX: u64 = 1_000_000_000_000;
    /// The most columns a record has.
    pub const COLUMNS_MAX: usize = 256;
    /// The longest an offer may run, in seconds: five years.
    pub const DURATION_MAX: u64 = 5 * 366 * 86_400;
}

/// The end of an offer, said by its signer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Withdrawal {
    /// The market it stands on.
    #[n(0)]
    pub market: Market,
    /// Whom the offer was about: so a tag's history can be read off the log alone.
    #[n(1)]
    pub subject: Subject,
    /// The offer that ends.
    #[n(2)]
    pub withdraws: OfferId,
    /// When it was said.
    #[n(3)]
    pub at: UnixSeconds,
}

/// One entry of the index log, its signature checked.
#[derive(Clone, Debug)]
pub enum IndexEntry {
    /// A new or updated offer.
    Offer(Verified<Offer>),
    /// The end of one.
    Withdrawal(Verified<Withdrawal>),
}

/// An index entry that could not be read or believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexEntryError {
    /// Not the bytes of an index entry.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Bytes that their signer did not sign.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl IndexEntry {
    /// Reads an entry and checks its signature; which kind it is, its `typ` says.
    pub fn decode(bytes: &[u8]) -> Result<Self, IndexEntryError> {
        let typ = peek_typ(bytes, ENTRY_BYTES_MAX)?;
        if typ == Withdrawal::TYP {
            Ok(Self::Withdrawal(Signed::decode(bytes)?.verify()?))
        } else {
            Ok(Self::Offer(Signed::decode(bytes)?.verify()?))
        }
    }

    /// Its name.
    pub fn id(&self) -> EntryId {
        match self {
            Self::Offer(o) => o.id(),
            Self::Withdrawal(w) => w.id(),
        }
    }

    /// Its exact bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Offer(o) => o.bytes(),
            Self::Withdrawal(w) => w.bytes(),
        }
    }

    /// Who signed it.
    pub fn signer(&self) -> PublicKey {
        match self {
            Self::Offer(o) => o.signer(),
            Self::Withdrawal(w) => w.signer(),
        }
    }

    /// Whom it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Offer(o) => o.message().subject,
            Self::Withdrawal(w) => w.message().subject,
        }
    }

    /// The market it stands on.
    pub fn market(&self) -> &Market {
        match self {
            Self::Offer(o) => &o.message().market,
            Self::Withdrawal(w) => &w.message().market,
        }
    }

    /// The offer it ends: superseded or withdrawn.
    pub fn ends(&self) -> Option<OfferId> {
        match self {
            Self::Offer(o) => o.message().supersedes,
            Self::Withdrawal(w) => Some(w.message().withdraws),
        }
    }
}

pub(crate) fn text_within(
    field: &'static str,
    text: &str,
    bytes: std::ops::RangeInclusive<usize>,
) -> Result<(), DecodeError> {
    if !bytes.contains(&text.len()) {
        let why = format!("{} to {} bytes, not {}", bytes.start(), bytes.end(), text.len());
        return Err(DecodeError::limit(field, why));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(DecodeError::limit(field, "no control characters"));
    }
    Ok(())
}

impl Description {
    fn check(&self) -> Result<(), DecodeError> {
        text_within("title", &self.title, 1..=200)?;
        text_within("text", &self.text, 0..=4000)?;
        if !(1..=Offer::COLUMNS_MAX).contains(&self.columns.len()) {
            return Err(DecodeError::limit("columns", "1 to 256"));
        }
        let mut names = std::collections::HashSet::new();
        for column in &self.columns {
            text_within("column name", &column.name, 1..=128)?;
            if !names.insert(column.name.as_str()) {
                return Err(DecodeError::limit("columns", format!("{:?} twice", column.name)));
            }
        }
        Ok(())
    }
}

impl Message for Offer {
    const TYP: &'static str = domain::OFFER;
    const NAME: &'static str = "offer";
    const LIMIT: usize = ENTRY_BYTES_MAX;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        self.description.check()?;
        if self.price > Self::PRICE_MAX {
            return Err(DecodeError::limit("price", format!("at most {}", Self::PRICE_MAX)));
        }
        if let Some(endpoint) = &self.endpoint {
            text_within("endpoint", endpoint, 8..=512)?;
            if !(endpoint.starts_with("https://") || endpoint.starts_with("http://")) {
                return Err(DecodeError::limit("endpoint", "an http or https URL"));
            }
        }
        if self.valid.from >= self.valid.until {
            return Err(DecodeError::limit("validity", "ends before it begins"));
        }
        if self.valid.until - self.valid.from > Self::DURATION_MAX {
            return Err(DecodeError::limit("validity", "at most five years"));
        }
        Ok(())
    }
}

impl Message for Withdrawal {
    const TYP: &'static str = domain::WITHDRAWAL;
    const NAME: &'static str = "withdrawal";
    const LIMIT: usize = 1024;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

//! What the node is asked for and what it answers: plain data, ready to be printed or written as
//! JSON.

use std::{path::PathBuf, time::Duration};

use encrytrust_keys::files::Passphrase;
use encrytrust_protocol::{
    Column, Commitment, EntryId, Market, Offer, OfferId, ParticipantId, ParticipantState,
    PublicKey, SubjectTag, TagScheme, TradeId, UnixSeconds, Validity, api::OfferState,
};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::source::SourceSpec;

/// How to start a node.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The platform's base URL, such as `https://market.example`.
    pub platform: String,
    /// The platform's key as a C2SP vkey, from somebody trusted. Without it the key is believed on
    /// first use, and [`Initialised::pinned`] says so.
    pub vkey: Option<String>,
    /// What the administrator will see, 1 to 100 bytes.
    pub name: String,
    /// Encrypts the private keys on disk.
    pub passphrase: Option<Passphrase>,
}

/// A node that was started.
#[derive(Debug, Clone, Serialize)]
pub struct Initialised {
    /// Its directory.
    pub dir: PathBuf,
    /// The market it belongs to.
    pub market: Market,
    /// The platform's key, which every answer is checked against from now on.
    pub vkey: String,
    /// Whether that key was given. If not it was taken from the platform's own answer: compare it
    /// with what the platform's operator says elsewhere.
    pub pinned: bool,
}

/// The identity to join with.
#[derive(Debug, Clone)]
pub enum Identity {
    /// A fresh self-signed certificate, or the one made before.
    SelfSigned,
    /// A certificate, its chain, and its key, in PEM.
    Issued {
        /// Certificates, leaf first.
        certificates: String,
        /// PKCS #8, Ed25519 or ECDSA P-256.
        key: Zeroizing<String>,
    },
}

/// Where this node stands on its market.
#[derive(Debug, Clone, Serialize)]
pub struct Membership {
    /// SHA-256 of the identity's public key.
    pub id: ParticipantId,
    /// The name it joined with.
    pub name: String,
    /// What the administrator decided.
    pub state: ParticipantState,
    /// Pool keys the platform knows of.
    pub keys: u64,
}

/// Pool keys were made and registered.
#[derive(Debug, Clone, Serialize)]
pub struct KeysAdded {
    /// Keys the platform had not seen.
    pub added: u64,
    /// Keys of an earlier attempt, which the platform had accepted already.
    pub present: u64,
    /// Keys in this node's pool now.
    pub pool: u64,
}

/// What to publish.
#[derive(Debug, Clone)]
pub struct PublishSpec {
    /// Where the rows are.
    pub source: SourceSpec,
    /// The columns that say who a row is about, in the order the market agreed on.
    pub id_columns: Vec<String>,
    /// The columns of the record, in the order they are delivered.
    pub columns: Vec<String>,
    /// One line that anyone may read.
    pub title: String,
    /// Free text that anyone may read.
    pub text: String,
    /// What one record costs, in the market's credits.
    pub price: u64,
    /// How long an offer runs from its publication.
    pub duration: Duration,
    /// Where this node is reached; `None`: through the platform's relay.
    pub endpoint: Option<String>,
    /// How subjects become tags.
    pub scheme: TagScheme,
    /// What distinguishes two products made from one source. Without it, publishing other columns
    /// of the same source replaces the offers made before.
    pub dataset: Option<String>,
}

/// What publishing did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Published {
    /// Rows read.
    pub rows: u64,
    /// Offers for subjects that had none.
    pub new: u64,
    /// Offers that replaced older ones: changed rows, changed terms, or time running out.
    pub updated: u64,
    /// Offers ended because their row is gone.
    pub withdrawn: u64,
    /// Rows whose offer stands as it is.
    pub unchanged: u64,
    /// Entries of an interrupted run that this one finished first.
    pub resumed: u64,
    /// Rows that could not be offered, by the node or by the platform; the others were.
    pub refused: Vec<RefusedRow>,
    /// Entries of the index after the last inclusion proof was checked.
    pub index_size: u64,
    /// Subject IDs that the platform evaluated blindly; the others' tags were known here.
    pub tags_asked: u64,
    /// Seconds from the first row read to the last proof checked.
    pub seconds: f64,
}

/// A row that could not be offered.
#[derive(Debug, Clone, Serialize)]
pub struct RefusedRow {
    /// Where the row is, such as `line 17`. Never its content.
    pub row: String,
    /// Why.
    pub why: String,
}

/// How to serve.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The address to listen on, such as `0.0.0.0:7800`; `None`: only through the relay.
    pub listen: Option<String>,
    /// Where buyers reach it. `None`: the node also fetches requests from the platform's relay.
    pub endpoint: Option<String>,
}

/// What a lookup found.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The subject's pseudonym.
    pub tag: SubjectTag,
    /// Entries in the index it was looked up in.
    pub index_size: u64,
    /// Offers, oldest first, each with its signature and its inclusion proof checked.
    pub offers: Vec<FoundOffer>,
    /// What left this machine for this lookup, in words, in order; empty: nothing at all.
    pub sent: Vec<String>,
}

/// An offer whose signature and inclusion were verified.
#[derive(Debug, Clone, Serialize)]
pub struct FoundOffer {
    /// Its name.
    pub id: OfferId,
    /// Its place in the index.
    pub index: u64,
    /// Where it stands.
    pub state: OfferState,
    /// Who offers: one key of a pool.
    pub provider: PublicKey,
    /// One line about the data.
    pub title: String,
    /// More about the data.
    pub text: String,
    /// The record's columns.
    pub columns: Vec<Column>,
    /// What it costs.
    pub price: u64,
    /// Where the provider's node answers; `None`: through the relay.
    pub endpoint: Option<String>,
    /// When it can be taken.
    pub valid: Validity,
    /// What the record will be checked against.
    pub commitment: Commitment,
}

impl FoundOffer {
    pub(crate) fn new(
        id: OfferId,
        index: u64,
        state: OfferState,
        provider: PublicKey,
        offer: &Offer,
    ) -> Self {
        Self {
            id,
            index,
            state,
            provider,
            title: offer.description.title.clone(),
            text: offer.description.text.clone(),
            columns: offer.description.columns.clone(),
            price: offer.price,
            endpoint: offer.endpoint.clone(),
            valid: offer.valid,
            commitment: offer.commitment,
        }
    }
}

/// A record that was bought, delivered and found to be the one offered.
#[derive(Debug, Clone, Serialize)]
pub struct Purchase {
    /// The offer.
    pub offer: OfferId,
    /// Who delivered.
    pub provider: PublicKey,
    /// The trade's name: that of the signed request.
    pub trade: TradeId,
    /// The columns that were delivered.
    pub columns: Vec<Column>,
    /// What was agreed.
    pub price: u64,
    /// The receipt's place in the log of trades.
    pub receipt: u64,
    /// The receipt's name.
    pub receipt_id: EntryId,
    /// Where the record is.
    pub out: PathBuf,
    /// When it was delivered.
    pub at: UnixSeconds,
}

/// What downloading did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Synced {
    /// Where the copy is.
    pub dir: PathBuf,
    /// Blocks in the copy, and how many of them are new.
    pub blocks: Grown,
    /// Entries of the index, and how many of them are new.
    pub index: Grown,
    /// Entries of the log of trades, and how many of them are new.
    pub trades: Grown,
    /// Bytes received.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
}

/// How far something grew.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Grown {
    /// How many there are.
    pub total: u64,
    /// How many are new.
    pub new: u64,
}

/// How far a long task is. Totals are zero while they are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Rows of a source were read.
    Reading {
        /// So far.
        rows: u64,
    },
    /// Subject IDs became tags.
    Tagging {
        /// So far.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// Entries were sent, included, and their proofs checked.
    Sending {
        /// So far.
        done: u64,
    },
    /// Blocks were downloaded and verified.
    Blocks {
        /// So far.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// Entries of a log were downloaded and verified.
    Entries {
        /// `index` or `trades`.
        log: &'static str,
        /// So far.
        done: u64,
        /// Of how many.
        total: u64,
    },
}

/// Is told how far a long task is.
pub type Progress<'a> = &'a (dyn Fn(Step) + Send + Sync);

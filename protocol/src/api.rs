//! The JSON shapes of the platform's HTTP API. Signed messages stand in them as base64 of their
//! exact bytes, so that whoever reads JSON can still verify.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use crate::{
    BlockHash, EntryId, ParticipantId, ParticipantState, Problem, Sha256Hash, SubjectTag, TreeHead,
    UnixMillis, UnixSeconds,
};

/// Bytes that are written in JSON as standard base64 with padding (RFC 4648, section 4).
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = Byte)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        BASE64_STANDARD.decode(text).map(Self).map_err(de::Error::custom)
    }
}

/// `GET /v1/platform`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlatformView {
    /// The market's name; the logs' origins are `<market>/index` and `<market>/trades`.
    #[schema(example = "market.example")]
    pub market: String,
    /// The platform's key as a C2SP signed-note verifier key under the market's name.
    pub vkey: String,
    /// A signed [`PlatformInfo`](crate::PlatformInfo).
    pub info: Base64,
}

/// A tree head in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TreeHeadView {
    /// Entries in the tree.
    pub size: u64,
    /// RFC 6962 Merkle tree hash, hex.
    #[schema(value_type = String)]
    pub root: Sha256Hash,
}

impl From<TreeHead> for TreeHeadView {
    fn from(head: TreeHead) -> Self {
        Self { size: head.size, root: head.root }
    }
}

/// `GET /v1/blocks/{height}`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BlockView {
    /// 0 for the first.
    pub height: u64,
    /// SHA-256 of the signed block, hex.
    #[schema(value_type = String)]
    pub hash: BlockHash,
    /// When it was built, Unix milliseconds.
    pub time: UnixMillis,
    /// Where the index of offers stood.
    pub index: TreeHeadView,
    /// Where the log of trades stood.
    pub trades: TreeHeadView,
    /// The signed block.
    pub signed: Base64,
}

/// `GET /v1/blocks?from=&limit=`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BlocksView {
    /// In order of height.
    pub blocks: Vec<BlockView>,
}

/// What became of one submitted entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubmitStatus {
    /// In the log, on disk.
    Accepted,
    /// The very same bytes were in the log already.
    Present,
    /// Not in the log; the problem says why.
    Refused,
}

/// What became of one submitted entry, and where it stands.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SubmitResult {
    /// What became of it.
    pub status: SubmitStatus,
    /// Its place in the log, unless refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Its name: the RFC 6962 leaf hash of its bytes, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub id: Option<EntryId>,
    /// With `?wait=included`: a C2SP tlog-proof against the checkpoint that first includes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// `POST /v1/offers`, `POST /v1/receipts`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SubmitView {
    /// One result for each submitted entry, in order.
    pub results: Vec<SubmitResult>,
}

/// Where an offer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OfferState {
    /// Can be taken.
    Current,
    /// A newer version replaced it.
    Superseded,
    /// Its signer ended it.
    Withdrawn,
    /// Its time is over, or has not begun.
    Expired,
}

/// An offer with the proof that it is in the index.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OfferView {
    /// The offer's name: the RFC 6962 leaf hash of its bytes, hex.
    #[schema(value_type = String)]
    pub id: EntryId,
    /// Its place in the index log.
    pub index: u64,
    /// Where it stands.
    pub state: OfferState,
    /// The signed offer.
    pub entry: Base64,
    /// RFC 6962 inclusion proof under the answer's checkpoint, from the leaf up.
    pub proof: Vec<Base64>,
}

/// `GET /v1/subjects/{tag}`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SubjectView {
    /// The tag asked for, hex.
    #[schema(value_type = String)]
    pub tag: SubjectTag,
    /// The index log's checkpoint that the proofs are under: a C2SP signed note.
    pub checkpoint: String,
    /// The tag's offers, oldest first.
    pub offers: Vec<OfferView>,
}

/// `GET /v1/offers/{id}`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OneOfferView {
    /// The index log's checkpoint that the proof is under: a C2SP signed note.
    pub checkpoint: String,
    /// The offer.
    pub offer: OfferView,
}

/// A participant, as the platform shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ParticipantView {
    /// SHA-256 of the identity's public key, hex.
    #[schema(value_type = String)]
    pub id: ParticipantId,
    /// The name it joined with.
    pub name: String,
    /// Where it stands.
    pub state: ParticipantState,
    /// How many pool keys it has.
    pub keys: u64,
    /// When it joined, Unix seconds.
    pub since: UnixSeconds,
}

/// `POST /v1/admin/participants`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ParticipantsView {
    /// In the order they joined.
    pub participants: Vec<ParticipantView>,
}

/// `POST /v1/keys`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PoolView {
    /// Keys that were new.
    pub added: u64,
    /// Keys that were in this participant's pool already.
    pub present: u64,
}

/// `GET /v1/keys/{key}`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// A [`KeyStatus`](crate::KeyStatus) signed by the platform.
    pub status: Base64,
    /// The [`KeyBinding`](crate::KeyBinding) signed by the key.
    pub binding: Base64,
}

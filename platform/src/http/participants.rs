//! Who takes part, and with which keys.

use actix_web::{
    HttpRequest, HttpResponse, get, post,
    web::{Path, Payload},
};
use encrytrust_keys::{
    identity::IdentityError,
    membership::{MembershipError, PoolSubmission, verify_join},
};
use encrytrust_protocol::{
    Join, KeyStatus, Message, ParticipantId, ParticipantState, PublicKey, Signed,
    api::{Base64, KeyView, ParticipantView, PoolView},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Binary, Problems, Site, body, compute, fresh};
use crate::{
    freshness::{check_clock, now},
    identity::Leaf,
    problem::{
        BAD_IDENTITY, BAD_MESSAGE, BAD_REQUEST, BAD_SIGNATURE, IDENTITY_EXPIRED, NOT_FOUND,
        Refused, UNKNOWN_PARTICIPANT, unreadable,
    },
    sequencer::{MemberOrder, Membership},
    service::Service,
    standing,
    state::ParticipantRecord,
};

/// Where a participant stands now.
#[derive(Serialize, ToSchema)]
pub(crate) struct StandingView {
    /// SHA-256 of the identity's public key, hex.
    #[schema(value_type = String)]
    pub(crate) id: ParticipantId,
    /// Where it stands.
    pub(crate) state: ParticipantState,
}

impl Refused {
    fn of_membership(error: &MembershipError) -> Self {
        let detail = error.to_string();
        match error {
            MembershipError::Decode(e) => unreadable(e),
            MembershipError::Signature(_) => BAD_SIGNATURE.because(detail),
            MembershipError::Identity(
                IdentityError::Expired { .. } | IdentityError::NotYetValid { .. },
            ) => IDENTITY_EXPIRED.because(detail),
            MembershipError::Identity(_) | MembershipError::OtherParticipant { .. } => {
                BAD_IDENTITY.because(detail)
            }
            _ => BAD_MESSAGE.because(detail),
        }
        .into()
    }
}

/// Ask to take part
///
/// The body is a Join, signed with the certificate it carries. An administrator decides. Joining
/// again with a renewed certificate for the same key puts the new one in force.
#[utoipa::path(
    tag = "participants",
    request_body(content = Binary, content_type = "application/cose"),
    responses((status = 200, body = StandingView), Problems)
)]
#[post("/v1/participants")]
pub(crate) async fn post_join(
    site: Site,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let bytes = body(&request, payload, Join::LIMIT).await?;
    let signed = Signed::<Join>::decode(&bytes)?;
    site.check_market(&signed.unverified().market)?;
    let service = site.clone().into_inner();
    let verified = compute(&site, move || verify_join(signed, &service.trust, now())).await?;
    let (join, certificate) = verified.map_err(|e| Refused::of_membership(&e))?;
    let leaf = join.message().chain.first().and_then(|der| Leaf::read(der));
    let Some(leaf) = leaf.filter(|leaf| leaf.certificate == certificate.id()) else {
        return BAD_IDENTITY.refuse("the certificate cannot be read");
    };
    // The very same request may be repeated at any time: it changes nothing.
    let known = participant(&site, leaf.participant)?;
    if known.is_none_or(|known| known.joined_at != join.message().at) {
        check_clock(join.message().at)?;
    }
    stands(site.sequencer.member(MemberOrder::Join { join, leaf }).await?)
}

/// One participant
#[utoipa::path(
    tag = "participants",
    params(("id" = String, Path, description = "the participant's id, hex")),
    responses((status = 200, body = ParticipantView), Problems)
)]
#[get("/v1/participants/{id}")]
pub(crate) async fn get_participant(site: Site, id: Path<String>) -> Result<HttpResponse, Refused> {
    let id: ParticipantId =
        id.parse().or_else(|e| BAD_REQUEST.refuse(format!("not a participant's id: {e}")))?;
    match participant(&site, id)? {
        Some(record) => Ok(fresh(&view(id, record))),
        None => UNKNOWN_PARTICIPANT.refuse(format!("participant {id} has not joined")),
    }
}

/// Add keys to one's pool
///
/// The body is a CBOR sequence: a Pool, signed with the certificate in force, and behind it the
/// KeyBindings it names, each signed by its key.
#[utoipa::path(
    tag = "participants",
    request_body(content = Binary, content_type = "application/cbor-seq"),
    responses((status = 200, body = PoolView), Problems)
)]
#[post("/v1/keys")]
pub(crate) async fn post_pool(
    site: Site,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let limit = PoolSubmission::BYTES_MAX.min(site.config.limits.offers_bytes);
    let bytes = body(&request, payload, limit).await?;
    let submission = PoolSubmission::decode(&bytes).map_err(|e| Refused::of_membership(&e))?;
    let id = submission.claimed_participant();
    let Some(owner) = participant(&site, id)? else {
        return UNKNOWN_PARTICIPANT.refuse(format!("participant {id} has not joined"));
    };
    site.gate.request_by(&id)?;
    let service = site.clone().into_inner();
    let verified = compute(&site, move || verify_pool(&service, submission, &owner)).await??;
    let (pool, bindings) = verified;
    site.check_market(&pool.message().market)?;
    check_clock(pool.message().at)?;
    match site.sequencer.member(MemberOrder::Pool { pool, bindings }).await? {
        Membership::Keys { added, present } => Ok(fresh(&PoolView { added, present })),
        Membership::Stands(..) => Err(Refused::internal("a key pool", "answered as a join")),
    }
}

type VerifiedPool = (
    encrytrust_protocol::Verified<encrytrust_protocol::Pool>,
    Vec<encrytrust_protocol::Verified<encrytrust_protocol::KeyBinding>>,
);

/// Validates the certificate in force once more, now, and then the list and each binding by it.
fn verify_pool(
    service: &Service,
    submission: PoolSubmission,
    owner: &ParticipantRecord,
) -> Result<VerifiedPool, Refused> {
    let join = service.members.entry(owner.join);
    let join = join.map_err(|e| Refused::internal("reading the members log", e))?;
    let join = Signed::<Join>::decode(&join)
        .map_err(|e| Refused::internal("reading the members log", e))?;
    let chain: Vec<&[u8]> = join.unverified().chain.iter().map(|der| der.as_slice()).collect();
    let certificate = service
        .trust
        .validate(&chain, now())
        .map_err(|e| Refused::of_membership(&MembershipError::Identity(e)))?;
    submission.verify(&certificate).map_err(|e| Refused::of_membership(&e))
}

/// Whether a key may be used
///
/// The platform's signed word, good for a minute or so, and the key's own binding to its HPKE key.
/// Whose key it is stays with the platform.
#[utoipa::path(
    tag = "participants",
    params(("key" = String, Path, description = "the Ed25519 public key, hex")),
    responses((status = 200, body = KeyView), Problems)
)]
#[get("/v1/keys/{key}")]
pub(crate) async fn get_key(site: Site, key: Path<String>) -> Result<HttpResponse, Refused> {
    let key: PublicKey =
        key.parse().or_else(|e| BAD_REQUEST.refuse(format!("not a public key: {e}")))?;
    let at = now();
    let standing = standing::of(&site.state, &key, at)
        .map_err(|e| Refused::internal("looking up a key", e))?;
    let Some((state, binding)) = standing.stated() else {
        return NOT_FOUND.refuse(format!("key {key} is in no participant's pool"));
    };
    let until = at + site.config.key_status_seconds.max(1);
    let status = KeyStatus { market: site.market().clone(), key, state, at, until };
    let status = site
        .key
        .sign_key_status(status)
        .map_err(|e| Refused::internal("signing a key status", e))?;
    let binding =
        site.members.entry(binding).map_err(|e| Refused::internal("reading the members log", e))?;
    Ok(fresh(&KeyView { status: Base64(status.bytes().to_vec()), binding: Base64(binding) }))
}

pub(super) fn view(id: ParticipantId, record: ParticipantRecord) -> ParticipantView {
    let state = record.state();
    ParticipantView { id, name: record.name, state, keys: record.keys, since: record.since }
}

pub(super) fn stands(membership: Membership) -> Result<HttpResponse, Refused> {
    match membership {
        Membership::Stands(id, state) => Ok(fresh(&StandingView { id, state })),
        Membership::Keys { .. } => Err(Refused::internal("a membership", "answered as a pool")),
    }
}

fn participant(site: &Service, id: ParticipantId) -> Result<Option<ParticipantRecord>, Refused> {
    site.state.participant(&id).map_err(|e| Refused::internal("a lookup", e))
}

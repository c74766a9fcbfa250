//! The relay for nodes that nobody can reach: see [`crate::relay`].

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    post,
    web::{Path, Payload},
};
use encrytrust_protocol::{Message, Nonce, PublicKey, RelayPackets, RelayPoll, Reply, Signed};

use super::{Binary, Problems, Site, body};
use crate::{
    freshness::now,
    problem::{BAD_REQUEST, BUSY, NOT_FOUND, Refused},
    standing,
};

fn binary(bytes: impl actix_web::body::MessageBody + 'static, kind: &str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(bytes)
}

/// Send a sealed request to a provider's node
///
/// Answered with the node's sealed reply, or 504 when the node does not fetch and answer it.
#[utoipa::path(
    tag = "relay",
    params(("key" = String, Path, description = "the key that signed the offer, hex")),
    request_body(content = Binary, content_type = "application/octet-stream"),
    responses((status = 200, body = Binary, content_type = "application/octet-stream"), Problems)
)]
#[post("/v1/relay/{key}")]
pub(crate) async fn post_request(
    site: Site,
    key: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let key: PublicKey =
        key.parse().or_else(|e| BAD_REQUEST.refuse(format!("not a public key: {e}")))?;
    let packet = body(&request, payload, RelayPackets::PACKET_BYTES_MAX).await?;
    if packet.is_empty() {
        return BAD_REQUEST.refuse("the body is empty; a sealed request is expected");
    }
    standing::of(&site.state, &key, now())
        .map_err(|e| Refused::internal("looking up a key", e))?
        .active()?;
    let mut stopping = site.stopping.clone();
    tokio::select! {
        reply = site.relay.ask(key, packet) => Ok(binary(reply?, "application/octet-stream")),
        _ = stopping.wait_for(|stop| *stop) => BUSY.refuse("the platform is stopping"),
    }
}

/// Fetch what waits for a key
///
/// The body is a RelayPoll signed by the key. Waits up to 25 s for something to come; then the
/// answer is an empty list.
#[utoipa::path(
    tag = "relay",
    request_body(content = Binary, content_type = "application/cose"),
    responses((status = 200, body = Binary, content_type = "application/cbor"), Problems)
)]
#[post("/v1/relay/next")]
pub(crate) async fn post_next(
    site: Site,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let bytes = body(&request, payload, RelayPoll::LIMIT).await?;
    let poll = Signed::<RelayPoll>::decode(&bytes)?.verify()?;
    site.admit(&poll, &poll.message().market)?;
    let mut stopping = site.stopping.clone();
    tokio::select! {
        packets = site.relay.next(poll.signer()) => {
            Ok(binary(packets.encode(), "application/cbor"))
        }
        _ = stopping.wait_for(|stop| *stop) => BUSY.refuse("the platform is stopping"),
    }
}

/// Answer a request that was fetched
#[utoipa::path(
    tag = "relay",
    params(("id" = String, Path, description = "the packet's id, hex")),
    request_body(content = Binary, content_type = "application/octet-stream"),
    responses((status = 204, description = "On its way to the buyer"), Problems)
)]
#[post("/v1/relay/replies/{id}")]
pub(crate) async fn post_reply(
    site: Site,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let id: Nonce =
        id.parse().or_else(|e| BAD_REQUEST.refuse(format!("not a packet's id: {e}")))?;
    if !site.relay.awaits(&id) {
        return NOT_FOUND.refuse("nobody waits for this reply (any more)");
    }
    let reply = body(&request, payload, Reply::BYTES_MAX).await?;
    site.relay.reply(&id, reply)?;
    Ok(HttpResponse::NoContent().finish())
}

//! Subject tags: blinded evaluation of IDs the platform never sees.

use actix_web::{HttpRequest, HttpResponse, http::header, post, web::Payload};
use encrytrust_protocol::{Message, Signed, TagAnswer, TagRequest};

use std::sync::Arc;

use super::{Binary, Problems, Site, body, compute};
use crate::problem::{BAD_MESSAGE, Refused};

/// Evaluate blinded subject IDs
///
/// The body is a signed TagRequest of up to 10,000 blinded elements (RFC 9497, ristretto255,
/// verifiable mode); the answer is a TagAnswer in CBOR with one proof for all. The allowance is
/// counted over all keys of a participant.
#[utoipa::path(
    tag = "subjects",
    request_body(content = Binary, content_type = "application/cose"),
    responses((status = 200, body = Binary, content_type = "application/cbor"), Problems)
)]
#[post("/v1/subject-tags")]
pub(crate) async fn post_subject_tags(
    site: Site,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let bytes = body(&request, payload, TagRequest::LIMIT).await?;
    let request = Signed::<TagRequest>::decode(&bytes)?.verify()?;
    let participant = site.admit(&request, &request.message().market)?;
    let count = request.message().blinded.len() / 32;
    site.gate.tags_for(&participant, u32::try_from(count).unwrap_or(u32::MAX))?;
    let key = Arc::clone(&site.tag_key);
    let evaluated = compute(&site, move || key.evaluate(&request.message().blinded)).await?;
    let evaluation = match evaluated {
        Ok(evaluation) => evaluation,
        Err(e) => return BAD_MESSAGE.refuse(e.to_string()),
    };
    metrics::counter!("ets_subject_tags_total").increment(count as u64);
    let answer =
        TagAnswer { evaluated: evaluation.evaluated, proof: evaluation.proof.to_vec().into() };
    Ok(HttpResponse::Ok()
        .content_type("application/cbor")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(answer.encode()))
}

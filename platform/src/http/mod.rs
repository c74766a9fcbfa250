//! The HTTP API: one file for each noun.
//!
//! A handler reads a body within its limit, lets [`compute`] or the sequencer do the work, and
//! answers. Whatever goes wrong on the way, also inside actix, leaves as a problem document: see
//! [`edge`].

mod admin;
mod blocks;
mod edge;
mod log;
mod offers;
mod ops;
mod participants;
mod receipts;
mod relay;
mod subjects;
mod tags;

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, CONTENT_LENGTH, CONTENT_TYPE},
    web::{self, Bytes, Payload, ServiceConfig},
};
use encrytrust_protocol::Problem;
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, time::timeout};
use utoipa::{IntoParams, ToSchema};

use crate::{
    problem::{BAD_MEDIA_TYPE, BAD_REQUEST, Refused, TOO_LARGE},
    service::Service,
};

pub(crate) use edge::{Methods, edge, nowhere};
pub(crate) use ops::{api, docs};

/// What every handler is given.
type Site = web::Data<Service>;

/// How long a caller may take to send a body.
const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// Every endpoint of the API, for the server and for its description.
pub(crate) fn endpoints(config: &mut utoipa_actix_web::service_config::ServiceConfig<'_>) {
    config
        .service(ops::get_platform)
        .service(log::get_checkpoint)
        .service(log::get_tile)
        .service(blocks::get_block)
        .service(blocks::get_blocks)
        .service(offers::post_offers)
        .service(offers::get_offer)
        .service(subjects::get_subject)
        .service(tags::post_subject_tags)
        .service(participants::post_join)
        .service(participants::get_participant)
        .service(participants::post_pool)
        .service(participants::get_key)
        .service(admin::post_command)
        .service(admin::post_query)
        .service(receipts::post_receipt)
        .service(relay::post_next)
        .service(relay::post_reply)
        .service(relay::post_request)
        .service(ops::get_healthz)
        .service(ops::get_readyz)
        .service(ops::get_metrics)
        .service(ops::get_problem);
}

/// How actix itself reads queries and paths, and what it says when it cannot.
pub(crate) fn extractors(config: &mut ServiceConfig) {
    let bad = |error: String| Refused::from(BAD_REQUEST.because(error)).into();
    config
        .app_data(web::QueryConfig::default().error_handler(move |e, _| bad(e.to_string())))
        .app_data(web::PathConfig::default().error_handler(move |e, _| bad(e.to_string())));
}

/// Any refusal: a problem document (RFC 9457).
#[derive(utoipa::IntoResponses)]
#[response(
    status = "default",
    description = "Refused: a problem document (RFC 9457). Its `type` leads to an explanation.",
    content_type = "application/problem+json"
)]
#[expect(dead_code, reason = "it stands in the API's description only")]
pub(crate) struct Problems(#[to_schema] Problem);

/// Bytes as they are.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it stands in the API's description only")]
pub(crate) struct Binary(Vec<u8>);

/// When a submission is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wait {
    /// When the entry is in a published checkpoint; the answer then has a proof.
    Included,
}

/// `?wait=included`
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitQuery {
    /// `included`: answer when the next block is sealed, with a proof for each entry. Otherwise
    /// the answer comes when the entry is on disk.
    #[param(inline)]
    wait: Option<Wait>,
}

impl WaitQuery {
    fn included(self) -> bool {
        self.wait == Some(Wait::Included)
    }
}

/// Reads a body of at most `limit` bytes.
async fn body(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Bytes, Refused> {
    check_media_type(request)?;
    let refused = || Refused::from(TOO_LARGE.because(format!("more than {limit} bytes")));
    if announced(request).is_some_and(|bytes| bytes > limit) {
        return Err(refused());
    }
    match timeout(BODY_PATIENCE, payload.to_bytes_limited(limit)).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Ok(Err(e))) => BAD_REQUEST.refuse(format!("the body broke off: {e}")),
        Ok(Err(_)) => Err(refused()),
        Err(_) => BAD_REQUEST
            .refuse(format!("the body did not arrive within {} s", BODY_PATIENCE.as_secs())),
    }
}

/// How long the body will be, if the caller said so.
fn announced(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Bodies are CBOR; a caller that says it sends something else has the wrong endpoint.
fn check_media_type(request: &HttpRequest) -> Result<(), Refused> {
    const TAKEN: [&str; 4] = [
        "application/cose",
        "application/cbor-seq",
        "application/cbor",
        "application/octet-stream",
    ];
    let Some(value) = request.headers().get(CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if TAKEN.iter().any(|taken| taken.eq_ignore_ascii_case(essence)) {
        return Ok(());
    }
    BAD_MEDIA_TYPE.refuse(format!("{essence:?} is none of {TAKEN:?}"))
}

/// Does heavy work on the threads made for it, while this one goes on serving.
async fn compute<T: Send + 'static>(
    site: &Service,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    let (sender, receiver) = oneshot::channel();
    site.workers.spawn(move || {
        // A caller who went away does not want the answer.
        let _ = sender.send(work());
    });
    receiver.await.map_err(|e| Refused::internal("a computation", e))
}

/// Reads much from the disk, on a thread that may wait for it. A single lookup stays where it is:
/// what it reads is in memory as good as always, and the way to another thread takes longer.
async fn read<T: Send + 'static>(
    site: &Site,
    work: impl FnOnce(&Service) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let service: Arc<Service> = site.clone().into_inner();
    web::block(move || work(&service)).await.map_err(|e| Refused::internal("a reader", e))?
}

/// An answer about the present.
fn fresh<T: Serialize>(body: &T) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

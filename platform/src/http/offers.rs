//! Offers in and out of the index.

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    post,
    web::{Bytes, Path, Payload, Query},
};
use encrytrust_index_chain::{checkpoint::LogName, proof::TlogProof};
use encrytrust_protocol::{
    BadSignature, DecodeError, EntryId, IndexEntry, Message, Offer, OfferId, Problem, Signed,
    Withdrawal,
    api::{OneOfferView, SubmitResult, SubmitStatus, SubmitView},
    split_sequence,
};
use rayon::prelude::*;

use super::{Binary, Problems, Site, WaitQuery, body, compute, fresh, read, subjects};
use crate::{
    heads::Heads,
    problem::{BAD_REQUEST, BUSY, NOT_FOUND, Refused, unreadable},
    sequencer::{Candidate, Verdict},
    service::Service,
};

/// Entries in one request.
const ENTRIES_MAX: usize = 10_000;

/// Entries that one core reads in a row: enough to be worth handing over.
const STRIDE: usize = 16;

/// Publish offers and withdrawals
///
/// The body is one signed offer or withdrawal, or a CBOR sequence (RFC 8742) of up to 10,000. Each
/// gets a result of its own; a bad one does not sink its neighbours. Answered when what was
/// accepted is on disk. Submitting the same bytes again changes nothing and answers `present`.
#[utoipa::path(
    tag = "index",
    params(WaitQuery),
    request_body(content = Binary, content_type = "application/cbor-seq"),
    responses(
        (status = 200, description = "At least one is in the index", body = SubmitView),
        (status = 422, description = "None was taken; each result says why", body = SubmitView),
        Problems
    )
)]
#[post("/v1/offers")]
pub(crate) async fn post_offers(
    site: Site,
    request: HttpRequest,
    query: Query<WaitQuery>,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let limit = site.config.limits.offers_bytes;
    // What a request may take up in memory is set aside before it is read.
    let room = super::announced(&request).unwrap_or(limit).min(limit);
    let room = u32::try_from(room.min(site.config.limits.in_flight_bytes)).unwrap_or(u32::MAX);
    let Ok(room) = site.in_flight.acquire_many(room).await else {
        return BUSY.refuse("the platform is stopping");
    };
    let bytes = body(&request, payload, limit).await?;
    let readings = if bytes.len() <= SMALL {
        // Shorter than the way to another thread and back.
        read_entries(&site, &bytes)?
    } else {
        let service = site.clone().into_inner();
        compute(&site, move || read_entries(&service, &bytes)).await??
    };
    let mut results = Vec::with_capacity(readings.len());
    let (mut candidates, mut places) = (Vec::new(), Vec::new());
    for (place, reading) in readings.into_iter().enumerate() {
        match reading {
            Ok(candidate) => {
                results.push(result(Some(candidate.id)));
                candidates.push(candidate);
                places.push(place);
            }
            Err(problem) => results.push(refused(None, *problem)),
        }
    }
    if !candidates.is_empty() {
        for (place, verdict) in places.into_iter().zip(site.sequencer.index(candidates).await?) {
            settle(&mut results[place], verdict);
        }
    }
    drop(room);
    answer(&site, LogName::Index, results, query.included()).await
}

/// Bodies up to this are read where they arrive: a few offers.
const SMALL: usize = 4096;

type Reading = Result<Candidate, Box<Problem>>;

/// Cuts a body into entries, decodes each, checks the signatures, all cores at it.
///
/// One by one: a batch of signatures accepts what a single check may refuse (see
/// [`encrytrust_protocol::verify_batch`]), and what is let in here every reader must accept.
fn read_entries(service: &Service, bytes: &Bytes) -> Result<Vec<Reading>, Refused> {
    let items = split_sequence(bytes, ENTRIES_MAX)?;
    match items.as_slice() {
        [] => BAD_REQUEST.refuse("the body is empty; an offer is expected"),
        [one] => Ok(vec![read_one(service, one)]),
        many => {
            let entries = many.par_iter().with_min_len(STRIDE);
            Ok(entries.map(|bytes| read_one(service, bytes)).collect())
        }
    }
}

fn read_one(service: &Service, bytes: &[u8]) -> Reading {
    match Signed::<Offer>::decode(bytes) {
        Ok(signed) => candidate(service, signed.verify().map(IndexEntry::Offer)),
        Err(error) => other(service, bytes, &error),
    }
}

/// Not an offer: a withdrawal, or nothing.
fn other(service: &Service, bytes: &[u8], error: &DecodeError) -> Reading {
    match error {
        DecodeError::WrongTyp { found, .. } if found == Withdrawal::TYP => {
            let signed =
                Signed::<Withdrawal>::decode(bytes).map_err(|e| Box::new(unreadable(&e)))?;
            candidate(service, signed.verify().map(IndexEntry::Withdrawal))
        }
        _ => Err(Box::new(unreadable(error))),
    }
}

fn candidate(service: &Service, entry: Result<IndexEntry, BadSignature>) -> Reading {
    let boxed = |refused: Refused| Box::new(refused.problem().clone());
    let entry = entry.map_err(|e| boxed(e.into()))?;
    service.check_market(entry.market()).map_err(boxed)?;
    Ok(Candidate { id: entry.id(), entry })
}

pub(super) fn result(id: Option<EntryId>) -> SubmitResult {
    SubmitResult { status: SubmitStatus::Refused, index: None, id, proof: None, problem: None }
}

pub(super) fn refused(id: Option<EntryId>, problem: Problem) -> SubmitResult {
    SubmitResult { problem: Some(problem), ..result(id) }
}

pub(super) fn settle(result: &mut SubmitResult, verdict: Verdict) {
    match verdict {
        Verdict::Accepted(index) => {
            (result.status, result.index) = (SubmitStatus::Accepted, Some(index));
        }
        Verdict::Present(index) => {
            (result.status, result.index) = (SubmitStatus::Present, Some(index));
        }
        Verdict::Refused(problem) => result.problem = Some(*problem),
    }
}

/// Adds proofs if they are asked for, once they exist, and answers.
pub(super) async fn answer(
    site: &Site,
    log: LogName,
    mut results: Vec<SubmitResult>,
    included: bool,
) -> Result<HttpResponse, Refused> {
    let last = results.iter().filter_map(|result| result.index).max();
    if let Some(last) = last.filter(|_| included) {
        let heads = site.included(log, last).await?;
        results = read(site, move |service| prove(service, log, &heads, results)).await?;
    }
    let status = if last.is_some() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let mut response = fresh(&SubmitView { results });
    *response.status_mut() = status;
    Ok(response)
}

fn prove(
    service: &Service,
    log: LogName,
    heads: &Heads,
    mut results: Vec<SubmitResult>,
) -> Result<Vec<SubmitResult>, Refused> {
    let (reader, checkpoint) = (service.log(log), &heads.of(log).checkpoint);
    for result in &mut results {
        if let Some(index) = result.index {
            let proof = TlogProof::new(reader, index, checkpoint)
                .map_err(|e| Refused::internal("proving inclusion", e))?;
            result.proof = Some(proof.encode());
        }
    }
    Ok(results)
}

/// One offer, with the proof that it is in the index
#[utoipa::path(
    tag = "index",
    params(("id" = String, Path, description = "the offer's id, hex")),
    responses((status = 200, body = OneOfferView), Problems)
)]
#[get("/v1/offers/{id}")]
pub(crate) async fn get_offer(site: Site, id: Path<String>) -> Result<HttpResponse, Refused> {
    let id: OfferId =
        id.parse().or_else(|e| BAD_REQUEST.refuse(format!("not an offer's id: {e}")))?;
    let slot = site.state.offer(&id).map_err(|e| Refused::internal("a lookup", e))?;
    let Some(slot) = slot else {
        return NOT_FOUND.refuse(format!("no offer {id} is in the index"));
    };
    let heads = site.heads();
    let head = heads.of(LogName::Index);
    if slot.index >= head.size() {
        let detail = format!("offer {id} is on disk and in no block yet");
        return Err(Refused::from(NOT_FOUND.because(detail)).after(1));
    }
    let offer = subjects::offer_view(&site, head, slot)?;
    Ok(fresh(&OneOfferView { checkpoint: head.text(), offer }))
}

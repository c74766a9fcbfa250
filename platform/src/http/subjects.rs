//! What is on offer about a subject.

use actix_web::{
    HttpResponse, get,
    web::{Path, Query},
};
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_protocol::{
    Offer, Signed, SubjectTag,
    api::{Base64, OfferState, OfferView, SubjectView},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Problems, Site, fresh, read};
use crate::{
    freshness::now,
    heads::Head,
    problem::{BAD_REQUEST, Refused},
    service::Service,
    state::{Slot, Standing},
};

/// Offers in one answer.
const OFFERS_MAX: usize = 1000;

/// As many are looked up where the request arrives: that is shorter than the way to another thread
/// and back.
const FEW: usize = 8;

#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    /// `true`: every version there ever was, not only what can be taken now.
    #[serde(default)]
    history: bool,
    /// Only offers behind this place in the index: for what did not fit one answer.
    after: Option<u64>,
}

/// The offers about a subject, with proofs that they are in the index
///
/// At most 1,000, oldest first. After a full answer ask again with `after` the last one's index.
#[utoipa::path(
    tag = "index",
    params(("tag" = String, Path, description = "the subject tag, hex"), History),
    responses((status = 200, body = SubjectView), Problems)
)]
#[get("/v1/subjects/{tag}")]
pub(crate) async fn get_subject(
    site: Site,
    tag: Path<String>,
    query: Query<History>,
) -> Result<HttpResponse, Refused> {
    let tag: SubjectTag =
        tag.parse().or_else(|e| BAD_REQUEST.refuse(format!("not a subject tag: {e}")))?;
    let History { history, after } = query.into_inner();
    let few = site.state.offers_about(&tag, 0, u64::MAX).take(FEW + 1).count() <= FEW;
    let view = if few {
        view(&site, tag, history, after)?
    } else {
        read(&site, move |service| view(service, tag, history, after)).await?
    };
    Ok(fresh(&view))
}

fn view(
    service: &Service,
    tag: SubjectTag,
    history: bool,
    after: Option<u64>,
) -> Result<SubjectView, Refused> {
    let heads = service.heads();
    let head = heads.of(LogName::Index);
    let from = after.map_or(0, |after| after.saturating_add(1));
    let mut offers = Vec::new();
    for index in service.state.offers_about(&tag, from.min(head.size()), head.size()) {
        let index = index.map_err(|e| Refused::internal("a lookup", e))?;
        let slot = slot(service, index)?;
        if !history && slot.standing != Standing::Current {
            continue;
        }
        let view = offer_view(service, head, slot)?;
        if history || view.state == OfferState::Current {
            offers.push(view);
        }
        if offers.len() == OFFERS_MAX {
            break;
        }
    }
    Ok(SubjectView { tag, checkpoint: head.text(), offers })
}

fn slot(service: &Service, index: u64) -> Result<Slot, Refused> {
    let id = service
        .log(LogName::Index)
        .leaf_hash(index)
        .map_err(|e| Refused::internal("reading the index", e))?;
    let slot = service.state.slot(&id).map_err(|e| Refused::internal("a lookup", e))?;
    slot.ok_or_else(|| Refused::internal("a lookup", format!("entry {index} has no slot")))
}

/// An offer under a checkpoint that has it.
pub(super) fn offer_view(service: &Service, head: &Head, slot: Slot) -> Result<OfferView, Refused> {
    let log = service.log(LogName::Index);
    let index = slot.index;
    let entry = log.entry(index).map_err(|e| Refused::internal("reading the index", e))?;
    let offer =
        Signed::<Offer>::decode(&entry).map_err(|e| Refused::internal("reading an offer", e))?;
    let proof = log
        .prove_inclusion(index, head.size())
        .map_err(|e| Refused::internal("proving inclusion", e))?;
    let state = match slot.standing {
        Standing::Superseded => OfferState::Superseded,
        Standing::Withdrawn | Standing::Withdrawal => OfferState::Withdrawn,
        Standing::Current if offer.unverified().valid.contains(now()) => OfferState::Current,
        Standing::Current => OfferState::Expired,
    };
    Ok(OfferView {
        id: offer.id(),
        index,
        state,
        entry: Base64(entry),
        proof: proof.iter().map(|hash| Base64(hash.as_bytes().to_vec())).collect(),
    })
}

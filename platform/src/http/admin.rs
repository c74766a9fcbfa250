//! What administrators do, by signed message.

use actix_web::{HttpRequest, HttpResponse, post, web::Payload};
use encrytrust_protocol::{
    AdminCommand, AdminQuery, Message, PublicKey, Signed, api::ParticipantsView,
};

use super::{
    Binary, Problems, Site, body, fresh,
    participants::{self, StandingView},
    read,
};
use crate::{
    freshness::check_clock,
    problem::{NOT_AN_ADMIN, Refused},
    sequencer::MemberOrder,
};

fn check_admin(site: &Site, key: PublicKey) -> Result<(), Refused> {
    if site.config.admins.contains(&key) {
        return Ok(());
    }
    NOT_AN_ADMIN.refuse(format!("key {key} does not administer {}", site.market()))
}

/// Approve or suspend a participant
///
/// The body is a signed AdminCommand. A command repeated is a command obeyed once.
#[utoipa::path(
    tag = "admin",
    request_body(content = Binary, content_type = "application/cose"),
    responses((status = 200, body = StandingView), Problems)
)]
#[post("/v1/admin/commands")]
pub(crate) async fn post_command(
    site: Site,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let bytes = body(&request, payload, AdminCommand::LIMIT).await?;
    let command = Signed::<AdminCommand>::decode(&bytes)?.verify()?;
    check_admin(&site, command.signer())?;
    site.check_market(&command.message().market)?;
    let id = command.id();
    let seen = site.state.command(&id).map_err(|e| Refused::internal("a lookup", e))?;
    if seen.is_none() {
        check_clock(command.message().at)?;
    }
    participants::stands(site.sequencer.member(MemberOrder::Command(command)).await?)
}

/// Who takes part
///
/// The body is a signed AdminQuery.
#[utoipa::path(
    tag = "admin",
    request_body(content = Binary, content_type = "application/cose"),
    responses((status = 200, body = ParticipantsView), Problems)
)]
#[post("/v1/admin/participants")]
pub(crate) async fn post_query(
    site: Site,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let bytes = body(&request, payload, AdminQuery::LIMIT).await?;
    let query = Signed::<AdminQuery>::decode(&bytes)?.verify()?;
    check_admin(&site, query.signer())?;
    site.check_market(&query.message().market)?;
    site.replays.admit(&query)?;
    let all = read(&site, |service| {
        service.state.participants().map_err(|e| Refused::internal("a lookup", e))
    });
    let all = all.await?.into_iter().map(|(id, record)| participants::view(id, record));
    Ok(fresh(&ParticipantsView { participants: all.collect() }))
}

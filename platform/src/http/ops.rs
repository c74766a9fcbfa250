//! For operators and explorers: who this is, how it does, what it offers.

use actix_web::{HttpResponse, get, http::header, web::Path};
use encrytrust_protocol::api::{Base64, PlatformView};
use metrics::gauge;
use utoipa::{
    OpenApi,
    openapi::{self, InfoBuilder, LicenseBuilder},
};
use utoipa_actix_web::AppExt;
use utoipa_swagger_ui::SwaggerUi;

use super::{Problems, Site, fresh};
use crate::{
    home,
    problem::{self, NOT_FOUND, Refused},
};

/// Which market this is
///
/// Its name, the verifier key to pin, and the platform's signed description of itself.
#[utoipa::path(tag = "platform", responses((status = 200, body = PlatformView), Problems))]
#[get("/v1/platform")]
pub(crate) async fn get_platform(site: Site) -> HttpResponse {
    fresh(&PlatformView {
        market: site.market().to_string(),
        vkey: home::vkey(&site.config, site.key.public()).to_string(),
        info: Base64(site.info.bytes().to_vec()),
    })
}

/// Whether the process is alive
#[utoipa::path(
    tag = "platform",
    responses((status = 200, body = String, content_type = "text/plain"), Problems)
)]
#[get("/healthz")]
pub(crate) async fn get_healthz() -> &'static str {
    "alive\n"
}

/// Whether it takes what it is sent
#[utoipa::path(
    tag = "platform",
    responses((status = 200, body = String, content_type = "text/plain"), Problems)
)]
#[get("/readyz")]
pub(crate) async fn get_readyz(site: Site) -> Result<&'static str, Refused> {
    if site.ready() {
        return Ok("ready\n");
    }
    problem::STORAGE.refuse("it is stopping, or a write to its disk failed: see its log")
}

/// Prometheus metrics
#[utoipa::path(
    tag = "platform",
    responses((status = 200, body = String, content_type = "text/plain"), Problems)
)]
#[get("/metrics")]
pub(crate) async fn get_metrics(site: Site) -> HttpResponse {
    use encrytrust_index_chain::checkpoint::LogName;
    for log in LogName::ALL {
        let size = site.log(log).size();
        gauge!("ets_log_entries", "log" => log.as_str()).set(size as f64);
    }
    gauge!("ets_relay_waiting").set(site.relay.len() as f64);
    gauge!("ets_state_bytes").set(site.state.bytes_on_disk().unwrap_or(0) as f64);
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(site.metrics.render())
}

/// What a kind of problem means
#[utoipa::path(
    tag = "platform",
    params(("slug" = String, Path, description = "the last part of a problem's type")),
    responses((status = 200, body = String, content_type = "text/plain"), Problems)
)]
#[get("/problems/{slug}")]
pub(crate) async fn get_problem(slug: Path<String>) -> Result<HttpResponse, Refused> {
    let Some(kind) = problem::ALL.iter().find(|kind| kind.slug == slug.as_str()) else {
        return NOT_FOUND.refuse(format!("no kind of problem is called {slug:?}"));
    };
    let title = kind.slug.replace('-', " ");
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .body(format!(
            "{title} (HTTP {})\n\n{}\n\nWhat to do: {}.\n",
            kind.status, kind.about, kind.next
        )))
}

/// The description of the API (OpenAPI 3.1), generated from the handlers.
pub(crate) fn api() -> openapi::OpenApi {
    #[derive(OpenApi)]
    struct Tags;

    let (_, mut api) = actix_web::App::new()
        .into_utoipa_app()
        .openapi(Tags::openapi())
        .configure(super::endpoints)
        .split_for_parts();
    api.info = InfoBuilder::new()
        .title("EncryTrust platform")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A verifiable index of offers of private data. Bodies are COSE_Sign1 messages \
             (RFC 9052) over deterministic CBOR; docs/spec has a page for each. The logs follow \
             C2SP tlog-tiles and can be verified with any client of that format.",
        ))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").build()))
        .build();
    api
}

/// The same for people, at `/docs/`.
pub(crate) fn docs(api: openapi::OpenApi) -> SwaggerUi {
    SwaggerUi::new("/docs/{_:.*}").url("/v1/openapi.json", api)
}

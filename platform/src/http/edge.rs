//! What happens to every request and every answer.

use std::time::Instant;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use encrytrust_protocol::Problem;
use metrics::{counter, histogram};

use crate::{
    problem::{BAD_REQUEST, INTERNAL, NOT_FOUND, Refused, TOO_LARGE, TOO_MANY, WRONG_METHOD},
    service::Service,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Numbers the request, holds its address to its rate, times it, and sees to it that every
/// refusal is a problem document.
pub(crate) async fn edge(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let began = Instant::now();
    let service = request.app_data::<web::Data<Service>>().map(|data| data.clone().into_inner());
    let id = service.as_ref().map(|service| service.next_request_id()).unwrap_or_default();
    let method = request.method().clone();

    let admitted = match (&service, request.peer_addr()) {
        (Some(service), Some(peer)) if !is_probe(request.path()) => {
            service.gate.request_from(peer.ip())
        }
        _ => Ok(()),
    };
    let response = match admitted {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(refused) => request.into_response(refused.error_response()),
    };
    let mut response = speak_problem(response);
    let value = HeaderValue::from_str(&id).expect("a request id is hex digits");
    response.headers_mut().insert(REQUEST_ID, value);
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

    // The pattern, not the path: a path can name a subject.
    let pattern = response.request().match_pattern().unwrap_or_else(|| "none".to_owned());
    let (status, took) = (response.status().as_u16(), began.elapsed());
    tracing::info!(
        target: "encrytrust_platform::access",
        id, %method, pattern, status, micros = took.as_micros() as u64, "answered"
    );
    let labels =
        [("method", method.to_string()), ("path", pattern), ("status", status.to_string())];
    counter!("ets_http_requests_total", &labels).increment(1);
    histogram!("ets_http_request_seconds", &labels[..2]).record(took.as_secs_f64());
    Ok(response)
}

/// Load balancers and monitors may ask as often as they like.
fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// Turns errors that are not problem documents yet, such as actix's own, into ones.
fn speak_problem(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let spoken = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/"));
    if !(status.is_client_error() || status.is_server_error()) || spoken {
        return response;
    }
    let kind = match status {
        StatusCode::NOT_FOUND => NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED => WRONG_METHOD,
        StatusCode::PAYLOAD_TOO_LARGE => TOO_LARGE,
        StatusCode::TOO_MANY_REQUESTS => TOO_MANY,
        _ if status.is_client_error() => BAD_REQUEST,
        _ => INTERNAL,
    };
    let detail = match response.response().error() {
        Some(error) if status.is_client_error() => error.to_string(),
        _ => status.canonical_reason().unwrap_or("refused").to_owned(),
    };
    let problem = Problem { status: status.as_u16(), ..kind.because(detail) };
    let (request, old) = response.into_parts();
    let mut new = Refused::from(problem).error_response();
    if let Some(allow) = old.headers().get(header::ALLOW) {
        new.headers_mut().insert(header::ALLOW, allow.clone());
    }
    ServiceResponse::new(request, new)
}

/// Which methods each path of the API takes.
pub(crate) struct Methods(Vec<(actix_web::dev::ResourceDef, String)>);

impl Methods {
    pub(crate) fn of(api: &utoipa::openapi::OpenApi) -> Self {
        let of_path = |(path, item): (&String, &utoipa::openapi::PathItem)| {
            let mut methods = Vec::new();
            if item.get.is_some() {
                methods.push("GET");
            }
            if item.post.is_some() {
                methods.push("POST");
            }
            let pattern = path.replace("{path}", "{path:.*}");
            (actix_web::dev::ResourceDef::new(pattern), methods.join(", "))
        };
        Self(api.paths.paths.iter().map(of_path).collect())
    }
}

/// Where requests end that no endpoint takes.
pub(crate) async fn nowhere(
    request: HttpRequest,
    methods: web::Data<Methods>,
) -> Result<HttpResponse, Refused> {
    let path = request.path();
    let allowed = methods.0.iter().find(|(resource, _)| resource.is_match(path));
    if let Some((_, allowed)) = allowed {
        let problem = WRONG_METHOD.because(format!("{path} takes {allowed}"));
        let mut response = Refused::from(problem).error_response();
        let allowed = HeaderValue::from_str(allowed).expect("method names are ASCII");
        response.headers_mut().insert(header::ALLOW, allowed);
        return Ok(response);
    }
    NOT_FOUND.refuse(format!("no endpoint at {path}"))
}

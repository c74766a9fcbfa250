//! The node's own HTTP address: `POST /v1/requests`, `GET /healthz`.

use std::net::SocketAddr;

use actix_web::{
    App, HttpResponse, HttpServer,
    http::StatusCode,
    web::{self, Data, Payload},
};
use encrytrust_protocol::Problem;

use super::{Server, answer::PACKET_MAX};
use crate::error::NodeError;

/// How many connections may be open: each can hold one packet and one record.
const CONNECTIONS_MAX: usize = 1024;

/// Binds the address; requests are answered while what is returned is awaited.
pub(super) fn bind(
    server: &Server,
    listen: &str,
) -> Result<(SocketAddr, actix_web::dev::Server), NodeError> {
    let failed = |why: String| NodeError::Usage(format!("cannot listen on {listen}: {why}"));
    let data = Data::new(server.clone());
    let app = move || {
        App::new()
            .app_data(Data::clone(&data))
            .route("/v1/requests", web::post().to(request))
            .route("/healthz", web::get().to(|| async { "ok\n" }))
            .default_service(web::to(|| async {
                problem(&Problem::new(404, "not-found", "POST /v1/requests is what there is"))
            }))
    };
    let http = HttpServer::new(app)
        .workers(2)
        .max_connections(CONNECTIONS_MAX)
        .disable_signals()
        .shutdown_timeout(10)
        .bind(listen)
        .map_err(|e| failed(e.to_string()))?;
    let address = http.addrs().first().copied();
    let address = address.ok_or_else(|| failed("no address".into()))?;
    Ok((address, http.run()))
}

async fn request(server: Data<Server>, payload: Payload) -> HttpResponse {
    let packet = match payload.to_bytes_limited(PACKET_MAX).await {
        Ok(Ok(packet)) => packet,
        Ok(Err(e)) => return problem(&Problem::new(400, "malformed", format!("broken off: {e}"))),
        Err(_) => {
            let why = format!("a sealed request has at most {PACKET_MAX} bytes");
            return problem(&Problem::new(413, "too-large", why));
        }
    };
    match server.answer(&packet).await {
        Ok(reply) => HttpResponse::Ok().content_type("application/octet-stream").body(reply),
        Err(refused) => problem(&refused),
    }
}

fn problem(problem: &Problem) -> HttpResponse {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = HttpResponse::build(status);
    response.content_type(Problem::MEDIA_TYPE).json(problem)
}

//! Whoever sits between two parties: a proxy that can lead elsewhere or rewrite what passes.

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};

/// What a meddler does to an answer: path and query, status, body.
type Rewrite = dyn Fn(&str, u16, Vec<u8>) -> Vec<u8> + Send + Sync;

struct State {
    upstream: String,
    rewrite: Option<Arc<Rewrite>>,
    seen: Vec<Seen>,
}

/// One request that passed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// What was sent.
    pub body: Vec<u8>,
    /// What came back, before it was rewritten.
    pub answer: Vec<u8>,
}

/// An HTTP proxy on a port of its own. It records what passes, and can be told to lead to another
/// upstream or to rewrite answers.
pub struct Proxy {
    url: String,
    state: Arc<Mutex<State>>,
    handle: ServerHandle,
}

impl Proxy {
    /// Starts one that leads to `upstream` and changes nothing.
    pub async fn start(upstream: &str) -> anyhow::Result<Self> {
        let state = State { upstream: upstream.to_owned(), rewrite: None, seen: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = web::Data::from(Arc::clone(&state));
        let client = web::Data::new(reqwest::Client::new());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(client.clone())
                .app_data(web::PayloadConfig::new(64 << 20))
                .default_service(web::to(pass))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0))?;
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { url, state, handle })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on leads elsewhere.
    pub fn lead_to(&self, upstream: &str) {
        self.lock().upstream = upstream.to_owned();
    }

    /// From now on rewrites the bodies of answers.
    pub fn rewrite(&self, rewrite: impl Fn(&str, u16, Vec<u8>) -> Vec<u8> + Send + Sync + 'static) {
        self.lock().rewrite = Some(Arc::new(rewrite));
    }

    /// Everything that passed so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Stops listening.
    pub async fn stop(&self) {
        self.handle.stop(false).await;
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy(at {}, to {})", self.url, self.lock().upstream)
    }
}

async fn pass(
    request: HttpRequest,
    body: web::Bytes,
    state: web::Data<Mutex<State>>,
    client: web::Data<reqwest::Client>,
) -> Result<HttpResponse, actix_web::Error> {
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let upstream = state.lock().expect("no holder of this lock panics").upstream.clone();
    let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes())
        .map_err(actix_web::error::ErrorBadGateway)?;
    let mut forward = client.request(method, format!("{upstream}{path}")).body(body.to_vec());
    if let Some(kind) = request.headers().get("content-type") {
        forward = forward.header("content-type", kind.as_bytes());
    }
    let answer = forward.send().await.map_err(actix_web::error::ErrorBadGateway)?;
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").map(|v| v.as_bytes().to_vec());
    let bytes = answer.bytes().await.map_err(actix_web::error::ErrorBadGateway)?.to_vec();
    let rewrite = {
        let mut state = state.lock().expect("no holder of this lock panics");
        state.seen.push(Seen {
            method: request.method().to_string(),
            path: path.clone(),
            body: body.to_vec(),
            answer: bytes.clone(),
        });
        state.rewrite.clone()
    };
    let bytes = match rewrite {
        Some(rewrite) => rewrite(&path, status, bytes),
        None => bytes,
    };
    let status =
        actix_web::http::StatusCode::from_u16(status).map_err(actix_web::error::ErrorBadGateway)?;
    let mut response = HttpResponse::build(status);
    if let Some(kind) = kind {
        response.insert_header(("content-type", kind));
    }
    Ok(response.body(bytes))
}

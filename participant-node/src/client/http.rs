//! HTTP with bounds: on bytes, on time, on how often a call is repeated.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use encrytrust_protocol::Problem;
use reqwest::{Method, Response, StatusCode, Url, header, redirect};
use serde::de::DeserializeOwned;

use super::ClientError;

/// The largest JSON answer: 10,000 results, each with a proof.
pub(crate) const JSON_MAX: usize = 64 << 20;

const CONNECT: Duration = Duration::from_secs(10);

/// A long poll lasts 25 seconds, a relayed request as long as its provider needs.
const ANSWER: Duration = Duration::from_secs(120);

const PROBLEM_MAX: usize = 64 << 10;

/// The media types that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Cose,
    CborSequence,
    Octets,
}

impl Media {
    fn name(self) -> &'static str {
        match self {
            Self::Cose => "application/cose",
            Self::CborSequence => "application/cbor-seq",
            Self::Octets => "application/octet-stream",
        }
    }
}

/// One server.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    base: Url,
    party: String,
}

impl Http {
    /// The server at a base URL; `party` is what errors call it.
    pub(crate) fn new(base: &str, party: &str) -> Result<Self, ClientError> {
        let mut base: Url =
            base.parse().map_err(|e| ClientError::local(format!("{base:?}: {e}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(ClientError::local(format!("{base}: an http or https URL expected")));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("encrytrust-node/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            // Who is asked answers: a signed message is not carried on to somebody else.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(ClientError::local)?;
        Ok(Self { client, party: format!("{party} at {base}"), base })
    }

    /// `GET`, repeated while the line is bad.
    pub(crate) async fn get(&self, path: &str, max: usize) -> Result<Vec<u8>, ClientError> {
        (|| self.once(Method::GET, path, None, max)).retry(backoff()).when(is_passing).await
    }

    /// `GET` of JSON.
    pub(crate) async fn get_json<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
    ) -> Result<T, ClientError> {
        let bytes = self.get(path, JSON_MAX).await?;
        self.json(what, &bytes)
    }

    /// `POST` of something that may arrive twice without harm, repeated while the line is bad.
    pub(crate) async fn post_again(
        &self,
        path: &str,
        body: (Media, &[u8]),
        max: usize,
    ) -> Result<Vec<u8>, ClientError> {
        let once = || self.once(Method::POST, path, Some(body), max);
        once.retry(backoff()).when(is_passing).await
    }

    /// `POST` of something that must not arrive twice.
    pub(crate) async fn post_once(
        &self,
        path: &str,
        body: (Media, &[u8]),
        max: usize,
    ) -> Result<Vec<u8>, ClientError> {
        self.once(Method::POST, path, Some(body), max).await
    }

    /// Reads JSON.
    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        what: &'static str,
        bytes: &[u8],
    ) -> Result<T, ClientError> {
        serde_json::from_slice(bytes).map_err(|e| ClientError::Malformed {
            party: self.party.clone(),
            what,
            why: e.to_string(),
        })
    }

    async fn once(
        &self,
        method: Method,
        path: &str,
        body: Option<(Media, &[u8])>,
        max: usize,
    ) -> Result<Vec<u8>, ClientError> {
        let url = self.base.join(path.trim_start_matches('/')).map_err(ClientError::local)?;
        let mut request = self.client.request(method, url);
        if let Some((media, bytes)) = body {
            request = request.header(header::CONTENT_TYPE, media.name()).body(bytes.to_vec());
        }
        let unreachable = |e: reqwest::Error| ClientError::Unreachable {
            party: self.party.clone(),
            why: crate::error::chain(&e.without_url()),
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        // What an included batch answers when every entry was refused has the shape of a success.
        let results = status == StatusCode::UNPROCESSABLE_ENTITY && !is_problem(&response);
        let success = status.is_success() || results;
        let max = if success { max } else { PROBLEM_MAX };
        let bytes = self.bounded(response, max).await?;
        if success { Ok(bytes) } else { Err(self.refusal(status, &bytes)) }
    }

    async fn bounded(&self, mut response: Response, max: usize) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        let next = response.chunk().await;
        let mut next = next.map_err(|e| self.cut_short(e))?;
        while let Some(chunk) = next {
            if bytes.len() + chunk.len() > max {
                return Err(ClientError::Malformed {
                    party: self.party.clone(),
                    what: "answer of bounded size",
                    why: format!("more than {max} bytes"),
                });
            }
            bytes.extend_from_slice(&chunk);
            next = response.chunk().await.map_err(|e| self.cut_short(e))?;
        }
        Ok(bytes)
    }

    fn cut_short(&self, error: reqwest::Error) -> ClientError {
        let why = crate::error::chain(&error.without_url());
        ClientError::Unreachable { party: self.party.clone(), why }
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> ClientError {
        let problem = serde_json::from_slice(body).unwrap_or_else(|_| {
            Problem::new(status.as_u16(), "http-status", format!("it answered {status}"))
        });
        ClientError::Refused { party: self.party.clone(), problem: Box::new(problem) }
    }
}

fn is_problem(response: &Response) -> bool {
    let media = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    media.is_some_and(|m| m.starts_with(Problem::MEDIA_TYPE))
}

/// Three more tries, after about 0.2, 0.6 and 1.8 seconds.
pub(super) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_factor(3.0)
        .with_max_times(3)
        .with_jitter()
}

/// Whether the same call may succeed a moment later.
pub(super) fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Refused { problem, .. } => matches!(problem.status, 429 | 502 | 503),
        _ => false,
    }
}

//! Plain HTTP: for those who send what no client of ours would send.

use anyhow::{Context, Result, bail, ensure};
use encrytrust_protocol::{
    Problem,
    api::{SubmitResult, SubmitStatus, SubmitView},
};
use serde::de::DeserializeOwned;

/// One server, spoken to byte by byte.
#[derive(Clone, Debug)]
pub struct Wire {
    client: reqwest::Client,
    url: String,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type, or nothing.
    pub media: String,
    /// Seconds of `Retry-After`.
    pub retry_after: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

impl Wire {
    /// The server at a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { client: reqwest::Client::new(), url: url.into() }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        Answer::of(self.client.get(format!("{}{path}", self.url))).await
    }

    /// `POST`.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Result<Answer> {
        Answer::of(self.client.post(format!("{}{path}", self.url)).body(body)).await
    }

    /// Entries for the index, one after the other; a result for each.
    pub async fn offers(&self, entries: &[&[u8]]) -> Result<Vec<SubmitResult>> {
        self.post("/v1/offers?wait=included", entries.concat()).await?.results()
    }

    /// One entry that the index must take; its place.
    pub async fn offer(&self, entry: &[u8]) -> Result<u64> {
        let result = self.offers(&[entry]).await?.remove(0);
        ensure!(result.status == SubmitStatus::Accepted, "not accepted: {result:?}");
        result.index.context("accepted at no place")
    }
}

impl Answer {
    async fn of(request: reqwest::RequestBuilder) -> Result<Self> {
        let response = request.send().await?;
        let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
        Ok(Self {
            status: response.status().as_u16(),
            media: header("content-type").unwrap_or_default().to_owned(),
            retry_after: header("retry-after").and_then(|text| text.parse().ok()),
            body: response.bytes().await?.to_vec(),
        })
    }

    /// It was what was asked for.
    pub fn done(self) -> Result<Self> {
        ensure!((200..300).contains(&self.status), "{}: {}", self.status, self.text());
        Ok(self)
    }

    /// The problem document that it must be.
    pub fn problem(&self) -> Result<Problem> {
        ensure!(
            self.media == Problem::MEDIA_TYPE,
            "{} {}: {}",
            self.status,
            self.media,
            self.text()
        );
        let problem: Problem = self.json()?;
        ensure!(problem.status == self.status, "{problem:?} under status {}", self.status);
        ensure!(!problem.detail.is_empty(), "{problem:?} says nothing");
        Ok(problem)
    }

    /// Its JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).with_context(|| self.text())
    }

    /// Its body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What became of each entry that was submitted.
    pub fn results(&self) -> Result<Vec<SubmitResult>> {
        let view: SubmitView = self.json()?;
        let taken = view.results.iter().any(|result| result.status != SubmitStatus::Refused);
        if (self.status == 200) != taken {
            bail!("status {} for {view:?}", self.status);
        }
        Ok(view.results)
    }

    /// Refused as one whole, or in its one result: the slug of the problem.
    pub fn slug(&self) -> Result<String> {
        if self.media == Problem::MEDIA_TYPE {
            return Ok(self.problem()?.slug().to_owned());
        }
        let [result] = <[_; 1]>::try_from(self.results()?)
            .map_err(|results| anyhow::anyhow!("{} results", results.len()))?;
        ensure!(result.status == SubmitStatus::Refused, "not refused: {result:?}");
        Ok(result.problem.context("refused without a problem")?.slug().to_owned())
    }
}

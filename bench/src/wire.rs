//! A client that costs little: HTTP/1.1 over one kept connection, requests written beforehand.
//!
//! It blocks, because a thread that sleeps wakes within some fifty microseconds of its time, while
//! an async timer counts in milliseconds: latencies here are of that order.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    ops::Range,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

/// How long an answer may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The bytes of `GET path`.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench.example\r\n\r\n").into_bytes()
}

/// The bytes of `POST path`.
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: bench.example\r\n\
         content-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// One connection, one request at a time.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer; its body stays in the connection's buffer.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// The body, if the status is 200.
    pub fn ok(&self) -> Result<&[u8]> {
        if self.status == 200 {
            return Ok(self.body);
        }
        bail!("status {}: {}", self.status, String::from_utf8_lossy(self.body))
    }
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 64 << 10] })
    }

    /// Sends a request and waits for the whole answer.
    pub fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).context("send a request")?;
        let mut filled = 0;
        let (status, body) = loop {
            if let Some(head) = head(&self.buffer[..filled])? {
                break head;
            }
            filled += self.read(filled)?;
        };
        while filled < body.end {
            if self.buffer.len() < body.end {
                self.buffer.resize(body.end, 0);
            }
            filled += self.read(filled)?;
        }
        if filled > body.end {
            bail!("{} bytes behind the answer", filled - body.end);
        }
        Ok(Answer { status, body: &self.buffer[body] })
    }

    fn read(&mut self, filled: usize) -> Result<usize> {
        if filled == self.buffer.len() {
            bail!("an answer whose head has more than {filled} bytes");
        }
        match self.stream.read(&mut self.buffer[filled..]).context("read an answer")? {
            0 => bail!("the platform closed the connection"),
            read => Ok(read),
        }
    }
}

/// Status, and where the body stands, once the head is there.
fn head(bytes: &[u8]) -> Result<Option<(u16, Range<usize>)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = response.parse(bytes)? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let length = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let length: usize = match length {
        Some(header) => std::str::from_utf8(header.value)?.parse()?,
        None if status == 204 => 0,
        None => bail!("an answer of unknown length"),
    };
    Ok(Some((status, start..start + length)))
}

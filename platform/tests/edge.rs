//! What does not depend on the market: errors, limits, operations, TLS, witnesses.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::net::SocketAddr;

use common::{Site, options};
use encrytrust_platform::{Limits, Options, Tls};
use encrytrust_protocol::{Problem, api::PlatformView};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_a_problem_document() {
    let site = Site::start().await;
    let hex = "00".repeat(32);
    for (path, status, slug) in [
        ("/nowhere".to_owned(), 404, "not-found"),
        ("/v1/blocks/many".to_owned(), 400, "bad-request"),
        ("/v1/blocks?from=x".to_owned(), 400, "bad-request"),
        ("/v1/blocks?fro=1".to_owned(), 400, "bad-request"),
        ("/v1/subjects/zz".to_owned(), 400, "bad-request"),
        (format!("/v1/subjects/{hex}?history=perhaps"), 400, "bad-request"),
        (format!("/v1/offers/{hex}"), 404, "not-found"),
        (format!("/v1/keys/{hex}"), 404, "not-found"),
        ("/log/index/nothing".to_owned(), 404, "not-found"),
        ("/problems/none-of-them".to_owned(), 404, "not-found"),
        ("/v1/receipts".to_owned(), 405, "wrong-method"),
        (format!("/v1/relay/{hex}"), 405, "wrong-method"),
        ("/docs/no-such-file.js".to_owned(), 404, "not-found"),
    ] {
        let answer = site.get(&path).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, slug), "{path}");
        assert!(!answer.header("x-request-id").is_empty());
    }
    let answer = site.post("/log/index/checkpoint", "x").await;
    assert_eq!((answer.problem().as_str(), answer.header("allow")), ("wrong-method", "GET"));
    for path in [
        "/v1/offers",
        "/v1/subject-tags",
        "/v1/participants",
        "/v1/keys",
        "/v1/admin/commands",
        "/v1/admin/participants",
        "/v1/receipts",
        "/v1/relay/next",
    ] {
        for body in [&b""[..], b"\xff", b"\xd2\x84\x40", b"{}"] {
            let answer = site.post(path, body.to_vec()).await;
            assert!((400..500).contains(&answer.status), "{path} {}", answer.text());
        }
        let url = format!("{}{path}", site.server.url());
        let json = site.client.post(url).header("content-type", "application/json").body("{}");
        assert_eq!(common::answer(json).await.problem(), "bad-media-type", "{path}");
    }
    assert_eq!(site.post("/v1/admin/commands", vec![0; 3000]).await.problem(), "too-large");
    assert_eq!(site.post("/v1/offers?wait=forever", "x").await.problem(), "bad-request");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_callers_are_limited() {
    let limits = Limits {
        offers_bytes: 1000,
        requests_per_second: 1.try_into().unwrap(),
        requests_burst: 5.try_into().unwrap(),
        ..Limits::default()
    };
    let site = Site::start_in(common::home(), Options { limits: Some(limits), ..options() }).await;
    assert_eq!(site.post("/v1/offers", vec![0x40; 1001]).await.problem(), "too-large");
    let unannounced = chunked(site.server.address(), &[&[0x40_u8; 100][..]; 11]).await;
    assert!(unannounced.starts_with("HTTP/1.1 413"), "{unannounced}");
    for _ in 0..3 {
        assert_eq!(site.get("/v1/platform").await.status, 200);
    }
    let dry = site.get("/v1/platform").await;
    assert_eq!(dry.header("retry-after"), "1");
    assert_eq!(dry.problem(), "too-many-requests");
    assert_eq!(site.get("/healthz").await.status, 200, "probes are let through");
    site.stop().await;
}

/// Posts offers in chunks, without saying how many bytes there will be.
async fn chunked(address: SocketAddr, chunks: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut request = b"POST /v1/offers HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        transfer-encoding: chunked\r\n\r\n"
        .to_vec();
    for chunk in chunks {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    stream.write_all(&request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_and_explorers_find_their_way() {
    let site = Site::start().await;
    assert_eq!(site.get("/healthz").await.text(), "alive\n");
    assert_eq!(site.get("/readyz").await.text(), "ready\n");
    let metrics = site.get("/metrics").await.text();
    assert!(metrics.contains("ets_http_requests_total"), "{metrics}");
    assert!(metrics.contains("ets_log_entries{log=\"index\"} 0"), "{metrics}");

    let api: Value = site.get("/v1/openapi.json").await.json();
    assert_eq!(api["openapi"].as_str().unwrap().split('.').take(2).collect::<Vec<_>>(), ["3", "1"]);
    for (path, method) in [
        ("/log/{log}/checkpoint", "get"),
        ("/v1/blocks/{height}", "get"),
        ("/v1/blocks", "get"),
        ("/v1/offers", "post"),
        ("/v1/offers/{id}", "get"),
        ("/v1/subjects/{tag}", "get"),
        ("/v1/subject-tags", "post"),
        ("/v1/participants", "post"),
        ("/v1/participants/{id}", "get"),
        ("/v1/keys", "post"),
        ("/v1/keys/{key}", "get"),
        ("/v1/admin/commands", "post"),
        ("/v1/admin/participants", "post"),
        ("/v1/receipts", "post"),
        ("/v1/relay/{key}", "post"),
        ("/v1/relay/next", "post"),
        ("/v1/relay/replies/{id}", "post"),
        ("/v1/platform", "get"),
    ] {
        assert!(api["paths"][path][method].is_object(), "{method} {path}");
    }
    for method in api["paths"].as_object().unwrap().values() {
        for operation in method.as_object().unwrap().values() {
            assert!(operation["responses"]["default"].is_object(), "{operation}");
        }
    }
    assert!(site.get("/docs/").await.text().contains("swagger"));
    assert!(site.get("/docs").await.text().contains("swagger"), "redirected");
    let unknown: Problem = site.get("/nowhere").await.json();
    let text = site.get(&unknown.kind).await.text();
    assert!(text.starts_with("not found (HTTP 404)\n"), "{text}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_served_with_the_files_given() {
    let dir = common::home();
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, issued.cert.pem()).unwrap();
    std::fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
    let options = Options { tls: Some(Tls { cert, key }), ..options() };
    let site = Site::start_in(dir, options).await;
    let root = reqwest::Certificate::from_pem(issued.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let url = format!("https://localhost:{}/v1/platform", site.server.address().port());
    let view: PlatformView = common::answer(client.get(url)).await.json();
    assert_eq!(view.market, "market.example");
    site.stop().await;
}

//! The flooder: it sends more than anyone can take, more often than anyone should.

use std::{num::NonZeroU32, time::Duration};

use anyhow::{Context, Result, ensure};
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_tests::{MarketUnderTest, Wire, clock::now};
use futures::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_a_limit_at_every_door() -> Result<()> {
    let market = MarketUnderTest::start_with(|config| config.limits.offers_bytes = 5000).await?;
    let (wire, hand) = (market.wire(), market.hand("flooder").await?);
    for path in [
        "/v1/offers",
        "/v1/receipts",
        "/v1/subject-tags",
        "/v1/participants",
        "/v1/keys",
        "/v1/admin/commands",
        "/v1/admin/participants",
        "/v1/relay/next",
        &format!("/v1/relay/{}", hand.public()),
    ] {
        let answer = wire.post(path, vec![0x41; 2 << 20]).await;
        // Whoever is refused may find the door closed before it has said everything.
        let Ok(answer) = answer else { continue };
        assert_eq!(answer.status, 413, "{path}: {}", answer.text());
        assert_eq!(answer.problem()?.slug(), "too-large", "{path}");
    }
    wire.offer(hand.offer()?.bytes()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_say_how_long_it_is_has_the_same_limit() -> Result<()> {
    let market = MarketUnderTest::start_with(|config| config.limits.offers_bytes = 5000).await?;
    let address = market.platform().url().replace("http://", "");
    let mut stream = TcpStream::connect(address).await?;
    let head = "POST /v1/offers HTTP/1.1\r\nHost: market\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let chunk = [&b"3e8\r\n"[..], &[0x41; 1000], b"\r\n"].concat();
    for _ in 0..6 {
        stream.write_all(&chunk).await?;
    }
    let mut answer = vec![0; 1000];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await??;
    let answer = String::from_utf8_lossy(&answer[..read]);
    ensure!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    ensure!(answer.contains("/problems/too-large"), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_have_a_limit_in_items_and_in_depth() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, hand) = (market.wire(), market.hand("flooder").await?);
    let many = wire.post("/v1/offers", vec![0; 10_001]).await?;
    assert_eq!((many.status, &*many.slug()?), (400, "bad-message"));
    let most = wire.post("/v1/offers", vec![0; 10_000]).await?;
    assert_eq!((most.status, most.results()?.len()), (422, 10_000));
    // A tower of arrays, as high as a body may be.
    let deep = wire.post("/v1/offers", vec![0x81; 8 << 20]).await?;
    assert_eq!((deep.status, &*deep.slug()?), (400, "bad-message"));
    wire.offer(hand.offer()?.bytes()).await?;
    assert_eq!(market.size(LogName::Index).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_asks_too_often_is_told_when_to_come_again() -> Result<()> {
    let market = MarketUnderTest::start_with(|config| {
        config.limits.requests_per_second = NonZeroU32::MIN;
        config.limits.requests_burst = NonZeroU32::new(30).expect("not zero");
    });
    let market = market.await?;
    let wire = market.wire();
    let answers = join_all((0..60).map(|_| wire.get("/log/index/checkpoint"))).await;
    let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    ensure!((25..=31).contains(&refused.len()), "{} of 60 were refused", refused.len());
    for answer in &refused {
        assert_eq!((answer.status, &*answer.slug()?), (429, "too-many-requests"));
        let wait = answer.retry_after.context("when to come again")?;
        ensure!((1..=60).contains(&wait), "{wait} s");
    }
    // Whoever watches over the platform is not in its way.
    for probe in ["/healthz", "/readyz", "/metrics"] {
        wire.get(probe).await?.done()?;
    }
    // Others' addresses are not held to account for it.
    let address = market.platform().url().replace("http://", "");
    let port = address.rsplit(':').next().context("a port")?.to_owned();
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind("127.0.0.2:0".parse()?)?;
    let mut stream = socket.connect(format!("127.0.0.1:{port}").parse()?).await?;
    stream.write_all(b"GET /log/index/checkpoint HTTP/1.0\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_holds_so_much_and_no_more() -> Result<()> {
    let market = MarketUnderTest::start_with(|config| {
        (config.limits.relay_waiting_per_key, config.limits.relay_seconds) = (2, 1);
    });
    let market = market.await?;
    let hand = market.hand("absent").await?;
    let (wire, path) = (market.wire(), format!("/v1/relay/{}", hand.public()));
    let answers = join_all((0..6).map(|_| wire.post(&path, "sealed"))).await;
    let mut slugs = Vec::new();
    for answer in answers {
        let answer = answer?;
        slugs.push((answer.status, answer.slug()?));
    }
    slugs.sort();
    let (busy, away) = ((503, "busy".to_owned()), (504, "node-away".to_owned()));
    assert_eq!(slugs, [&busy, &busy, &busy, &busy, &away, &away].map(Clone::clone));
    // Nothing of it stays: the mailbox is free again, and what waits is only what is new.
    let poll = hand.poll(now())?.bytes().to_vec();
    let (answer, polled) = tokio::join!(wire.post(&path, "sealed"), poll_soon(&wire, poll));
    assert_eq!(answer?.slug()?, "node-away");
    let packets = encrytrust_protocol::RelayPackets::decode(&polled?)?.packets;
    assert_eq!(packets.len(), 1);
    Ok(())
}

async fn poll_soon(wire: &Wire, poll: Vec<u8>) -> Result<Vec<u8>> {
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(wire.post("/v1/relay/next", poll).await?.done()?.body)
}

//! The forger: its messages have the wrong form, truncated, oversized, followed by more, altered,
//! or of another kind, and it hides them among good ones.

use anyhow::{Result, ensure};
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_keys::pool::PoolKey;
use encrytrust_protocol::{
    AdminAction, AdminQuery, Outcome, RelayPackets, Suite, api::SubmitStatus,
};
use encrytrust_tests::{
    Hand, MarketUnderTest, Provider, Wire,
    clock::{fresh, nonce, now},
};

/// Every kind of message that is posted, made well.
async fn good_messages(market: &MarketUnderTest) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let (member, buyer) = (market.hand("member").await?, market.hand("buyer").await?);
    let stranger = Hand::new(&market.market, "stranger")?;
    let offer = member.offer()?;
    market.wire().offer(offer.bytes()).await?;
    let receipt = buyer.receipt(&member, offer.id(), fresh().into(), Outcome::Accepted)?;
    let query = AdminQuery { market: market.market.clone(), nonce: nonce(), at: now() };
    let command = market.command(AdminAction::Approve, member.id())?;
    let more = Hand {
        keys: vec![PoolKey::generate(Suite::X25519)],
        identity: member.identity.clone(),
        ..Hand::new(&market.market, "member")?
    };
    Ok(vec![
        ("/v1/offers", member.offer()?.bytes().to_vec()),
        ("/v1/offers", member.withdrawal(&offer, now())?.bytes().to_vec()),
        ("/v1/receipts", receipt.bytes().to_vec()),
        ("/v1/subject-tags", member.guesses(member.key(), 2, now())?.bytes().to_vec()),
        ("/v1/participants", stranger.join(now())?),
        ("/v1/keys", more.pool(now())?),
        ("/v1/admin/commands", command.bytes().to_vec()),
        ("/v1/admin/participants", market.admin.sign_query(query)?.bytes().to_vec()),
        ("/v1/relay/next", member.poll(now())?.bytes().to_vec()),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_deformed_message_gets_a_problem_document() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, messages) = (market.wire(), good_messages(&market).await?);
    let before = market.size(LogName::Index).await?;
    for (at, (path, good)) in messages.iter().enumerate() {
        let mut deformed = vec![
            ("empty", Vec::new()),
            ("one byte short", good[..good.len() - 1].to_vec()),
            ("half", good[..good.len() / 2].to_vec()),
            ("oversized", [&good[..], &vec![0; 20 << 20]].concat()),
            ("no CBOR", b"{\"offer\": 1}".to_vec()),
            ("deep", vec![0x81; 2000]),
        ];
        if *path != "/v1/offers" {
            // Where a sequence is taken, these are two items: see the good neighbours.
            deformed.push(("followed by a byte", [&good[..], &[0]].concat()));
            deformed.push(("preceded by a byte", [&[0], &good[..]].concat()));
        }
        // Of another kind: any message but those this path takes too.
        let other = messages.iter().find(|(p, _)| p != path).expect("there are several paths");
        deformed.push(("of another kind", other.1.clone()));
        if *path != "/v1/offers" {
            deformed.push(("of yet another kind", messages[(at + 3) % messages.len()].1.clone()));
        }
        for (what, bytes) in deformed {
            let answer = wire.post(path, bytes).await?;
            ensure!((400..500).contains(&answer.status), "{path} {what}: {}", answer.text());
            if answer.status != 422 {
                answer.problem()?;
                continue;
            }
            for result in answer.results()? {
                ensure!(result.status == SubmitStatus::Refused, "{path} {what}: {result:?}");
            }
        }
    }
    assert_eq!(market.size(LogName::Index).await?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_flipped_bit_passes() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let wire = market.wire();
    for (path, good) in good_messages(&market).await? {
        for at in (0..good.len()).step_by(23).chain([good.len() - 1]) {
            let mut forged = good.clone();
            forged[at] ^= 1 << (at % 8);
            let answer = wire.post(path, forged).await?;
            ensure!(
                (400..500).contains(&answer.status),
                "{path}, byte {at}: {} {}",
                answer.status,
                answer.text()
            );
        }
        // And what was not touched is taken. (A poll would wait for a request that nobody makes.)
        if path != "/v1/relay/next" {
            wire.post(path, good).await?.done()?;
        }
    }
    market.audit()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn good_neighbours_are_taken() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, hand) = (market.wire(), market.hand("honest").await?);
    let outsider = Hand::new(&market.market, "outsider")?;
    let good = (0..100).map(|_| hand.offer()).collect::<Result<Vec<_>>>()?;
    let mut altered = hand.offer()?.bytes().to_vec();
    if let Some(last) = altered.last_mut() {
        *last ^= 1;
    }
    let (poll, strange) = (hand.poll(now())?, outsider.offer()?);
    let bad: [(&[u8], &str); 5] = [
        (&altered, "bad-signature"),
        (poll.bytes(), "bad-message"),
        (&[0x18, 0x20], "bad-message"),
        (&[0xf6], "bad-message"),
        (strange.bytes(), "key-not-admitted"),
    ];
    // One bad item after every tenth good one.
    let (mut sequence, mut expected) = (Vec::new(), Vec::new());
    for (n, offer) in good.iter().enumerate() {
        sequence.push(offer.bytes());
        expected.push(None);
        if n % 10 == 9 {
            let (bytes, slug) = bad[n / 10 % bad.len()];
            sequence.push(bytes);
            expected.push(Some(slug));
        }
    }
    let results = wire.offers(&sequence).await?;
    assert_eq!(results.len(), expected.len());
    for (place, (result, expected)) in results.iter().zip(expected).enumerate() {
        let slug = result.problem.as_ref().map(|problem| problem.slug());
        assert_eq!(slug, expected, "item {place}: {result:?}");
        assert_eq!(result.proof.is_some(), expected.is_none(), "item {place}");
    }
    assert_eq!(market.size(LogName::Index).await?, 100);

    // A sequence that is cut off is no sequence: none of it is taken, and it can be sent again.
    let more = [hand.offer()?, hand.offer()?];
    let body = [more[0].bytes(), more[1].bytes()].concat();
    let cut = wire.post("/v1/offers", body[..body.len() - 1].to_vec()).await?;
    assert_eq!((cut.status, &*cut.slug()?), (400, "bad-message"));
    let whole = wire.offers(&[&body]).await?;
    assert!(whole.iter().all(|result| result.status == SubmitStatus::Accepted));
    market.audit()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_refuses_what_is_no_request() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let bank = market.member("bank").await?;
    let provider = Provider::listen(&bank).await?;
    let node = Wire::new(provider.url()?);
    let oversized = vec![0; RelayPackets::PACKET_BYTES_MAX + 1];
    let bad: [(&str, Vec<u8>, u16); 4] = [
        ("empty", Vec::new(), 400),
        ("noise", fresh().to_vec(), 400),
        ("text", b"give me everything".to_vec(), 400),
        ("oversized", oversized, 413),
    ];
    for (what, bytes, status) in bad {
        let answer = node.post("/v1/requests", bytes).await?;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        answer.problem()?;
    }
    let nowhere = node.get("/v1/everything").await?;
    assert_eq!(nowhere.problem()?.slug(), "not-found");
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_mean_nothing_are_problems_too() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    for path in [
        "/",
        "/v1/offers/short",
        "/v1/offers/zz",
        "/v1/subjects/%00",
        "/v1/subjects/..%2f..%2fkeys",
        "/v1/blocks/minus-one",
        "/v1/blocks?from=-1",
        "/v1/blocks?limit=all",
        "/v1/keys/none",
        "/v1/participants/../admin",
        "/log/index/tile/0/x001/001.p/0",
        "/log/index/tile/0/000.p/256",
        "/log/index/tile/65/000",
        "/log/index/tile/entries/999",
        "/log/members/checkpoint",
        "/log/../keys/platform.key",
    ] {
        let answer = market.wire().get(path).await?;
        ensure!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        answer.problem()?;
    }
    Ok(())
}

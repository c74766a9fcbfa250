//! The outsider: nobody let its key in, and it publishes and asks as if somebody had.

use anyhow::Result;
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_participant_node::{ErrorKind, NodeError};
use encrytrust_tests::{Hand, MarketUnderTest, Provider, Table, Wire, clock::now};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_no_pool_is_refused_at_every_door() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, outsider) = (market.wire(), Hand::new(&market.market, "nobody")?);
    let key = outsider.public();

    let offer = wire.post("/v1/offers", outsider.offer()?.bytes().to_vec()).await?;
    assert_eq!((offer.status, &*offer.slug()?), (422, "key-not-admitted"));
    let guesses = outsider.guesses(outsider.key(), 3, now())?;
    let guesses = wire.post("/v1/subject-tags", guesses.bytes().to_vec()).await?;
    assert_eq!((guesses.status, &*guesses.slug()?), (403, "key-not-admitted"));
    let poll = wire.post("/v1/relay/next", outsider.poll(now())?.bytes().to_vec()).await?;
    assert_eq!((poll.status, &*poll.slug()?), (403, "key-not-admitted"));
    let mailbox = wire.post(&format!("/v1/relay/{key}"), "sealed").await?;
    assert_eq!((mailbox.status, &*mailbox.slug()?), (403, "key-not-admitted"));
    let pool = wire.post("/v1/keys", outsider.pool(now())?).await?;
    assert_eq!((pool.status, &*pool.slug()?), (404, "unknown-participant"));
    let status = wire.get(&format!("/v1/keys/{key}")).await?;
    assert_eq!((status.status, &*status.slug()?), (404, "not-found"));

    assert_eq!(market.size(LogName::Index).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_joined_waits_until_it_is_let_in() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let newcomer = market.candidate("newcomer").await?;
    newcomer.keys_add(2).await?;
    let table = Table::incomes(market.path("rows.csv"), 3)?;

    let error = market.publish(&newcomer, &table, None).await.expect_err("nobody approved it");
    assert_eq!(error.kind(), ErrorKind::Refused);
    let NodeError::Platform(error) = error else { panic!("{error}") };
    assert_eq!(error.slug(), Some("key-not-admitted"));

    let id = newcomer.status().await?.id;
    market.decide(encrytrust_protocol::AdminAction::Approve, id).await?;
    assert_eq!(market.publish(&newcomer, &table, None).await?.new, 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_does_not_answer_it() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let bank = market.member("bank").await?;
    let provider = Provider::listen(&bank).await?;
    let table = Table::incomes(market.path("rows.csv"), 2)?;
    market.publish(&bank, &table, Some(provider.url()?)).await?;
    let offer = market.only_offer(&bank, "ZZ-000001").await?.id;
    let offer = market.offer(&offer).await?;

    let outsider = Hand::new(&market.market, "nobody")?;
    let packet = market.packet(&outsider, &offer).await?;
    let answer = Wire::new(provider.url()?).post("/v1/requests", packet).await?;
    assert_eq!((answer.status, &*answer.slug()?), (403, "key-unknown"));
    provider.stop().await
}

//! The suspended member: it was let in once, is not any more, and goes on as before.

use anyhow::Result;
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_participant_node::NodeError;
use encrytrust_protocol::AdminAction;
use encrytrust_tests::{Deadline, MarketUnderTest, Provider, Table, clock::now};

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_provider_publishes_nothing_and_is_asked_for_nothing() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    let provider = Provider::listen(&bank).await?;
    let table = Table::incomes(market.path("rows.csv"), 3)?;
    market.publish(&bank, &table, Some(provider.url()?)).await?;
    let offer = market.only_offer(&lender, "ZZ-000001").await?.id;
    lender.get(offer, &market.path("bought.json")).await?;

    let id = bank.status().await?.id;
    market.decide(AdminAction::Suspend, id).await?;

    table.edit(|rows| rows[1][1] = "1".into())?;
    let published = market.publish(&bank, &table, Some(provider.url()?)).await?;
    assert_eq!((published.updated, published.refused.len()), (0, 1));
    assert!(published.refused[0].why.contains("suspended"), "{:?}", published.refused);
    assert_eq!(market.size(LogName::Index).await?, 3);

    let error = bank.find(&["ZZ-9".into()], false, &|_| ()).await.expect_err("no more guesses");
    let NodeError::Platform(error) = error else { panic!("{error}") };
    assert_eq!(error.slug(), Some("key-suspended"));
    let error = bank.keys_add(1).await.expect_err("no more keys");
    assert!(error.to_string().contains("suspended"), "{error}");

    let out = market.path("not-bought.json");
    let error = lender.get(offer, &out).await.expect_err("nobody asks a suspended key");
    assert!(error.to_string().contains("suspended"), "{error}");
    assert!(!out.exists());
    assert_eq!(market.receipts().await?.len(), 1);

    // Let in again, it publishes what it could not, once.
    market.decide(AdminAction::Approve, id).await?;
    assert_eq!(market.publish(&bank, &table, Some(provider.url()?)).await?.updated, 1);
    assert_eq!(market.size(LogName::Index).await?, 4);
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_buyer_is_refused_within_the_life_of_a_key_status() -> Result<()> {
    let market = MarketUnderTest::start_with(|config| config.key_status_seconds = 1).await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    let provider = Provider::listen(&bank).await?;
    let table = Table::incomes(market.path("rows.csv"), 2)?;
    market.publish(&bank, &table, Some(provider.url()?)).await?;
    let offer = market.only_offer(&lender, "ZZ-000001").await?.id;
    let out = market.path("bought.json");
    lender.get(offer, &out).await?;

    market.decide(AdminAction::Suspend, lender.status().await?.id).await?;
    let deadline = Deadline::in_seconds(5);
    let problem = loop {
        match lender.get(offer, &out).await {
            Err(NodeError::Provider { problem, .. }) => break problem,
            Ok(_) => {}
            // While the provider still has its word on the key, the trade goes through; its
            // receipt does not.
            Err(NodeError::Unsettled { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        deadline.again("the provider learns of the suspension").await?;
    };
    assert_eq!(problem.slug(), "key-suspended");
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_gives_it_nothing_and_takes_nothing_for_it() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let member = market.hand("member").await?;
    market.decide(AdminAction::Suspend, member.id()).await?;
    let wire = market.wire();
    let poll = wire.post("/v1/relay/next", member.poll(now())?.bytes().to_vec()).await?;
    assert_eq!((poll.status, &*poll.slug()?), (403, "key-suspended"));
    let request = wire.post(&format!("/v1/relay/{}", member.public()), "sealed").await?;
    assert_eq!((request.status, &*request.slug()?), (403, "key-suspended"));
    Ok(())
}

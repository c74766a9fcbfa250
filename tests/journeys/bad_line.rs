//! A journey over a bad line: answers are lost, and nothing is lost with them.

use std::time::Duration;

use anyhow::Result;
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_tests::{MarketUnderTest, Provider, Table};

/// The platform did what it was asked; its answer did not arrive.
fn lose(market: &MarketUnderTest, path: &'static str) {
    market.proxy.rewrite(
        move |asked, _, body| {
            if asked.starts_with(path) { Vec::new() } else { body }
        },
    );
}

fn mend(market: &MarketUnderTest) {
    market.proxy.rewrite(|_, _, body| body);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_not_heard_is_asked_again() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    let provider = Provider::by_relay(&bank).await?;
    let table = Table::incomes(market.path("rows.csv"), 5)?;
    let out = market.path("bought.json");

    // Keys that the platform took are taken once, also when they are sent again a second later.
    let before = bank.status().await?.keys;
    lose(&market, "/v1/keys");
    bank.keys_add(2).await.expect_err("no answer");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    mend(&market);
    let added = bank.keys_add(2).await?;
    assert_eq!((added.added, added.present, added.pool), (0, 2, before + 2));
    assert_eq!(bank.status().await?.keys, before + 2);

    // Tags that were evaluated and not heard of are evaluated again.
    lose(&market, "/v1/subject-tags");
    market.publish(&bank, &table, None).await.expect_err("no answer");
    // Offers that are in the index and not known to be are found there.
    lose(&market, "/v1/offers");
    market.publish(&bank, &table, None).await.expect_err("no answer");
    mend(&market);
    assert_eq!(market.publish(&bank, &table, None).await?.resumed, 5);
    assert_eq!(market.size(LogName::Index).await?, 5);

    // A receipt that is on the log and not known to be is settled by the next purchase.
    let first = market.only_offer(&lender, "ZZ-000001").await?.id;
    lose(&market, "/v1/receipts");
    lender.get(first, &out).await.expect_err("no answer");
    mend(&market);
    let second = market.only_offer(&lender, "ZZ-000002").await?.id;
    lender.get(second, &out).await?;
    assert_eq!(market.receipts().await?.len(), 2);
    market.audit()?;
    provider.stop().await
}

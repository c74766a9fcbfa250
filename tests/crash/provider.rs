//! A provider's node is killed right after it delivered, and remembers that it did.

use anyhow::{Context, Result};
use encrytrust_protocol::Reply;
use encrytrust_tests::{MarketUnderTest, Table, Wire};

use crate::ets::Ets;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_a_delivery_it_does_not_deliver_again() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, buyer) = (market.member("bank").await?, market.hand("buyer").await?);
    let table = Table::incomes(market.path("rows.csv"), 20)?;
    market.publish(&bank, &table, Some("http://127.0.0.1:1")).await?;
    let dir = bank.dir().display().to_string();
    let start = || {
        Ets::start(&[
            "node",
            "serve",
            "--dir",
            &dir,
            "--listen",
            "127.0.0.1:0",
            "--endpoint",
            "http://127.0.0.1:1",
        ])
    };
    let url = |ready: serde_json::Value| {
        ready["listening"].as_str().map(|at| format!("http://{at}")).context("it listens")
    };

    let mut answered = Vec::new();
    for n in 0..6 {
        let offer = market.only_offer(&bank, &format!("ZZ-{n:06}")).await?.id;
        let packet = market.packet(&buyer, &market.offer(&offer).await?).await?;
        let mut node = start()?;
        let wire = Wire::new(url(node.ready()?)?);
        // What was answered before a kill is refused after it.
        for packet in &answered {
            let again = wire.post("/v1/requests", Vec::clone(packet)).await?;
            assert_eq!((again.status, &*again.slug()?), (409, "replay"));
        }
        let reply = wire.post("/v1/requests", packet.clone()).await?.done()?;
        node.kill()?;
        Reply::decode(&reply.body)?;
        answered.push(packet);
    }
    Ok(())
}

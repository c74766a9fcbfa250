//! Two tlog clients (PyPI `aics-tlog` and `proofbundle`) verify a served log: checkpoint, every
//! tile and bundle, inclusion, consistency with an older head, and a `.tlog-proof` offline.

use std::{fs, process::Output};

use anyhow::Result;
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_tests::{MarketUnderTest, Table};
use serde_json::Value as Json;

use crate::{accepted, refused, run};

async fn verify(args: Vec<String>) -> Result<Output> {
    Ok(tokio::task::spawn_blocking(move || run("verify_tlog.py", &args)).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn independent_clients_verify_the_index() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let bank = market.member("bank").await?;
    // Beyond one full tile, so that full and partial tiles of two levels are read.
    let table = Table::incomes(market.path("bank.csv"), 300)?;
    market.publish(&bank, &table, None).await?;
    let older = market.path("older.checkpoint");
    fs::write(&older, market.head(LogName::Index).await?.to_bytes())?;

    table.edit(|rows| rows.iter_mut().take(5).for_each(|row| row[1] = "1".into()))?;
    market.publish(&bank, &table, None).await?;
    let offer = market.only_offer(&bank, "ZZ-000003").await?;
    let (proof, leaf) = (market.path("offer.tlog-proof"), market.path("offer.cose"));
    fs::write(&proof, bank.prove(&offer.id).await?)?;
    fs::write(&leaf, market.offer(&offer.id).await?.bytes())?;

    let text = |path: &std::path::Path| path.display().to_string();
    let url = format!("{}/log/index", market.platform().url());
    let args = |vkey: String, leaf: &std::path::Path| {
        let flags = ["--older", &text(&older), "--proof", &text(&proof), "--leaf", &text(leaf)];
        let flags = flags.map(str::to_owned);
        [url.clone(), vkey].into_iter().chain(flags).collect::<Vec<_>>()
    };
    let verdict: Json =
        serde_json::from_str(&accepted(&verify(args(market.vkey.to_string(), &leaf)).await?))?;
    assert_eq!(verdict["size"], market.size(LogName::Index).await?);
    assert_eq!((&verdict["consistency"], &verdict["proofs"]), (&1.into(), &1.into()));

    // Another market's key, and another entry under the same proof.
    let stranger = MarketUnderTest::start().await?.vkey.to_string();
    refused(&verify(args(stranger, &leaf)).await?);
    let mut bytes = fs::read(&leaf)?;
    bytes[100] ^= 1;
    fs::write(&leaf, bytes)?;
    refused(&verify(args(market.vkey.to_string(), &leaf)).await?);
    Ok(())
}

//! The platform stops, loses everything it can derive, and comes back the same.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, ensure};
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_platform::rebuild;
use encrytrust_protocol::AdminAction;
use encrytrust_tests::{MarketUnderTest, Provider, Wire};
use serde_json::Value;

use crate::stage::{Stage, person};

/// Everything the platform answers about a market's state, by path.
async fn answers(wire: &Wire, paths: &[String]) -> Result<BTreeMap<String, Value>> {
    let mut answers = BTreeMap::new();
    for path in paths {
        let answer = wire.get(path).await?.done()?;
        let mut json: Value =
            serde_json::from_slice(&answer.body).unwrap_or_else(|_| answer.text().into());
        // Said anew each time it is asked.
        if let Some(view) = json.as_object_mut() {
            view.remove("status");
        }
        answers.insert(path.clone(), json);
    }
    Ok(answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuilt_from_its_logs_it_answers_the_same() -> Result<()> {
    let mut stage = Stage::set().await?;
    stage.publish(None).await?;
    let provider = Provider::by_relay(&stage.bank).await?;
    let [bought, ..] = stage.offers_about(11, false).await?;
    stage.lender.get(bought.id, &stage.market.path("bought.json")).await?;
    stage.tables[0].edit(|rows| {
        rows[0][2] = "1".into();
        rows.truncate(200);
    })?;
    stage.market.publish(&stage.bank, &stage.tables[0], None).await?;
    let suspended = stage.telecom.status().await?.id;
    stage.market.decide(AdminAction::Suspend, suspended).await?;
    provider.stop().await?;

    let mut paths = vec![
        "/log/index/checkpoint".to_owned(),
        "/log/trades/checkpoint".to_owned(),
        "/v1/blocks?limit=1000".to_owned(),
        format!("/v1/participants/{suspended}"),
        format!("/v1/participants/{}", stage.bank.status().await?.id),
        format!("/v1/keys/{}", bought.provider),
        format!("/v1/offers/{}", bought.id),
    ];
    for n in [1, 11, 150, 250] {
        let tag = stage.lender.find(&person(n), false, &|_| ()).await?.tag;
        paths.extend(["", "?history=true"].map(|query| format!("/v1/subjects/{tag}{query}")));
    }
    let before = answers(&stage.market.wire(), &paths).await?;

    // Stopped and started again.
    stage.market.while_stopped(|_| Ok(())).await?;
    assert_eq!(answers(&stage.market.wire(), &paths).await?, before);
    // Rebuilt while stopped: nothing differs from what was there.
    let rebuilt = stage.market.while_stopped(|dir| Ok(rebuild(dir, None)?)).await?;
    assert_eq!(rebuilt.differences, Some(0));
    assert_eq!(answers(&stage.market.wire(), &paths).await?, before);
    // The derived state deleted, and damaged: it is made anew.
    stage.market.while_stopped(|dir| Ok(fs::remove_dir_all(dir.join("sled"))?)).await?;
    assert_eq!(answers(&stage.market.wire(), &paths).await?, before);

    // And it goes on: the same key still signs, the same history still grows.
    table_grows(&stage).await?;
    stage.market.audit()?;
    Ok(())
}

async fn table_grows(stage: &Stage) -> Result<()> {
    let size = stage.market.size(LogName::Index).await?;
    stage.tables[0].edit(|rows| rows[0][2] = "2".into())?;
    assert_eq!(stage.market.publish(&stage.bank, &stage.tables[0], None).await?.updated, 1);
    assert_eq!(stage.market.size(LogName::Index).await?, size + 1);
    stage.lender.sync(&|_| ()).await?;
    Ok(())
}

/// A log that was changed behind the platform's back is not served.
#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_log_is_not_served() -> Result<()> {
    let mut market = MarketUnderTest::start().await?;
    let (wire, hand) = (market.wire(), market.hand("hand").await?);
    for _ in 0..20 {
        wire.offer(hand.offer()?.bytes()).await?;
    }
    market.audit()?;
    let copy = market.path("tampered");
    let twin = market.fork("tampered").await?;
    twin.stop().await?;
    // An entry that was changed and a leaf hash that was changed are told from each other by
    // nobody: the two differ, and that is said.
    for (file, at, named) in [
        ("index/entries", 700, "index/entries"),
        ("index/hashes.0", 40, "index/entries"),
        ("blocks", 300, "blocks"),
        ("checkpoint.trades", 40, "checkpoint.trades"),
    ] {
        let path = copy.join(file);
        let sound = fs::read(&path).with_context(|| file.to_owned())?;
        let mut tampered = sound.clone();
        tampered[at] ^= 1;
        fs::write(&path, tampered)?;
        let error = market.auditor().audit(&copy).expect_err(file);
        ensure!(error.to_string().contains(named), "the place of the fault: {error}");
        fs::write(&path, sound)?;
    }
    market.auditor().audit(&copy)?;
    // Cut off below what was sealed, it does not open at all.
    let path = copy.join("index/hashes.0");
    let sound = fs::read(&path)?;
    fs::write(&path, &sound[..5 * 32])?;
    let refused = encrytrust_tests::Platform::start(&copy).await;
    ensure!(refused.is_err(), "it would serve fifteen entries less than it signed");
    Ok(())
}

/// One process at a time: two writers of one log would make two histories.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_served_is_not_served_again() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let dir = &market.platform().dir;
    let refused = encrytrust_tests::Platform::start(dir).await.err().context("a second one")?;
    ensure!(refused.to_string().contains("another process"), "{refused:#}");
    rebuild(dir, None).expect_err("nor rebuilt under its feet");
    market.wire().get("/readyz").await?.done()?;
    Ok(())
}

//! The first day of a market: publish, look up, buy, leave receipts, audit, prove.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use encrytrust_index_chain::{checkpoint::LogName, proof::TlogProof};
use encrytrust_participant_node::sync_copy;
use encrytrust_protocol::Outcome;
use encrytrust_tests::Provider;

use crate::stage::{PEOPLE, Stage, assert_is_row};

#[tokio::test(flavor = "multi_thread")]
async fn from_three_tables_to_an_audited_trade() -> Result<()> {
    let stage = Stage::set().await?;
    let market = &stage.market;

    // Offers of three enterprises, and their nodes at work: one listens, two fetch from the relay.
    let bank = Provider::listen(&stage.bank).await?;
    let size = stage.publish(Some(bank.url()?)).await?;
    assert_eq!(size, 3 * PEOPLE as u64);
    let employers = Provider::by_relay(&stage.employers).await?;
    let telecom = Provider::by_relay(&stage.telecom).await?;

    // The lender looks somebody up, and finds the same at the platform and in its own copy.
    let asked = stage.offers_about(42, false).await?;
    let copied = stage.offers_about(42, true).await?;
    for (asked, copied) in asked.iter().zip(&copied) {
        assert_eq!((asked.id, asked.index, asked.state), (copied.id, copied.index, copied.state));
        assert_eq!((asked.commitment, asked.provider), (copied.commitment, copied.provider));
    }
    assert!(asked[0].endpoint.is_some() && asked[1].endpoint.is_none());

    // It buys from each, and holds what their tables say, for its own eyes only.
    for (n, (offer, table)) in asked.iter().zip(&stage.tables).enumerate() {
        let out = market.path(&format!("bought-{n}.json"));
        let bought = stage.lender.get(offer.id, &out).await?;
        assert_eq!((bought.offer, bought.price, bought.receipt), (offer.id, 5, n as u64));
        assert_is_row(&out, table, 42)?;
        assert_eq!(std::fs::metadata(&out)?.permissions().mode() & 0o777, 0o600);
    }

    // The receipts are on the log of trades, each signed by both sides.
    let receipts = market.receipts().await?;
    assert_eq!(receipts.len(), 3);
    for (receipt, offer) in receipts.iter().zip(&asked) {
        let delivery = receipt.delivery()?;
        assert_eq!(receipt.message().outcome, Outcome::Accepted);
        assert_eq!((delivery.message().offer, delivery.signer()), (offer.id, offer.provider));
    }

    // An auditor downloads everything and takes nobody's word; an enterprise finds its own there.
    let (copy, vkey) = (market.path("copy"), market.vkey.to_string());
    let (_, synced) = sync_copy(&copy, market.proxy.url(), Some(&vkey), &|_| ()).await?;
    assert_eq!((synced.index.total, synced.trades.total), (size, 3));
    let mine = stage.bank.own_offers()?;
    let report = market.auditor().expects(mine).audit(&copy)?;
    assert_eq!((report.index_entries, report.offers, report.current_offers), (size, size, size));
    assert_eq!((report.receipts, report.own_offers), (3, PEOPLE as u64));
    let direct = market.audit()?;
    assert_eq!(direct.checkpoints[0].head(), report.checkpoints[0].head());

    // A proof that the offer is in the index holds for whoever has the log's key and nothing else.
    let proof = stage.lender.prove(&asked[1].id).await?;
    let offer = market.offer(&asked[1].id).await?;
    let log = LogName::Index.vkey(&market.market, market.vkey.key());
    let proof = TlogProof::parse(proof.as_bytes())?;
    let proven = proof.verify(offer.bytes(), &log, &[], 0)?;
    assert_eq!(proof.index, asked[1].index);
    assert_eq!(proven.checkpoint.origin, "market.example/index");
    let other = market.offer(&asked[0].id).await?;
    proof.verify(other.bytes(), &log, &[], 0).expect_err("of this offer, not of another");
    let trades = LogName::Trades.vkey(&market.market, market.vkey.key());
    proof.verify(offer.bytes(), &trades, &[], 0).expect_err("in this log, not in another");

    for provider in [bank, employers, telecom] {
        provider.stop().await?;
    }
    Ok(())
}

/// Nothing public links two keys of a pool, and offers are spread over them.
#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_trades_under_many_keys() -> Result<()> {
    let stage = Stage::set().await?;
    stage.publish(None).await?;
    let mut keys = std::collections::HashMap::<_, usize>::new();
    for n in (1..=PEOPLE).step_by(10) {
        let [bank, ..] = stage.offers_about(n, true).await?;
        *keys.entry(bank.provider).or_default() += 1;
    }
    assert_eq!(keys.len(), stage.bank.pool_size());
    let one = keys.keys().next().context("a key")?;
    let shown = stage.market.wire().get(&format!("/v1/keys/{one}")).await?.done()?;
    let (shown, id) = (shown.text(), stage.bank.status().await?.id.to_string());
    assert!(!shown.contains(&id) && !shown.contains("bank"), "{shown}");
    for other in keys.keys().filter(|key| *key != one) {
        assert!(!shown.contains(&other.to_string()), "{shown}");
    }
    Ok(())
}

//! A market's later days: tables change, rows go, and the index follows; what was bought stays
//! what it was.

use anyhow::Result;
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_participant_node::{Node, NodeError};
use encrytrust_protocol::api::{OfferState, SubjectView};
use encrytrust_tests::{MarketUnderTest, Provider, Table};

use crate::stage::{PEOPLE, Stage, assert_is_row, person};

#[tokio::test(flavor = "multi_thread")]
async fn the_index_follows_the_table() -> Result<()> {
    let stage = Stage::set().await?;
    let (market, [table, ..]) = (&stage.market, &stage.tables);
    let size = stage.publish(None).await?;
    let bank = Provider::by_relay(&stage.bank).await?;
    let out = market.path("bought.json");

    // Nothing changed: nothing is sent.
    let before = market.proxy.seen().len();
    let again = market.publish(&stage.bank, table, None).await?;
    assert_eq!((again.unchanged, again.new + again.updated + again.withdrawn), (PEOPLE as u64, 0));
    assert_eq!(market.size(LogName::Index).await?, size);
    let sent = market.proxy.seen().split_off(before);
    assert!(sent.iter().all(|seen| seen.path.starts_with("/v1/relay")), "only its node's polls");

    // Row 7 changes: until it is published again, what was offered cannot be delivered, and is not.
    let [old, ..] = stage.offers_about(7, false).await?;
    let [gone, ..] = stage.offers_about(9, false).await?;
    table.edit(|rows| {
        rows[6][2] = "424242".into();
        rows.remove(8);
        rows.push(["ZZ-000999", "Muster 999", "1", "2", "repairs", "good"].map(Into::into).into());
    })?;
    let error = stage.lender.get(old.id, &out).await.expect_err("the row is another");
    let NodeError::Provider { problem, .. } = &error else { panic!("{error}") };
    assert_eq!(problem.slug(), "source-changed");

    let changed = market.publish(&stage.bank, table, None).await?;
    assert_eq!((changed.new, changed.updated, changed.withdrawn), (1, 1, 1));
    assert_eq!(changed.unchanged, PEOPLE as u64 - 2);
    assert_eq!(market.size(LogName::Index).await?, size + 3);

    // The new version is found and delivered, by the key that signed the old one.
    let [new, ..] = stage.offers_about(7, false).await?;
    assert!(new.id != old.id && new.provider == old.provider && new.commitment != old.commitment);
    stage.lender.get(new.id, &out).await?;
    assert_is_row(&out, table, 7)?;
    assert_eq!(crate::stage::record(&out)?["credit_amount"], 424_242);

    // The old one and the one that is gone cannot be taken; the log still tells their story.
    for (offer, state) in [(&old, OfferState::Superseded), (&gone, OfferState::Withdrawn)] {
        let error = stage.lender.get(offer.id, &out).await.expect_err("over");
        assert!(matches!(error, NodeError::Gone { .. }), "{error}");
        let n = if offer.id == old.id { 7 } else { 9 };
        let tag = stage.lender.find(&person(n), false, &|_| ()).await?.tag;
        let history = market.wire().get(&format!("/v1/subjects/{tag}?history=true")).await?;
        let history: SubjectView = history.done()?.json()?;
        let told = history.offers.iter().find(|told| told.id == offer.id);
        assert_eq!(told.map(|told| told.state), Some(state));
    }
    let about_nine = stage.lender.find(&person(9), true, &|_| ()).await?.offers;
    assert_eq!(about_nine.len(), 2, "the others still offer");
    assert_eq!(stage.lender.find(&person(999), true, &|_| ()).await?.offers.len(), 1);
    assert_eq!(market.publish(&stage.bank, table, None).await?.unchanged, PEOPLE as u64);

    let report = market.audit()?;
    assert_eq!((report.offers, report.withdrawals), (size + 2, 1));
    assert_eq!(report.current_offers, size);
    bank.stop().await
}

/// Gone and back within a second: the new offer would be the withdrawn one, byte for byte, were it
/// not told apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_comes_back_is_on_offer_again() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let bank = market.member("bank").await?;
    let publish = async |rows| {
        let table = Table::incomes(market.path("rows.csv"), rows)?;
        market.publish(&bank, &table, None).await.map_err(anyhow::Error::from)
    };
    publish(1).await?;
    for _ in 0..8 {
        assert_eq!(publish(2).await?.new, 1);
        assert_eq!(market.only_offer(&bank, "ZZ-000001").await?.state, OfferState::Current);
        assert_eq!(publish(1).await?.withdrawn, 1);
    }
    assert_eq!(market.audit()?.current_offers, 1);
    Ok(())
}

/// Other words, another price, another address: every offer is replaced, none is lost.
#[tokio::test(flavor = "multi_thread")]
async fn new_terms_replace_every_offer() -> Result<()> {
    let stage = Stage::set().await?;
    let (market, [table, ..]) = (&stage.market, &stage.tables);
    market.publish(&stage.bank, table, None).await?;
    let mut terms = table.on_offer("bank", None);
    terms.price = 7;
    let published = stage.bank.publish(&terms, &|_| ()).await?;
    assert_eq!((published.updated, published.new), (PEOPLE as u64, 0));
    assert_eq!(stage.bank.publish(&terms, &|_| ()).await?.unchanged, PEOPLE as u64);

    // A second product from the same table stands beside the first.
    let mut product = table.on_offer("purposes", None);
    (product.columns, product.dataset) = (vec!["purpose".into()], Some("purposes".into()));
    assert_eq!(stage.bank.publish(&product, &|_| ()).await?.new, PEOPLE as u64);
    assert_eq!(stage.bank.publish(&terms, &|_| ()).await?.unchanged, PEOPLE as u64);
    let found = stage.lender.find(&person(3), false, &|_| ()).await?.offers;
    let prices: Vec<_> = found.iter().map(|offer| (offer.title.as_str(), offer.price)).collect();
    assert_eq!(prices, [("bank", 7), ("purposes", 5)]);
    market.audit()?;
    Ok(())
}

/// Whoever spells an ID otherwise means the same person.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_has_many_spellings_and_one_subject() -> Result<()> {
    let stage = Stage::set().await?;
    stage.market.publish(&stage.bank, &stage.tables[0], None).await?;
    let tag = stage.lender.find(&person(5), false, &|_| ()).await?.tag;
    for spelling in [
        ["zz-000005", "muster 5"],
        ["  ZZ-000005 ", "MUSTER\t5"],
        ["ＺＺ-０００００５", "Muster  5"],
    ] {
        let found = stage.lender.find(&spelling.map(str::to_owned), false, &|_| ()).await?;
        assert_eq!((found.tag, found.offers.len()), (tag, 1), "{spelling:?}");
    }
    let other = ["ZZ-000005 Muster", "5"].map(str::to_owned);
    assert!(stage.lender.find(&other, false, &|_| ()).await?.offers.is_empty());
    Ok(())
}

/// A node whose machine was moved goes on where it was: its directory is all there is to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_its_directory() -> Result<()> {
    let stage = Stage::set().await?;
    let (market, [table, ..]) = (&stage.market, &stage.tables);
    market.publish(&stage.bank, table, None).await?;
    let (old, new) = (stage.bank.dir().to_owned(), market.path("bank-moved"));
    std::fs::rename(old, &new)?;
    let moved = Node::open(&new, None)?;
    assert_eq!(market.publish(&moved, table, None).await?.unchanged, PEOPLE as u64);
    let provider = Provider::by_relay(&moved).await?;
    let [offer] = <[_; 1]>::try_from(stage.lender.find(&person(2), false, &|_| ()).await?.offers)
        .map_err(|found| anyhow::anyhow!("{} offers", found.len()))?;
    let out = market.path("bought.json");
    stage.lender.get(offer.id, &out).await?;
    assert_is_row(&out, table, 2)?;
    provider.stop().await
}

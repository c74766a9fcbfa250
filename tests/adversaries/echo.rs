//! The echo: it says again what was said before, its own words or somebody else's.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context, Result};
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_protocol::{
    AdminAction, Outcome, ParticipantState, Reply,
    api::{ParticipantView, SubmitStatus},
};
use encrytrust_tests::{
    Hand, MarketUnderTest, Provider, Table, Wire,
    clock::{fresh, now},
};
use futures::future::try_join_all;

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_said_often_is_there_once() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, hand) = (market.wire(), market.hand("echo").await?);
    let (one, two) = (hand.offer()?, hand.offer()?);

    // At once from everywhere, twice in each breath.
    let body = [one.bytes(), two.bytes(), one.bytes()];
    let answers = try_join_all((0..16).map(|_| wire.offers(&body))).await?;
    let results: Vec<_> = answers.iter().flatten().collect();
    let accepted = results.iter().filter(|r| r.status == SubmitStatus::Accepted).count();
    assert_eq!((accepted, results.len()), (2, 48));
    assert!(results.iter().all(|r| r.proof.is_some()), "also those that were there");
    let places: HashSet<_> = results.iter().map(|r| (r.id, r.index)).collect();
    assert_eq!(places.len(), 2);
    assert_eq!(market.size(LogName::Index).await?, 2);

    // Also when what came after has ended it.
    wire.offer(hand.update(&one)?.bytes()).await?;
    let again = wire.offers(&[one.bytes()]).await?.remove(0);
    assert_eq!(again.status, SubmitStatus::Present);
    assert_eq!(market.size(LogName::Index).await?, 3);
    market.audit()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_once_also_by_a_node_that_was_restarted() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, buyer) = (market.member("bank").await?, market.hand("buyer").await?);
    let provider = Provider::listen(&bank).await?;
    let table = Table::incomes(market.path("rows.csv"), 2)?;
    market.publish(&bank, &table, Some(provider.url()?)).await?;
    let offer = market.only_offer(&bank, "ZZ-000001").await?.id;
    let offer = market.offer(&offer).await?;
    let packet = market.packet(&buyer, &offer).await?;

    let node = Wire::new(provider.url()?);
    let answers = try_join_all((0..8).map(|_| node.post("/v1/requests", packet.clone()))).await?;
    let (delivered, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 200);
    assert_eq!(delivered.len(), 1);
    Reply::decode(&delivered[0].body)?;
    for answer in refused {
        assert_eq!((answer.status, &*answer.slug()?), (409, "replay"));
    }
    provider.stop().await?;

    let provider = Provider::listen(&bank).await?;
    let again = Wire::new(provider.url()?).post("/v1/requests", packet).await?;
    assert_eq!((again.status, &*again.slug()?), (409, "replay"));
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_repeated_does_not_undo_a_later_one() -> Result<()> {
    let mut market = MarketUnderTest::start().await?;
    let hand = Hand::new(&market.market, "in and out")?;
    let (join, wire) = (hand.join(now())?, market.wire());
    wire.post("/v1/participants", join.clone()).await?.done()?;
    let approve = market.command(AdminAction::Approve, hand.id())?.bytes().to_vec();
    wire.post("/v1/admin/commands", approve.clone()).await?.done()?;
    let pool = hand.pool(now())?;
    wire.post("/v1/keys", pool.clone()).await?.done()?;
    market.decide(AdminAction::Suspend, hand.id()).await?;

    for restarted in [false, true] {
        if restarted {
            market.while_stopped(|_| Ok(())).await?;
        }
        let wire = market.wire();
        for (path, message) in [("/v1/admin/commands", &approve), ("/v1/participants", &join)] {
            wire.post(path, message.clone()).await?.done()?;
        }
        let view: ParticipantView =
            wire.get(&format!("/v1/participants/{}", hand.id())).await?.json()?;
        assert_eq!((view.state, view.keys), (ParticipantState::Suspended, 1));
        let again = wire.post("/v1/keys", pool.clone()).await?;
        assert_eq!(again.slug()?, "key-suspended");
        let offer = wire.post("/v1/offers", hand.offer()?.bytes().to_vec()).await?;
        assert_eq!(offer.slug()?, "key-suspended");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_once() -> Result<()> {
    let mut market = MarketUnderTest::start().await?;
    let hand = market.hand("echo").await?;
    let guesses = hand.guesses(hand.key(), 2, now())?.bytes().to_vec();
    let query = encrytrust_protocol::AdminQuery {
        market: market.market.clone(),
        nonce: encrytrust_tests::clock::nonce(),
        at: now(),
    };
    let query = market.admin.sign_query(query)?.bytes().to_vec();
    let questions = [("/v1/subject-tags", guesses), ("/v1/admin/participants", query)];
    for (path, question) in &questions {
        market.wire().post(path, question.clone()).await?.done()?;
        let again = market.wire().post(path, question.clone()).await?;
        assert_eq!((again.status, &*again.slug()?), (409, "replayed"), "{path}");
    }
    // A platform that has forgotten what it answered refuses whatever it may have answered.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    market.while_stopped(|_| Ok(())).await?;
    for (path, question) in &questions {
        let again = market.wire().post(path, question.clone()).await?;
        assert_eq!((again.status, &*again.slug()?), (422, "clock-skew"), "{path}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trade_ends_once() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, provider) = (market.wire(), market.hand("provider").await?);
    let buyer = market.hand("buyer").await?;
    let offer = provider.offer()?;
    wire.offer(offer.bytes()).await?;
    let trade = fresh().into();
    let receipt = |outcome| buyer.receipt(&provider, offer.id(), trade, outcome);

    let first = receipt(Outcome::Mismatch)?.bytes().to_vec();
    let taken = wire.post("/v1/receipts?wait=included", first.clone()).await?.results()?.remove(0);
    assert_eq!(taken.status, SubmitStatus::Accepted);
    let again = wire.post("/v1/receipts", first).await?.results()?.remove(0);
    assert_eq!((again.status, again.index), (SubmitStatus::Present, taken.index));
    let other =
        wire.post("/v1/receipts?wait=included", receipt(Outcome::Accepted)?.bytes().to_vec());
    let other = other.await?;
    assert_eq!((other.status, &*other.slug()?), (422, "trade-ended"));
    let kept = market.receipts().await?;
    let kept = kept.first().context("one receipt")?;
    assert_eq!(kept.message().outcome, Outcome::Mismatch);
    Ok(())
}

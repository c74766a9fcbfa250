//! The time traveller: its clock is wrong, and it signs messages of yesterday or of tomorrow.

use anyhow::Result;
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_keys::seal::SealKey;
use encrytrust_protocol::{
    AdminAction, AdminCommand, AdminQuery, CLOCK_SKEW_MAX, Offer, Outcome, Receipt, Request, Suite,
    Validity,
};
use encrytrust_tests::{
    Hand, MarketUnderTest, Provider, Table, Wire,
    clock::{fresh, nonce, now},
};

/// Too early and too late; a little room for the test's own seconds.
fn elsewhen() -> [u64; 2] {
    [now() - CLOCK_SKEW_MAX - 30, now() + CLOCK_SKEW_MAX + 30]
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_another_time_are_refused() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, hand) = (market.wire(), market.hand("traveller").await?);
    for at in elsewhen() {
        let stranger = Hand::new(&market.market, "stranger")?;
        let query = AdminQuery { market: market.market.clone(), nonce: nonce(), at };
        let command =
            AdminCommand { at, ..market.command(AdminAction::Suspend, hand.id())?.into_message() };
        let messages: [(&str, Vec<u8>); 6] = [
            ("/v1/subject-tags", hand.guesses(hand.key(), 1, at)?.bytes().to_vec()),
            ("/v1/relay/next", hand.poll(at)?.bytes().to_vec()),
            ("/v1/participants", stranger.join(at)?),
            ("/v1/keys", hand.pool(at)?),
            ("/v1/admin/commands", market.admin.sign_command(command)?.bytes().to_vec()),
            ("/v1/admin/participants", market.admin.sign_query(query)?.bytes().to_vec()),
        ];
        for (path, message) in messages {
            let answer = wire.post(path, message).await?;
            assert_eq!((answer.status, &*answer.slug()?), (422, "clock-skew"), "{path}");
        }
    }
    // What the travelling command wanted did not happen.
    wire.offer(hand.offer()?.bytes()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_a_little_wrong_is_no_sin() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, hand) = (market.wire(), market.hand("a bit late").await?);
    // Later, within the skew. Earlier ones are refused when they are older than the platform's
    // memory of what it answered, which began when it started.
    let at = now() + CLOCK_SKEW_MAX - 30;
    let guesses = hand.guesses(hand.key(), 1, at)?;
    wire.post("/v1/subject-tags", guesses.bytes().to_vec()).await?.done()?;
    for at in [at, now() - CLOCK_SKEW_MAX + 30] {
        let hand = Hand::new(&market.market, "stranger")?;
        wire.post("/v1/participants", hand.join(at)?).await?.done()?;
        wire.post("/v1/keys", hand.pool(at)?).await?.done()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_takes_what_can_be_taken_now() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, hand) = (market.wire(), market.hand("traveller").await?);
    let [early, late] = elsewhen();
    let between = |from, until| {
        let valid = Validity { from, until };
        hand.sign(Offer { valid, ..hand.terms(fresh().into()) })
    };
    let good = hand.offer()?;
    wire.offer(good.bytes()).await?;
    let over = between(early - 100, early)?;
    let not_begun = between(late, late + 100)?;
    let end = hand.withdrawal(&good, late)?;
    let results = wire.offers(&[over.bytes(), not_begun.bytes(), end.bytes()]).await?;
    let slugs: Vec<_> =
        results.iter().filter_map(|r| r.problem.as_ref().map(|p| p.slug())).collect();
    assert_eq!(slugs, ["offer-ended", "offer-not-begun", "from-the-future"]);

    let buyer = market.hand("buyer").await?;
    let receipt = buyer.receipt(&hand, good.id(), fresh().into(), Outcome::Accepted)?;
    let receipt = Receipt { at: late, ..receipt.into_message() };
    let receipt = buyer.key().sign_receipt(receipt)?;
    let answer = wire.post("/v1/receipts", receipt.bytes().to_vec()).await?;
    assert_eq!((answer.status, &*answer.slug()?), (422, "from-the-future"));

    assert_eq!(market.size(LogName::Index).await?, 1);
    assert_eq!(market.size(LogName::Trades).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_answers_requests_of_now() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, buyer) = (market.member("bank").await?, market.hand("buyer").await?);
    let provider = Provider::listen(&bank).await?;
    let table = Table::incomes(market.path("rows.csv"), 2)?;
    market.publish(&bank, &table, Some(provider.url()?)).await?;
    let offer = market.only_offer(&bank, "ZZ-000001").await?.id;
    let offer = market.offer(&offer).await?;
    let block = market.head(LogName::Index).await?.checkpoint().block.hash;
    let reply_key = SealKey::generate(Suite::X25519);
    for at in elsewhen() {
        let request = Request { at, ..buyer.request(&offer, block, &reply_key) };
        let packet = market.seal(&buyer.key().sign_request(request)?).await?;
        let answer = Wire::new(provider.url()?).post("/v1/requests", packet).await?;
        assert_eq!((answer.status, &*answer.slug()?), (403, "stale"));
    }
    provider.stop().await
}

//! The greedy guesser: a member that has every ID there might be evaluated, under as many keys as
//! it can make.

use std::num::NonZeroU32;

use anyhow::{Context, Result};
use encrytrust_keys::pool::PoolKey;
use encrytrust_participant_node::NodeError;
use encrytrust_platform::Config;
use encrytrust_protocol::{Suite, TagAnswer};
use encrytrust_tests::{MarketUnderTest, Table, clock::now};

/// Twenty IDs at once, and then twenty an hour.
fn stingy(config: &mut Config) {
    let twenty = NonZeroU32::new(20).expect("not zero");
    (config.limits.tags_burst, config.limits.tags_per_hour) = (twenty, twenty);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_allowance_for_all_keys_of_a_participant() -> Result<()> {
    let market = MarketUnderTest::start_with(stingy).await?;
    let (wire, mut greedy) = (market.wire(), market.hand("greedy").await?);
    greedy.keys = (0..3).map(|_| PoolKey::generate(Suite::X25519)).collect();
    wire.post("/v1/keys", greedy.pool(now())?).await?.done()?;

    for key in &greedy.keys[..2] {
        let guesses = greedy.guesses(key, 8, now())?;
        let answer = wire.post("/v1/subject-tags", guesses.bytes().to_vec()).await?.done()?;
        assert_eq!(TagAnswer::decode(&answer.body)?.evaluated.len(), 8 * 32);
    }
    let guesses = greedy.guesses(&greedy.keys[2], 8, now())?;
    let answer = wire.post("/v1/subject-tags", guesses.bytes().to_vec()).await?;
    assert_eq!((answer.status, &*answer.slug()?), (429, "tag-allowance"));
    let wait = answer.retry_after.context("it says when to come again")?;
    // Four IDs are left; for four more, twelve minutes.
    assert!((600..=800).contains(&wait), "{wait} s");

    // New keys are no new guesses.
    greedy.keys = vec![PoolKey::generate(Suite::X25519)];
    wire.post("/v1/keys", greedy.pool(now())?).await?.done()?;
    let guesses = greedy.guesses(greedy.key(), 8, now())?;
    let answer = wire.post("/v1/subject-tags", guesses.bytes().to_vec()).await?;
    assert_eq!(answer.slug()?, "tag-allowance");
    // What was refused was not counted.
    let guesses = greedy.guesses(greedy.key(), 4, now())?;
    wire.post("/v1/subject-tags", guesses.bytes().to_vec()).await?.done()?;

    // A neighbour has its own.
    let modest = market.hand("modest").await?;
    let guesses = modest.guesses(modest.key(), 20, now())?;
    wire.post("/v1/subject-tags", guesses.bytes().to_vec()).await?.done()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_allowance_at_once_is_never_given() -> Result<()> {
    let market = MarketUnderTest::start_with(stingy).await?;
    let greedy = market.hand("greedy").await?;
    let guesses = greedy.guesses(greedy.key(), 21, now())?;
    let answer = market.wire().post("/v1/subject-tags", guesses.bytes().to_vec()).await?;
    assert_eq!((answer.status, &*answer.slug()?), (429, "tag-allowance"));
    assert_eq!(answer.retry_after, None, "waiting does not help");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_told_and_pays_for_no_id_twice() -> Result<()> {
    let market = MarketUnderTest::start_with(stingy).await?;
    let bank = market.member("bank").await?;
    let table = Table::incomes(market.path("rows.csv"), 15)?;
    assert_eq!(market.publish(&bank, &table, None).await?.tags_asked, 15);
    assert_eq!(market.publish(&bank, &table, None).await?.tags_asked, 0);

    let table = Table::incomes(market.path("rows.csv"), 30)?;
    let error = market.publish(&bank, &table, None).await.expect_err("15 more are too many");
    let NodeError::Platform(error) = &error else { panic!("{error}") };
    assert_eq!((error.status(), error.slug()), (Some(429), Some("tag-allowance")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_requests_are_counted_over_all_keys_too() -> Result<()> {
    let market = MarketUnderTest::start_with(|config| {
        config.limits.participant_requests_per_second = NonZeroU32::MIN;
        config.limits.participant_requests_burst = NonZeroU32::new(4).expect("not zero");
    });
    let market = market.await?;
    let (wire, mut greedy) = (market.wire(), market.hand("greedy").await?);
    greedy.keys = vec![PoolKey::generate(Suite::X25519), PoolKey::generate(Suite::X25519)];
    wire.post("/v1/keys", greedy.pool(now())?).await?.done()?;
    let mut refused = None;
    for turn in 0..8 {
        let guesses = greedy.guesses(&greedy.keys[turn % 2], 1, now())?;
        let answer = wire.post("/v1/subject-tags", guesses.bytes().to_vec()).await?;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.done()?;
    }
    let refused = refused.context("eight requests at once pass a limit of four")?;
    assert_eq!((&*refused.slug()?, refused.retry_after), ("too-many-requests", Some(1)));
    Ok(())
}

//! The expired identity: its certificate's time is over, or has not come, and it acts all the same.

use std::time::Duration;

use anyhow::Result;
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_keys::{identity::Identity, pool::PoolKey};
use encrytrust_protocol::{CLOCK_SKEW_MAX, KeyState, KeyStatus, Signed, Suite, api::KeyView};
use encrytrust_tests::{Hand, MarketUnderTest, clock::now};

/// What `Identity::generate` gives a certificate.
const TWO_YEARS: u64 = 730 * 86_400;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_admitted_expires_and_is_renewed() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let wire = market.wire();
    let last_second = now() + 3;
    let mut bank =
        Hand::certified(&market.market, "bank", last_second + CLOCK_SKEW_MAX - TWO_YEARS)?;
    market.admit(&bank).await?;
    wire.offer(bank.offer()?.bytes()).await?;
    while now() <= last_second {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let offer = wire.post("/v1/offers", bank.offer()?.bytes().to_vec()).await?;
    assert_eq!((offer.status, &*offer.slug()?), (422, "identity-expired"));
    let guesses = bank.guesses(bank.key(), 3, now())?;
    let guesses = wire.post("/v1/subject-tags", guesses.bytes().to_vec()).await?;
    assert_eq!((guesses.status, &*guesses.slug()?), (403, "identity-expired"));
    bank.keys.push(PoolKey::generate(Suite::X25519));
    let pool = wire.post("/v1/keys", bank.pool(now())?).await?;
    assert_eq!((pool.status, &*pool.slug()?), (403, "identity-expired"));
    let join = wire.post("/v1/participants", bank.join(now())?).await?;
    assert_eq!((join.status, &*join.slug()?), (403, "identity-expired"));
    let view: KeyView = wire.get(&format!("/v1/keys/{}", bank.public())).await?.done()?.json()?;
    let status = Signed::<KeyStatus>::decode(&view.status.0)?.verify()?;
    assert_eq!(status.message().state, KeyState::Suspended);
    assert_eq!(market.size(LogName::Index).await?, 1);

    // The same key under a new certificate is the same participant, still approved.
    bank.identity = renewed(&bank)?;
    wire.post("/v1/participants", bank.join(now())?).await?.done()?;
    wire.offer(bank.offer()?.bytes()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_before_or_after_its_time() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    for made in [now() - TWO_YEARS, now() + 2 * CLOCK_SKEW_MAX] {
        let hand = Hand::certified(&market.market, "early or late", made)?;
        let join = market.wire().post("/v1/participants", hand.join(now())?).await?;
        assert_eq!((join.status, &*join.slug()?), (403, "identity-expired"));
    }
    Ok(())
}

/// A new certificate for the same key, made by other hands than ours.
fn renewed(old: &Hand) -> Result<Identity> {
    let key = rcgen::KeyPair::from_pem(&old.identity.key_pem())?;
    let mut params = rcgen::CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    params.distinguished_name.push(rcgen::DnType::CommonName, "bank, renewed");
    let certificate = params.self_signed(&key)?.pem();
    Ok(Identity::from_pem(certificate.as_bytes(), old.identity.key_pem().as_bytes())?)
}

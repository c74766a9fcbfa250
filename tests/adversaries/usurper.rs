//! The usurper: a member in good standing that lays hands on what is another's: offers, keys,
//! names.

use std::slice::from_ref;

use anyhow::Result;
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_keys::{membership::PoolSubmission, pool::PoolKey};
use encrytrust_protocol::{
    KeyBinding, Offer, Pool, Signed, Suite, Verified,
    api::{KeyView, SubjectView},
};
use encrytrust_tests::{
    Hand, MarketUnderTest,
    clock::{fresh, now},
};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ends_anothers_offer() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, victim) = (market.wire(), market.hand("victim").await?);
    let usurper = market.hand("usurper").await?;
    let offer = victim.offer()?;
    wire.offer(offer.bytes()).await?;

    let update = usurper.update(&offer)?;
    let end = usurper.withdrawal(&offer, now())?;
    let mine = usurper.offer()?;
    // Its own offer, but about the victim's subject from now on; and one that never was.
    let moved = usurper.sign(Offer {
        supersedes: Some(mine.id()),
        ..usurper.terms(offer.message().subject.tag)
    })?;
    let phantom = usurper
        .sign(Offer { supersedes: Some(fresh().into()), ..usurper.terms(fresh().into()) })?;
    let results = wire
        .offers(&[update.bytes(), end.bytes(), mine.bytes(), moved.bytes(), phantom.bytes()])
        .await?;
    let slugs: Vec<_> = results.iter().map(|r| r.problem.as_ref().map(|p| p.slug())).collect();
    let expected = [
        Some("other-signer"),
        Some("other-signer"),
        None,
        Some("other-subject"),
        Some("offer-unknown"),
    ];
    assert_eq!(slugs, expected);

    let tag = offer.message().subject.tag;
    let view: SubjectView = wire.get(&format!("/v1/subjects/{tag}")).await?.json()?;
    assert_eq!(view.offers.len(), 1, "the victim's offer stands, alone");
    assert_eq!(view.offers[0].id, offer.id());

    // The victim itself can; and what is ended stays so.
    wire.offer(victim.withdrawal(&offer, now())?.bytes()).await?;
    let late = wire.post("/v1/offers", victim.update(&offer)?.bytes().to_vec()).await?;
    assert_eq!(late.slug()?, "offer-withdrawn");
    assert_eq!(market.size(LogName::Index).await?, 3);
    market.audit()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_claims_anothers_keys() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, victim) = (market.wire(), market.hand("victim").await?);
    let usurper = market.hand("usurper").await?;

    // The victim's own binding, as the platform shows it to everybody.
    let view: KeyView = wire.get(&format!("/v1/keys/{}", victim.public())).await?.json()?;
    let theirs = Signed::<KeyBinding>::decode(&view.binding.0)?.verify()?;
    let answer = wire.post("/v1/keys", claim(&usurper, &[&theirs])?).await?;
    assert_eq!((answer.status, &*answer.slug()?), (409, "conflict"));

    // A binding for a key that it does not hold.
    let (absent, mine) = (PoolKey::generate(Suite::X25519), usurper.key());
    let message =
        KeyBinding { market: market.market.clone(), hpke: mine.hpke().clone(), at: now() };
    let thief = ed25519_dalek::SigningKey::from_bytes(&fresh());
    let sign = |tbs: &[u8]| ed25519_dalek::Signer::sign(&thief, tbs).to_vec();
    let forged = Signed::seal(message, absent.public(), sign)?;
    let answer = wire.post("/v1/keys", claim(&usurper, &[&forged])?).await?;
    assert_eq!((answer.status, &*answer.slug()?), (401, "bad-signature"));

    // Another HPKE key for the victim's signing key would let it read the victim's requests.
    let message =
        KeyBinding { market: market.market.clone(), hpke: mine.hpke().clone(), at: now() };
    let forged = Signed::seal(message, victim.public(), sign)?;
    let answer = wire.post("/v1/keys", claim(&usurper, &[&forged])?).await?;
    assert_eq!((answer.status, &*answer.slug()?), (401, "bad-signature"));

    // A list that names other bindings than those that follow, or fewer.
    let fresh_key = PoolKey::generate(Suite::X25519).sign_binding(&market.market, now())?;
    let own = mine.sign_binding(&market.market, now())?;
    let list = usurper.identity.sign_pool(&market.market, from_ref(&own), now())?;
    for bindings in [vec![fresh_key.clone()], vec![], vec![own, fresh_key]] {
        let answer = wire.post("/v1/keys", PoolSubmission::encode(&list, &bindings)).await?;
        assert_eq!((answer.status, &*answer.slug()?), (400, "bad-message"));
    }
    let after: KeyView = wire.get(&format!("/v1/keys/{}", victim.public())).await?.json()?;
    assert_eq!(after.binding, view.binding);
    wire.offer(victim.offer()?.bytes()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_adds_keys_to_anothers_pool() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, victim) = (market.wire(), market.hand("victim").await?);
    let usurper = market.hand("usurper").await?;
    // A list for the victim's pool, signed by the usurper's certificate.
    let binding = PoolKey::generate(Suite::X25519).sign_binding(&market.market, now())?;
    let own = usurper.identity.sign_pool(&market.market, from_ref(&binding), now())?;
    let list = Pool { participant: victim.id(), ..own.into_message() };
    let thief = ed25519_dalek::SigningKey::from_bytes(&fresh());
    for signer in [usurper.identity.certificate_id(), victim.identity.certificate_id()] {
        let sign = |tbs: &[u8]| ed25519_dalek::Signer::sign(&thief, tbs).to_vec();
        let forged = Signed::seal(list.clone(), signer, sign)?;
        let body = PoolSubmission::encode(&forged, from_ref(&binding));
        let answer = wire.post("/v1/keys", body).await?;
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert_eq!(answer.problem()?.slug(), "bad-signature");
    }

    // The victim's certificate, which is public, in a request to join that it did not sign.
    let join = victim.identity.sign_join(&market.market, "victim", now())?.into_message();
    let sign = |tbs: &[u8]| ed25519_dalek::Signer::sign(&thief, tbs).to_vec();
    let forged = Signed::seal(join, victim.identity.certificate_id(), sign)?;
    let answer = wire.post("/v1/participants", forged.bytes().to_vec()).await?;
    assert_eq!((answer.status, &*answer.slug()?), (401, "bad-signature"));
    Ok(())
}

/// A usurper's claim to bindings that may not be its own.
fn claim(usurper: &Hand, bindings: &[&Verified<KeyBinding>]) -> Result<Vec<u8>> {
    let bindings: Vec<_> = bindings.iter().map(|&binding| binding.clone()).collect();
    let pool = usurper.identity.sign_pool(&usurper.market, &bindings, now())?;
    Ok(PoolSubmission::encode(&pool, &bindings))
}

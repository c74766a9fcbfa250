//! The impostor: it speaks in somebody else's name, without that somebody's key.

use anyhow::{Context, Result, ensure};
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_keys::{platform::AdminKey, pool::PoolKey, seal::SealKey};
use encrytrust_participant_node::{ErrorKind, InitOptions, Node, NodeError};
use encrytrust_platform::Config;
use encrytrust_protocol::{
    AdminAction, AdminQuery, Delivery, Market, Problem, RelayPoll, Reply, Signed, Suite,
};
use encrytrust_tests::{
    Hand, MarketUnderTest, Provider, Table, Wire,
    clock::{fresh, nonce, now},
    proxy::Proxy,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_by_another_key_is_nobodys() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, victim) = (market.wire(), market.hand("victim").await?);
    let thief = ed25519_dalek::SigningKey::from_bytes(&fresh());
    let forge = |tbs: &[u8]| ed25519_dalek::Signer::sign(&thief, tbs).to_vec();

    let offer = Signed::seal(victim.terms(fresh().into()), victim.public(), forge)?;
    let offer = wire.post("/v1/offers", offer.bytes().to_vec()).await?;
    assert_eq!((offer.status, &*offer.slug()?), (422, "bad-signature"));
    let guesses = victim.guesses(victim.key(), 1, now())?.into_message();
    let guesses = Signed::seal(guesses, victim.public(), forge)?;
    let guesses = wire.post("/v1/subject-tags", guesses.bytes().to_vec()).await?;
    assert_eq!((guesses.status, &*guesses.slug()?), (401, "bad-signature"));
    let command = market.command(AdminAction::Suspend, victim.id())?.into_message();
    let command = Signed::seal(command, market.admin.public(), forge)?;
    let command = wire.post("/v1/admin/commands", command.bytes().to_vec()).await?;
    assert_eq!((command.status, &*command.slug()?), (401, "bad-signature"));

    // Nor is one administrator another market's.
    let command = market.command(AdminAction::Suspend, victim.id())?.into_message();
    let command = AdminKey::generate().sign_command(command)?;
    let command = wire.post("/v1/admin/commands", command.bytes().to_vec()).await?;
    assert_eq!((command.status, &*command.slug()?), (403, "not-an-admin"));
    wire.offer(victim.offer()?.bytes()).await?;
    Ok(())
}

/// A relay poll and an administrator's query have the same content; only what they are signed for
/// tells them apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_for_one_purpose_does_not_serve_another() -> Result<()> {
    let seed = fresh();
    let key = PoolKey::from_parts(&seed, SealKey::generate(Suite::X25519));
    let configure = |config: &mut Config| config.admins.push(key.public());
    let market = MarketUnderTest::start_with(configure).await?;
    let wire = market.wire();

    let (name, nonce, at) = (market.market.clone(), nonce(), now());
    let poll = key.sign_relay_poll(RelayPoll { market: name.clone(), nonce, at })?;
    let query = AdminQuery { market: name, nonce, at };
    let signature = poll.bytes()[poll.bytes().len() - 64..].to_vec();
    let forged = Signed::seal(query.clone(), key.public(), |_| signature)?;
    let answer = wire.post("/v1/admin/participants", forged.bytes().to_vec()).await?;
    assert_eq!((answer.status, &*answer.slug()?), (401, "bad-signature"));

    let meant = AdminKey::from_seed(&seed).sign_query(query)?;
    wire.post("/v1/admin/participants", meant.bytes().to_vec()).await?.done()?;
    // And the bytes of the one, sent as the other, are not even read.
    for path in ["/v1/admin/participants", "/v1/admin/commands", "/v1/subject-tags"] {
        let answer = wire.post(path, poll.bytes().to_vec()).await?;
        assert_eq!((answer.status, &*answer.slug()?), (400, "bad-message"), "{path}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_markets_messages_are_not_this_ones() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (wire, member) = (market.wire(), market.hand("member").await?);
    let elsewhere = Hand { market: Market::new("elsewhere.example")?, ..member };
    let messages = [
        ("/v1/offers", elsewhere.offer()?.bytes().to_vec()),
        ("/v1/subject-tags", elsewhere.guesses(elsewhere.key(), 1, now())?.bytes().to_vec()),
        ("/v1/relay/next", elsewhere.poll(now())?.bytes().to_vec()),
        ("/v1/participants", elsewhere.join(now())?),
        ("/v1/keys", elsewhere.pool(now())?),
    ];
    for (path, message) in messages {
        let answer = wire.post(path, message).await?;
        assert_eq!((answer.status, &*answer.slug()?), (422, "wrong-market"), "{path}");
    }
    assert_eq!(market.size(LogName::Index).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_platform_of_the_same_name_is_not_believed() -> Result<()> {
    let (market, other) = (MarketUnderTest::start().await?, MarketUnderTest::start().await?);
    let lender = market.member("lender").await?;
    lender.find(&["ZZ-1".into()], false, &|_| ()).await?;

    let options = InitOptions {
        platform: other.proxy.url().to_owned(),
        vkey: Some(market.vkey.to_string()),
        name: "deceived".into(),
        passphrase: None,
    };
    let error = Node::init(market.path("deceived"), options).await.expect_err("another key");
    assert_eq!(error.kind(), ErrorKind::Verification);
    assert!(!market.path("deceived/node.toml").exists());

    market.proxy.lead_to(&other.platform().url());
    let error = lender.find(&["ZZ-1".into()], false, &|_| ()).await.expect_err("another key");
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    let error = lender.sync(&|_| ()).await.expect_err("another key");
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stands_before_a_provider_cannot_answer_for_it() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    let provider = Provider::listen(&bank).await?;
    let between = Proxy::start(provider.url()?).await?;
    let table = Table::incomes(market.path("rows.csv"), 2)?;
    market.publish(&bank, &table, Some(between.url())).await?;
    let offer = market.only_offer(&lender, "ZZ-000001").await?.id;
    let out = market.path("bought.json");

    type Meddle = fn(&mut Reply) -> Result<()>;
    let meddlers: [(&str, Meddle); 4] = [
        ("another signature", |reply| flip_last(&mut reply.delivery)),
        ("another packet", |reply| flip_last(&mut reply.packet.ciphertext)),
        ("another encapsulated key", |reply| flip_last(&mut reply.packet.enc)),
        ("its own statement", |reply| {
            let said = Signed::<Delivery>::decode(&reply.delivery)?.verify()?.into_message();
            let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
            let sign = |tbs: &[u8]| ed25519_dalek::Signer::sign(&key, tbs).to_vec();
            reply.delivery = Signed::seal(said, (&key).into(), sign)?.bytes().to_vec().into();
            Ok(())
        }),
    ];
    for (what, meddle) in meddlers {
        between.rewrite(move |_, _, body| {
            let mut reply = Reply::decode(&body).expect("the node's own reply");
            meddle(&mut reply).expect("a reply to meddle with");
            reply.encode()
        });
        let error = lender.get(offer, &out).await.expect_err(what);
        assert!(matches!(error, NodeError::Untrue { .. }), "{what}: {error}");
        assert_eq!(error.kind(), ErrorKind::Verification);
    }
    // A refusal that the provider never sent does no more harm than silence.
    between.rewrite(|_, _, _| {
        serde_json::to_vec(&Problem::new(410, "offer-ended", "says who?")).unwrap_or_default()
    });
    let error = lender.get(offer, &out).await.expect_err("refused");
    assert!(matches!(error, NodeError::Provider { .. }), "{error}");

    assert!(!out.exists());
    assert_eq!(market.receipts().await?.len(), 0, "nothing is held against the provider");
    between.rewrite(|_, _, body| body);
    lender.get(offer, &out).await?;
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_changed_on_the_way_is_refused() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, buyer) = (market.member("bank").await?, market.hand("buyer").await?);
    let provider = Provider::listen(&bank).await?;
    let table = Table::incomes(market.path("rows.csv"), 2)?;
    market.publish(&bank, &table, Some(provider.url()?)).await?;
    let offer = market.only_offer(&bank, "ZZ-000001").await?.id;
    let offer = market.offer(&offer).await?;
    let (packet, node) = (market.packet(&buyer, &offer).await?, Wire::new(provider.url()?));
    for at in (0..packet.len()).step_by(97).chain([packet.len() - 1]) {
        let mut changed = packet.clone();
        changed[at] ^= 1;
        let answer = node.post("/v1/requests", changed).await?;
        let slug = answer.slug()?;
        ensure!(["malformed", "not-for-this-node"].contains(&&*slug), "byte {at}: {slug}");
        assert_eq!(answer.status, 400);
    }
    node.post("/v1/requests", packet).await?.done()?;
    provider.stop().await
}

fn flip_last(bytes: &mut [u8]) -> Result<()> {
    *bytes.last_mut().context("empty")? ^= 1;
    Ok(())
}

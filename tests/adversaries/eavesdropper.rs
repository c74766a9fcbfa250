//! The eavesdropper: it reads everything that passes, at the platform's door and at the provider's.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use encrytrust_keys::subject::SubjectId;
use encrytrust_participant_node::{Node, NodeError};
use encrytrust_tests::{
    Hand, MarketUnderTest, Provider, Table,
    proxy::{Proxy, Seen},
};

use crate::lying_provider::{LyingProvider, invented, opened, signed};

/// Nobody else's ID looks like this one.
const ID: [&str; 2] = ["ZZ-Ｑ7 1815", "Ada  LOVELACE"];
const INCOME: &str = "7391846205";
const NOTE: &str = "parquet of walnut, a bicycle";

async fn publish(market: &MarketUnderTest, bank: &Node, endpoint: Option<&str>) -> Result<()> {
    let rows = [[ID[0], ID[1], INCOME, NOTE], ["ZZ-Q8", "Alan Turing", "12", "a chain"]];
    let file = market.path("rows.csv");
    let table = Table::write(file, &["number", "name"], &["income", "note"], rows)?;
    market.publish(bank, &table, endpoint).await?;
    Ok(())
}

fn id() -> Vec<String> {
    ID.map(str::to_owned).to_vec()
}

/// What nobody may read: the ID, in every form it has, and the values of the record.
fn secrets() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let normal = SubjectId::from_columns(&ID)?.expose(<[u8]>::to_vec);
    let parts = normal.split(|byte| !byte.is_ascii_alphanumeric()).filter(|part| part.len() > 4);
    let mut secrets: Vec<_> = parts.map(|part| ("a part of the ID", part.to_vec())).collect();
    let income: i64 = INCOME.parse()?;
    secrets.extend([
        ("the number as it was typed", ID[0].as_bytes().to_vec()),
        ("the name as it was typed", ID[1].as_bytes().to_vec()),
        ("the ID in its normal form", normal),
        ("the income in digits", INCOME.as_bytes().to_vec()),
        ("the income in CBOR", encrytrust_protocol::encode(&income)),
        ("the note", NOTE.as_bytes().to_vec()),
    ]);
    Ok(secrets)
}

/// Whether bytes appear in what passed: as they are, in hex, or within base64.
fn passed(seen: &[Seen], secret: &[u8]) -> Option<String> {
    let mut forms = vec![secret.to_vec(), hex::encode(secret).into_bytes()];
    for shift in 0..3 {
        // Within base64 the neighbours decide on the first and the last digits: leave those out.
        let shifted = [&vec![0; shift], secret].concat();
        let text = BASE64_STANDARD.encode(&shifted[..shifted.len() / 3 * 3]);
        let skip = if shift == 0 { 0 } else { 4 };
        forms.push(text.as_bytes()[skip..].to_vec());
    }
    forms.retain(|form| form.len() >= 4);
    let has = |text: &[u8]| forms.iter().any(|form| text.windows(form.len()).any(|w| w == form));
    let guilty = seen.iter().find(|s| has(s.path.as_bytes()) || has(&s.body) || has(&s.answer));
    guilty.map(|seen| format!("{} {}", seen.method, seen.path))
}

fn nobody_read(seen: &[Seen], secrets: &[(&str, Vec<u8>)]) {
    for (what, secret) in secrets {
        assert_eq!(passed(seen, secret), None, "{what} was there to be read");
    }
}

#[test]
fn it_would_find_what_is_there() {
    let say = |body: Vec<u8>| {
        [Seen { method: "POST".into(), path: "/".into(), body, answer: Vec::new() }]
    };
    for prefix in ["", "a", "ab", "abc"] {
        let text = format!("{prefix}{NOTE} and more");
        for body in [
            text.clone().into_bytes(),
            hex::encode(&text).into_bytes(),
            BASE64_STANDARD.encode(&text).into_bytes(),
        ] {
            assert!(passed(&say(body), NOTE.as_bytes()).is_some(), "{prefix:?}");
        }
    }
    assert!(passed(&say(b"nothing of the kind".to_vec()), NOTE.as_bytes()).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_learns_neither_the_subject_nor_the_record() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    let provider = Provider::listen(&bank).await?;
    let door = Proxy::start(provider.url()?).await?;
    publish(&market, &bank, Some(door.url())).await?;
    let found = lender.find(&id(), false, &|_| ()).await?;
    assert_eq!(found.offers.len(), 1);
    lender.get(found.offers[0].id, &market.path("bought.json")).await?;

    // The record did arrive.
    let bought = fs::read_to_string(market.path("bought.json"))?;
    assert!(bought.contains(INCOME) && bought.contains(NOTE));
    let (at_platform, at_provider) = (market.proxy.seen(), door.seen());
    assert!(at_platform.len() > 8 && at_provider.len() == 1);
    let mut secrets = secrets()?;
    // Nor the key that the record was sealed to, nor who asked: the request itself is sealed.
    let request = opened(&Hand::steal(&bank)?, &at_provider[0].body)?;
    secrets.push(("the reply key", request.message().reply_key.key.to_vec()));
    nobody_read(&at_platform, &secrets);
    secrets.push(("the buyer's key", request.signer().as_bytes().to_vec()));
    nobody_read(&at_provider[..1].iter().map(request_only).collect::<Vec<_>>(), &secrets);
    provider.stop().await
}

/// The reply's statement names the buyer, in the clear, to the buyer.
fn request_only(seen: &Seen) -> Seen {
    Seen { answer: Vec::new(), ..seen.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_the_relay() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    publish(&market, &bank, None).await?;
    let provider = Provider::by_relay(&bank).await?;
    let found = lender.find(&id(), false, &|_| ()).await?;
    lender.get(found.offers[0].id, &market.path("bought.json")).await?;

    let seen = market.proxy.seen();
    let asked = seen.iter().find(|s| s.path == format!("/v1/relay/{}", found.offers[0].provider));
    let request = opened(&Hand::steal(&bank)?, &asked.context("it went by the relay")?.body)?;
    let mut secrets = secrets()?;
    secrets.push(("the reply key", request.message().reply_key.key.to_vec()));
    nobody_read(&seen, &secrets);
    provider.stop().await
}

/// Whoever reads the platform's disk reads no more than who listens at its door; a provider's vault
/// is sealed, and so is a buyer's.
#[tokio::test(flavor = "multi_thread")]
async fn nor_does_whoever_reads_the_disks() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    publish(&market, &bank, None).await?;
    let provider = Provider::by_relay(&bank).await?;
    let found = lender.find(&id(), true, &|_| ()).await?;
    lender.get(found.offers[0].id, &market.path("bought.json")).await?;
    let secrets = secrets()?;
    let own = Seen {
        method: "READ".into(),
        path: "rows.csv".into(),
        body: fs::read(market.path("rows.csv"))?,
        answer: Vec::new(),
    };
    assert!(passed(&[own], NOTE.as_bytes()).is_some(), "the source has it, and nobody else");
    for dir in [&market.platform().dir, bank.dir(), lender.dir()] {
        let files = read_all(dir)?;
        assert!(files.len() > 5, "{}", dir.display());
        nobody_read(&files, &secrets);
    }
    provider.stop().await
}

fn read_all(dir: &Path) -> Result<Vec<Seen>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(read_all(&path)?);
        } else {
            let (method, body) = ("READ".to_owned(), fs::read(&path)?);
            let path = path.display().to_string();
            files.push(Seen { method, path, body, answer: Vec::new() });
        }
    }
    Ok(files)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_that_opens_a_record_never_left() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    // Only a quarrel shows it: the buyer keeps the reply key as evidence.
    let liar = LyingProvider::start(Hand::steal(&bank)?, |hand, request| {
        signed(hand, request, invented(request)?)
    })?;
    let door = Proxy::start(&liar.url).await?;
    publish(&market, &bank, Some(door.url())).await?;
    let found = lender.find(&id(), false, &|_| ()).await?;
    let error = lender.get(found.offers[0].id, &market.path("bought.json")).await;
    let Err(NodeError::Mismatch { evidence, .. }) = error else { panic!("{error:?}") };
    let secret = fs::read_to_string(Path::new(&evidence).join("reply-key.hex"))?;
    let secret = [("the reply key's secret", hex::decode(secret.trim())?)];
    nobody_read(&market.proxy.seen(), &secret);
    nobody_read(&door.seen(), &secret);
    liar.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_lookup_is_the_same_for_every_subject() -> Result<()> {
    let market = MarketUnderTest::start().await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    publish(&market, &bank, None).await?;
    let (ada, alan) = (id(), vec!["ZZ-Q8".to_owned(), "Alan Turing".to_owned()]);
    let tags =
        [lender.find(&ada, true, &|_| ()).await?.tag, lender.find(&alan, true, &|_| ()).await?.tag];

    let mut asked = Vec::new();
    for subject in [&ada, &alan] {
        let before = market.proxy.seen().len();
        assert_eq!(lender.find(subject, true, &|_| ()).await?.offers.len(), 1);
        let seen = market.proxy.seen().split_off(before);
        for seen in &seen {
            let chain = ["/log/", "/v1/blocks"].iter().any(|path| seen.path.starts_with(path));
            assert!(chain && seen.method == "GET" && seen.body.is_empty(), "{}", seen.path);
            assert!(tags.iter().all(|tag| !seen.path.contains(&tag.to_string())));
        }
        asked.push(seen.into_iter().map(|s| s.path).collect::<Vec<_>>());
    }
    assert_eq!(asked[0], asked[1], "what is asked does not depend on whom it is about");

    // And with the platform away, nothing at all arrives there, and the answer is the same.
    let before = market.proxy.seen().len();
    market.proxy.stop().await;
    assert_eq!(lender.find(&ada, true, &|_| ()).await?.offers.len(), 1);
    assert_eq!(market.proxy.seen().len(), before);
    Ok(())
}

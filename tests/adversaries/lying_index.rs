//! The lying index: the platform answers with what is not so: wrong proofs, wrong offers, missing
//! offers, wrong keys.

use std::time::Duration;

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use encrytrust_index_chain::audit::AuditError;
use encrytrust_keys::pool::PoolKey;
use encrytrust_participant_node::{ErrorKind, Node, NodeError, sync_copy};
use encrytrust_protocol::{AdminAction, OfferId, Suite, api::SubmitStatus};
use encrytrust_tests::{MarketUnderTest, Provider, Table, clock::now};
use serde_json::{Value, json};

/// Eight offers of a bank, a lender, and what the lender asks about.
struct Stage {
    market: MarketUnderTest,
    bank: Node,
    lender: Node,
    offers: Vec<OfferId>,
}

const ADA: &str = "ZZ-000001";

async fn stage() -> Result<Stage> {
    let market = MarketUnderTest::start().await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    market.publish(&bank, &Table::incomes(market.path("rows.csv"), 8)?, None).await?;
    let mut offers = Vec::new();
    for n in 0..8 {
        offers.push(market.only_offer(&lender, &format!("ZZ-{n:06}")).await?.id);
    }
    Ok(Stage { market, bank, lender, offers })
}

impl Stage {
    async fn look(&self) -> Result<usize, NodeError> {
        Ok(self.lender.find(&[ADA.to_owned()], false, &|_| ()).await?.offers.len())
    }

    /// From now on, answers under a path are changed as JSON.
    fn meddle(&self, path: &'static str, meddle: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.market.proxy.rewrite(move |asked, _, body| {
            if !asked.starts_with(path) {
                return body;
            }
            let mut json = serde_json::from_slice(&body).expect("the platform speaks JSON");
            meddle(&mut json);
            json.to_string().into_bytes()
        });
    }

    fn stop_meddling(&self) {
        self.market.proxy.rewrite(|_, _, body| body);
    }

    /// What the platform truly answers.
    async fn truth(&self, path: &str) -> Result<Value> {
        self.market.wire().get(path).await?.done()?.json()
    }
}

/// Changes one bit of bytes that stand in JSON as base64.
fn flip(base64: &mut Value) {
    let mut bytes = BASE64_STANDARD.decode(base64.as_str().unwrap_or_default()).unwrap_or_default();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    *base64 = json!(BASE64_STANDARD.encode(bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_are_proved_or_not_believed() -> Result<()> {
    let stage = stage().await?;
    let other = market_subject(&stage, 2).await?;
    let not_my_checkpoint = stage.truth("/v1/platform").await?["vkey"].clone();

    type Meddle = Box<dyn Fn(&mut Value) + Send + Sync>;
    let lies: Vec<(&str, Meddle)> = vec![
        ("a wrong hash in the proof", Box::new(|v| flip(&mut v["offers"][0]["proof"][1]))),
        (
            "a proof too short",
            Box::new(|v| {
                v["offers"][0]["proof"].as_array_mut().map(Vec::pop);
            }),
        ),
        (
            "a proof too long",
            Box::new(|v| {
                let hash = v["offers"][0]["proof"][0].clone();
                v["offers"][0]["proof"].as_array_mut().expect("a list").push(hash);
            }),
        ),
        ("no proof", Box::new(|v| v["offers"][0]["proof"] = json!([]))),
        (
            "another place",
            Box::new(|v| {
                let index = v["offers"][0]["index"].as_u64().expect("a number");
                v["offers"][0]["index"] = json!(index ^ 1);
            }),
        ),
        ("a changed offer", Box::new(|v| flip(&mut v["offers"][0]["entry"]))),
        ("another name", Box::new(|v| v["offers"][0]["id"] = json!("07".repeat(32)))),
        (
            "another subject's offer",
            Box::new(move |v| {
                v["offers"] = other["offers"].clone();
                v["checkpoint"] = other["checkpoint"].clone();
            }),
        ),
        (
            "a changed checkpoint",
            Box::new(|v| {
                let note = v["checkpoint"].as_str().expect("a note").replacen("\n8\n", "\n9\n", 1);
                v["checkpoint"] = json!(note);
            }),
        ),
        ("no checkpoint", Box::new(move |v| v["checkpoint"] = not_my_checkpoint.clone())),
    ];
    for (what, lie) in lies {
        stage.meddle("/v1/subjects/", lie);
        let error = stage.look().await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Verification, "{what}: {error}");
    }
    // A lie leaves nothing behind.
    stage.stop_meddling();
    assert_eq!(stage.look().await?, 1);
    assert!(!stage.lender.dir().join("evidence").exists(), "none of this was signed");
    Ok(())
}

async fn market_subject(stage: &Stage, n: usize) -> Result<Value> {
    let tag = stage.lender.find(&[format!("ZZ-{n:06}")], false, &|_| ()).await?.tag;
    stage.truth(&format!("/v1/subjects/{tag}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_offer_asked_for_is_the_one_that_is_taken() -> Result<()> {
    let stage = stage().await?;
    let other = stage.truth(&format!("/v1/offers/{}", stage.offers[3])).await?;
    stage.meddle("/v1/offers/", move |v| *v = other.clone());
    let out = stage.market.path("bought.json");
    let error = stage.lender.get(stage.offers[1], &out).await.expect_err("another offer");
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    let error = stage.lender.prove(&stage.offers[1]).await.expect_err("another offer");
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    Ok(())
}

/// Whoever leaves an offer out of an answer is not caught by asking; whoever has the log needs no
/// answer.
#[tokio::test(flavor = "multi_thread")]
async fn an_offer_left_out_of_an_answer_is_found_in_the_log() -> Result<()> {
    let stage = stage().await?;
    stage.meddle("/v1/subjects/", |v| v["offers"] = json!([]));
    assert_eq!(stage.look().await?, 0);
    let found = stage.lender.find(&[ADA.to_owned()], true, &|_| ()).await?;
    assert_eq!(found.offers.len(), 1);
    assert_eq!(found.offers[0].id, stage.offers[1]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_left_out_of_the_log_is_missed_by_its_owner() -> Result<()> {
    let mut stage = stage().await?;
    // The platform proves inclusion to the bank and shows everybody else a log without it.
    let twin = stage.market.fork("without").await?;
    let copy = stage.market.path("copy");
    sync_copy(&copy, &twin.url(), Some(&stage.market.vkey.to_string()), &|_| ()).await?;
    let report = stage.market.auditor().expects(stage.bank.own_offers()?).audit(&copy)?;
    assert_eq!((report.own_offers, report.index_entries), (8, 8));

    let table = Table::incomes(stage.market.path("rows.csv"), 9)?;
    assert_eq!(stage.market.publish(&stage.bank, &table, None).await?.new, 1);
    let kept = stage.market.only_offer(&stage.lender, "ZZ-000008").await?.id;
    let auditor = stage.market.auditor().expects(stage.bank.own_offers()?);
    let AuditError::Fault(fault) = auditor.audit(&copy).expect_err("left out") else {
        panic!("the copy can be read")
    };
    assert_eq!(fault.kind.slug(), "own-offer");
    assert!(fault.to_string().contains(&kept.to_string()), "{fault}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downloaded_log_is_checked_entry_by_entry() -> Result<()> {
    let stage = stage().await?;
    type Meddle = fn(&mut Vec<u8>);
    let lies: [(&str, &str, Meddle); 5] = [
        ("a changed entry", "/log/index/tile/entries/", |body| body[200] ^= 1),
        ("an entry left out", "/log/index/tile/entries/", |body| {
            let first = usize::from(u16::from_be_bytes([body[0], body[1]]));
            body.drain(..2 + first);
        }),
        ("something behind", "/log/index/tile/entries/", |body| body.push(0)),
        ("a changed checkpoint", "/log/index/checkpoint", |body| body[30] ^= 1),
        ("half a checkpoint", "/log/index/checkpoint", |body| body.truncate(60)),
    ];
    for (what, path, lie) in lies {
        stage.market.proxy.rewrite(move |asked, _, mut body| {
            if asked.starts_with(path) {
                lie(&mut body);
            }
            body
        });
        let error = stage.lender.sync(&|_| ()).await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Verification, "{what}: {error}");
    }
    stage.meddle("/v1/blocks", |v| flip(&mut v["blocks"][0]["signed"]));
    let error = stage.lender.sync(&|_| ()).await.expect_err("a changed block");
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");

    stage.stop_meddling();
    assert_eq!(stage.lender.sync(&|_| ()).await?.index.total, 8);
    stage.market.auditor().audit(stage.lender.dir().join("copy"))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inclusion_is_proved_to_who_publishes() -> Result<()> {
    let stage = stage().await?;
    let table = Table::incomes(stage.market.path("rows.csv"), 10)?;
    stage.meddle("/v1/offers", |v| {
        // Both say where they are; each is shown the other's proof.
        let (a, b) = (v["results"][0].clone(), v["results"][1].clone());
        v["results"][0]["proof"] = b["proof"].clone();
        v["results"][1]["proof"] = a["proof"].clone();
    });
    let error = stage.market.publish(&stage.bank, &table, None).await.expect_err("no proof");
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");

    stage.meddle("/v1/offers", |v| v["results"][0]["proof"] = Value::Null);
    let again = stage.market.publish(&stage.bank, &table, None).await;
    assert!(!matches!(&again, Ok(done) if done.refused.is_empty()), "accepted without a proof");

    // They were in the log all along, and are there once.
    stage.stop_meddling();
    stage.market.publish(&stage.bank, &table, None).await?;
    assert_eq!(stage.market.publish(&stage.bank, &table, None).await?.unchanged, 10);
    for n in 0..10 {
        stage.market.only_offer(&stage.lender, &format!("ZZ-{n:06}")).await?;
    }
    stage.market.audit()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_evaluated_under_the_platforms_key() -> Result<()> {
    let stage = stage().await?;
    for at in [10, 60] {
        stage.market.proxy.rewrite(move |asked, _, mut body| {
            if asked == "/v1/subject-tags" {
                body[at] ^= 1;
            }
            body
        });
        let error = stage.lender.find(&["ZZ-unknown".into()], false, &|_| ()).await;
        let error = error.expect_err("another key would mark whoever asks");
        assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_bound_by_its_holder_and_vouched_for_by_the_platform() -> Result<()> {
    let stage = stage().await?;
    let offer = stage.market.offer(&stage.offers[1]).await?;
    let out = stage.market.path("bought.json");
    // Somebody in the middle would have the request sealed to itself.
    let middle = PoolKey::generate(Suite::XWing).sign_binding(&stage.market.market, now())?;
    let middle = BASE64_STANDARD.encode(middle.bytes());
    stage.meddle("/v1/keys/", move |v| v["binding"] = json!(middle));
    let error = stage.lender.get(offer.id(), &out).await.expect_err("another's binding");
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");

    stage.meddle("/v1/keys/", |v| flip(&mut v["status"]));
    let error = stage.lender.get(offer.id(), &out).await.expect_err("a changed status");
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");

    // Another key's status, true and signed.
    let other = Node::open(stage.lender.dir(), None)?;
    let other = encrytrust_tests::Hand::steal(&other)?.public();
    let other = stage.truth(&format!("/v1/keys/{other}")).await?;
    stage.meddle("/v1/keys/", move |v| v["status"] = other["status"].clone());
    let error = stage.lender.get(offer.id(), &out).await.expect_err("another key's status");
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    Ok(())
}

/// A status that was true once is good for its time and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_word_on_a_key_is_no_word() -> Result<()> {
    let market = MarketUnderTest::start_with(|config| config.key_status_seconds = 1).await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    let provider = Provider::by_relay(&bank).await?;
    market.publish(&bank, &Table::incomes(market.path("rows.csv"), 2)?, None).await?;
    let offer = market.only_offer(&lender, ADA).await?;
    let old = market.wire().get(&format!("/v1/keys/{}", offer.provider)).await?.done()?.body;
    market.decide(AdminAction::Suspend, bank.status().await?.id).await?;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    market.proxy.rewrite(
        move |asked, _, body| {
            if asked.starts_with("/v1/keys/") { old.clone() } else { body }
        },
    );
    let error = lender.get(offer.id, &market.path("bought.json")).await.expect_err("suspended");
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_cannot_answer_for_a_node() -> Result<()> {
    let stage = stage().await?;
    let provider = Provider::by_relay(&stage.bank).await?;
    let out = stage.market.path("bought.json");
    let asked = format!("/v1/relay/{}", stage.market.offer(&stage.offers[1]).await?.signer());
    type Answer = fn(Vec<u8>) -> Vec<u8>;
    let lies: [(&str, Answer); 3] = [
        ("a changed reply", |mut reply| {
            let middle = reply.len() / 2;
            reply[middle] ^= 1;
            reply
        }),
        ("half a reply", |reply| reply[..reply.len() / 2].to_vec()),
        ("nothing", |_| Vec::new()),
    ];
    for (what, lie) in lies {
        let asked = asked.clone();
        stage.market.proxy.rewrite(
            move |path, _, body| {
                if path == asked { lie(body) } else { body }
            },
        );
        let error = stage.lender.get(stage.offers[1], &out).await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Verification, "{what}: {error}");
    }
    assert!(!out.exists());
    assert_eq!(stage.market.receipts().await?.len(), 0, "nothing is held against the provider");
    stage.stop_meddling();
    stage.lender.get(stage.offers[1], &out).await?;
    provider.stop().await
}

/// What the platform says of an offer's state nothing proves; the provider's node knows better.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_offer_shown_as_current_is_refused_by_its_provider() -> Result<()> {
    let stage = stage().await?;
    let provider = Provider::by_relay(&stage.bank).await?;
    let table = Table::incomes(stage.market.path("rows.csv"), 8)?;
    table.edit(|rows| drop(rows.remove(1)))?;
    assert_eq!(stage.market.publish(&stage.bank, &table, None).await?.withdrawn, 1);

    stage.meddle("/v1/offers/", |v| v["offer"]["state"] = json!("current"));
    let out = stage.market.path("bought.json");
    let error = stage.lender.get(stage.offers[1], &out).await.expect_err("it was withdrawn");
    let NodeError::Provider { problem, .. } = &error else { panic!("{error}") };
    assert_eq!(problem.slug(), "offer-ended");
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_settled_when_it_is_proved() -> Result<()> {
    let stage = stage().await?;
    let provider = Provider::by_relay(&stage.bank).await?;
    stage.meddle("/v1/receipts", |v| {
        let result = &mut v["results"][0];
        assert_eq!(result["status"], json!(SubmitStatus::Accepted));
        let proof = result["proof"].as_str().expect("a proof").replacen("index ", "index 1", 1);
        result["proof"] = json!(proof);
    });
    let out = stage.market.path("bought.json");
    let error = stage.lender.get(stage.offers[1], &out).await.expect_err("no proof");
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    assert!(matches!(error, NodeError::Unsettled { .. }), "{error}");
    assert!(out.exists(), "the record itself was good");

    // The next purchase settles it; both receipts are there once.
    stage.stop_meddling();
    stage.lender.get(stage.offers[2], &out).await?;
    let receipts = stage.market.receipts().await?;
    let bought: Vec<_> = receipts.iter().map(|r| r.delivery().map(|d| d.message().offer)).collect();
    let bought = bought.into_iter().collect::<Result<Vec<_>, _>>().context("sound receipts")?;
    assert_eq!(bought, [stage.offers[1], stage.offers[2]]);
    provider.stop().await
}

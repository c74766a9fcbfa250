//! Asking and answering, both ways a request can travel.

use encrytrust_participant_node::{
    ErrorKind, Node, NodeError, PublishSpec, ServeOptions, source::SourceSpec,
};
use encrytrust_protocol::AdminAction;
use serde_json::Value;

use crate::market::{Market, counts, id, people, publish, start, start_listening};

async fn one_offer(buyer: &Node, subject: &str) -> encrytrust_protocol::OfferId {
    let offers = buyer.find(&id(subject), false, &|_| {}).await.unwrap().offers;
    assert_eq!(offers.len(), 1);
    offers[0].id
}

fn slug(error: &NodeError) -> &str {
    match error {
        NodeError::Provider { problem, .. } => problem.slug(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_bought_through_the_relay() {
    let market = Market::open().await;
    let (bank, buyer) = (market.participant("bank").await, market.participant("buyer").await);
    let path = market.path("people.csv");
    let spec = people(&path, &[("ZZ-1", "Anna", 100), ("ZZ-2", "Ben", 200)]);
    publish(&bank, &spec).await;
    let serving = start(&bank, ServeOptions { listen: None, endpoint: None }).await;

    let found = buyer.find(&id("ZZ-2"), false, &|_| {}).await.unwrap();
    assert_eq!(found.sent.len(), 2, "{:?}", found.sent);
    assert_eq!(buyer.find(&id("ZZ-2"), false, &|_| {}).await.unwrap().sent.len(), 1);
    let offer = &found.offers[0];
    let out = market.path("record.json");
    let purchase = buyer.get(offer.id, &out).await.unwrap();
    assert_eq!((purchase.receipt, purchase.provider), (0, offer.provider));
    let record: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(record["record"]["amount"], 200);
    assert_eq!(record["record"]["name"], "Ben");
    assert_eq!((&record["receipt"], &record["price"]), (&0.into(), &5.into()));
    assert_eq!(record["commitment"], offer.commitment.to_string());
    let mode = std::os::unix::fs::PermissionsExt::mode(&out.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    // Again: another trade, another receipt.
    assert_eq!(buyer.get(offer.id, &out).await.unwrap().receipt, 1);

    // An offer published while the node serves is served.
    people(&path, &[("ZZ-1", "Anna", 100), ("ZZ-2", "Ben", 200), ("ZZ-3", "Cem", 300)]);
    publish(&bank, &spec).await;
    let third = one_offer(&buyer, "ZZ-3").await;
    assert_eq!(buyer.get(third, &out).await.unwrap().receipt, 2);

    // The source changed, and nobody published again.
    people(&path, &[("ZZ-1", "Anna", 100), ("ZZ-2", "Ben", 201)]);
    let refused = buyer.get(offer.id, &out).await.unwrap_err();
    assert_eq!((slug(&refused), refused.kind()), ("source-changed", ErrorKind::Refused));
    assert!(refused.to_string().contains("publish again"), "{refused}");
    assert_eq!(slug(&buyer.get(third, &out).await.unwrap_err()), "source-changed");

    publish(&bank, &spec).await;
    let gone = buyer.get(offer.id, &out).await.unwrap_err();
    assert!(matches!(gone, NodeError::Gone { .. }), "{gone}");
    let newer = one_offer(&buyer, "ZZ-2").await;
    buyer.get(newer, &out).await.unwrap();
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_bought_from_the_nodes_own_address() {
    let market = Market::open().await;
    let (bank, buyer) = (market.participant("bank").await, market.participant("buyer").await);
    let serving = start_listening(&bank).await;
    let endpoint = format!("http://{}", serving.address.unwrap());
    let spec = people(&market.path("people.csv"), &[("ZZ-1", "Anna", 100)]);
    let spec = PublishSpec { endpoint: Some(endpoint.clone()), ..spec };
    publish(&bank, &spec).await;
    let offer = one_offer(&buyer, "ZZ-1").await;
    let out = market.path("record.json");
    buyer.get(offer, &out).await.unwrap();

    let health = reqwest::get(format!("{endpoint}/healthz")).await.unwrap();
    assert!(health.status().is_success());
    let elsewhere = reqwest::get(format!("{endpoint}/etc/passwd")).await.unwrap();
    assert_eq!(elsewhere.headers()["content-type"], "application/problem+json");

    // From a copy, the platform is not asked for the offer.
    buyer.sync(&|_| {}).await.unwrap();
    buyer.get(offer, &out).await.unwrap();

    market.decide(AdminAction::Suspend, bank.status().await.unwrap().id).await;
    let suspended = buyer.get(offer, &out).await.unwrap_err().to_string();
    assert!(suspended.contains("suspended"), "{suspended}");
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_may_move() {
    let market = Market::open().await;
    let (bank, buyer) = (market.participant("bank").await, market.participant("buyer").await);
    let (old, new) = (market.path("old.csv"), market.path("new.csv"));
    let spec = people(&old, &[("ZZ-1", "Anna", 100)]);
    let spec = PublishSpec { dataset: Some("credit".into()), ..spec };
    publish(&bank, &spec).await;
    let serving = start(&bank, ServeOptions { listen: None, endpoint: None }).await;
    let offer = one_offer(&buyer, "ZZ-1").await;
    let out = market.path("record.json");

    std::fs::rename(&old, &new).unwrap();
    assert_eq!(slug(&buyer.get(offer, &out).await.unwrap_err()), "source-away");
    let moved = PublishSpec { source: SourceSpec::Csv(new), ..spec };
    assert_eq!(counts(&publish(&bank, &moved).await), (0, 0, 0, 1), "nothing new to say");
    buyer.get(offer, &out).await.unwrap();
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_answers_for_a_node_that_is_away() {
    let market = Market::open().await;
    let (bank, buyer) = (market.participant("bank").await, market.participant("buyer").await);
    let spec = people(&market.path("people.csv"), &[("ZZ-1", "Anna", 100)]);
    let spec = PublishSpec { endpoint: Some("http://127.0.0.1:1".into()), ..spec };
    publish(&bank, &spec).await;
    let offer = one_offer(&buyer, "ZZ-1").await;
    let out = market.path("record.json");
    let error = buyer.get(offer, &out).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    assert!(!out.exists());
}

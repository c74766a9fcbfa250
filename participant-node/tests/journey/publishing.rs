//! What publishing sends, and what it does not.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use encrytrust_participant_node::{ErrorKind, Node, NodeError, PublishSpec};
use encrytrust_protocol::{AdminAction, api::OfferState};

use crate::market::{Market, counts, id, people, publish, spec};

#[tokio::test(flavor = "multi_thread")]
async fn only_differences_are_published() {
    let market = Market::open().await;
    let bank = market.participant("bank").await;
    let path = market.path("people.csv");
    let spec = people(&path, &[("ZZ-1", "Anna", 100), ("ZZ-2", "Ben", 200), ("ZZ-3", "Cem", 300)]);

    let first = publish(&bank, &spec).await;
    assert_eq!(counts(&first), (3, 0, 0, 0));
    assert_eq!((first.index_size, first.tags_asked), (3, 3));
    let again = publish(&bank, &spec).await;
    assert_eq!(counts(&again), (0, 0, 0, 3));
    assert_eq!((again.index_size, again.tags_asked), (3, 0));

    let before = bank.find(&id("zz-2"), false, &|_| {}).await.unwrap().offers.remove(0);
    people(&path, &[("ZZ-1", "Anna", 100), ("ZZ-2", "Ben", 250), ("ZZ-4", "Dora", 400)]);
    assert_eq!(counts(&publish(&bank, &spec).await), (1, 1, 1, 1));
    let after = bank.find(&id("ZZ-2"), false, &|_| {}).await.unwrap().offers;
    assert_eq!(after.len(), 1);
    assert_ne!(after[0].commitment, before.commitment);
    assert_eq!(after[0].provider, before.provider, "the same record keeps the same key");
    assert!(bank.find(&id("ZZ-3"), false, &|_| {}).await.unwrap().offers.is_empty());

    // Other terms are a new version of every offer; the way back is one too.
    let dearer = PublishSpec { price: 6, ..spec.clone() };
    assert_eq!(counts(&publish(&bank, &dearer).await), (0, 3, 0, 0));
    assert_eq!(counts(&publish(&bank, &spec).await), (0, 3, 0, 0));
    // A second product of the same source stands beside the first.
    let other = PublishSpec { dataset: Some("names".into()), columns: vec!["name".into()], ..spec };
    assert_eq!(counts(&publish(&bank, &other).await), (3, 0, 0, 0));
    assert_eq!(bank.find(&id("ZZ-1"), false, &|_| {}).await.unwrap().offers.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_contradicts_itself_is_not_published() {
    let market = Market::open().await;
    let bank = market.participant("bank").await;
    let path = market.path("people.csv");
    let spec = people(&path, &[("ZZ-1", "Anna", 1), ("ZZ-2", "Ben", 2), (" zz-1 ", "Anne", 3)]);
    let error = bank.publish(&spec, &|_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let text = error.to_string();
    assert!(text.contains("line 2 and line 4") && !text.to_lowercase().contains("zz-1"), "{text}");
    assert!(bank.find(&id("ZZ-2"), false, &|_| {}).await.unwrap().offers.is_empty());

    // A row without an ID is named and left out; the others are published.
    people(&path, &[("ZZ-1", "Anna", 1), ("", "Nobody", 2)]);
    let published = bank.publish(&spec, &|_| {}).await.unwrap();
    assert_eq!((published.new, published.refused.len()), (1, 1));
    assert_eq!(published.refused[0].row, "line 3");

    let missing = PublishSpec { columns: vec!["weight".into()], ..spec.clone() };
    assert_eq!(bank.publish(&missing, &|_| {}).await.unwrap_err().kind(), ErrorKind::Usage);
    let endless = PublishSpec { duration: Duration::from_secs(u64::MAX), ..spec };
    assert_eq!(bank.publish(&endless, &|_| {}).await.unwrap_err().kind(), ErrorKind::Usage);
}

/// Where a publishing process is told its node and its file.
const NODE: &str = "ETS_TEST_NODE";
const FILE: &str = "ETS_TEST_FILE";

/// Not a test by itself: what the next one starts and kills.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_publishes() {
    let (Some(node), Some(file)) = (std::env::var_os(NODE), std::env::var_os(FILE)) else { return };
    let node = Node::open(node, None).unwrap();
    let spec = spec(std::path::Path::new(&file));
    assert!(node.publish(&spec, &|_| {}).await.unwrap().refused.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_at_any_instant_is_finished_by_the_next() {
    const ROWS: usize = 3000;
    let market = Market::open().await;
    let bank = market.participant("bank").await;
    let path = market.path("people.csv");
    let rows: Vec<_> = (0..ROWS).map(|i| format!("ZZ-{i}")).collect();
    let rows: Vec<_> = rows.iter().map(|id| (id.as_str(), "Anna", 7)).collect();
    let spec = people(&path, &rows);

    let mut patience = Duration::from_millis(300);
    let mut kills = 0;
    loop {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "publishing::a_process_that_publishes"])
            .env(NODE, bank.dir())
            .env(FILE, &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(patience).await;
        if let Some(status) = process.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        (kills, patience) = (kills + 1, patience * 5 / 4);
    }
    assert!(kills > 0);
    let finished = bank.publish(&spec, &|_| {}).await.unwrap();
    assert_eq!(counts(&finished), (0, 0, 0, ROWS as u64), "after {kills} kills: {finished:?}");
    assert_eq!(finished.resumed, 0);
    let index = std::fs::read(market.platform_dir().join("index/hashes.0")).unwrap();
    assert_eq!(index.len() / 32, ROWS, "every offer once");
    assert_eq!(bank.own_offers().unwrap().len(), ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_or_unknown_publishes_nothing() {
    let market = Market::open().await;
    let bank = market.participant("bank").await;
    let spec = people(&market.path("people.csv"), &[("ZZ-1", "Anna", 1)]);
    publish(&bank, &spec).await;
    market.decide(AdminAction::Suspend, bank.status().await.unwrap().id).await;
    people(&market.path("people.csv"), &[("ZZ-1", "Anna", 2)]);
    let published = bank.publish(&spec, &|_| {}).await.unwrap();
    assert_eq!((published.updated, published.refused.len()), (0, 1));
    assert!(published.refused[0].why.contains("suspend"), "{published:?}");

    market.decide(AdminAction::Approve, bank.status().await.unwrap().id).await;
    assert_eq!(counts(&publish(&bank, &spec).await), (0, 1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_answers_without_the_platform() {
    let mut market = Market::open().await;
    let (bank, buyer) = (market.participant("bank").await, market.participant("buyer").await);
    let path = market.path("people.csv");
    let rows: Vec<_> = (0..600).map(|i| format!("ZZ-{i}")).collect();
    let rows: Vec<_> = rows.iter().map(|id| (id.as_str(), "Anna", 7)).collect();
    let spec = people(&path, &rows);
    publish(&bank, &spec).await;
    let synced = buyer.sync(&|_| {}).await.unwrap();
    assert_eq!((synced.index.total, synced.index.new), (600, 600));
    assert_eq!(buyer.sync(&|_| {}).await.unwrap().index.new, 0);

    let found = buyer.find(&id("ZZ-17"), true, &|_| {}).await.unwrap();
    assert_eq!((found.offers.len(), found.index_size), (1, 600));
    assert_eq!(found.offers[0].state, OfferState::Current);
    people(&path, &[("ZZ-17", "Anna", 8)]);
    assert_eq!(counts(&publish(&bank, &spec).await), (0, 1, 599, 0));
    let newer = buyer.find(&id("ZZ-17"), true, &|_| {}).await.unwrap();
    assert_eq!((newer.offers.len(), newer.index_size), (1, 1200));
    assert_ne!(newer.offers[0].id, found.offers[0].id);
    assert!(buyer.find(&id("ZZ-18"), true, &|_| {}).await.unwrap().offers.is_empty());

    let proof = buyer.prove(&newer.offers[0].id).await.unwrap();
    assert!(proof.starts_with("c2sp.org/tlog-proof@v1\n"));

    market.stop().await;
    let offline = buyer.find(&id("ZZ-17"), true, &|_| {}).await.unwrap();
    assert_eq!(offline.offers[0].id, newer.offers[0].id);
    let away = buyer.find(&id("ZZ-17"), false, &|_| {}).await.unwrap_err();
    assert!(matches!(away, NodeError::Platform(_)) && away.next().is_some());
}

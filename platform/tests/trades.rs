//! Receipts into the trades log, and packets through the relay.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::time::Duration;

use common::{Member, Site, fresh, market, nonce, now, options, tag};
use encrytrust_index_chain::{checkpoint::LogName, note::Vkey, proof::TlogProof};
use encrytrust_platform::{Limits, Options};
use encrytrust_protocol::{
    AdminAction, RelayPackets, RelayPoll, TradeId,
    api::{PlatformView, SubmitResult, SubmitStatus, SubmitView},
};

async fn leave(site: &Site, receipt: &[u8]) -> SubmitResult {
    let view: SubmitView = site.post("/v1/receipts?wait=included", receipt.to_vec()).await.json();
    view.results.into_iter().next().unwrap()
}

fn slug(result: &SubmitResult) -> &str {
    result.problem.as_ref().unwrap().slug()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trade_has_one_receipt_signed_by_both_sides() {
    let site = Site::start().await;
    let (bank, buyer) = (site.member("Bank").await, site.member("Buyer").await);
    let offer = bank.offer(tag());
    site.publish(&[offer.bytes()]).await;
    let trade = TradeId::from(fresh());

    let receipt = buyer.receipt(&bank, offer.id(), trade);
    let result = leave(&site, receipt.bytes()).await;
    assert_eq!((result.status, result.index), (SubmitStatus::Accepted, Some(0)));
    let view: PlatformView = site.get("/v1/platform").await.json();
    let key = view.vkey.parse::<Vkey>().unwrap().key();
    let proof = TlogProof::parse(result.proof.unwrap().as_bytes()).unwrap();
    proof.verify(receipt.bytes(), &LogName::Trades.vkey(&market(), key), &[], 0).unwrap();

    assert_eq!(leave(&site, receipt.bytes()).await.status, SubmitStatus::Present);
    let second = buyer.receipt(&bank, offer.id(), trade);
    if second.id() != receipt.id() {
        assert_eq!(slug(&leave(&site, second.bytes()).await), "trade-ended");
    }
    let none = buyer.receipt(&bank, fresh().into(), fresh().into());
    assert_eq!(slug(&leave(&site, none.bytes()).await), "offer-unknown");
    let other = buyer.receipt(&buyer, offer.id(), fresh().into());
    assert_eq!(slug(&leave(&site, other.bytes()).await), "other-provider");
    let stranger = Member::new("Stranger").receipt(&bank, offer.id(), fresh().into());
    assert_eq!(slug(&leave(&site, stranger.bytes()).await), "key-not-admitted");

    // A suspension does not undo what was traded before it.
    let before = buyer.receipt(&bank, offer.id(), fresh().into());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    site.decide(AdminAction::Suspend, bank.id()).await;
    assert_eq!(leave(&site, before.bytes()).await.status, SubmitStatus::Accepted);
    let after = buyer.receipt(&bank, offer.id(), fresh().into());
    assert_eq!(slug(&leave(&site, after.bytes()).await), "key-suspended");
    site.stop().await;
}

fn poll(member: &Member) -> Vec<u8> {
    let poll = RelayPoll { market: market(), nonce: nonce(), at: now() };
    member.key.sign_relay_poll(poll).unwrap().bytes().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_carries_a_request_and_its_reply() {
    let limits = Limits { relay_seconds: 1, ..Limits::default() };
    let site = Site::start_in(common::home(), Options { limits: Some(limits), ..options() }).await;
    let bank = site.member("Bank").await;
    let to = format!("/v1/relay/{}", bank.public());

    let node = async {
        let packets = site.post("/v1/relay/next", poll(&bank)).await.body;
        let packet = RelayPackets::decode(&packets).unwrap().packets.remove(0);
        assert_eq!(packet.packet[..], b"sealed request"[..]);
        let path = format!("/v1/relay/replies/{}", packet.id);
        assert_eq!(site.post(&path, b"sealed reply".to_vec()).await.status, 204);
        assert_eq!(site.post(&path, b"again".to_vec()).await.problem(), "not-found");
    };
    let (reply, ()) = tokio::join!(site.post(&to, b"sealed request".to_vec()), node);
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"sealed reply"[..]));

    assert_eq!(site.post(&to, b"anyone?".to_vec()).await.problem(), "node-away");
    let unknown = format!("/v1/relay/{}", Member::new("Nobody").public());
    assert_eq!(site.post(&unknown, b"x".to_vec()).await.problem(), "key-not-admitted");
    assert_eq!(site.post(&to, vec![0; 8193]).await.problem(), "too-large");
    assert_eq!(site.post(&to, Vec::new()).await.problem(), "bad-request");
    let stranger = site.post("/v1/relay/next", poll(&Member::new("Nobody"))).await;
    assert_eq!(stranger.problem(), "key-not-admitted");

    // A poll that waits does not hold up the end.
    let client = site.client.clone();
    let waiting = client.post(format!("{}/v1/relay/next", site.server.url())).body(poll(&bank));
    let waiting = tokio::spawn(common::answer(waiting));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = std::time::Instant::now();
    site.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(waiting.await.unwrap().problem(), "busy");
}

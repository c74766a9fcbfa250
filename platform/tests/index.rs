//! Offers into the index and out again, with every proof checked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Site, fresh, market, now, offer, tag};
use encrytrust_index_chain::{
    checkpoint::{LogName, SignedCheckpoint},
    note::Vkey,
    proof::TlogProof,
    tree::verify_inclusion,
};
use encrytrust_protocol::{
    Block, Market, Offer, PlatformInfo, Sha256Hash, Signed, Validity,
    api::{BlocksView, OfferState, OfferView, PlatformView, SubmitStatus, SubmitView},
};

async fn platform_key(site: &Site) -> encrytrust_protocol::PublicKey {
    let view: PlatformView = site.get("/v1/platform").await.json();
    let vkey: Vkey = view.vkey.parse().unwrap();
    assert_eq!(vkey.name(), "market.example");
    let info = Signed::<PlatformInfo>::decode(&view.info.0).unwrap().verify().unwrap();
    assert_eq!(info.signer(), vkey.key());
    vkey.key()
}

/// The offer is where the answer says, under a checkpoint of the platform.
fn check(view: &OfferView, checkpoint: &str, key: encrytrust_protocol::PublicKey) {
    let vkey = LogName::Index.vkey(&market(), key);
    let signed = SignedCheckpoint::open(checkpoint.as_bytes(), &vkey).unwrap();
    let proof: Vec<_> =
        view.proof.iter().map(|hash| Sha256Hash::try_from(&hash.0[..]).unwrap()).collect();
    verify_inclusion(&proof, view.index, &view.id, &signed.head()).unwrap();
    let offer = Signed::<Offer>::decode(&view.entry.0).unwrap().verify().unwrap();
    assert_eq!(offer.id(), view.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_is_published_found_updated_and_withdrawn() {
    let site = Site::start().await;
    let key = platform_key(&site).await;
    let vkey = LogName::Index.vkey(&market(), key);
    let bank = site.member("Bank").await;
    let tag = tag();

    let first = bank.offer(tag);
    let result = &site.publish(&[first.bytes()]).await[0];
    assert_eq!((result.status, result.id), (SubmitStatus::Accepted, Some(first.id())));
    let proof = TlogProof::parse(result.proof.as_ref().unwrap().as_bytes()).unwrap();
    assert_eq!(proof.verify(first.bytes(), &vkey, &[], 0).unwrap().checkpoint.head.size, 1);

    let found = site.subject(&tag, false).await;
    assert_eq!(found.offers.len(), 1);
    assert_eq!(found.offers[0].state, OfferState::Current);
    check(&found.offers[0], &found.checkpoint, key);

    let again = &site.publish(&[first.bytes()]).await[0];
    assert_eq!((again.status, again.index), (SubmitStatus::Present, Some(0)));
    assert!(again.proof.is_some());

    let second = bank.update(&first);
    assert_eq!(site.publish(&[second.bytes()]).await[0].status, SubmitStatus::Accepted);
    let current = site.subject(&tag, false).await.offers;
    assert_eq!(current.iter().map(|o| o.id).collect::<Vec<_>>(), [second.id()]);
    let all = site.subject(&tag, true).await;
    assert_eq!(all.offers[0].state, OfferState::Superseded);
    all.offers.iter().for_each(|offer| check(offer, &all.checkpoint, key));

    let end = bank.withdrawal(&second);
    assert_eq!(site.publish(&[end.bytes()]).await[0].status, SubmitStatus::Accepted);
    assert!(site.subject(&tag, false).await.offers.is_empty());
    let view = site.offer(&second.id()).await;
    assert_eq!(view.offer.state, OfferState::Withdrawn);
    check(&view.offer, &view.checkpoint, key);
    assert_eq!(site.get(&format!("/v1/offers/{}", end.id())).await.problem(), "not-found");

    let blocks: BlocksView = site.get("/v1/blocks?from=0&limit=1000").await.json();
    let heights: Vec<_> = blocks.blocks.iter().map(|b| b.height).collect();
    assert_eq!(heights, (0..heights.len() as u64).collect::<Vec<_>>());
    for block in &blocks.blocks {
        let signed = Signed::<Block>::decode(&block.signed.0).unwrap().verify().unwrap();
        assert_eq!((signed.hash(), signed.signer()), (block.hash, key));
    }
    let first_block = site.get("/v1/blocks/0").await;
    assert!(first_block.header("cache-control").contains("immutable"));
    assert_eq!(site.get("/v1/blocks/9999").await.problem(), "not-found");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_offer_does_not_sink_its_neighbours() {
    let site = Site::start().await;
    let bank = site.member("Bank").await;
    let stranger = common::Member::new("Stranger");
    let good: Vec<_> = (0..200).map(|_| bank.offer(tag())).collect();

    let mut forged = bank.offer(tag()).bytes().to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let elsewhere = Offer { market: Market::new("other.example").unwrap(), ..offer(tag(), None) };
    let elsewhere = bank.key.sign_offer(elsewhere).unwrap();
    let ended =
        Offer { valid: Validity { from: now() - 20, until: now() - 5 }, ..offer(tag(), None) };
    let ended = bank.key.sign_offer(ended).unwrap();
    let dangling = bank.key.sign_offer(offer(tag(), Some(fresh().into()))).unwrap();
    let foreign = site.member("Telecom").await;
    let theft = foreign.update(&good[0]);
    let unknown = stranger.offer(tag());
    let bad: [(&[u8], &str); 7] = [
        (&forged, "bad-signature"),
        (&[0x18, 0x05], "bad-message"),
        (elsewhere.bytes(), "wrong-market"),
        (ended.bytes(), "offer-ended"),
        (dangling.bytes(), "offer-unknown"),
        (theft.bytes(), "other-signer"),
        (unknown.bytes(), "key-not-admitted"),
    ];

    let mut body: Vec<&[u8]> = good.iter().map(|offer| offer.bytes()).collect();
    for (place, (bytes, _)) in bad.iter().enumerate() {
        body.insert(25 * (place + 1), bytes);
    }
    body.push(good[3].bytes());
    let results = site.publish(&body).await;
    assert_eq!(results.len(), body.len());
    assert_eq!(results.last().unwrap().status, SubmitStatus::Present, "twice in one request");
    let mut refused = Vec::new();
    for result in &results {
        match &result.problem {
            Some(problem) => refused.push(problem.slug().to_owned()),
            None => assert!(result.index.is_some() && result.proof.is_some()),
        }
    }
    assert_eq!(refused, bad.map(|(_, slug)| slug));

    let none = site.post("/v1/offers", forged.clone()).await;
    assert_eq!(none.status, 422);
    assert_eq!(none.json::<SubmitView>().results[0].status, SubmitStatus::Refused);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_served_as_tiles() {
    let site = Site::start().await;
    let bank = site.member("Bank").await;
    let offers: Vec<_> = (0..300).map(|_| bank.offer(tag())).collect();
    let body: Vec<&[u8]> = offers.iter().map(|offer| offer.bytes()).collect();
    site.publish(&body).await;

    let checkpoint = site.get("/log/index/checkpoint").await;
    assert_eq!(checkpoint.header("content-type"), "text/plain; charset=utf-8");
    assert!(checkpoint.text().starts_with("market.example/index\n300\n"));
    let entries = site.get("/log/index/tile/entries/000").await;
    assert!(entries.header("cache-control").contains("immutable"));
    assert_eq!(entries.header("content-type"), "application/octet-stream");
    let length = u16::from_be_bytes([entries.body[0], entries.body[1]]) as usize;
    assert_eq!(&entries.body[2..2 + length], offers[0].bytes());
    let hashes = site.get("/log/index/tile/0/000").await.body;
    assert_eq!(hashes.len(), 256 * 32);
    assert_eq!(hashes[..32], offers[0].id().as_bytes()[..]);
    assert_eq!(site.get("/log/index/tile/0/001.p/44").await.body.len(), 44 * 32);
    assert_eq!(site.get("/log/index/tile/1/000.p/1").await.body.len(), 32);
    for beyond in
        ["0/001", "0/001.p/45", "1/000", "2/000.p/1", "entries/002.p/1", "0/1", "9/000.p/1", "x"]
    {
        let answer = site.get(&format!("/log/index/tile/{beyond}")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"), "{beyond}");
    }
    assert!(
        site.get("/log/trades/checkpoint").await.text().starts_with("market.example/trades\n0\n")
    );
    assert_eq!(site.get("/log/members/checkpoint").await.status, 404, "never served");
    assert_eq!(site.get("/log/members/tile/0/000.p/1").await.status, 404);
    site.stop().await;
}

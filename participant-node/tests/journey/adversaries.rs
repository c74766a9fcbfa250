//! Those who do not play by the rules, each with the sin in the name.

use std::sync::Arc;

use actix_web::{App, HttpServer, web};
use encrytrust_keys::{
    pool::PoolKey,
    seal::{SealContext, SealKey, seal},
};
use encrytrust_participant_node::{ErrorKind, InitOptions, Node, NodeError, PublishSpec};
use encrytrust_protocol::{
    AdminAction, BlockHash, Delivery, Nonce, OfferId, Problem, Record, Reply, Request,
    SealedPacket, Signed, Suite, Value,
};

use crate::market::{Market, id, now, people, publish, start_listening, stolen_keys};

/// A buyer who writes its own requests.
struct Asker {
    provider: PoolKey,
    request: Request,
    key: PoolKey,
    url: String,
}

impl Asker {
    fn packet(&self) -> Vec<u8> {
        let signed = self.key.sign_request(self.request.clone()).unwrap();
        self.seal(signed.bytes())
    }

    fn seal(&self, bytes: &[u8]) -> Vec<u8> {
        let context =
            SealContext::Request { market: &self.request.market, provider: self.provider.public() };
        seal(self.provider.hpke(), &context, b"", bytes).unwrap().encode()
    }

    /// `ok`, or the slug of the refusal.
    async fn send(&self, packet: Vec<u8>) -> String {
        let post = reqwest::Client::new().post(format!("{}/v1/requests", self.url)).body(packet);
        let answer = post.send().await.unwrap();
        if answer.status().is_success() {
            return "ok".into();
        }
        let problem: Problem = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        problem.slug().to_owned()
    }

    async fn send_request(&self, change: impl FnOnce(&mut Request)) -> String {
        let mut request = self.request.clone();
        request.nonce = Nonce::from([now() as u8 ^ 0x55; 16]);
        change(&mut request);
        let asker = Self {
            request,
            provider: self.provider.clone(),
            key: self.key.clone(),
            url: self.url.clone(),
        };
        asker.send(asker.packet()).await
    }
}

async fn asker(market: &Market) -> (Asker, Node, crate::market::Serving) {
    let (bank, buyer) = (market.participant("bank").await, market.participant("buyer").await);
    let serving = start_listening(&bank).await;
    let url = format!("http://{}", serving.address.unwrap());
    let spec = people(&market.path("people.csv"), &[("ZZ-1", "Anna", 100)]);
    publish(&bank, &PublishSpec { endpoint: Some(url.clone()), ..spec }).await;
    let offer = buyer.find(&id("ZZ-1"), false, &|_| {}).await.unwrap().offers.remove(0);
    let keys = stolen_keys(&bank);
    let provider = keys.into_iter().find(|key| key.public() == offer.provider).unwrap();
    let request = Request {
        market: buyer.market().clone(),
        offer: offer.id,
        block: BlockHash::from([7; 32]),
        provider: offer.provider,
        reply_key: SealKey::generate(Suite::XWing).public().clone(),
        price: 5,
        nonce: Nonce::from([1; 16]),
        at: now(),
    };
    let key = stolen_keys(&buyer).remove(0);
    (Asker { provider, request, key, url }, buyer, serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_break_a_rule_are_refused() {
    let market = Market::open().await;
    let (asker, buyer, serving) = asker(&market).await;

    let packet = asker.packet();
    assert_eq!(asker.send(packet.clone()).await, "ok");
    assert_eq!(asker.send(packet.clone()).await, "replay");

    // Altered: one bit of the seal; a request whose signature is another's; no request at all.
    let mut altered = packet.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(asker.send(altered).await, "not-for-this-node");
    let mut forged = asker.key.sign_request(asker.request.clone()).unwrap().bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(asker.send(asker.seal(&forged)).await, "bad-signature");
    assert_eq!(asker.send(asker.seal(b"hello")).await, "malformed");
    assert_eq!(asker.send(b"hello".to_vec()).await, "malformed");
    assert_eq!(asker.send(packet[..packet.len() - 9].to_vec()).await, "malformed");

    assert_eq!(asker.send_request(|r| r.at -= 1000).await, "stale");
    assert_eq!(asker.send_request(|r| r.at += 1000).await, "stale");
    assert_eq!(asker.send_request(|r| r.price = 4).await, "price");
    assert_eq!(asker.send_request(|r| r.offer = OfferId::from([9; 32])).await, "offer-unknown");
    assert_eq!(asker.send_request(|r| r.provider = [9; 32].into()).await, "other-key");

    let stranger = Asker { key: PoolKey::generate(Suite::X25519), ..asker };
    assert_eq!(stranger.send_request(|_| ()).await, "key-unknown");
    let packet_of_before = packet;
    serving.stop().await;

    // The memory of answered requests outlives the process.
    let bank = Node::open(market.path("bank"), None).unwrap();
    let serving = start_listening(&bank).await;
    let url = format!("http://{}", serving.address.unwrap());
    let again = Asker { url, key: stolen_keys(&buyer).remove(1), ..stranger };
    assert_eq!(again.send(packet_of_before).await, "replay");
    market.decide(AdminAction::Suspend, buyer.status().await.unwrap().id).await;
    assert_eq!(again.send_request(|_| ()).await, "key-suspended");
    serving.stop().await;
}

/// What a provider who lies does to each request.
#[derive(Clone, Copy)]
enum Lie {
    /// Delivers another record.
    Record,
    /// Seals to a key nobody has.
    Seal,
    /// Lets somebody else sign.
    Signer,
}

fn lie(lie: Lie, keys: &[PoolKey], packet: &[u8]) -> Vec<u8> {
    let packet = SealedPacket::decode(packet).unwrap();
    let market = encrytrust_protocol::Market::new("market.example").unwrap();
    let (plain, key) = keys
        .iter()
        .find_map(|key| {
            let context = SealContext::Request { market: &market, provider: key.public() };
            Some((key.seal_key().open(&context, b"", &packet).ok()?, key))
        })
        .unwrap();
    let request = Signed::<Request>::decode(&plain).unwrap().verify().unwrap();
    let (message, trade) = (request.message(), request.id());
    let record = Record::new([0; 32], vec![Value::Integer(1), Value::Text("Nobody".into())]);
    let context = SealContext::Reply { trade, offer: message.offer, block: message.block };
    let nobody = SealKey::generate(Suite::XWing);
    let recipient = if matches!(lie, Lie::Seal) { nobody.public() } else { &message.reply_key };
    let packet = seal(recipient, &context, b"", &record.encode()).unwrap();
    let delivery = Delivery {
        market,
        trade,
        offer: message.offer,
        buyer: request.signer(),
        block: message.block,
        price: message.price,
        packet: packet.hash(),
        at: now(),
    };
    let stranger = PoolKey::generate(Suite::X25519);
    let signer = if matches!(lie, Lie::Signer) { &stranger } else { key };
    let delivery = signer.sign_delivery(delivery).unwrap().bytes().to_vec().into();
    Reply { delivery, packet }.encode()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_provider_is_convicted() {
    let market = Market::open().await;
    let (bank, buyer) = (market.participant("bank").await, market.participant("buyer").await);
    let keys = Arc::new(stolen_keys(&bank));
    let how = Arc::new(std::sync::Mutex::new(Lie::Signer));
    let (liar_keys, liar_how) = (Arc::clone(&keys), Arc::clone(&how));
    let app = move || {
        let (keys, how) = (Arc::clone(&liar_keys), Arc::clone(&liar_how));
        let answer = move |packet: web::Bytes| {
            let reply = lie(*how.lock().unwrap(), &keys, &packet);
            async move { reply }
        };
        App::new().route("/v1/requests", web::post().to(answer))
    };
    let liar = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", liar.addrs()[0]);
    let liar = liar.run();
    let handle = liar.handle();
    tokio::spawn(liar);

    let spec = people(&market.path("people.csv"), &[("ZZ-1", "Anna", 100)]);
    publish(&bank, &PublishSpec { endpoint: Some(endpoint), ..spec }).await;
    let offer = buyer.find(&id("ZZ-1"), false, &|_| {}).await.unwrap().offers.remove(0);
    let out = market.path("record.json");

    let unsigned = buyer.get(offer.id, &out).await.unwrap_err();
    assert!(matches!(unsigned, NodeError::Untrue { .. }), "{unsigned}");
    assert_eq!(unsigned.kind(), ErrorKind::Verification);

    for (lie, says) in [(Lie::Record, "commitment"), (Lie::Seal, "does not open")] {
        *how.lock().unwrap() = lie;
        let error = buyer.get(offer.id, &out).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Verification);
        let NodeError::Mismatch { why, evidence, .. } = error else { panic!("{error}") };
        assert!(why.contains(says), "{why}");
        convicts(std::path::Path::new(&evidence), &offer);
    }
    assert!(!out.exists(), "a record that was not offered is not written");
    let synced = buyer.sync(&|_| {}).await.unwrap();
    assert_eq!(synced.trades.total, 2, "both mismatches are on the log of trades");
    handle.stop(false).await;
}

/// Whoever has the evidence, and no secret of anybody's but the one-time key in it, can check it.
fn convicts(evidence: &std::path::Path, offer: &encrytrust_participant_node::FoundOffer) {
    let read = |name: &str| std::fs::read(evidence.join(name)).unwrap();
    let request = Signed::<Request>::decode(&read("request.cose")).unwrap().verify().unwrap();
    let reply = Reply::decode(&read("reply.cbor")).unwrap();
    let delivery = Signed::<Delivery>::decode(&reply.delivery).unwrap().verify().unwrap();
    assert_eq!(delivery.signer(), offer.provider);
    assert_eq!(delivery.message().packet, reply.packet.hash());
    let secret = hex::decode(String::from_utf8(read("reply-key.hex")).unwrap().trim()).unwrap();
    let key = SealKey::from_secret(Suite::XWing, &secret.try_into().unwrap());
    assert_eq!(*key.public(), request.message().reply_key, "the key the provider was given");
    let context =
        SealContext::Reply { trade: request.id(), offer: offer.id, block: request.message().block };
    let opened = key.open(&context, b"", &reply.packet);
    assert!(
        opened.is_err()
            || Record::decode(&opened.unwrap()).unwrap().commitment() != offer.commitment
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_starts_another_history_is_noticed() {
    let mut market = Market::open().await;
    let (bank, buyer) = (market.participant("bank").await, market.participant("buyer").await);
    let spec = people(&market.path("people.csv"), &[("ZZ-1", "Anna", 100)]);
    publish(&bank, &spec).await;
    assert_eq!(buyer.find(&id("ZZ-1"), false, &|_| {}).await.unwrap().offers.len(), 1);
    buyer.sync(&|_| {}).await.unwrap();

    // The platform's directory is set back to an earlier day, and another history grows from it.
    market.stop().await;
    for file in ["index", "blocks", "checkpoint.index", "checkpoint.trades", "sled"] {
        let path = market.platform_dir().join(file);
        if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) }
            .unwrap();
    }
    let port = market.url.clone();
    market.start().await;
    for node in ["bank", "buyer"] {
        let path = market.path(node).join("node.toml");
        let text = std::fs::read_to_string(&path).unwrap().replace(&port, &market.url);
        std::fs::write(&path, text).unwrap();
    }
    let bank = Node::open(market.path("bank"), None).unwrap();
    let buyer = Node::open(market.path("buyer"), None).unwrap();
    std::fs::remove_dir_all(market.path("bank").join("seen")).unwrap();
    std::fs::remove_dir_all(market.path("bank").join("vault/offers")).unwrap();
    let bank = {
        drop(bank);
        Node::open(market.path("bank"), None).unwrap()
    };
    let other = people(&market.path("other.csv"), &[("ZZ-1", "Anna", 100), ("ZZ-2", "Ben", 7)]);
    publish(&bank, &other).await;

    for error in [
        buyer.find(&id("ZZ-1"), false, &|_| {}).await.unwrap_err(),
        buyer.sync(&|_| {}).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Verification);
        let text = error.to_string();
        assert!(text.contains("two histories") && text.contains("evidence"), "{text}");
    }
    assert!(std::fs::read_dir(market.path("buyer").join("evidence")).unwrap().count() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_with_another_key_is_not_believed() {
    let market = Market::open().await;
    let other = Market::open().await;
    let options = |vkey: Option<&str>| InitOptions {
        platform: market.url.clone(),
        vkey: vkey.map(str::to_owned),
        name: "bank".into(),
        passphrase: None,
    };
    let dir = market.path("node");
    let error = Node::init(&dir, options(Some(&other.vkey))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification);
    assert!(!dir.exists(), "nothing is left behind");
    let first_use = Node::init(&dir, options(None)).await.unwrap();
    assert!(!first_use.pinned && first_use.vkey == market.vkey);
    assert_eq!(Node::init(&dir, options(None)).await.unwrap_err().kind(), ErrorKind::Usage);
}

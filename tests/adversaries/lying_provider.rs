//! The lying provider: under its own good keys it delivers something else than it offered.

use std::{fs, path::Path, sync::Arc};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};
use anyhow::{Context, Result, ensure};
use encrytrust_keys::seal::{SealContext, SealKey, seal};
use encrytrust_participant_node::{ErrorKind, Node, NodeError};
use encrytrust_protocol::{
    CLOCK_SKEW_MAX, Delivery, Offer, OfferId, Outcome, Record, Reply, Request, SealedPacket,
    Signed, Suite, Value, Verified,
};
use encrytrust_tests::{Hand, MarketUnderTest, Table, clock::now};

/// How a lie is told: the liar's keys, a request, the reply.
type Lie = dyn Fn(&Hand, &Verified<Request>) -> Result<Reply> + Send + Sync;

/// A provider's node that opens requests with real keys and replies as it likes.
pub(crate) struct LyingProvider {
    pub(crate) url: String,
    handle: ServerHandle,
}

impl LyingProvider {
    pub(crate) fn start(
        hand: Hand,
        lie: impl Fn(&Hand, &Verified<Request>) -> Result<Reply> + Send + Sync + 'static,
    ) -> Result<Self> {
        let liar: web::Data<(Hand, Box<Lie>)> = web::Data::new((hand, Box::new(lie)));
        let server = HttpServer::new(move || {
            App::new().app_data(liar.clone()).route("/v1/requests", web::post().to(answer))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0))?;
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { url, handle })
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
    }
}

async fn answer(liar: web::Data<(Hand, Box<Lie>)>, packet: web::Bytes) -> HttpResponse {
    let (hand, lie) = &**liar;
    let reply = opened(hand, &packet).and_then(|request| lie(hand, &request));
    match reply {
        Ok(reply) => HttpResponse::Ok().body(reply.encode()),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

/// What a packet asks of any of these keys.
pub(crate) fn opened(hand: &Hand, packet: &[u8]) -> Result<Verified<Request>> {
    let packet = SealedPacket::decode(packet)?;
    let plain = hand.keys.iter().find_map(|key| {
        let context = SealContext::Request { market: &hand.market, provider: key.public() };
        key.seal_key().open(&context, b"", &packet).ok()
    });
    let plain = plain.context("sealed to none of these keys")?;
    Ok(Signed::<Request>::decode(&plain)?.verify()?)
}

/// A record nobody offered, sealed as a true one would be.
pub(crate) fn invented(request: &Verified<Request>) -> Result<SealedPacket> {
    let message = request.message();
    let values = vec![Value::Integer(1_000_000), Value::Text("a fine person".into())];
    let record = Record::new([7; 32], values);
    let context =
        SealContext::Reply { trade: request.id(), offer: message.offer, block: message.block };
    Ok(seal(&message.reply_key, &context, b"", &record.encode())?)
}

/// The statement that goes with a packet.
fn statement(request: &Verified<Request>, packet: &SealedPacket) -> Delivery {
    let message = request.message();
    Delivery {
        market: message.market.clone(),
        trade: request.id(),
        offer: message.offer,
        buyer: request.signer(),
        block: message.block,
        price: message.price,
        packet: packet.hash(),
        at: now(),
    }
}

/// The statement, signed by the offer's own key, and the packet.
pub(crate) fn signed(
    hand: &Hand,
    request: &Verified<Request>,
    packet: SealedPacket,
) -> Result<Reply> {
    let key = hand.key_of(&request.message().provider)?;
    let delivery = key.sign_delivery(statement(request, &packet))?;
    Ok(Reply { delivery: delivery.bytes().to_vec().into(), packet })
}

/// A market with a lying bank; what it offers, and a buyer.
struct Stage {
    market: MarketUnderTest,
    lender: Node,
    liar: LyingProvider,
    offer: OfferId,
}

async fn stage(
    lie: impl Fn(&Hand, &Verified<Request>) -> Result<Reply> + Send + Sync + 'static,
) -> Result<Stage> {
    let market = MarketUnderTest::start().await?;
    let (bank, lender) = (market.member("bank").await?, market.member("lender").await?);
    let liar = LyingProvider::start(Hand::steal(&bank)?, lie)?;
    let table = Table::incomes(market.path("rows.csv"), 2)?;
    market.publish(&bank, &table, Some(&liar.url)).await?;
    let offer = market.only_offer(&lender, "ZZ-000001").await?.id;
    Ok(Stage { market, lender, liar, offer })
}

/// What is wrong with a delivery that its provider signed: judged from the evidence alone, by
/// somebody who has nothing else.
fn verdict(evidence: &Path) -> Result<String> {
    let read = |name: &str| fs::read(evidence.join(name)).context(name.to_owned());
    let offer = Signed::<Offer>::decode(&read("offer.cose")?)?.verify()?;
    let request = Signed::<Request>::decode(&read("request.cose")?)?.verify()?;
    let reply = Reply::decode(&read("reply.cbor")?)?;
    let delivery = Signed::<Delivery>::decode(&reply.delivery)?.verify()?;
    ensure!(delivery.signer() == offer.signer() && delivery.message().offer == offer.id());
    ensure!(delivery.message().trade == request.id() && request.message().offer == offer.id());
    ensure!(delivery.message().packet == reply.packet.hash(), "another packet");
    ensure!(read("delivery.cose")? == delivery.bytes(), "another statement");
    let mut secret = [0; 32];
    hex::decode_to_slice(String::from_utf8(read("reply-key.hex")?)?.trim(), &mut secret)?;
    let reply_key = SealKey::from_secret(Suite::XWing, &secret);
    ensure!(*reply_key.public() == request.message().reply_key, "another reply key");
    let (trade, offered) = (request.id(), offer.message());
    let context = SealContext::Reply { trade, offer: offer.id(), block: request.message().block };
    let Ok(plain) = reply_key.open(&context, b"", &reply.packet) else {
        return Ok("does not open".into());
    };
    let Ok(record) = Record::decode(&plain) else { return Ok("is no record".into()) };
    ensure!(record.commitment() != offered.commitment, "it is what was offered");
    Ok("is another record".into())
}

/// The provider signed for it, so it is convicted: evidence, and a receipt that says so.
async fn convicted(stage: Stage, expected: &str) -> Result<()> {
    let Stage { market, lender, liar, offer } = stage;
    let out = market.path("bought.json");
    let error = lender.get(offer, &out).await.expect_err("a lie");
    assert_eq!(error.kind(), ErrorKind::Verification);
    let NodeError::Mismatch { evidence, .. } = &error else { panic!("{error}") };
    assert!(!out.exists(), "a record that is not the one offered is not written");
    assert_eq!(verdict(Path::new(evidence))?, expected);

    let receipts = market.receipts().await?;
    let [receipt] = &receipts[..] else { panic!("{} receipts", receipts.len()) };
    assert_eq!(receipt.message().outcome, Outcome::Mismatch);
    assert_eq!(receipt.delivery()?.message().offer, offer);
    assert_eq!(market.audit()?.receipts, 1);
    liar.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_record() -> Result<()> {
    let stage = stage(|hand, request| signed(hand, request, invented(request)?)).await?;
    convicted(stage, "is another record").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_holds_no_record() -> Result<()> {
    let lie = |hand: &Hand, request: &Verified<Request>| {
        let message = request.message();
        let context =
            SealContext::Reply { trade: request.id(), offer: message.offer, block: message.block };
        signed(hand, request, seal(&message.reply_key, &context, b"", b"come again tomorrow")?)
    };
    convicted(stage(lie).await?, "is no record").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_nobody_opens() -> Result<()> {
    let lie = |hand: &Hand, request: &Verified<Request>| {
        let mut packet = invented(request)?;
        packet.ciphertext[0] ^= 1;
        signed(hand, request, packet)
    };
    convicted(stage(lie).await?, "does not open").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_sealed_for_another_trade() -> Result<()> {
    let lie = |hand: &Hand, request: &Verified<Request>| {
        let message = request.message();
        let (offer, block) = (message.offer, message.block);
        let context = SealContext::Reply { trade: [9; 32].into(), offer, block };
        let record = Record::new([7; 32], vec![Value::Null]);
        signed(hand, request, seal(&message.reply_key, &context, b"", &record.encode())?)
    };
    convicted(stage(lie).await?, "does not open").await
}

/// A statement that is not about this request, or not by the offer's key, proves nothing: no
/// evidence, no receipt, no record.
#[tokio::test(flavor = "multi_thread")]
async fn statements_that_bind_nobody() -> Result<()> {
    type Twist = fn(&mut Delivery);
    let twists: [(&str, Twist); 8] = [
        ("another trade", |d| d.trade = [9; 32].into()),
        ("another offer", |d| d.offer = [9; 32].into()),
        ("another buyer", |d| d.buyer = [9; 32].into()),
        ("another block", |d| d.block = [9; 32].into()),
        ("another price", |d| d.price += 1),
        ("another packet", |d| d.packet = [9; 32].into()),
        ("tomorrow", |d| d.at += CLOCK_SKEW_MAX + 30),
        ("yesterday", |d| d.at -= CLOCK_SKEW_MAX + 30),
    ];
    let twist = Arc::new(std::sync::Mutex::new(twists[0].1));
    let shared = Arc::clone(&twist);
    let stage = stage(move |hand, request| {
        let packet = invented(request)?;
        let mut said = statement(request, &packet);
        let twist = *shared.lock().expect("nobody panics with it");
        twist(&mut said);
        let key = hand.key_of(&request.message().provider)?;
        Ok(Reply { delivery: key.sign_delivery(said)?.bytes().to_vec().into(), packet })
    });
    let stage = stage.await?;
    let out = stage.market.path("bought.json");
    for (what, next) in twists {
        *twist.lock().expect("nobody panics with it") = next;
        let error = stage.lender.get(stage.offer, &out).await.expect_err(what);
        assert!(matches!(error, NodeError::Untrue { .. }), "{what}: {error}");
    }
    assert!(!out.exists());
    assert_eq!(stage.market.receipts().await?.len(), 0);
    stage.liar.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_of_the_same_pool_does_not_speak_for_the_offer() -> Result<()> {
    let lie = |hand: &Hand, request: &Verified<Request>| {
        let packet = invented(request)?;
        let asked = request.message().provider;
        let other = hand.keys.iter().find(|key| key.public() != asked).context("several keys")?;
        let delivery = other.sign_delivery(statement(request, &packet))?;
        Ok(Reply { delivery: delivery.bytes().to_vec().into(), packet })
    };
    let stage = stage(lie).await?;
    let out = stage.market.path("bought.json");
    let error = stage.lender.get(stage.offer, &out).await.expect_err("another key");
    assert!(matches!(error, NodeError::Untrue { .. }), "{error}");
    assert_eq!(stage.market.receipts().await?.len(), 0);
    stage.liar.stop().await;
    Ok(())
}

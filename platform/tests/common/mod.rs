//! A platform on a free port, and people who use it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use encrytrust_keys::{
    files, identity::Identity, membership::PoolSubmission, platform::AdminKey, pool::PoolKey,
};
use encrytrust_platform::{Config, Options, Server, init, serve};
use encrytrust_protocol::{
    AdminAction, AdminCommand, AdminQuery, Algorithm, Column, ColumnKind, Commitment, Delivery,
    Description, Market, Nonce, Offer, OfferId, Outcome, ParticipantId, Problem, PublicKey,
    Receipt, Sha256Hash, Subject, SubjectTag, Suite, TagScheme, TradeId, Validity, Verified,
    Withdrawal,
    api::{OneOfferView, ParticipantsView, PoolView, SubjectView, SubmitResult, SubmitView},
};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

pub(crate) fn market() -> Market {
    Market::new("market.example").unwrap()
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

static COUNT: AtomicU64 = AtomicU64::new(1);

/// 32 bytes that were not used before.
pub(crate) fn fresh() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

pub(crate) fn nonce() -> Nonce {
    Nonce::try_from(&fresh()[..16]).unwrap()
}

/// An answer, whatever it was.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{} {e}: {}", self.status, self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The slug of the problem this must be.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Problem::MEDIA_TYPE, "{}", self.text());
        let problem: Problem = self.json();
        assert_eq!(problem.status, self.status);
        problem.slug().to_owned()
    }
}

pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) client: reqwest::Client,
    pub(crate) admin: AdminKey,
    pub(crate) dir: TempDir,
}

pub(crate) fn options() -> Options {
    Options {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        block_interval: Some(Duration::from_millis(50)),
        workers: Some(1),
        ..Options::default()
    }
}

pub(crate) fn home() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), Config::new(market()), None).unwrap();
    dir
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_in(home(), options()).await
    }

    pub(crate) async fn start_in(dir: TempDir, options: Options) -> Self {
        let server = serve(dir.path(), options).await.unwrap();
        let admin = files::load(&dir.path().join("keys/admin.key"), None).unwrap();
        Self { server, client: reqwest::Client::new(), admin, dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) async fn stop(self) -> TempDir {
        self.server.stop().await.unwrap();
        self.dir
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.client.get(format!("{}{path}", self.server.url()))).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        answer(self.client.post(format!("{}{path}", self.server.url())).body(body)).await
    }

    pub(crate) async fn decide(&self, action: AdminAction, participant: ParticipantId) -> Answer {
        let command = AdminCommand {
            market: market(),
            action,
            participant,
            reason: "known by letter".into(),
            nonce: nonce(),
            at: now(),
        };
        let signed = self.admin.sign_command(command).unwrap();
        self.post("/v1/admin/commands", signed.bytes().to_vec()).await
    }

    pub(crate) async fn participants(&self) -> ParticipantsView {
        let query = AdminQuery { market: market(), nonce: nonce(), at: now() };
        let signed = self.admin.sign_query(query).unwrap();
        self.post("/v1/admin/participants", signed.bytes().to_vec()).await.json()
    }

    /// Somebody who joined, was approved and has a key.
    pub(crate) async fn member(&self, name: &str) -> Member {
        let member = Member::new(name);
        assert_eq!(self.join(&member).await.status, 200);
        assert_eq!(self.decide(AdminAction::Approve, member.id()).await.status, 200);
        let pool: PoolView = self.pool(&member).await.json();
        assert_eq!(pool.added, 1);
        member
    }

    pub(crate) async fn join(&self, member: &Member) -> Answer {
        let join = member.identity.sign_join(&market(), &member.name, now()).unwrap();
        self.post("/v1/participants", join.bytes().to_vec()).await
    }

    pub(crate) async fn pool(&self, member: &Member) -> Answer {
        self.post("/v1/keys", member.pool()).await
    }

    pub(crate) async fn publish(&self, bodies: &[&[u8]]) -> Vec<SubmitResult> {
        let view: SubmitView = self.post("/v1/offers?wait=included", bodies.concat()).await.json();
        view.results
    }

    /// The slugs of the problems of entries that must all be refused.
    pub(crate) async fn publish_refused(&self, bodies: &[&[u8]]) -> Vec<String> {
        let results = self.publish(bodies).await;
        let slug = |result: &SubmitResult| result.problem.as_ref().unwrap().slug().to_owned();
        results.iter().map(slug).collect()
    }

    pub(crate) async fn subject(&self, tag: &SubjectTag, history: bool) -> SubjectView {
        self.get(&format!("/v1/subjects/{tag}?history={history}")).await.json()
    }

    pub(crate) async fn offer(&self, id: &OfferId) -> OneOfferView {
        self.get(&format!("/v1/offers/{id}")).await.json()
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().await.unwrap().to_vec(),
    }
}

pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) identity: Identity,
    pub(crate) key: PoolKey,
    /// The same bytes each time: what is idempotent must be so for them.
    pool: Vec<u8>,
}

impl Member {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, Identity::generate(Algorithm::Ed25519, name, now()).unwrap())
    }

    pub(crate) fn with(name: &str, identity: Identity) -> Self {
        let key = PoolKey::generate(Suite::X25519);
        let pool = pool_of(&identity, &[&key]);
        Self { name: name.to_owned(), identity, key, pool }
    }

    pub(crate) fn id(&self) -> ParticipantId {
        self.identity.participant()
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.key.public()
    }

    pub(crate) fn pool(&self) -> Vec<u8> {
        self.pool.clone()
    }

    pub(crate) fn offer(&self, tag: SubjectTag) -> Verified<Offer> {
        self.key.sign_offer(offer(tag, None)).unwrap()
    }

    pub(crate) fn update(&self, old: &Verified<Offer>) -> Verified<Offer> {
        let tag = old.message().subject.tag;
        self.key.sign_offer(offer(tag, Some(old.id()))).unwrap()
    }

    pub(crate) fn withdrawal(&self, old: &Verified<Offer>) -> Verified<Withdrawal> {
        let subject = old.message().subject;
        let withdrawal = Withdrawal { market: market(), subject, withdraws: old.id(), at: now() };
        self.key.sign_withdrawal(withdrawal).unwrap()
    }

    /// This member, as the buyer, acknowledges what a provider delivered.
    pub(crate) fn receipt(
        &self,
        provider: &Self,
        offer: OfferId,
        trade: TradeId,
    ) -> Verified<Receipt> {
        let delivery = Delivery {
            market: market(),
            trade,
            offer,
            buyer: self.public(),
            block: [7; 32].into(),
            price: 5,
            packet: Sha256Hash::from([8; 32]),
            at: now(),
        };
        let delivery = provider.key.sign_delivery(delivery).unwrap();
        let receipt = Receipt {
            market: market(),
            delivery: delivery.bytes().to_vec().into(),
            outcome: Outcome::Accepted,
            at: now(),
        };
        self.key.sign_receipt(receipt).unwrap()
    }
}

pub(crate) fn pool_of(identity: &Identity, keys: &[&PoolKey]) -> Vec<u8> {
    let bindings: Vec<_> =
        keys.iter().map(|key| key.sign_binding(&market(), now()).unwrap()).collect();
    let pool = identity.sign_pool(&market(), &bindings, now()).unwrap();
    PoolSubmission::encode(&pool, &bindings)
}

pub(crate) fn tag() -> SubjectTag {
    fresh().into()
}

pub(crate) fn offer(tag: SubjectTag, supersedes: Option<OfferId>) -> Offer {
    Offer {
        market: market(),
        subject: Subject { scheme: TagScheme::Voprf, tag },
        description: Description {
            title: "Credit history".into(),
            columns: vec![Column { name: "amount".into(), kind: ColumnKind::Integer }],
            text: String::new(),
        },
        commitment: Commitment::from(fresh()),
        price: 5,
        endpoint: None,
        valid: Validity { from: now() - 10, until: now() + 1000 },
        supersedes,
    }
}

//! Who may take part, with which keys, and what everybody else learns of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Member, Site, market, nonce, now, options, pool_of, tag};
use encrytrust_keys::{
    identity::Identity,
    membership::PoolSubmission,
    pool::PoolKey,
    subject::SubjectId,
    tags::{BlindedIds, TagPublicKey},
};
use encrytrust_platform::Limits;
use encrytrust_protocol::{
    AdminAction, AdminCommand, AdminQuery, Algorithm, KeyBinding, KeyState, KeyStatus,
    ParticipantState, PlatformInfo, Signed, Suite, TagAnswer, TagRequest,
    api::{KeyView, ParticipantView, PlatformView, PoolView, SubmitStatus},
};

async fn status(site: &Site, key: &PoolKey) -> KeyState {
    let view: KeyView = site.get(&format!("/v1/keys/{}", key.public())).await.json();
    let status = Signed::<KeyStatus>::decode(&view.status.0).unwrap().verify().unwrap();
    let binding = Signed::<KeyBinding>::decode(&view.binding.0).unwrap().verify().unwrap();
    let message = status.message();
    assert_eq!((message.key, binding.signer()), (key.public(), key.public()));
    assert_eq!(&binding.message().hpke, key.hpke());
    assert!(message.until > now() && message.at <= now());
    message.state
}

async fn standing(site: &Site, member: &Member) -> ParticipantView {
    site.get(&format!("/v1/participants/{}", member.id())).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_lets_in_and_shuts_out() {
    let site = Site::start().await;
    let bank = Member::new("Bank");
    let absent = site.get(&format!("/v1/participants/{}", bank.id())).await;
    assert_eq!(absent.problem(), "unknown-participant");
    assert_eq!(site.pool(&bank).await.problem(), "unknown-participant");
    let early = site.decide(AdminAction::Approve, bank.id()).await;
    assert_eq!(early.problem(), "unknown-participant");

    assert_eq!(site.join(&bank).await.status, 200);
    assert_eq!(standing(&site, &bank).await.state, ParticipantState::Pending);
    let added: PoolView = site.pool(&bank).await.json();
    assert_eq!((added.added, added.present), (1, 0));
    let repeated: PoolView = site.pool(&bank).await.json();
    assert_eq!((repeated.added, repeated.present), (0, 1));
    assert_eq!(status(&site, &bank.key).await, KeyState::Suspended);
    let refused = &site.publish_refused(&[bank.offer(tag()).bytes()]).await[0];
    assert_eq!(refused, "key-not-admitted");

    assert_eq!(site.decide(AdminAction::Approve, bank.id()).await.status, 200);
    assert_eq!(status(&site, &bank.key).await, KeyState::Active);
    let offer = bank.offer(tag());
    assert_eq!(site.publish(&[offer.bytes()]).await[0].status, SubmitStatus::Accepted);

    assert_eq!(site.decide(AdminAction::Suspend, bank.id()).await.status, 200);
    assert_eq!(status(&site, &bank.key).await, KeyState::Suspended);
    let refused = &site.publish_refused(&[bank.offer(tag()).bytes()]).await[0];
    assert_eq!(refused, "key-suspended");
    assert_eq!(site.publish(&[offer.bytes()]).await[0].status, SubmitStatus::Present);
    let more = pool_of(&bank.identity, &[&PoolKey::generate(Suite::XWing)]);
    assert_eq!(site.post("/v1/keys", more).await.problem(), "key-suspended");
    let unknown =
        site.get(&format!("/v1/keys/{}", PoolKey::generate(Suite::X25519).public())).await;
    assert_eq!(unknown.problem(), "not-found");

    let view = standing(&site, &bank).await;
    assert_eq!((view.name.as_str(), view.keys), ("Bank", 1));
    assert_eq!(view.state, ParticipantState::Suspended);
    let all = site.participants().await.participants;
    assert_eq!(all.iter().map(|p| p.id).collect::<Vec<_>>(), [bank.id()]);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_have_one_owner() {
    let site = Site::start().await;
    let (bank, telecom) = (site.member("Bank").await, site.member("Telecom").await);
    let theft = pool_of(&telecom.identity, &[&bank.key]);
    assert_eq!(site.post("/v1/keys", theft).await.problem(), "conflict");
    let forged = pool_of(&Member::new("Nobody").identity, &[&bank.key]);
    assert_eq!(site.post("/v1/keys", forged).await.problem(), "unknown-participant");

    let mut cut = pool_of(&bank.identity, &[&PoolKey::generate(Suite::X25519)]);
    cut.pop();
    assert_eq!(site.post("/v1/keys", cut).await.problem(), "bad-message");
    let many: Vec<_> = (0..100).map(|_| PoolKey::generate(Suite::XWing)).collect();
    let many: Vec<_> = many.iter().collect();
    let answer: PoolView = site.post("/v1/keys", pool_of(&bank.identity, &many)).await.json();
    assert_eq!(answer.added, 100);
    let other = vec![bank.key.sign_binding(&market(), now() - 7).unwrap()];
    let pool = bank.identity.sign_pool(&market(), &other, now()).unwrap();
    let answer = site.post("/v1/keys", PoolSubmission::encode(&pool, &other)).await;
    assert_eq!(answer.problem(), "conflict", "the same key under another binding");
    assert_eq!(standing(&site, &bank).await.keys, 101);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_identity_stops_its_keys() {
    let site = Site::start().await;
    let two_years = 730 * 86_400;
    // A generated certificate begins 300 s before the time given and lasts two years.
    let identity =
        Identity::generate(Algorithm::Es256, "Bank", now() + 300 + 3 - two_years).unwrap();
    let bank = Member::with("Bank", identity);
    assert_eq!(site.join(&bank).await.status, 200);
    assert_eq!(site.pool(&bank).await.status, 200);
    site.decide(AdminAction::Approve, bank.id()).await;
    let first = site.publish(&[bank.offer(tag()).bytes()]).await;
    assert_eq!(first[0].status, SubmitStatus::Accepted);
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;

    assert_eq!(site.publish_refused(&[bank.offer(tag()).bytes()]).await[0], "identity-expired");
    assert_eq!(status(&site, &bank.key).await, KeyState::Suspended);
    let more = pool_of(&bank.identity, &[&PoolKey::generate(Suite::XWing)]);
    assert_eq!(site.post("/v1/keys", more).await.problem(), "identity-expired");
    let late = Identity::generate(Algorithm::Ed25519, "Late", now() - two_years).unwrap();
    assert_eq!(site.join(&Member::with("Late", late)).await.problem(), "identity-expired");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administration_takes_the_administrators_key_the_time_and_the_market() {
    let site = Site::start().await;
    let bank = Member::new("Bank");
    site.join(&bank).await;
    let command = |at| AdminCommand {
        market: market(),
        action: AdminAction::Approve,
        participant: bank.id(),
        reason: String::new(),
        nonce: nonce(),
        at,
    };
    let stranger = encrytrust_keys::platform::AdminKey::generate();
    let forged = stranger.sign_command(command(now())).unwrap();
    let answer = site.post("/v1/admin/commands", forged.bytes().to_vec()).await;
    assert_eq!(answer.problem(), "not-an-admin");
    let old = site.admin.sign_command(command(now() - 1000)).unwrap();
    let answer = site.post("/v1/admin/commands", old.bytes().to_vec()).await;
    assert_eq!(answer.problem(), "clock-skew");

    let good = site.admin.sign_command(command(now())).unwrap();
    for _ in 0..2 {
        let answer = site.post("/v1/admin/commands", good.bytes().to_vec()).await;
        assert_eq!(answer.status, 200, "a command repeated is obeyed once");
    }
    site.decide(AdminAction::Suspend, bank.id()).await;
    site.post("/v1/admin/commands", good.bytes().to_vec()).await;
    assert_eq!(standing(&site, &bank).await.state, ParticipantState::Suspended, "replayed");

    let query = AdminQuery { market: market(), nonce: nonce(), at: now() };
    let query = site.admin.sign_query(query).unwrap().bytes().to_vec();
    assert_eq!(site.post("/v1/admin/participants", query.clone()).await.status, 200);
    assert_eq!(site.post("/v1/admin/participants", query).await.problem(), "replayed");
    let elsewhere = encrytrust_protocol::Market::new("other.example").unwrap();
    let query = AdminQuery { market: elsewhere, nonce: nonce(), at: now() };
    let query = site.admin.sign_query(query).unwrap().bytes().to_vec();
    assert_eq!(site.post("/v1/admin/participants", query).await.problem(), "wrong-market");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subject_tags_are_blind_proven_and_rationed_by_participant() {
    let limits = Limits { tags_burst: 10.try_into().unwrap(), ..Limits::default() };
    let options = encrytrust_platform::Options { limits: Some(limits), ..options() };
    let site = Site::start_in(common::home(), options).await;
    let bank = site.member("Bank").await;
    let second = PoolKey::generate(Suite::X25519);
    site.post("/v1/keys", pool_of(&bank.identity, &[&second])).await;
    let view: PlatformView = site.get("/v1/platform").await.json();
    let info = Signed::<PlatformInfo>::decode(&view.info.0).unwrap().verify().unwrap();
    let tag_key = TagPublicKey::from_bytes(&info.message().tag_key[..]).unwrap();

    let request = |key: &PoolKey, blinded: &BlindedIds| {
        let blinded = blinded.elements().to_vec().into();
        let request = TagRequest { market: market(), blinded, nonce: nonce(), at: now() };
        key.sign_tag_request(request).unwrap().bytes().to_vec()
    };
    let ids = || (0..6).map(|n| SubjectId::new(&format!("person {n}")).unwrap()).collect();
    let blinded = BlindedIds::blind(ids()).unwrap();
    let body = request(&bank.key, &blinded);
    let answer = site.post("/v1/subject-tags", body.clone()).await;
    assert_eq!(answer.header("content-type"), "application/cbor");
    let answer = TagAnswer::decode(&answer.body).unwrap();
    let tags = blinded.finalize(&tag_key, &answer.evaluated, &answer.proof).unwrap();
    assert_eq!(tags.len(), 6);

    assert_eq!(site.post("/v1/subject-tags", body).await.problem(), "replayed");
    let blinded = BlindedIds::blind(ids()).unwrap();
    let dry = site.post("/v1/subject-tags", request(&second, &blinded)).await;
    assert!(dry.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(dry.problem(), "tag-allowance", "another key of the same participant");
    let stranger = PoolKey::generate(Suite::X25519);
    let unknown = site.post("/v1/subject-tags", request(&stranger, &blinded)).await;
    assert_eq!(unknown.problem(), "key-not-admitted");
    let telecom = site.member("Telecom").await;
    let other = site.post("/v1/subject-tags", request(&telecom.key, &blinded)).await;
    let answer = TagAnswer::decode(&other.body).unwrap();
    let theirs = blinded.finalize(&tag_key, &answer.evaluated, &answer.proof).unwrap();
    assert_eq!(theirs, tags, "two enterprises meet on a subject");

    let nonsense =
        TagRequest { market: market(), blinded: vec![0xff; 32].into(), nonce: nonce(), at: now() };
    let nonsense = telecom.key.sign_tag_request(nonsense).unwrap();
    let answer = site.post("/v1/subject-tags", nonsense.bytes().to_vec()).await;
    assert_eq!(answer.problem(), "bad-message");
    site.stop().await;
}

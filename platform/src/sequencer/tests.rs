//! The writer on a disk that can be made to fail.

use std::{sync::Arc, time::Duration};

use encrytrust_index_chain::{
    chain::Chain,
    disk::{Fault, FaultyDisk, Survive},
};
use encrytrust_keys::{identity::Identity, pool::PoolKey};
use encrytrust_protocol::{
    AdminAction, AdminCommand, Algorithm, Column, ColumnKind, Description, Market, Nonce, Offer,
    Subject, Suite, TagScheme, Validity,
};

use super::*;
use crate::{freshness::now, identity::Leaf};

fn market() -> Market {
    Market::new("market.example").unwrap()
}

struct Bench {
    disk: FaultyDisk,
    sequencer: Sequencer,
    thread: Handle,
    heads: watch::Receiver<Heads>,
    key: PoolKey,
    platform: PlatformKey,
    _home: tempfile::TempDir,
}

/// A sequencer on a disk that fails on command, with one participant let in.
async fn bench() -> Bench {
    let (disk, home) = (FaultyDisk::new(), tempfile::tempdir().unwrap());
    let platform = PlatformKey::generate();
    let on = || Arc::new(disk.clone());
    let mut chain = Chain::open_on(on(), &market(), platform.public()).unwrap().0;
    let (publisher, heads) = watch::channel(seal(&mut chain, &platform).unwrap());
    let (sequencer, thread) = start(Desk {
        chain,
        members: Log::open_on(on(), "members", None).unwrap().0,
        state: State::open(&home.path().join("sled"), 1 << 20).unwrap(),
        key: platform.clone(),
        interval: Duration::from_millis(10),
        pending_max: 1,
        heads: Arc::new(publisher),
    })
    .unwrap();

    let identity = Identity::generate(Algorithm::Ed25519, "Bank", now()).unwrap();
    let leaf = Leaf::read(&identity.chain()[0]).unwrap();
    let join = identity.sign_join(&market(), "Bank", now()).unwrap();
    sequencer.member(MemberOrder::Join { join, leaf }).await.unwrap();
    let key = PoolKey::generate(Suite::X25519);
    let bindings = vec![key.sign_binding(&market(), now()).unwrap()];
    let pool = identity.sign_pool(&market(), &bindings, now()).unwrap();
    sequencer.member(MemberOrder::Pool { pool, bindings }).await.unwrap();
    let command = AdminCommand {
        market: market(),
        action: AdminAction::Approve,
        participant: identity.participant(),
        reason: String::new(),
        nonce: Nonce::from([1; 16]),
        at: now(),
    };
    let admin = encrytrust_keys::platform::AdminKey::generate();
    let command = MemberOrder::Command(admin.sign_command(command).unwrap());
    sequencer.member(command).await.unwrap();
    Bench { disk, sequencer, thread, heads, key, platform, _home: home }
}

impl Bench {
    fn candidate(&self, n: u8) -> Candidate {
        let offer = Offer {
            market: market(),
            subject: Subject { scheme: TagScheme::Voprf, tag: [n; 32].into() },
            description: Description {
                title: "Credit history".into(),
                columns: vec![Column { name: "amount".into(), kind: ColumnKind::Integer }],
                text: String::new(),
            },
            commitment: [n; 32].into(),
            price: 5,
            endpoint: None,
            valid: Validity { from: now(), until: now() + 1000 },
            supersedes: None,
        };
        let offer = self.key.sign_offer(offer).unwrap();
        Candidate { id: offer.id(), entry: IndexEntry::Offer(offer) }
    }
}

#[tokio::test]
async fn what_is_taken_is_sealed_within_the_interval() {
    let mut bench = bench().await;
    let verdicts = bench.sequencer.index(vec![bench.candidate(1), bench.candidate(2)]).await;
    assert!(matches!(verdicts.unwrap()[..], [Verdict::Accepted(0), Verdict::Accepted(1)]));
    let sealed = bench.heads.wait_for(|heads| heads.of(LogName::Index).size() == 2).await;
    let height = sealed.unwrap().height();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.heads.borrow().height(), height, "no block without something new");
    bench.sequencer.stop().await;
    bench.thread.join().unwrap().unwrap();
    assert!(!bench.sequencer.works());
}

#[tokio::test]
async fn a_refusing_disk_stops_the_writer_and_loses_nothing_acknowledged() {
    let bench = bench().await;
    let first = bench.candidate(1);
    let id = first.id;
    bench.sequencer.index(vec![first]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;

    bench.disk.fail(0, Fault::LostBeforeWrite);
    let refused = bench.sequencer.index(vec![bench.candidate(2)]).await.unwrap_err();
    assert_eq!(refused.problem().slug(), "storage");
    assert!(bench.sequencer.index(vec![bench.candidate(3)]).await.is_err());
    assert!(bench.thread.join().unwrap().is_err());
    assert!(!bench.sequencer.works());

    let disk = Arc::new(bench.disk.restart(Survive::SyncedOnly));
    let chain = Chain::open_on(disk, &market(), bench.platform.public()).unwrap().0;
    assert_eq!(chain.reader().log(LogName::Index).leaf_hash(0).unwrap(), id);
    assert_eq!(chain.next_index(LogName::Index), 1);
}

//! Witnesses: one that cosigns, one that is down, one that lies.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, web};
use base64::{Engine, prelude::BASE64_STANDARD};
use common::{Site, market, now, options, tag};
use ed25519_dalek::{Signer, SigningKey};
use encrytrust_index_chain::{
    checkpoint::{LogName, SignedCheckpoint},
    note::Vkey,
};
use encrytrust_platform::{Options, Witness};
use encrytrust_protocol::{PublicKey, api::PlatformView};

/// Cosigns as C2SP tlog-witness says, but remembers one log's size only, and starts from a size
/// that it has to say first.
struct CosigningWitness {
    key: SigningKey,
    vkey: Vkey,
    index_size: AtomicU64,
    honest: bool,
}

impl CosigningWitness {
    fn new(name: &str, seed: u8, honest: bool) -> Arc<Self> {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let vkey = Vkey::witness(name, PublicKey::from(&key)).unwrap();
        Arc::new(Self { key, vkey, index_size: AtomicU64::new(0), honest })
    }

    fn answer(&self, body: &str) -> HttpResponse {
        let (head, note) = body.split_once("\n\n").unwrap();
        let old: u64 = head.lines().next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
        let text = format!("{}\n", note.rsplit_once("\n\n").unwrap().0);
        let mut lines = text.lines();
        if lines.next() == Some("market.example/index") {
            let known = self.index_size.load(Ordering::SeqCst);
            if old != known {
                return HttpResponse::Conflict()
                    .content_type("text/x.tlog.size")
                    .body(format!("{known}\n"));
            }
            self.index_size.store(lines.next().unwrap().parse().unwrap(), Ordering::SeqCst);
        }
        let at = now();
        let signed = if self.honest { &text } else { "another story\n" };
        let message = format!("cosignature/v1\ntime {at}\n{signed}");
        let signature = self.key.sign(message.as_bytes()).to_bytes();
        let line = [&self.vkey.id().to_be_bytes()[..], &at.to_be_bytes(), &signature].concat();
        let line = format!("— {} {}\n", self.vkey.name(), BASE64_STANDARD.encode(line));
        HttpResponse::Ok().body(line)
    }

    fn serve(self: &Arc<Self>) -> Witness {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/w", listener.local_addr().unwrap());
        let witness = Arc::clone(self);
        let server = HttpServer::new(move || {
            let witness = Arc::clone(&witness);
            App::new().route(
                "/w/add-checkpoint",
                web::post().to(move |body: String| {
                    let answer = witness.answer(&body);
                    async move { answer }
                }),
            )
        });
        tokio::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
        Witness { vkey: self.vkey.clone(), url }
    }
}

async fn seen_by(site: &Site, log: LogName, known: &[Vkey]) -> (u64, Vec<String>) {
    let view: PlatformView = site.get("/v1/platform").await.json();
    let key = view.vkey.parse::<Vkey>().unwrap().key();
    let note = site.get(&format!("/log/{log}/checkpoint")).await.body;
    let checkpoint = SignedCheckpoint::open(&note, &log.vkey(&market(), key)).unwrap();
    let witnesses = checkpoint.witnesses(known).unwrap();
    let names = witnesses.iter().map(|signed| signed.by.name().to_owned()).collect();
    (checkpoint.head().size, names)
}

#[tokio::test(flavor = "multi_thread")]
async fn cosignatures_are_served_and_nobody_is_waited_for() {
    let honest = CosigningWitness::new("witness.example/honest", 1, true);
    let second = CosigningWitness::new("witness.example/second", 2, true);
    let liar = CosigningWitness::new("witness.example/liar", 3, false);
    let gone = Witness {
        vkey: CosigningWitness::new("witness.example/gone", 4, true).vkey.clone(),
        url: "http://127.0.0.1:9".to_owned(),
    };
    let witnesses = vec![honest.serve(), second.serve(), liar.serve(), gone];
    let known: Vec<_> = witnesses.iter().map(|witness| witness.vkey.clone()).collect();
    let site = Site::start_in(common::home(), Options { witnesses, ..options() }).await;

    let bank = site.member("Bank").await;
    for size in 1..=3 {
        let offer = bank.offer(tag());
        site.publish(&[offer.bytes()]).await;
        let both = ["witness.example/honest", "witness.example/second"];
        let mut last = (0, Vec::new());
        for _ in 0..100 {
            last = seen_by(&site, LogName::Index, &known).await;
            last.1.sort();
            if last.1 == both {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(last, (size, both.map(str::to_owned).to_vec()));
    }
    // It had seen more than this platform knows of: the platform proves from there.
    honest.index_size.store(2, Ordering::SeqCst);
    site.publish(&[bank.offer(tag()).bytes()]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (size, names) = seen_by(&site, LogName::Index, &known).await;
    assert_eq!(size, 4);
    assert!(names.contains(&"witness.example/honest".to_owned()), "{names:?}");
    assert!(!seen_by(&site, LogName::Trades, &known).await.1.is_empty());
    site.stop().await;
}

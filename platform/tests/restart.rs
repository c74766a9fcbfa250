//! Stopping, crashing, rebuilding: nothing acknowledged is lost, and the derived state follows.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::{fs, path::Path};

use common::{Site, fresh, home, options, tag};
use encrytrust_platform::{OpenError, Rebuilt, ServeError, rebuild, serve};
use encrytrust_protocol::{
    AdminAction,
    api::{OfferState, SubmitStatus},
};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn the_rebuilt_state_equals_the_running_one_key_for_key() {
    let site = Site::start().await;
    let (bank, buyer) = (site.member("Bank").await, site.member("Buyer").await);
    let offers: Vec<_> = (0..600).map(|_| bank.offer(tag())).collect();
    let body: Vec<&[u8]> = offers.iter().map(|offer| offer.bytes()).collect();
    site.publish(&body).await;
    let updates: Vec<_> = offers[..50].iter().map(|offer| bank.update(offer)).collect();
    let ends: Vec<_> = updates[..20].iter().map(|offer| bank.withdrawal(offer)).collect();
    let body: Vec<&[u8]> =
        updates.iter().map(|u| u.bytes()).chain(ends.iter().map(|w| w.bytes())).collect();
    let results = site.publish(&body).await;
    assert!(results.iter().all(|result| result.status == SubmitStatus::Accepted));
    for offer in &offers[100..110] {
        let receipt = buyer.receipt(&bank, offer.id(), fresh().into());
        site.post("/v1/receipts", receipt.bytes().to_vec()).await;
    }
    site.decide(AdminAction::Suspend, buyer.id()).await;
    let dir = site.stop().await;

    // 2 joins, 2 pools with a binding each, 3 commands; 670 entries; 10 receipts.
    let rebuilt = rebuild(dir.path(), None).unwrap();
    assert_eq!(rebuilt, Rebuilt { entries: 9 + 670 + 10, differences: Some(0) });
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    assert_eq!(rebuild(dir.path(), None).unwrap().differences, None);

    let site = Site::start_in(dir, options()).await;
    let again = site.publish(&[offers[0].bytes()]).await;
    assert_eq!(again[0].status, SubmitStatus::Present);
    let tag = offers[0].message().subject.tag;
    let states: Vec<_> = site.subject(&tag, true).await.offers.iter().map(|o| o.state).collect();
    assert_eq!(states, [OfferState::Superseded, OfferState::Withdrawn]);
    assert_eq!(site.publish_refused(&[buyer.offer(tag).bytes()]).await, ["key-suspended"]);
    site.stop().await;
}

/// What a power cut could leave: whatever is on disk at one instant, files in the order in which
/// the platform relies on them.
fn snapshot(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in ["platform.toml", "checkpoint.index", "checkpoint.trades", "blocks"] {
        fs::copy(from.join(file), to.path().join(file)).unwrap();
    }
    for dir in ["keys", "sled", "index", "trades", "members"] {
        copy(&from.join(dir), &to.path().join(dir));
    }
    to
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_crash_at_any_instant() {
    let site = Site::start().await;
    let bank = site.member("Bank").await;
    let mut acknowledged = Vec::new();
    let mut crashes = Vec::new();
    for _ in 0..4 {
        for _ in 0..5 {
            let offers: Vec<_> = (0..20).map(|_| bank.offer(tag())).collect();
            let body: Vec<u8> = offers.iter().flat_map(|o| o.bytes().to_vec()).collect();
            assert_eq!(site.post("/v1/offers", body).await.status, 200);
            acknowledged.extend(offers);
        }
        // Not stopped, and in the midst of a block as likely as not.
        crashes.push((acknowledged.len(), snapshot(site.path())));
    }
    site.stop().await;

    for (round, (count, dir)) in crashes.into_iter().enumerate() {
        match round {
            // A write that was cut short, and a state that fell behind, or is gone.
            0 => torn(&dir.path().join("index/entries")),
            1 => fs::remove_dir_all(dir.path().join("sled")).unwrap(),
            2 => torn(&dir.path().join("sled/db")),
            _ => {}
        }
        let site = Site::start_in(dir, options()).await;
        let body: Vec<&[u8]> = acknowledged[..count].iter().map(|o| o.bytes()).collect();
        let results = site.publish(&body).await;
        for (place, result) in results.iter().enumerate() {
            assert_eq!(result.status, SubmitStatus::Present, "crash {round}, entry {place}");
            assert_eq!(result.index, Some(place as u64), "exactly once, in its place");
        }
        let dir = site.stop().await;
        assert_eq!(rebuild(dir.path(), None).unwrap().differences, Some(0), "crash {round}");
    }
}

fn torn(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes.extend_from_slice(&[0, 200, 1, 2, 3]);
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_other_logs_is_not_believed() {
    let (site, other) = (Site::start().await, Site::start().await);
    let bank = site.member("Bank").await;
    let offers: Vec<_> = (0..3).map(|_| bank.offer(tag())).collect();
    let body: Vec<&[u8]> = offers.iter().map(|offer| offer.bytes()).collect();
    site.publish(&body).await;
    other.member("Telecom").await;
    let (dir, other) = (site.stop().await, other.stop().await);
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    copy(&other.path().join("sled"), &dir.path().join("sled"));

    let site = Site::start_in(dir, options()).await;
    assert_eq!(site.subject(&offers[0].message().subject.tag, false).await.offers.len(), 1);
    assert_eq!(site.participants().await.participants[0].name, "Bank");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_has_one_platform_at_a_time() {
    let site = Site::start().await;
    assert!(matches!(serve(site.path(), options()).await, Err(ServeError::Open(_))));
    assert!(rebuild(site.path(), None).is_err());
    let dir = site.stop().await;
    let config = encrytrust_platform::Config::new(common::market());
    let again = encrytrust_platform::init(dir.path(), config, None);
    assert!(matches!(again, Err(OpenError::Exists { .. })));
    Site::start_in(dir, options()).await.stop().await;
    assert!(serve(home().path().join("x").as_path(), options()).await.is_err());
}

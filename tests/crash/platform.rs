//! The platform is killed while it takes offers, seals blocks, starts up.
//!
//! What counts as a failure: an entry that was acknowledged is gone, has moved, or is there twice;
//! a checkpoint is smaller than one shown before; two checkpoints or blocks contradict each other;
//! a key that was acknowledged is forgotten; the platform does not start again. What does not: a
//! request that was under way gets no answer. Its offers may or may not be there, and sending them
//! again settles it.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use encrytrust_index_chain::{
    audit::Auditor,
    checkpoint::{LogName, SignedCheckpoint},
    note::Vkey,
};
use encrytrust_keys::{files, platform::AdminKey, pool::PoolKey};
use encrytrust_platform::{Config, init, rebuild};
use encrytrust_protocol::{
    AdminAction, AdminCommand, EntryId, Market, Outcome, Suite, Verified,
    api::{SubmitStatus, SubmitView},
};
use encrytrust_tests::{
    Hand, Wire,
    chance::Chance,
    clock::{fresh, nonce, now},
};
use tempfile::TempDir;

use crate::ets::Ets;

const ROUNDS: usize = 10;
const WRITERS: usize = 4;

/// A platform that is killed from time to time, and what it has promised so far.
struct Victim {
    dir: PathBuf,
    market: Market,
    vkey: Vkey,
    hand: Arc<Hand>,
    promises: Arc<Mutex<Promises>>,
    _folder: TempDir,
}

#[derive(Default)]
struct Promises {
    /// Where each acknowledged entry stands, by log.
    kept: [HashMap<EntryId, u64>; 2],
    /// Sent, and not answered.
    open: Vec<(LogName, EntryId, Arc<[u8]>)>,
    /// Every checkpoint that was shown, in the order they were asked for.
    shown: [Vec<SignedCheckpoint>; 2],
    /// Keys that were taken into the pool.
    keys: Vec<PoolKey>,
}

impl Victim {
    fn new() -> Result<Self> {
        let folder = TempDir::with_prefix("ets-crash-")?;
        let (dir, market) = (folder.path().join("platform"), Market::new("market.example")?);
        let made = init(&dir, Config::new(market.clone()), None)?;
        let hand = Arc::new(Hand::new(&market, "writer")?);
        let promises = Arc::default();
        Ok(Self { dir, market, vkey: made.vkey, hand, promises, _folder: folder })
    }

    fn start(&self) -> Result<Ets> {
        let dir = self.dir.display().to_string();
        let block_interval = ["--listen", "127.0.0.1:0", "--block-interval", "20ms"];
        Ets::start(&[&["platform", "serve", "--dir", &dir][..], &block_interval].concat())
    }

    async fn admit(&self, wire: &Wire) -> Result<()> {
        wire.post("/v1/participants", self.hand.join(now())?).await?.done()?;
        let admin: AdminKey = files::load(&self.dir.join("keys/admin.key"), None)?;
        let command = admin.sign_command(AdminCommand {
            market: self.market.clone(),
            action: AdminAction::Approve,
            participant: self.hand.id(),
            reason: String::new(),
            nonce: nonce(),
            at: now(),
        })?;
        wire.post("/v1/admin/commands", command.bytes().to_vec()).await?.done()?;
        wire.post("/v1/keys", self.hand.pool(now())?).await?.done()?;
        Ok(())
    }

    fn promises(&self) -> std::sync::MutexGuard<'_, Promises> {
        self.promises.lock().expect("no holder of this lock panics")
    }

    /// One writer: batch after batch, until the platform is dead.
    async fn write(self: Arc<Self>, wire: Wire, mut chance: Chance) -> Result<()> {
        loop {
            let count = if chance.within(0..3) == 0 { 1 } else { chance.within(1..40) };
            let offers = (0..count).map(|_| self.hand.offer()).collect::<Result<Vec<_>>>()?;
            let path = if chance.within(0..4) == 0 { "?wait=included" } else { "" };
            let ids: Vec<_> = offers.iter().map(Verified::id).collect();
            let body: Vec<u8> = offers.iter().flat_map(|offer| offer.bytes().to_vec()).collect();
            let answer = wire.post(&format!("/v1/offers{path}"), body).await;
            let Ok(answer) = answer.and_then(|answer| answer.done()) else {
                let open = offers.iter().map(|o| (LogName::Index, o.id(), o.shared_bytes()));
                self.promises().open.extend(open);
                return Ok(());
            };
            self.promised(LogName::Index, &ids, &answer.json()?)?;
            // Now and then a trade ends, and a key is added.
            match chance.within(0..8) {
                0 => self.trade(&wire, ids[0]).await?,
                1 => self.add_key(&wire).await?,
                _ => {}
            }
        }
    }

    async fn trade(&self, wire: &Wire, offer: EntryId) -> Result<()> {
        let receipt = self.hand.receipt(&self.hand, offer, fresh().into(), Outcome::Accepted)?;
        let answer = wire.post("/v1/receipts", receipt.bytes().to_vec()).await;
        match answer.and_then(|answer| answer.done()) {
            Ok(answer) => self.promised(LogName::Trades, &[receipt.id()], &answer.json()?),
            Err(_) => {
                let open = (LogName::Trades, receipt.id(), receipt.shared_bytes());
                self.promises().open.push(open);
                Ok(())
            }
        }
    }

    async fn add_key(&self, wire: &Wire) -> Result<()> {
        let key = PoolKey::generate(Suite::X25519);
        let one = Hand { keys: vec![key.clone()], ..self.same_hand() };
        let answer = wire.post("/v1/keys", one.pool(now())?).await;
        if answer.and_then(|answer| answer.done()).is_ok() {
            self.promises().keys.push(key);
        }
        Ok(())
    }

    fn same_hand(&self) -> Hand {
        Hand {
            market: self.market.clone(),
            name: self.hand.name.clone(),
            identity: self.hand.identity.clone(),
            keys: self.hand.keys.clone(),
        }
    }

    fn promised(&self, log: LogName, ids: &[EntryId], view: &SubmitView) -> Result<()> {
        ensure!(view.results.len() == ids.len());
        let mut promises = self.promises();
        for (id, result) in ids.iter().zip(&view.results) {
            ensure!(result.status != SubmitStatus::Refused, "{result:?}");
            let index = result.index.context("a place")?;
            let before = promises.kept[log as usize].insert(*id, index);
            ensure!(before.is_none_or(|before| before == index), "{id} moved to {index}");
        }
        Ok(())
    }

    /// Somebody who looks at the checkpoints all the time.
    async fn watch(self: Arc<Self>, wire: Wire, over: Arc<AtomicBool>) -> Result<()> {
        while !over.load(Ordering::Acquire) {
            for log in LogName::ALL {
                let note = wire.get(&format!("/log/{log}/checkpoint")).await;
                let Ok(note) = note.and_then(|answer| answer.done()) else { return Ok(()) };
                self.show(log, &note.body)?;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn show(&self, log: LogName, note: &[u8]) -> Result<u64> {
        let vkey = log.vkey(&self.market, self.vkey.key());
        let new = SignedCheckpoint::open(note, &vkey)?;
        let (size, height) = (new.head().size, new.checkpoint().block.height);
        let shown = &mut self.promises().shown[log as usize];
        if let Some(last) = shown.last() {
            let (last, head) = (last.checkpoint(), last.head());
            ensure!(head.size <= size, "the {log} log went back from {} to {size}", head.size);
            ensure!(last.block.height <= height, "blocks went back to {height}");
            ensure!(head.size < size || head.root == new.head().root, "two trees of {size}");
            if last.block.height == height {
                ensure!(last == new.checkpoint(), "two blocks of height {height}");
                return Ok(size);
            }
        }
        shown.push(new);
        Ok(size)
    }

    /// Started again after a kill: everything promised is there, once, in its place.
    async fn is_whole(&self, wire: &Wire) -> Result<()> {
        // What was under way is sent again: it was there, or is now.
        let open = std::mem::take(&mut self.promises().open);
        for (log, id, bytes) in &open {
            let path = if *log == LogName::Index { "/v1/offers" } else { "/v1/receipts" };
            let view = wire.post(path, bytes.to_vec()).await?.done()?.json()?;
            self.promised(*log, &[*id], &view)?;
        }
        for log in LogName::ALL {
            let kept = self.promises().kept[log as usize].clone();
            let leaves =
                self.leaves(wire, log, kept.values().max().map_or(0, |max| max + 1)).await?;
            let distinct: HashSet<_> = leaves.iter().collect();
            ensure!(distinct.len() == leaves.len(), "an entry is in {log} twice");
            for (id, index) in &kept {
                let there = usize::try_from(*index).ok().and_then(|index| leaves.get(index));
                ensure!(there == Some(id), "{id} was promised at {index} of {log}: {there:?}");
            }
            // Nothing but what somebody sent: all of it is accounted for by now.
            ensure!(leaves.len() == kept.len(), "{} of {} in {log}", kept.len(), leaves.len());
        }
        let keys = self.promises().keys.clone();
        for key in keys {
            wire.get(&format!("/v1/keys/{}", key.public())).await?.done()?;
        }
        Ok(())
    }

    /// The log's leaf hashes, once so many entries are sealed.
    async fn leaves(&self, wire: &Wire, log: LogName, expected: u64) -> Result<Vec<EntryId>> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let size = loop {
            let note = wire.get(&format!("/log/{log}/checkpoint")).await?.done()?;
            let size = self.show(log, &note.body)?;
            if size >= expected {
                break size;
            }
            ensure!(Instant::now() < deadline, "{expected} promised in {log}, {size} sealed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let mut leaves = Vec::new();
        for n in 0..size.div_ceil(256) {
            let width = (size - n * 256).min(256);
            let partial = if width < 256 { format!(".p/{width}") } else { String::new() };
            let tile = wire.get(&format!("/log/{log}/tile/0/{n:03}{partial}")).await?.done()?;
            for leaf in tile.body.chunks_exact(32) {
                leaves.push(EntryId::try_from(leaf)?);
            }
        }
        ensure!(leaves.len() as u64 == size);
        Ok(leaves)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_it_keeps_every_promise() -> Result<()> {
    let mut chance = Chance::new("platform");
    let victim = Arc::new(Victim::new()?);
    for round in 0..ROUNDS {
        // Sometimes it does not even get to its feet.
        for _ in 0..chance.within(0..3) {
            let platform = victim.start()?;
            tokio::time::sleep(Duration::from_millis(chance.within(0..120))).await;
            platform.kill()?;
        }
        let mut platform = victim.start()?;
        let ready = platform.ready().with_context(|| format!("round {round}"))?;
        let wire = Wire::new(ready["url"].as_str().context("a URL")?);
        if round == 0 {
            victim.admit(&wire).await?;
        }
        victim.is_whole(&wire).await.with_context(|| format!("at the start of round {round}"))?;

        let over = Arc::new(AtomicBool::new(false));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..WRITERS {
            tasks.spawn(Arc::clone(&victim).write(wire.clone(), chance.split()));
        }
        tasks.spawn(Arc::clone(&victim).watch(wire.clone(), Arc::clone(&over)));
        tokio::time::sleep(Duration::from_micros(chance.within(30_000..1_500_000))).await;
        platform.kill()?;
        over.store(true, Ordering::Release);
        while let Some(ended) = tasks.join_next().await {
            ended?.with_context(|| format!("round {round}"))?;
        }
    }
    let mut platform = victim.start()?;
    let ready = platform.ready()?;
    victim.is_whole(&Wire::new(ready["url"].as_str().context("a URL")?)).await?;
    platform.stop()?;

    // What it derived, killed and caught up so many times, is what the logs say.
    assert_eq!(rebuild(&victim.dir, None)?.differences, Some(0));
    // One history from the first block, through every checkpoint that anyone was shown.
    let Promises { kept, shown, .. } = std::mem::take(&mut *victim.promises());
    let checkpoints = shown.iter().flatten().cloned();
    let report = Auditor::new(victim.market.clone(), victim.vkey.key())
        .has_seen(checkpoints)
        .expects(kept[0].keys().copied())
        .audit(&victim.dir)?;
    let (offers, receipts) = (kept[0].len() as u64, kept[1].len() as u64);
    assert_eq!((report.index_entries, report.receipts), (offers, receipts));
    println!(
        "{offers} offers, {receipts} receipts, {} blocks, {} checkpoints seen",
        report.blocks, report.seen
    );
    ensure!(offers > 200 && receipts > 0, "there was hardly any load: {offers}, {receipts}");
    Ok(())
}

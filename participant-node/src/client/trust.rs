//! One history: every checkpoint must agree with every one before it.
//!
//! The newest checkpoint of each log is kept in `seen/`. A new one must be signed, must not be
//! older than what was known when the question was asked, and must prove, by hashes from the log's
//! tiles, that it only added to the known tree. What the platform signed on two histories is kept
//! in `evidence/`: two notes that convict it anywhere.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use encrytrust_index_chain::{
    checkpoint::{LogName, SignedCheckpoint},
    note::Vkey,
    tiles::Resource,
    tree::{verify_consistency, verify_inclusion},
};
use encrytrust_protocol::{EntryId, Sha256Hash, TreeHead};
use tlog_tiles::{Error as TlogError, Hash, HashReader, Tile};

use super::{ClientError, Platform};
use crate::files;

/// Rounds of fetching tiles that one consistency proof may take: their places are known after the
/// first.
const ROUNDS: usize = 4;

/// Entries of a log that were known when a question was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floor(u64);

/// The newest checkpoints, and where they are kept.
#[derive(Debug)]
pub(super) struct Trust {
    home: PathBuf,
    vkeys: [Vkey; 2],
    seen: [Mutex<Option<Arc<SignedCheckpoint>>>; 2],
    /// One checkpoint is judged at a time.
    judging: tokio::sync::Mutex<()>,
}

impl Trust {
    pub(super) fn load(home: &Path, vkeys: [Vkey; 2]) -> Result<Self, ClientError> {
        let trust = Self {
            home: home.to_owned(),
            vkeys,
            seen: [Mutex::default(), Mutex::default()],
            judging: tokio::sync::Mutex::default(),
        };
        for log in LogName::ALL {
            *trust.lock(log) = trust.stored(log)?.map(Arc::new);
        }
        Ok(trust)
    }

    fn lock(&self, log: LogName) -> std::sync::MutexGuard<'_, Option<Arc<SignedCheckpoint>>> {
        self.seen[log as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, log: LogName) -> PathBuf {
        self.home.join("seen").join(format!("checkpoint.{log}"))
    }

    fn stored(&self, log: LogName) -> Result<Option<SignedCheckpoint>, ClientError> {
        let path = self.file(log);
        let name = || path.display().to_string();
        match fs::read(&path) {
            Ok(note) => SignedCheckpoint::open(&note, &self.vkeys[log as usize])
                .map(Some)
                .map_err(|e| ClientError::local(format!("{}: {e}", name()))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ClientError::File { path: name(), source }),
        }
    }

    /// Keeps a checkpoint as the newest, unless another process kept a newer one meanwhile.
    fn keep(&self, log: LogName, new: &Arc<SignedCheckpoint>) -> Result<(), ClientError> {
        let newer = self.stored(log)?.is_some_and(|s| s.head().size > new.head().size);
        if !newer {
            let path = self.file(log);
            files::replace(&path, &new.to_bytes(), 0o644)
                .map_err(|source| ClientError::File { path: path.display().to_string(), source })?;
        }
        *self.lock(log) = Some(Arc::clone(new));
        Ok(())
    }

    /// Keeps two notes that contradict each other.
    fn convict(
        &self,
        log: LogName,
        old: &SignedCheckpoint,
        new: &SignedCheckpoint,
        why: String,
    ) -> ClientError {
        let notes = [
            ("seen.note", old.to_bytes()),
            ("shown.note", new.to_bytes()),
            ("what.txt", format!("{why}\n").into_bytes()),
        ];
        match files::evidence(&self.home, &format!("two-histories-{log}"), &notes) {
            Ok(folder) => ClientError::SplitView { why, evidence: folder.display().to_string() },
            Err(source) => ClientError::File { path: "evidence".into(), source },
        }
    }
}

impl Platform {
    /// What is known of a log now; an answer to a question asked now must not be older.
    pub(crate) fn floor(&self, log: LogName) -> Floor {
        Floor(self.trust.lock(log).as_ref().map_or(0, |seen| seen.head().size))
    }

    /// The newest checkpoint that was believed.
    pub(crate) fn seen(&self, log: LogName) -> Option<Arc<SignedCheckpoint>> {
        self.trust.lock(log).clone()
    }

    /// Fetches a log's checkpoint and judges it.
    pub(crate) async fn checkpoint(
        &self,
        log: LogName,
    ) -> Result<Arc<SignedCheckpoint>, ClientError> {
        let floor = self.floor(log);
        let max = encrytrust_index_chain::note::NOTE_BYTES_MAX;
        let note = self.http.get(&format!("log/{log}/checkpoint"), max).await?;
        self.believe(log, &note, floor).await
    }

    /// Judges a checkpoint: the platform's signature, not older than `floor`, and one history with
    /// the newest one known.
    pub(crate) async fn believe(
        &self,
        log: LogName,
        note: &[u8],
        floor: Floor,
    ) -> Result<Arc<SignedCheckpoint>, ClientError> {
        let new = SignedCheckpoint::open(note, &self.trust.vkeys[log as usize])
            .map_err(|e| ClientError::untrue(format!("its {log} checkpoint: {e}")))?;
        let new = Arc::new(new);
        let _judging = self.trust.judging.lock().await;
        let Some(seen) = self.seen(log) else {
            self.trust.keep(log, &new)?;
            return Ok(new);
        };
        if new.checkpoint() == seen.checkpoint() {
            return Ok(seen);
        }
        let (known, shown) = (seen.head(), new.head());
        if shown.size < floor.0 {
            let why = format!("its {log} log went back from {} entries to {}", floor.0, shown.size);
            return Err(self.trust.convict(log, &seen, &new, why));
        }
        let (old, later) = if known.size <= shown.size { (known, shown) } else { (shown, known) };
        let same_block = new.checkpoint().block.height == seen.checkpoint().block.height;
        let contradiction = if same_block {
            Some(format!("two blocks of height {}", new.checkpoint().block.height))
        } else {
            self.inconsistent(log, &old, &later).await?
        };
        if let Some(why) = contradiction {
            return Err(self.trust.convict(log, &seen, &new, format!("{log} log: {why}")));
        }
        if new.checkpoint().block.height > seen.checkpoint().block.height {
            self.trust.keep(log, &new)?;
        }
        Ok(new)
    }

    /// Why `new` is not `old` and more, or `None` if it is.
    async fn inconsistent(
        &self,
        log: LogName,
        old: &TreeHead,
        new: &TreeHead,
    ) -> Result<Option<String>, ClientError> {
        if old.size == new.size {
            let differ = old.root != new.root;
            return Ok(differ.then(|| format!("two trees of {} entries", old.size)));
        }
        let proof = self.consistency_proof(log, old.size, new.size).await?;
        let checked = verify_consistency(&proof, old, new);
        Ok(checked.err().map(|e| format!("the tree of {} does not begin the next: {e}", old.size)))
    }

    /// The proof's hashes, from the log's tiles. Nothing is believed of them: the proof itself is
    /// what is checked.
    async fn consistency_proof(
        &self,
        log: LogName,
        old: u64,
        new: u64,
    ) -> Result<Vec<Sha256Hash>, ClientError> {
        if old == 0 {
            return Ok(Vec::new());
        }
        let mut tiles = HashMap::new();
        for _ in 0..ROUNDS {
            let missing = {
                let reader = Tiles { tiles: &tiles, size: new, missing: RefCell::default() };
                match tlog_tiles::prove_tree(new, old, &reader) {
                    Ok(proof) => {
                        return Ok(proof.into_iter().map(|h| Sha256Hash::from(h.0)).collect());
                    }
                    Err(_) => reader.missing.into_inner(),
                }
            };
            for (level, n) in missing {
                let tile = Resource::Tile { level, n, width: width(level, n, new) };
                tiles.insert((level, n), self.resource(log, tile).await?);
            }
        }
        Err(ClientError::untrue(format!("the tiles of its {log} log are not those of a tree")))
    }

    /// Checks an inclusion proof under a checkpoint that was believed.
    pub(crate) fn included(
        &self,
        log: LogName,
        checkpoint: &SignedCheckpoint,
        index: u64,
        leaf: &EntryId,
        proof: &[Sha256Hash],
    ) -> Result<(), ClientError> {
        verify_inclusion(proof, index, leaf, &checkpoint.head())
            .map_err(|e| ClientError::untrue(format!("{leaf} is not in its {log} log: {e}")))
    }
}

/// Hashes in the widest tile there is at this place in a tree of `size`.
fn width(level: u8, n: u64, size: u64) -> u64 {
    let hashes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
    hashes.saturating_sub(n.saturating_mul(256)).min(256)
}

/// Hashes from the tiles at hand; notes which tiles it would need.
struct Tiles<'a> {
    tiles: &'a HashMap<(u8, u64), Vec<u8>>,
    size: u64,
    missing: RefCell<Vec<(u8, u64)>>,
}

impl HashReader for Tiles<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, TlogError> {
        let mut hashes = Vec::with_capacity(indexes.len());
        for index in indexes {
            let place = Tile::from_index(8, *index);
            let (level, n) = (place.level(), place.level_index());
            let Some(data) = self.tiles.get(&(level, n)) else {
                let mut missing = self.missing.borrow_mut();
                if !missing.contains(&(level, n)) {
                    missing.push((level, n));
                }
                continue;
            };
            let width =
                u32::try_from(width(level, n, self.size)).map_err(|_| TlogError::BadMath)?;
            if width == 0 {
                return Err(TlogError::BadMath);
            }
            hashes.push(Tile::new(8, level, n, width, false).hash_at_index(data, *index)?);
        }
        if hashes.len() == indexes.len() { Ok(hashes) } else { Err(TlogError::BadMath) }
    }
}

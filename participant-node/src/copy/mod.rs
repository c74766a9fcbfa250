//! The market's chain on one's own disk: for lookups that send nothing, and for audits.
//!
//! `index-chain`'s [`Copy`] decides what to fetch and checks every byte of it against what the
//! platform signed; this module fetches, several requests at a time. What was fetched before an
//! interruption is not fetched again.

mod lookup;
mod tags;

use std::{fs, io::ErrorKind, path::Path, time::Instant};

use encrytrust_index_chain::{
    checkpoint::LogName,
    copy::{Considered, Copy, CopyError, Growth},
    note::{NOTE_BYTES_MAX, Vkey},
    proof::TlogProof,
};
use encrytrust_protocol::{BlockHash, OfferId};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    blocking,
    client::{ClientError, Platform, introduce},
    error::NodeError,
    files,
    node::Node,
    report::{Grown, Progress, Step, Synced},
};

/// Requests on their way at the same time.
const IN_FLIGHT: usize = 8;

/// Blocks in one answer.
const PAGE: u64 = 1000;

/// Downloads a platform's chain into a directory, or what is new of it, and verifies it.
///
/// Without `vkey` the platform's key is believed the first time and written to `dir/vkey`;
/// afterwards it must stay the same. Answers the key that was used.
pub async fn sync_copy(
    dir: &Path,
    platform_url: &str,
    vkey: Option<&str>,
    progress: Progress<'_>,
) -> Result<(Vkey, Synced), NodeError> {
    let path = dir.join("vkey");
    let kept = match fs::read_to_string(&path) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(NodeError::state(&path, e)),
    };
    if let (Some(kept), Some(given)) = (&kept, vkey)
        && kept != given
    {
        let why = format!("{} is a copy of {kept}'s chain", dir.display());
        return Err(NodeError::Usage(why));
    }
    let vkey: Vkey = match kept.as_deref().or(vkey) {
        Some(text) => text.parse().map_err(|e| NodeError::Usage(format!("{e}")))?,
        None => introduce(platform_url).await?.0,
    };
    if kept.is_none() {
        files::replace(&path, format!("{vkey}\n").as_bytes(), 0o644)
            .map_err(|e| NodeError::state(&path, e))?;
    }
    let platform = Platform::new(platform_url, &vkey, dir)?;
    let (_, synced) = sync(&platform, dir, dir, None, progress).await?;
    Ok((vkey, synced))
}

impl Node {
    /// Downloads the chain, or what is new of it, to `copy/`, and verifies it.
    pub async fn sync(&self, progress: Progress<'_>) -> Result<Synced, NodeError> {
        Ok(self.grown_copy(progress).await?.1)
    }

    async fn grown_copy(&self, progress: Progress<'_>) -> Result<(Copy, Synced), NodeError> {
        let genesis = Some(self.genesis());
        sync(self.platform(), &self.copy_dir(), self.dir(), genesis, progress).await
    }

    fn copy_dir(&self) -> std::path::PathBuf {
        self.dir().join("copy")
    }

    /// The copy, brought up to date, and what that sent. If the platform is away, the copy as it
    /// is.
    pub(crate) async fn fresh_copy(
        &self,
        progress: Progress<'_>,
    ) -> Result<(Copy, String), NodeError> {
        let dir = self.copy_dir();
        match self.grown_copy(progress).await {
            Ok((copy, _)) => {
                let sent = "a request for what is new on the chain, to the platform: the same for \
                            every subject";
                Ok((copy, sent.to_owned()))
            }
            Err(NodeError::Platform(ClientError::Unreachable { .. }))
                if dir.join("checkpoint.index").exists() =>
            {
                let copy = open(self.platform(), &dir).await?;
                Ok((
                    copy,
                    "an attempt to reach the platform, which is away: the copy answers".into(),
                ))
            }
            Err(error) => Err(error),
        }
    }

    /// The copy as it is, if there is one.
    pub(crate) async fn old_copy(&self) -> Result<Option<Copy>, NodeError> {
        let dir = self.copy_dir();
        if !dir.join("checkpoint.index").exists() {
            return Ok(None);
        }
        open(self.platform(), &dir).await.map(Some)
    }

    /// A C2SP tlog-proof that an offer is in the index: with the offer's bytes and the log's vkey,
    /// anyone checks it offline.
    pub async fn prove(&self, offer: &OfferId) -> Result<String, NodeError> {
        let text = self.platform().offer_proof(offer).await?;
        let vkey = LogName::Index.vkey(self.market(), self.platform().key);
        let proof = TlogProof::parse(text.as_bytes()).map_err(ClientError::untrue)?;
        proof.verify_leaf(offer, &vkey, &[], 0).map_err(ClientError::untrue)?;
        Ok(text)
    }
}

async fn open(platform: &Platform, dir: &Path) -> Result<Copy, NodeError> {
    let (dir, market, key) = (dir.to_owned(), platform.market.clone(), platform.key);
    let (copy, _) = blocking(move || Copy::open(dir, &market, key)).await?;
    Ok(copy)
}

async fn sync(
    platform: &Platform,
    dir: &Path,
    home: &Path,
    genesis: Option<&BlockHash>,
    progress: Progress<'_>,
) -> Result<(Copy, Synced), NodeError> {
    let began = Instant::now();
    files::folder(dir).map_err(|e| NodeError::state(dir, e))?;
    let mut copy = open(platform, dir).await?;
    let before = [copy.log(LogName::Index).size(), copy.log(LogName::Trades).size()];
    let blocks_before = copy.blocks().count();
    let mut bytes = 0;

    let mut notes = Vec::new();
    for log in LogName::ALL {
        notes.push((log, platform.checkpoint(log).await?));
    }
    let newest = notes.iter().map(|(_, note)| note.checkpoint().block.height).max();
    bytes += fetch_blocks(platform, &mut copy, home, newest.unwrap_or(0), progress).await?;
    check_first(&copy, genesis)?;
    for (log, checkpoint) in notes {
        let note = checkpoint.to_bytes();
        bytes += match grow(platform, &mut copy, log, &note, home, progress).await {
            Err(NodeError::Copy(CopyError::Dropped { .. })) => {
                grow(platform, &mut copy, log, &note, home, progress).await?
            }
            grown => grown?,
        };
    }
    let index = copy.log(LogName::Index);
    let (tags_dir, size) =
        (dir.to_owned(), copy.checkpoint(LogName::Index).map_or(0, |c| c.head().size));
    blocking(move || tags::extend(&tags_dir, &index, size)).await?;

    let grown = |log: LogName| {
        let total = copy.log(log).size();
        Grown { total, new: total - before[log as usize] }
    };
    let blocks = copy.blocks().count();
    let synced = Synced {
        dir: dir.to_owned(),
        blocks: Grown { total: blocks, new: blocks - blocks_before },
        index: grown(LogName::Index),
        trades: grown(LogName::Trades),
        bytes,
        seconds: began.elapsed().as_secs_f64(),
    };
    Ok((copy, synced))
}

/// The chain must begin with the block the platform named when it was met.
fn check_first(copy: &Copy, genesis: Option<&BlockHash>) -> Result<(), NodeError> {
    let first = copy.blocks().block(0).map_err(CopyError::from)?;
    match (first, genesis) {
        (Some(first), Some(genesis)) if first.hash() != *genesis => {
            let why = format!("its chain begins with {}, not with {genesis}", first.hash());
            Err(ClientError::untrue(why).into())
        }
        _ => Ok(()),
    }
}

/// Blocks up to a height; answers how many bytes came.
async fn fetch_blocks(
    platform: &Platform,
    copy: &mut Copy,
    home: &Path,
    newest: u64,
    progress: Progress<'_>,
) -> Result<u64, NodeError> {
    let mut bytes = 0;
    loop {
        let (from, before) = (copy.blocks_from(), copy.blocks().count());
        let page = platform.blocks(from, PAGE).await?;
        let page: Vec<Vec<u8>> = page.blocks.into_iter().map(|block| block.signed.0).collect();
        bytes += page.iter().map(|block| block.len() as u64).sum::<u64>();
        copy.add_blocks(&page).map_err(|e| failed(platform, home, e))?;
        let here = copy.blocks().count();
        progress(Step::Blocks { done: here, total: (newest + 1).max(here) });
        if here > newest {
            return Ok(bytes);
        }
        if here == before {
            let why = format!("its checkpoint names block {newest}, it has {here} blocks");
            return Err(ClientError::untrue(why).into());
        }
    }
}

/// One log up to a checkpoint; answers how many bytes came.
async fn grow(
    platform: &Platform,
    copy: &mut Copy,
    log: LogName,
    note: &[u8],
    home: &Path,
    progress: Progress<'_>,
) -> Result<u64, NodeError> {
    let fail = |e| failed(platform, home, e);
    let Considered::Grow(plan) = copy.consider(log, note).map_err(fail)? else { return Ok(0) };
    let tiles = stream::iter(plan.tiles.clone()).map(|tile| platform.resource(log, tile));
    let tiles: Vec<Vec<u8>> = tiles.buffered(IN_FLIGHT).try_collect().await?;
    let mut bytes = tiles.iter().map(|tile| tile.len() as u64).sum::<u64>();
    let mut growth: Growth<'_> = copy.grow(plan, tiles).map_err(fail)?;
    let bundles = stream::iter(growth.bundles()).map(|bundle| platform.resource(log, bundle));
    let mut bundles = std::pin::pin!(bundles.buffered(IN_FLIGHT));
    while let Some(bundle) = bundles.try_next().await? {
        bytes += bundle.len() as u64;
        growth.push(&bundle).map_err(fail)?;
        let (done, total) = growth.progress();
        progress(Step::Entries { log: log.as_str(), done, total });
    }
    growth.finish().map_err(fail)?;
    Ok(bytes)
}

/// What a fault of a copy means, and whose it is. Two histories are kept as evidence.
fn failed(platform: &Platform, home: &Path, error: CopyError) -> NodeError {
    match error {
        CopyError::SplitView(found) => {
            let why = found.to_string();
            let mut kept = found.files();
            kept.push(("what.txt".to_owned(), format!("{why}\n").into_bytes()));
            let kept: Vec<_> = kept.iter().map(|(n, c)| (n.as_str(), c.clone())).collect();
            match files::evidence(home, &format!("two-histories-{}", platform.market), &kept) {
                Ok(folder) => {
                    let evidence = folder.display().to_string();
                    ClientError::SplitView { why, evidence }.into()
                }
                Err(e) => NodeError::state(home.join("evidence"), e),
            }
        }
        error @ (CopyError::Local(_) | CopyError::Chain(_) | CopyError::Dropped { .. }) => {
            NodeError::Copy(error)
        }
        served => ClientError::untrue(served).into(),
    }
}

impl Platform {
    /// Something a log serves that never changes.
    pub(crate) async fn resource(
        &self,
        log: LogName,
        resource: encrytrust_index_chain::tiles::Resource,
    ) -> Result<Vec<u8>, ClientError> {
        // The largest: 256 entries of 64 KiB.
        const MAX: usize = 256 * (2 + encrytrust_protocol::ENTRY_BYTES_MAX);
        self.http.get(&format!("log/{log}/{resource}"), MAX.max(NOTE_BYTES_MAX)).await
    }
}

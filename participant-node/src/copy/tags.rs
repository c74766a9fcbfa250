//! Whom each entry of the copied index is about: `copy/tags`, 32 bytes an entry, in order.
//!
//! Derived from the entries and written behind them. A lookup reads it from front to back: 32 MB
//! for a million entries, some ten milliseconds.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use encrytrust_index_chain::log::{LogReader, TILE_WIDTH};
use encrytrust_protocol::{Message, Offer, Signed, SubjectTag, Withdrawal};
use rayon::prelude::*;

use crate::error::NodeError;

/// Bytes of a tag.
const TAG: u64 = 32;

/// Tags read at once.
const CHUNK: usize = 1 << 15;

/// Bundles turned into tags at once, on all cores.
const BUNDLES: u64 = 64;

/// Writes the tags of the entries that have none yet, up to `size`.
pub(super) fn extend(dir: &Path, index: &LogReader, size: u64) -> Result<(), NodeError> {
    let path = dir.join("tags");
    let failed = |e: std::io::Error| NodeError::state(&path, e);
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).read(true).write(true).open(&path);
    let mut file = file.map_err(failed)?;
    let mut here = file.metadata().map_err(failed)?.len() / TAG;
    file.seek(SeekFrom::Start(here * TAG)).map_err(failed)?;
    while here < size {
        let (first, last) = (here / TILE_WIDTH, (size - 1) / TILE_WIDTH);
        let bundles: Vec<u64> = (first..=last.min(first + BUNDLES - 1)).collect();
        let tags = bundles.into_par_iter().map(|n| {
            let width = TILE_WIDTH.min(size - n * TILE_WIDTH);
            let bundle = index.bundle(n, width).map_err(|e| NodeError::state(dir, e))?;
            Ok(tags_of(&bundle))
        });
        let tags: Vec<u8> = tags.collect::<Result<Vec<_>, NodeError>>()?.concat();
        let known = usize::try_from((here - first * TILE_WIDTH) * TAG)
            .expect("fewer than one bundle's tags");
        file.write_all(&tags[known..]).map_err(failed)?;
        here = first * TILE_WIDTH + tags.len() as u64 / TAG;
    }
    file.sync_data().map_err(failed)
}

/// The places of the entries about any of these subjects, in order.
pub(super) fn places(dir: &Path, tags: &[SubjectTag], size: u64) -> Result<Vec<u64>, NodeError> {
    let path = dir.join("tags");
    let failed = |e: std::io::Error| NodeError::state(&path, e);
    let mut file = File::open(&path).map_err(failed)?.take(size * TAG);
    let (mut places, mut place, mut buffer) = (Vec::new(), 0, vec![0; CHUNK * 32]);
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read(&mut buffer[filled..]).map_err(failed)? {
                0 => break,
                n => filled += n,
            }
        }
        for tag in buffer[..filled].as_chunks::<32>().0 {
            if tags.iter().any(|wanted| wanted.as_bytes() == tag) {
                places.push(place);
            }
            place += 1;
        }
        if filled < buffer.len() {
            return Ok(places);
        }
    }
}

/// The tag of each entry of a bundle; zeros for one that cannot be read.
fn tags_of(mut bundle: &[u8]) -> Vec<u8> {
    let mut tags = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (entry, rest) = rest.split_at(length);
        let tag = tag_of(entry).unwrap_or(SubjectTag::from([0; 32]));
        tags.extend_from_slice(tag.as_ref());
        bundle = rest;
    }
    tags
}

fn tag_of(entry: &[u8]) -> Option<SubjectTag> {
    let typ = encrytrust_protocol::peek_typ(entry, Offer::LIMIT).ok()?;
    let subject = if typ == Withdrawal::TYP {
        Signed::<Withdrawal>::decode(entry).ok()?.unverified().subject
    } else {
        Signed::<Offer>::decode(entry).ok()?.unverified().subject
    };
    Some(subject.tag)
}

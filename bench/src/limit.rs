//! The least work an audit can be: hash every entry, verify every signature.
//!
//! The same bytes, the same cores, and nothing else: no decoding, no tree, no rules. The signed
//! texts are put together outside the measured time.

use std::{
    fs::File,
    io::{BufReader, ErrorKind, Read},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use coset::{CoseSign1, TaggedCborSerializable};
use ed25519_dalek::{Signature, VerifyingKey};
use encrytrust_protocol::{Message, Offer, leaf_hash};
use rayon::prelude::*;

/// Signatures in one batch: above a thousand nothing is gained.
pub const BATCH: usize = 1024;

/// Entries held in memory at once.
const STRETCH: usize = 64 * BATCH;

/// One offer, cut into what a bare verifier needs.
#[derive(Debug)]
pub struct Bare {
    /// The entry.
    pub bytes: Vec<u8>,
    /// What was signed: the Sig_structure of RFC 9052, section 4.4.
    pub text: Vec<u8>,
    /// By whom.
    pub key: VerifyingKey,
    /// The signature.
    pub signature: Signature,
}

impl Bare {
    /// Cuts a signed offer.
    pub fn cut(bytes: &[u8]) -> Result<Self> {
        let cose = CoseSign1::from_tagged_slice(bytes).map_err(|e| anyhow::anyhow!("{e}"))?;
        let kid: &[u8; 32] = cose.protected.header.key_id.as_slice().try_into()?;
        Ok(Self {
            bytes: bytes.to_vec(),
            text: cose.tbs_data(Offer::TYP.as_bytes()),
            key: VerifyingKey::from_bytes(kid)?,
            signature: Signature::from_slice(&cose.signature)?,
        })
    }

    /// Whether it was signed by whom it says, strictly.
    pub fn verify(&self) -> bool {
        self.key.verify_strict(&self.text, &self.signature).is_ok()
    }

    /// Whether all of these were signed by whom they say.
    pub fn verify_batch(batch: &[Self]) -> bool {
        let texts: Vec<&[u8]> = batch.iter().map(|bare| bare.text.as_slice()).collect();
        let signatures: Vec<_> = batch.iter().map(|bare| bare.signature).collect();
        let keys: Vec<_> = batch.iter().map(|bare| bare.key).collect();
        ed25519_dalek::verify_batch(&texts, &signatures, &keys).is_ok()
    }
}

/// Entries, and the time it takes all cores to hash and verify them.
pub fn of_log(entries: &Path) -> Result<(u64, Duration)> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(entries)?);
    let (mut count, mut time) = (0, Duration::ZERO);
    loop {
        let mut stretch = Vec::with_capacity(STRETCH);
        while stretch.len() < STRETCH
            && let Some(entry) = next(&mut file)?
        {
            stretch.push(entry);
        }
        if stretch.is_empty() {
            return Ok((count, time));
        }
        count += stretch.len() as u64;
        let bare = stretch.par_iter().map(|entry| Bare::cut(entry)).collect::<Result<Vec<_>>>()?;
        let began = Instant::now();
        let holds = bare.par_chunks(BATCH).all(|batch| {
            batch.iter().for_each(|bare| {
                std::hint::black_box(leaf_hash(&bare.bytes));
            });
            Bare::verify_batch(batch)
        });
        time += began.elapsed();
        anyhow::ensure!(holds, "a signature does not hold");
    }
}

/// The next entry behind its length.
fn next(file: &mut impl Read) -> Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    match file.read_exact(&mut length) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read.context("read the log")?,
    }
    let mut entry = vec![0; u16::from_be_bytes(length).into()];
    file.read_exact(&mut entry)?;
    Ok(Some(entry))
}

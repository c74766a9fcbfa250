//! A log of sealed entries: one writer, and readers that follow it from other processes.

use std::{
    fs::File,
    io::{self, ErrorKind},
    marker::PhantomData,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use chacha20poly1305::XChaCha20Poly1305;
use encrytrust_index_chain::{
    disk::{Dir, Disk},
    log::{Log, LogError},
};
use encrytrust_protocol::leaf_hash;
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use super::{VaultError, VaultKey, open, seal};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// The writing end.
pub(crate) struct Journal<E> {
    name: &'static str,
    log: Log,
    /// Held as long as this is open: no second process writes to the log.
    _lock: Arc<dyn Disk>,
    cipher: XChaCha20Poly1305,
    _entries: PhantomData<fn(E)>,
}

/// Reads what a [`Journal`] wrote, and later what was added since.
pub(crate) struct Follower<E> {
    name: &'static str,
    dir: PathBuf,
    cipher: XChaCha20Poly1305,
    index: u64,
    offset: u64,
    _entries: PhantomData<fn() -> E>,
}

impl<E: Encode<()>> Journal<E> {
    /// Opens `vault/<name>` for writing; nobody else can until this is dropped.
    pub(crate) fn open(
        vault: &Path,
        name: &'static str,
        key: &VaultKey,
    ) -> Result<Self, VaultError> {
        let failed = |source| VaultError::Log { log: name, source: Box::new(source) };
        let dir = vault.join(name);
        let lock = Dir::exclusive(&dir)
            .map_err(|source| LogError::Disk { file: dir.display().to_string(), source });
        let lock: Arc<dyn Disk> = Arc::new(lock.map_err(failed)?);
        let (log, recovery) = Log::open_on(Arc::clone(&lock), ".", None).map_err(failed)?;
        for cut in recovery.cut {
            let (kept_as, bytes) = (cut.kept_as, cut.bytes);
            tracing::warn!(log = name, bytes, kept_as, "cut off what an interrupted write left");
        }
        Ok(Self { name, log, cipher: key.cipher(name), _lock: lock, _entries: PhantomData })
    }

    /// Appends entries; they are on disk when this returns.
    pub(crate) fn append<'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a E>,
    ) -> Result<(), VaultError>
    where
        E: 'a,
    {
        let name = self.name;
        let failed = |source| VaultError::Log { log: name, source: Box::new(source) };
        for entry in entries {
            let plain = Zeroizing::new(encrytrust_protocol::encode(entry));
            let sealed = seal(&self.cipher, self.log.next_index(), &plain)
                .map_err(|source| VaultError::File { file: name, source })?;
            self.log.append(&[sealed]).map_err(failed)?;
        }
        self.log.commit().map(drop).map_err(failed)
    }
}

impl<E: for<'b> Decode<'b, ()>> Follower<E> {
    /// Follows `vault/<name>` from its first entry.
    pub(crate) fn new(vault: &Path, name: &'static str, key: &VaultKey) -> Self {
        let (dir, cipher) = (vault.join(name), key.cipher(name));
        Self { name, dir, cipher, index: 0, offset: 0, _entries: PhantomData }
    }

    /// Reads the entries added since the last call. An entry counts once its leaf hash is there
    /// too, which the writer appends after it.
    pub(crate) fn read(&mut self, mut each: impl FnMut(E)) -> Result<(), VaultError> {
        let file = |source| VaultError::File { file: self.name, source };
        let (Some(entries), Some(hashes)) = (
            opened(&self.dir.join("entries")).map_err(file)?,
            opened(&self.dir.join("hashes.0")).map_err(file)?,
        ) else {
            return Ok(());
        };
        let count = hashes.metadata().map_err(file)?.len() / 32;
        while self.index < count {
            let chunk = read_upto(&entries, self.offset, CHUNK).map_err(file)?;
            let mut rest = &chunk[..];
            while self.index < count {
                let Some((length, after)) = rest.split_first_chunk() else { break };
                let length = usize::from(u16::from_be_bytes(*length));
                let Some((sealed, after)) = after.split_at_checked(length) else { break };
                let mut hash = [0; 32];
                hashes.read_exact_at(&mut hash, self.index * 32).map_err(file)?;
                if *leaf_hash(sealed).as_bytes() != hash {
                    return Ok(());
                }
                each(self.entry(sealed)?);
                self.index += 1;
                rest = after;
            }
            let read = chunk.len() - rest.len();
            if read == 0 {
                return Ok(());
            }
            self.offset += read as u64;
        }
        Ok(())
    }

    fn entry(&self, sealed: &[u8]) -> Result<E, VaultError> {
        let fault = |why: String| VaultError::Entry { log: self.name, index: self.index, why };
        let plain = open(&self.cipher, self.index, sealed)
            .ok_or_else(|| fault("it does not open".into()))?;
        minicbor::decode(&plain).map_err(|e| fault(e.to_string()))
    }
}

fn opened(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn read_upto(file: &File, offset: u64, max: usize) -> io::Result<Vec<u8>> {
    let (mut buffer, mut filled) = (vec![0; max], 0);
    while filled < max {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> VaultKey {
        VaultKey::generate().unwrap()
    }

    #[test]
    fn a_follower_sees_what_is_added() {
        let (dir, key) = (tempfile::tempdir().unwrap(), key());
        let mut follower = Follower::<String>::new(dir.path(), "offers", &key);
        let mut seen = Vec::new();
        follower.read(|e| seen.push(e)).unwrap();
        assert!(seen.is_empty());

        let mut journal = Journal::<String>::open(dir.path(), "offers", &key).unwrap();
        let long = "x".repeat(60_000);
        let many: Vec<String> = (0..50).map(|i| format!("{i}{long}")).collect();
        journal.append(&many).unwrap();
        follower.read(|e| seen.push(e)).unwrap();
        journal.append(&["more".to_owned()]).unwrap();
        follower.read(|e| seen.push(e)).unwrap();
        assert_eq!(seen.len(), 51);
        assert_eq!((&seen[49], &*seen[50]), (&many[49], "more"));

        // What is on disk tells nothing.
        let bytes = std::fs::read(dir.path().join("offers/entries")).unwrap();
        assert!(!bytes.windows(8).any(|w| w == b"xxxxxxxx"));
        assert!(Journal::<String>::open(dir.path(), "offers", &key).is_err(), "one writer");
    }

    #[test]
    fn another_vaults_key_opens_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::<String>::open(dir.path(), "offers", &key()).unwrap();
        journal.append(&["secret".to_owned()]).unwrap();
        let mut follower = Follower::<String>::new(dir.path(), "offers", &key());
        assert!(matches!(follower.read(drop), Err(VaultError::Entry { index: 0, .. })));
    }
}

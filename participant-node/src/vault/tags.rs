//! Tags known already, so that an ID is evaluated by the platform once and then never again.
//!
//! The file is a row of records: a keyed hash of the subject ID, its tag, and eight bytes that
//! check both. Who has the file without the vault's key can tell nothing from it. Several
//! processes may add to it, each under the file's lock; a record that was cut short is overwritten
//! by the next.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use encrytrust_keys::subject::SubjectId;
use encrytrust_protocol::SubjectTag;

use super::{VaultError, VaultKey};
use crate::files;

/// 32 of mark, 32 of tag, 8 of check.
const RECORD: usize = 72;

/// Subject tags by the keyed hash of their ID.
pub(crate) struct TagCache {
    path: PathBuf,
    key: VaultKey,
    tags: HashMap<[u8; 32], SubjectTag>,
}

impl TagCache {
    /// Reads what is known.
    pub(crate) fn open(vault: &Path, key: &VaultKey) -> Result<Self, VaultError> {
        let path = vault.join("tags");
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(mut file) => file.read_to_end(&mut bytes).map(drop),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
        .map_err(failed)?;
        let records = bytes.as_chunks::<RECORD>().0.iter();
        let sound = records.filter_map(|record| {
            let (content, check) = record.split_at(64);
            let (mark, tag) = content.split_at(32);
            let known = (mark.try_into().ok()?, SubjectTag::try_from(tag).ok()?);
            (key.check(content) == check).then_some(known)
        });
        Ok(Self { path, key: key.clone(), tags: sound.collect() })
    }

    /// The tag of an ID, if it was evaluated before.
    pub(crate) fn get(&self, id: &SubjectId) -> Option<SubjectTag> {
        self.tags.get(&self.key.mark(id)).copied()
    }

    /// The tag behind a mark.
    pub(crate) fn by_mark(&self, mark: &[u8; 32]) -> Option<SubjectTag> {
        self.tags.get(mark).copied()
    }

    /// Remembers tags, on disk before this returns.
    pub(crate) fn add(&mut self, new: &[([u8; 32], SubjectTag)]) -> Result<(), VaultError> {
        let mut bytes = Vec::with_capacity(new.len() * RECORD);
        for (mark, tag) in new {
            let content = [&mark[..], tag.as_ref()].concat();
            bytes.extend_from_slice(&content);
            bytes.extend_from_slice(&self.key.check(&content));
        }
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let write = || {
            files::folder(self.path.parent().unwrap_or(Path::new(".")))?;
            let mut file = options.open(&self.path)?;
            file.lock()?;
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len - len % RECORD as u64))?;
            file.write_all(&bytes)?;
            file.sync_data()
        };
        write().map_err(failed)?;
        self.tags.extend(new.iter().copied());
        Ok(())
    }
}

fn failed(source: std::io::Error) -> VaultError {
    VaultError::File { file: "tags", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_remembered_and_a_torn_record_is_not() {
        let (dir, key) = (tempfile::tempdir().unwrap(), VaultKey::generate().unwrap());
        let id = |text| SubjectId::new(text).unwrap();
        let open = || TagCache::open(dir.path(), &key).unwrap();
        let tag = |n: u8| SubjectTag::from([n; 32]);

        open().add(&[(key.mark(&id("a")), tag(1)), (key.mark(&id("b")), tag(2))]).unwrap();
        let path = dir.path().join("tags");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(RECORD + 40);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(open().get(&id("A ")), Some(tag(1)));
        assert_eq!(open().get(&id("b")), None);

        open().add(&[(key.mark(&id("c")), tag(3))]).unwrap();
        assert_eq!(open().get(&id("c")), Some(tag(3)));

        // A changed tag is not believed.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[33] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(open().get(&id("a")), None);
    }
}

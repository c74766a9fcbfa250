//! A directory of the file system.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Disk, DiskFile};

/// A directory of the file system, durable by `fdatasync` and by `fsync` of directories.
#[derive(Debug)]
pub struct Dir {
    root: PathBuf,
    /// Held while this value lives, so that two processes cannot append to one log.
    lock: Option<File>,
}

impl Dir {
    /// A directory to write to. It is created when missing, and locked: a second writer gets
    /// [`io::ErrorKind::WouldBlock`].
    pub fn exclusive(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        create_dir_durably(&root)?;
        let path = root.join(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        lock.try_lock().map_err(|e| match e {
            fs::TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("{} is open in another process; stop that one first", root.display()),
            ),
            fs::TryLockError::Error(e) => e,
        })?;
        Ok(Self { root, lock: Some(lock) })
    }

    /// A directory to look at. Nothing in it can be changed through this value, and nothing is
    /// locked: a writer may be at work in it.
    pub fn read_only(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), lock: None }
    }
}

impl Disk for Dir {
    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.root.join(path);
        if self.lock.is_none() {
            return Ok(Arc::new(File::open(path)?));
        }
        let parent = parent(&path)?;
        let known = path.exists();
        if !known {
            create_dir_durably(parent)?;
        }
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        if !known {
            file.sync_all()?;
            File::open(parent)?.sync_all()?;
        }
        Ok(Arc::new(file))
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.root.join(path)) {
            Ok(content) => Ok(Some(content)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn replace(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let path = self.root.join(path);
        if self.lock.is_none() {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let parent = parent(&path)?;
        create_dir_durably(parent)?;
        let mut temporary = path.clone().into_os_string();
        temporary.push(".tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        File::open(parent)?.sync_all()
    }
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut end = self;
        end.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.sync_all()
    }
}

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::other(format!("{} has no parent", path.display())))
}

/// Like [`fs::create_dir_all`], with every new name synced into its parent.
fn create_dir_durably(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        create_dir_durably(parent)?;
    }
    match fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_grow_at_their_end_and_are_read_anywhere() {
        let home = tempfile::tempdir().unwrap();
        let disk = Dir::exclusive(home.path().join("a/b")).unwrap();
        let file = disk.open("log/entries").unwrap();
        file.append(b"one").unwrap();
        file.append(b"two").unwrap();
        file.sync().unwrap();
        let mut four = [0; 4];
        file.read_at(1, &mut four).unwrap();
        assert_eq!(&four, b"netw");
        assert!(file.read_at(3, &mut four).is_err(), "past the end");
        file.truncate(3).unwrap();
        file.append(b"!").unwrap();
        assert_eq!(disk.read("log/entries").unwrap().unwrap(), b"one!");
    }

    #[test]
    fn replacing_is_whole_and_a_missing_file_is_none() {
        let home = tempfile::tempdir().unwrap();
        let disk = Dir::exclusive(home.path()).unwrap();
        assert_eq!(disk.read("checkpoint").unwrap(), None);
        disk.replace("checkpoint", b"1").unwrap();
        disk.replace("checkpoint", b"2").unwrap();
        assert_eq!(disk.read("checkpoint").unwrap().unwrap(), b"2");
    }

    #[test]
    fn a_second_writer_is_turned_away_until_the_first_has_gone() {
        let home = tempfile::tempdir().unwrap();
        let first = Dir::exclusive(home.path()).unwrap();
        let refused = Dir::exclusive(home.path()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        drop(first);
        assert!(Dir::exclusive(home.path()).is_ok());
    }

    #[test]
    fn a_reader_changes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let writer = Dir::exclusive(home.path()).unwrap();
        writer.open("entries").unwrap().append(b"one").unwrap();
        let reader = Dir::read_only(home.path());
        let file = reader.open("entries").unwrap();
        assert_eq!(file.len().unwrap(), 3);
        assert!(file.append(b"two").is_err());
        assert!(reader.replace("checkpoint", b"1").is_err());
        assert!(reader.open("missing").is_err());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "the file and the lock");
    }
}

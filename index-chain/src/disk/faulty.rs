//! A disk in memory that fails where it is told to.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Disk, DiskFile};

/// How one operation goes wrong. After it, every further write fails: the process is as good as
/// dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing reached the disk.
    LostBeforeWrite,
    /// Everything reached the disk for good, and the caller was told it failed.
    WrittenThenFailed,
    /// The first half of the bytes reached the disk for good.
    Torn,
    /// The file has its new length, and zeros where the second half of the bytes should be.
    TornWithZeros,
}

/// What is left of the bytes that were written but never synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survive {
    /// All: the process was killed, the machine runs on. A power cut can still take them.
    PageCache,
    /// None: the power failed.
    SyncedOnly,
}

/// One operation that changed, or tried to change, what is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// [`DiskFile::append`]
    Append,
    /// [`DiskFile::sync`]
    Sync,
    /// [`DiskFile::truncate`]
    Truncate,
    /// [`Disk::replace`]
    Replace,
}

/// Files in memory, a record of every operation, and a switch for one [`Fault`].
///
/// Clones share the same files, as two handles on one directory do.
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Content>,
    performed: Vec<(String, Operation)>,
    trigger: Option<(usize, Fault)>,
    dead: bool,
}

#[derive(Debug, Default, Clone)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    path: String,
}

impl FaultyDisk {
    /// An empty disk without a fault.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the `nth` operation from now on (0 is the next) go wrong.
    pub fn fail(&self, nth: usize, fault: Fault) {
        let mut state = self.state();
        state.trigger = Some((state.performed.len() + nth, fault));
    }

    /// Every operation so far, with the file it was for.
    pub fn performed(&self) -> Vec<(String, Operation)> {
        self.state().performed.clone()
    }

    /// The disk as the next process finds it; this one stays as it is.
    pub fn restart(&self, survive: Survive) -> Self {
        let mut files = self.state().files.clone();
        if survive == Survive::SyncedOnly {
            files.values_mut().for_each(|content| content.bytes.truncate(content.synced));
        }
        Self(Arc::new(Mutex::new(State { files, ..State::default() })))
    }

    /// The names of all files.
    pub fn paths(&self) -> Vec<String> {
        self.state().files.keys().cloned().collect()
    }

    /// Changes a file behind the back of whoever has it open, as a failing disk or an intruder
    /// does. A missing file starts empty.
    pub fn tamper(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let content = state.files.entry(path.to_owned()).or_default();
        change(&mut content.bytes);
        content.synced = content.bytes.len();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Performs a change, unless it is the one that fails: `bytes` of which a torn write keeps
    /// half; `apply` gets the file, and the bytes that reach it for good, if any.
    fn perform(
        &self,
        path: &str,
        operation: Operation,
        bytes: &[u8],
        apply: impl FnOnce(&mut Content, &[u8]),
    ) -> io::Result<()> {
        let mut state = self.state();
        let number = state.performed.len();
        state.performed.push((path.to_owned(), operation));
        if state.dead {
            return Err(io::Error::other("this disk has failed before"));
        }
        let fault = state.trigger.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        let content = state.files.entry(path.to_owned()).or_default();
        let Some(fault) = fault else {
            apply(content, bytes);
            return Ok(());
        };
        let half = &bytes[..bytes.len() / 2];
        // A file is replaced by a rename, and a rename is not torn: it happened or it did not.
        let tears = operation == Operation::Append;
        match fault {
            Fault::WrittenThenFailed => apply(content, bytes),
            Fault::Torn if tears => apply(content, half),
            Fault::TornWithZeros if tears => {
                let mut holed = half.to_vec();
                holed.resize(bytes.len(), 0);
                apply(content, &holed);
            }
            Fault::LostBeforeWrite | Fault::Torn | Fault::TornWithZeros => {}
        }
        if fault != Fault::LostBeforeWrite && tears {
            content.synced = content.bytes.len();
        }
        state.dead = true;
        Err(io::Error::other(format!("{fault:?} at operation {number}")))
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.state().files.entry(path.to_owned()).or_default();
        Ok(Arc::new(FaultyFile { disk: self.clone(), path: path.to_owned() }))
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.state().files.get(path).map(|content| content.bytes.clone()))
    }

    fn replace(&self, path: &str, content: &[u8]) -> io::Result<()> {
        self.perform(path, Operation::Replace, content, |file, bytes| {
            file.bytes = bytes.to_vec();
            file.synced = bytes.len();
        })
    }
}

impl DiskFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files.get(&self.path).map_or(0, |c| c.bytes.len() as u64))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state();
        let bytes = state.files.get(&self.path).map_or(&[][..], |c| &c.bytes);
        let end = io::ErrorKind::UnexpectedEof;
        let from = usize::try_from(offset).map_err(|_| end)?;
        let to = from.checked_add(buffer.len()).ok_or(end)?;
        buffer.copy_from_slice(bytes.get(from..to).ok_or(end)?);
        Ok(())
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let apply = |file: &mut Content, bytes: &[u8]| file.bytes.extend_from_slice(bytes);
        self.disk.perform(&self.path, Operation::Append, bytes, apply)
    }

    fn sync(&self) -> io::Result<()> {
        let apply = |file: &mut Content, _: &[u8]| file.synced = file.bytes.len();
        self.disk.perform(&self.path, Operation::Sync, &[], apply)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.disk.perform(&self.path, Operation::Truncate, &[], |file, _| {
            file.bytes.truncate(len);
            file.synced = file.bytes.len();
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fault: Option<Fault>, survive: Survive) -> Option<Vec<u8>> {
        let disk = FaultyDisk::new();
        let file = disk.open("f").unwrap();
        file.append(b"old ").unwrap();
        file.sync().unwrap();
        if let Some(fault) = fault {
            disk.fail(0, fault);
        }
        assert_eq!(file.append(b"newer").is_err(), fault.is_some());
        assert_eq!(file.append(b"more").is_err(), fault.is_some(), "dead stays dead");
        disk.restart(survive).read("f").unwrap()
    }

    #[test]
    fn each_fault_leaves_what_it_says() {
        use Survive::{PageCache, SyncedOnly};
        let left = |fault, survive| written(fault, survive).unwrap();
        assert_eq!(left(None, PageCache), b"old newermore");
        assert_eq!(left(None, SyncedOnly), b"old ");
        assert_eq!(left(Some(Fault::LostBeforeWrite), PageCache), b"old ");
        assert_eq!(left(Some(Fault::WrittenThenFailed), SyncedOnly), b"old newer");
        assert_eq!(left(Some(Fault::Torn), SyncedOnly), b"old ne");
        assert_eq!(left(Some(Fault::TornWithZeros), SyncedOnly), b"old ne\0\0\0");
    }
}

//! What this disk does: the floor under every durable write.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

/// A file in a directory, for appending and syncing.
#[derive(Debug)]
pub struct Floor {
    file: File,
}

impl Floor {
    /// A new file that has no name, so that it is gone when dropped.
    pub fn new(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("floor");
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        std::fs::remove_file(path)?;
        Ok(Self { file })
    }

    /// Appends and waits until the bytes are on the disk.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }

    /// How often in a second it appends so many bytes.
    pub fn rate(dir: &Path, bytes: usize, lasting: Duration) -> io::Result<f64> {
        let (mut floor, bytes) = (Self::new(dir)?, vec![0x5a; bytes]);
        floor.append(&bytes)?; // the first makes the file
        let (began, mut count) = (Instant::now(), 0_u32);
        while began.elapsed() < lasting {
            floor.append(&bytes)?;
            count += 1;
        }
        Ok(f64::from(count) / began.elapsed().as_secs_f64())
    }
}

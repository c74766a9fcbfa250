//! Secrets on disk: readable by their owner, whole or not there, encrypted if a passphrase is given.
//!
//! A secret file holds one secret of one kind:
//!
//! ```text
//! encrytrust-secret/v1 pool
//! o2ABWCC...                      base64 of the secret, one line
//! ```
//!
//! With a passphrase the same text is wrapped in an age file (<https://age-encryption.org/v1>,
//! scrypt recipient), so `age --decrypt` gives it back without this program.
//!
//! # What a crash leaves behind
//!
//! Bytes go to a new file of mode 0600 beside the target, are fsynced, and take the target's name
//! in one step; then the directory is fsynced. A crash leaves the old file or the new one, and at
//! worst a `.*.tmp` beside it that nothing reads.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use age::{
    DecryptError,
    secrecy::{ExposeSecret, SecretString},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::random;

/// The most bytes a secret file may have: some hundred thousand pool keys.
const FILE_MAX: u64 = 16 << 20;

const HEADER: &str = "encrytrust-secret/v1 ";

const AGE_HEADER: &[u8] = b"age-encryption.org/v1\n";

/// scrypt with N = 2^17, r = 8, p = 1 takes 128 MiB and about a third of a second for each guess.
#[cfg(not(test))]
const SCRYPT_LOG_N: u8 = 17;
#[cfg(test)]
const SCRYPT_LOG_N: u8 = 8;

/// The most work a file may ask of its reader: 1 GiB.
const SCRYPT_LOG_N_MAX: u8 = 20;

/// A secret that is kept in a file.
pub trait Stored: Sized {
    /// The word for it in the file's first line.
    const KIND: &'static str;

    /// Its bytes.
    fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>>;

    /// Reads its bytes; `None` if they are no such secret.
    fn from_secret_bytes(bytes: &[u8]) -> Option<Self>;
}

/// A passphrase, not shown by `Debug` and wiped when dropped.
#[derive(Clone)]
pub struct Passphrase(SecretString);

/// Why a secret file could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Others than its owner may read it.
    #[error("{} is open to other users (mode {mode:04o}); run: chmod 600 {}", path.display(), path.display())]
    OpenToOthers {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is a secret already, and a new one would replace it.
    #[error("{} exists and is not overwritten; move it away to make a new one", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// Encrypted, and no passphrase was given.
    #[error("{} is encrypted, and no passphrase was given", path.display())]
    NeedsPassphrase {
        /// Which file.
        path: PathBuf,
    },
    /// Encrypted with another passphrase, or damaged.
    #[error("{} does not open with this passphrase, or is damaged", path.display())]
    WrongPassphrase {
        /// Which file.
        path: PathBuf,
    },
    /// Not what this module writes.
    #[error("{} is not a secret file: {why}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A secret of another kind.
    #[error("{} holds a secret of kind {found:?}, not {expected:?}", path.display())]
    OtherKind {
        /// Which file.
        path: PathBuf,
        /// The kind it says.
        found: String,
        /// The kind asked for.
        expected: &'static str,
    },
}

impl Passphrase {
    /// A passphrase; `None` if it is empty.
    pub fn new(passphrase: impl Into<String>) -> Option<Self> {
        let passphrase = passphrase.into();
        (!passphrase.is_empty()).then(|| Self(SecretString::from(passphrase)))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(<redacted>)")
    }
}

/// Writes a secret where there is none yet. An existing file is an error, never a loss.
pub fn create<S: Stored>(
    path: &Path,
    secret: &S,
    passphrase: Option<&Passphrase>,
) -> Result<(), FileError> {
    write(path, &contents(secret, passphrase), |tmp| match fs::hard_link(tmp, path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            Err(FileError::Exists { path: path.to_owned() })
        }
        linked => linked.and_then(|()| fs::remove_file(tmp)).map_err(|e| io_error(path, e)),
    })
}

/// Writes a secret in place of the one that may be there.
pub fn replace<S: Stored>(
    path: &Path,
    secret: &S,
    passphrase: Option<&Passphrase>,
) -> Result<(), FileError> {
    write(path, &contents(secret, passphrase), |tmp| {
        fs::rename(tmp, path).map_err(|e| io_error(path, e))
    })
}

/// Reads a secret.
pub fn load<S: Stored>(path: &Path, passphrase: Option<&Passphrase>) -> Result<S, FileError> {
    let bytes = read_private(path)?;
    let text =
        if bytes.starts_with(AGE_HEADER) { decrypt(path, &bytes, passphrase)? } else { bytes };
    let malformed = |why| FileError::Malformed { path: path.to_owned(), why };
    let text = str::from_utf8(&text).map_err(|_| malformed("it is not text"))?;
    let (kind, body) = text
        .strip_prefix(HEADER)
        .and_then(|rest| rest.split_once('\n'))
        .ok_or_else(|| malformed("its first line is not \"encrytrust-secret/v1 <kind>\""))?;
    if kind != S::KIND {
        let (path, found) = (path.to_owned(), kind.to_owned());
        return Err(FileError::OtherKind { path, found, expected: S::KIND });
    }
    let body = body.strip_suffix('\n').ok_or_else(|| malformed("its last line is cut short"))?;
    let secret = STANDARD.decode(body).map_err(|_| malformed("its second line is not base64"))?;
    let secret = Zeroizing::new(secret);
    S::from_secret_bytes(&secret).ok_or_else(|| malformed("the secret in it cannot be read"))
}

/// Reads a file that only its owner may read, such as a PKCS#8 key of somebody else's making.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let io = |e| io_error(path, e);
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        let why = "it is not a regular file";
        return Err(FileError::Malformed { path: path.to_owned(), why });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::OpenToOthers { path: path.to_owned(), mode });
    }
    if metadata.len() > FILE_MAX {
        let why = "it is larger than 16 MiB";
        return Err(FileError::Malformed { path: path.to_owned(), why });
    }
    // Room for everything at once: growing would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len() as usize + 1));
    file.take(FILE_MAX).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

fn contents<S: Stored>(secret: &S, passphrase: Option<&Passphrase>) -> Zeroizing<Vec<u8>> {
    let secret = secret.to_secret_bytes();
    let mut text = Zeroizing::new(String::with_capacity(128 + secret.len().div_ceil(3) * 4));
    text.push_str(HEADER);
    text.push_str(S::KIND);
    text.push('\n');
    STANDARD.encode_string(&*secret, &mut text);
    text.push('\n');
    let text = Zeroizing::new(std::mem::take(&mut *text).into_bytes());
    match passphrase {
        Some(passphrase) => Zeroizing::new(encrypt(&text, passphrase)),
        None => text,
    }
}

fn encrypt(text: &[u8], passphrase: &Passphrase) -> Vec<u8> {
    let secret = SecretString::from(passphrase.0.expose_secret());
    let mut recipient = age::scrypt::Recipient::new(secret);
    recipient.set_work_factor(SCRYPT_LOG_N);
    age::encrypt(&recipient, text).expect("one scrypt recipient and a Vec to write to cannot fail")
}

fn decrypt(
    path: &Path,
    bytes: &[u8],
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let path = path.to_owned();
    let Some(passphrase) = passphrase else {
        return Err(FileError::NeedsPassphrase { path });
    };
    let secret = SecretString::from(passphrase.0.expose_secret());
    let mut identity = age::scrypt::Identity::new(secret);
    identity.set_max_work_factor(SCRYPT_LOG_N_MAX);
    match age::decrypt(&identity, bytes) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(DecryptError::ExcessiveWork { .. }) => {
            let why = "its passphrase was stretched with more than 1 GiB of scrypt";
            Err(FileError::Malformed { path, why })
        }
        Err(DecryptError::NoMatchingKeys) => {
            let why = "it was encrypted to an age key and not with a passphrase";
            Err(FileError::Malformed { path, why })
        }
        Err(_) => Err(FileError::WrongPassphrase { path }),
    }
}

/// Puts bytes into a fresh file beside `path`, on disk, and lets `publish` give it its name.
fn write(
    path: &Path,
    bytes: &[u8],
    publish: impl FnOnce(&Path) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut suffix = [0; 8];
    random::fill(&mut suffix);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let tmp = directory.join(format!(".{name}.{:016x}.tmp", u64::from_le_bytes(suffix)));
    let written =
        write_new(&tmp, bytes).map_err(|e| io_error(path, e)).and_then(|()| publish(&tmp));
    if written.is_err() {
        // The first error is the one to report; a leftover is harmless.
        let _ = fs::remove_file(&tmp);
    }
    written?;
    File::open(directory).and_then(|d| d.sync_all()).map_err(|e| io_error(directory, e))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn io_error(path: &Path, source: io::Error) -> FileError {
    FileError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;

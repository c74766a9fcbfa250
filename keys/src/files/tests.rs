use std::os::unix::fs::PermissionsExt;

use super::*;

#[derive(Debug, PartialEq)]
struct Word(Vec<u8>);

impl Stored for Word {
    const KIND: &'static str = "word";
    fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.clone())
    }
    fn from_secret_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes != b"unreadable").then(|| Self(bytes.to_vec()))
    }
}

struct Other;

impl Stored for Other {
    const KIND: &'static str = "other";
    fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(Vec::new())
    }
    fn from_secret_bytes(_: &[u8]) -> Option<Self> {
        Some(Self)
    }
}

fn word(text: &str) -> Word {
    Word(text.as_bytes().to_vec())
}

fn listing(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key");
    create(&path, &word("open sesame"), None).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(listing(dir.path()), ["a.key"]);
    assert_eq!(load::<Word>(&path, None).unwrap(), word("open sesame"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "encrytrust-secret/v1 word\nb3BlbiBzZXNhbWU=\n");
    replace(&path, &word("second"), None).unwrap();
    assert_eq!(load::<Word>(&path, None).unwrap(), word("second"));
    assert_eq!((mode(&path), listing(dir.path()).len()), (0o600, 1));
}

#[test]
fn a_secret_is_never_overwritten_by_create() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key");
    create(&path, &word("first"), None).unwrap();
    assert!(matches!(create(&path, &word("second"), None), Err(FileError::Exists { .. })));
    assert_eq!(load::<Word>(&path, None).unwrap(), word("first"));
    assert_eq!(listing(dir.path()), ["a.key"]);
}

#[test]
fn a_passphrase_encrypts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key");
    let right = Passphrase::new("right").unwrap();
    let wrong = Passphrase::new("wrong").unwrap();
    create(&path, &word("open sesame"), Some(&right)).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    assert!(!bytes.windows(8).any(|w| w == b"b3BlbiBz"));

    assert_eq!(load::<Word>(&path, Some(&right)).unwrap(), word("open sesame"));
    let error = load::<Word>(&path, None).unwrap_err();
    assert!(matches!(error, FileError::NeedsPassphrase { .. }));
    assert!(error.to_string().contains("no passphrase"), "{error}");
    assert!(matches!(load::<Word>(&path, Some(&wrong)), Err(FileError::WrongPassphrase { .. })));
    for cut in [30, bytes.len() - 1] {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert!(matches!(
            load::<Word>(&path, Some(&right)),
            Err(FileError::WrongPassphrase { .. })
        ));
    }
    assert_eq!(format!("{right:?}"), "Passphrase(<redacted>)");
    assert!(Passphrase::new("").is_none());
}

#[test]
fn files_open_to_others_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key");
    create(&path, &word("x"), None).unwrap();
    for open in [0o640, 0o604, 0o660, 0o610] {
        fs::set_permissions(&path, PermissionsExt::from_mode(open)).unwrap();
        let error = load::<Word>(&path, None).unwrap_err();
        assert!(matches!(error, FileError::OpenToOthers { mode, .. } if mode == open));
        assert!(error.to_string().contains("chmod 600 "), "{error}");
    }
    fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
    assert!(load::<Word>(&path, None).is_ok());
}

#[test]
fn damaged_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key");
    create(&path, &word("x"), None).unwrap();
    let why = |text: &[u8]| {
        fs::write(&path, text).unwrap();
        load::<Word>(&path, None).unwrap_err().to_string()
    };
    assert!(why(b"").contains("first line"));
    assert!(why(b"encrytrust-secret/v2 word\neA==\n").contains("first line"));
    assert!(why(b"encrytrust-secret/v1 word\neA==").contains("cut short"));
    assert!(why(b"encrytrust-secret/v1 word\neA=\n").contains("base64"));
    assert!(why(b"encrytrust-secret/v1 word\neA==\n\n").contains("base64"));
    assert!(why(b"\xff\xfe").contains("not text"));
    create(&dir.path().join("b.key"), &word("unreadable"), None).unwrap();
    let error = load::<Word>(&dir.path().join("b.key"), None).unwrap_err();
    assert!(error.to_string().contains("cannot be read"));
    fs::write(&path, b"encrytrust-secret/v1 other\n\n").unwrap();
    assert!(matches!(
        load::<Word>(&path, None),
        Err(FileError::OtherKind { expected: "word", .. })
    ));
    assert!(load::<Other>(&path, None).is_ok());
    assert!(matches!(load::<Word>(dir.path(), None), Err(FileError::Malformed { .. })));
    assert!(matches!(load::<Word>(&dir.path().join("c"), None), Err(FileError::Io { .. })));
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("a.key");
    fs::create_dir(&target).unwrap();
    assert!(matches!(replace(&target, &word("x"), None), Err(FileError::Io { .. })));
    assert_eq!(listing(dir.path()), ["a.key"]);
    let nowhere = dir.path().join("missing").join("a.key");
    assert!(matches!(create(&nowhere, &word("x"), None), Err(FileError::Io { .. })));
}

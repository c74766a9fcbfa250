//! C2SP signed notes and verifier keys (<https://c2sp.org/signed-note>).
//!
//! A note is text that people can read and that keys have signed, line by line. The `signed_note`
//! crate parses it; signatures are checked here, strictly, with the workspace's own Ed25519, so
//! that one key never has two verdicts in one program.
//!
//! A verifier key (*vkey*) is what a person pins: `<name>+<id>+<key>`. The platform's one Ed25519
//! key signs for both logs, under two names; whoever pinned `market.example+…` derives the vkeys
//! `market.example/index+…` and `market.example/trades+…` with [`Vkey::under`].

use std::{fmt, str::FromStr};

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::{Signature as Ed25519Signature, VerifyingKey};
use encrytrust_protocol::{PublicKey, UnixSeconds};
use signed_note::{Signature, VerificationError, Verifier, Verifiers};

/// The longest note that is read, in bytes: text and sixteen post-quantum signatures fit.
pub const NOTE_BYTES_MAX: usize = 128 << 10;

/// Why a note is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// More than [`NOTE_BYTES_MAX`].
    #[error("a note of {0} bytes; at most {NOTE_BYTES_MAX} are read")]
    TooLong(usize),
    /// Not a signed note.
    #[error("not a signed note: {0}")]
    Malformed(String),
    /// Not a verifier key.
    #[error("not a verifier key (<name>+<8 hex digits>+<base64>): {0}")]
    Vkey(String),
    /// Nobody we trust signed it.
    #[error("the note carries no signature by {wanted}")]
    Unsigned {
        /// The key that was to sign.
        wanted: Vkey,
    },
    /// Somebody put a signature on it that the key did not make.
    #[error("the note's signature by {name} does not verify")]
    BadSignature {
        /// The name on the signature line.
        name: String,
    },
}

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// The note's text (`0x01`).
    Note = 1,
    /// The note's text below a time line: `cosignature/v1` (`0x04`).
    Cosignature = 4,
}

/// An Ed25519 verifier key under a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Vkey {
    name: String,
    kind: Kind,
    key: PublicKey,
}

impl Vkey {
    /// The key of a log, or of anyone who signs notes. The name must be fit for a note.
    pub fn log(name: impl Into<String>, key: PublicKey) -> Result<Self, NoteError> {
        Self::new(name.into(), Kind::Note, key)
    }

    /// The key of a witness, which cosigns checkpoints (<https://c2sp.org/tlog-cosignature>).
    pub fn witness(name: impl Into<String>, key: PublicKey) -> Result<Self, NoteError> {
        Self::new(name.into(), Kind::Cosignature, key)
    }

    fn new(name: String, kind: Kind, key: PublicKey) -> Result<Self, NoteError> {
        if signed_note::is_key_name_valid(&name) && !name.chars().any(char::is_control) {
            return Ok(Self { name, kind, key });
        }
        Err(NoteError::Vkey(format!("the name {name:?} is empty or has a space or a plus")))
    }

    /// The same key under another name.
    pub fn under(&self, name: impl Into<String>) -> Result<Self, NoteError> {
        Self::new(name.into(), self.kind, self.key)
    }

    /// The name on its signature lines.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Ed25519 key.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Whether it is a witness's key.
    pub fn is_witness(&self) -> bool {
        self.kind == Kind::Cosignature
    }

    /// The 32-bit key ID: a hint to the right key, not a fingerprint.
    pub fn id(&self) -> u32 {
        signed_note::key_id(&self.name, &self.material())
    }

    fn material(&self) -> Vec<u8> {
        [&[self.kind as u8][..], self.key.as_bytes()].concat()
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let check = || {
            let key = VerifyingKey::from_bytes(self.key.as_bytes()).ok()?;
            key.verify_strict(message, &Ed25519Signature::from_slice(signature).ok()?).ok()
        };
        check().is_some()
    }

    /// The time stated in a cosignature, first of its 72 bytes.
    fn cosigned_at(signature: &[u8]) -> Option<(UnixSeconds, &[u8])> {
        let (time, signature) = signature.split_first_chunk()?;
        let time = u64::from_be_bytes(*time);
        (time <= i64::MAX as u64).then_some((time, signature))
    }
}

impl fmt::Display for Vkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}+{}", self.name, self.id(), BASE64_STANDARD.encode(self.material()))
    }
}

impl FromStr for Vkey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let fault = |why: &str| NoteError::Vkey(why.to_owned());
        let mut parts = text.splitn(3, '+');
        let mut part = || parts.next().ok_or_else(|| fault("three parts expected"));
        let (name, _id, material) = (part()?, part()?, part()?);
        let material = BASE64_STANDARD.decode(material).map_err(|e| fault(&e.to_string()))?;
        let (kind, key) = match material.split_first() {
            Some((1, key)) => (Kind::Note, key),
            Some((4, key)) => (Kind::Cosignature, key),
            Some((other, _)) => {
                return Err(fault(&format!("signature type {other} is not Ed25519")));
            }
            None => return Err(fault("no key")),
        };
        let key = PublicKey::try_from(key).map_err(|e| fault(&e.to_string()))?;
        let vkey = Self::new(name.to_owned(), kind, key)?;
        if vkey.to_string() == text { Ok(vkey) } else { Err(fault("the key ID is another key's")) }
    }
}

impl Verifier for Vkey {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id()
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        match self.kind {
            Kind::Note => self.signed(text, signature),
            Kind::Cosignature => Self::cosigned_at(signature).is_some_and(|(time, signature)| {
                self.signed(&cosigned_message(time, text), signature)
            }),
        }
    }
}

/// What a witness signs (tlog-cosignature, "Ed25519 signed message").
pub(crate) fn cosigned_message(time: UnixSeconds, text: &[u8]) -> Vec<u8> {
    [format!("cosignature/v1\ntime {time}\n").as_bytes(), text].concat()
}

/// A signature on a note that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBy {
    /// Who signed.
    pub by: Vkey,
    /// When, if the signer is a witness.
    pub at: Option<UnixSeconds>,
}

/// A well-formed note; nobody need have signed it.
#[derive(Debug, Clone)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

struct Known<'a>(&'a [Vkey]);

impl Verifiers for Known<'_> {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn Verifier, VerificationError> {
        let known = self.0.iter().find(|vkey| vkey.name == name && vkey.id() == id);
        let unknown = || VerificationError::UnknownKey { name: name.to_owned(), id };
        known.map(|vkey| vkey as &dyn Verifier).ok_or_else(unknown)
    }
}

impl Note {
    /// Reads a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong(bytes.len()));
        }
        let malformed = |why: &str| NoteError::Malformed(why.to_owned());
        signed_note::Note::from_bytes(bytes).map_err(|e| malformed(&e.to_string()))?;
        let whole = str::from_utf8(bytes).map_err(|e| malformed(&e.to_string()))?;
        let (text, lines) = whole.rsplit_once("\n\n").ok_or_else(|| malformed("no blank line"))?;
        Ok(Self { text: format!("{text}\n"), signatures: signature_lines(lines)? })
    }

    /// A note over `text`, signed by the holder of `vkey`: `sign` gets the text and returns the
    /// 64 bytes of an Ed25519 signature.
    pub fn sign(
        text: String,
        vkey: &Vkey,
        sign: impl FnOnce(&str) -> [u8; 64],
    ) -> Result<Self, NoteError> {
        let malformed = |e: signed_note::NoteError| NoteError::Malformed(e.to_string());
        signed_note::Note::new(text.as_bytes(), &[]).map_err(malformed)?;
        let signature = sign(&text).to_vec();
        let signature =
            Signature::new(vkey.name.clone(), vkey.id(), signature).map_err(malformed)?;
        Ok(Self { text, signatures: vec![signature] })
    }

    /// What was signed, to the final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The note as it is stored and served.
    pub fn to_bytes(&self) -> Vec<u8> {
        let lines = self.signatures.iter().map(Signature::to_bytes).collect::<Vec<_>>().concat();
        [self.text.as_bytes(), b"\n", &lines].concat()
    }

    /// The signatures by known keys, each key once. One that does not verify spoils the note;
    /// signatures by unknown keys are passed over, as the specification demands.
    pub fn verify(&self, known: &[Vkey]) -> Result<Vec<SignedBy>, NoteError> {
        let note = signed_note::Note::new(self.text.as_bytes(), &self.signatures)
            .map_err(|e| NoteError::Malformed(e.to_string()))?;
        let verified = match note.verify(&Known(known)) {
            Ok((verified, _)) => verified,
            Err(signed_note::NoteError::UnverifiedNote) => Vec::new(),
            Err(signed_note::NoteError::InvalidSignature { name, .. }) => {
                return Err(NoteError::BadSignature { name });
            }
            Err(e) => return Err(NoteError::Malformed(e.to_string())),
        };
        let find = |signature: &Signature| {
            let by =
                known.iter().find(|v| v.name == signature.name() && v.id() == signature.id())?;
            let at = by.is_witness().then(|| Vkey::cosigned_at(signature.signature()));
            Some(SignedBy { by: by.clone(), at: at.flatten().map(|(time, _)| time) })
        };
        Ok(verified.iter().filter_map(find).collect())
    }

    /// Requires a signature by `vkey`.
    pub fn verify_by(&self, vkey: &Vkey) -> Result<(), NoteError> {
        match self.verify(std::slice::from_ref(vkey))?.is_empty() {
            false => Ok(()),
            true => Err(NoteError::Unsigned { wanted: vkey.clone() }),
        }
    }

    /// Adds from `lines` (each beginning with an em dash, as a witness answers) the signatures by
    /// known keys, in place of older ones by the same keys, and says which.
    pub fn merge(&mut self, lines: &[u8], known: &[Vkey]) -> Result<Vec<SignedBy>, NoteError> {
        if lines.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong(lines.len()));
        }
        let lines = str::from_utf8(lines).map_err(|e| NoteError::Malformed(e.to_string()))?;
        let new = Self { text: self.text.clone(), signatures: signature_lines(lines)? };
        let added = new.verify(known)?;
        for signature in new.signatures {
            let same = |name: &str, id| signature.name() == name && signature.id() == id;
            if added.iter().any(|signed| same(&signed.by.name, signed.by.id())) {
                self.signatures.retain(|old| !same(old.name(), old.id()));
                self.signatures.push(signature);
            }
        }
        Ok(added)
    }
}

fn signature_lines(lines: &str) -> Result<Vec<Signature>, NoteError> {
    let malformed = |why: String| NoteError::Malformed(why);
    let lines = lines.strip_suffix('\n').ok_or_else(|| malformed("no final newline".into()))?;
    let parse = |line: &str| Signature::from_bytes(line.as_bytes());
    lines.split('\n').map(parse).collect::<Result<_, _>>().map_err(|e| malformed(e.to_string()))
}

#[cfg(test)]
pub(crate) mod tests;

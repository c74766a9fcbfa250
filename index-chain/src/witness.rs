//! Asking witnesses to cosign (<https://c2sp.org/tlog-witness>).
//!
//! A witness remembers, for each log, the last tree it saw, and cosigns a new checkpoint only when
//! the log proves that it grew out of that tree. A platform that keeps two histories cannot get
//! both cosigned. Whoever speaks HTTP sends the body [`add_checkpoint`] writes to
//! `<prefix>/add-checkpoint` and hands the answer to
//! [`SignedCheckpoint::add_cosignatures`]; on `409 Conflict`, [`conflict_size`] reads from which
//! size to prove next.

use base64::prelude::{BASE64_STANDARD, Engine};
use encrytrust_protocol::Sha256Hash;

use crate::{
    checkpoint::SignedCheckpoint,
    log::{LogError, LogReader},
};

/// The body of an `add-checkpoint` request: `old` is the size of the last tree this witness
/// cosigned, 0 at first.
pub fn add_checkpoint(
    log: &LogReader,
    old: u64,
    checkpoint: &SignedCheckpoint,
) -> Result<Vec<u8>, LogError> {
    let proof = log.prove_consistency(old, checkpoint.head().size)?;
    Ok(body(old, &proof, &checkpoint.to_bytes()))
}

fn body(old: u64, proof: &[Sha256Hash], note: &[u8]) -> Vec<u8> {
    let mut body = format!("old {old}\n");
    for hash in proof {
        body.push_str(&BASE64_STANDARD.encode(hash));
        body.push('\n');
    }
    body.push('\n');
    [body.as_bytes(), note].concat()
}

/// The tree size in the body of a `409 Conflict` (`text/x.tlog.size`): the `old` to try next.
pub fn conflict_size(body: &[u8]) -> Option<u64> {
    let size = str::from_utf8(body).ok()?.strip_suffix('\n')?;
    let parsed: u64 = size.parse().ok()?;
    (parsed.to_string() == size).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checkpoint::LogName, sample::Bench, tree::verify_consistency};

    #[test]
    fn the_body_is_that_of_the_specification() {
        let hash = Sha256Hash::from([0xff; 32]);
        let body = body(20_852_014, &[hash, hash], b"example.com/behind-the-sofa\n...");
        let line = "//////////////////////////////////////////8=";
        let expected = format!("old 20852014\n{line}\n{line}\n\nexample.com/behind-the-sofa\n...");
        assert_eq!(body, expected.as_bytes());
    }

    #[test]
    fn a_witness_can_follow_the_proof() {
        let reader = Bench::new().chain.reader();
        let (log, sealed) = (reader.log(LogName::Index), reader.sealed().unwrap());
        let checkpoint = sealed.checkpoint(LogName::Index);
        let body = String::from_utf8(add_checkpoint(log, 101, checkpoint).unwrap()).unwrap();
        let (proof, note) = body.split_once("\n\n").unwrap();
        assert_eq!(note.as_bytes(), checkpoint.to_bytes());
        let mut lines = proof.lines();
        assert_eq!(lines.next(), Some("old 101"));
        let hash =
            |line: &str| BASE64_STANDARD.decode(line).unwrap().as_slice().try_into().unwrap();
        let proof: Vec<Sha256Hash> = lines.map(hash).collect();
        verify_consistency(&proof, &log.head_at(101).unwrap(), &checkpoint.head()).unwrap();

        let first = add_checkpoint(log, 0, checkpoint).unwrap();
        assert!(first.starts_with(b"old 0\n\nmarket.example/index\n"));
        assert!(add_checkpoint(log, 303, checkpoint).is_err());
    }

    #[test]
    fn a_conflict_names_a_size() {
        assert_eq!(conflict_size(b"20852163\n"), Some(20_852_163));
        for bad in [&b"20852163"[..], b"-1\n", b"007\n", b"+7\n", b"\n", b"1\n2\n", b"\xff\n"] {
            assert_eq!(conflict_size(bad), None);
        }
    }
}

use ed25519_dalek::{Signer, SigningKey};

use super::*;

/// The example of the specification.
const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const NOTE: &str = "This is an example message.\n\n— example.com/foo \
    Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn cosignature_line(vkey: &Vkey, key: &SigningKey, at: u64, text: &str) -> Vec<u8> {
    let signature = key.sign(&cosigned_message(at, text.as_bytes())).to_bytes();
    let timed = [&at.to_be_bytes()[..], &signature].concat();
    Signature::new(vkey.name.clone(), vkey.id(), timed).unwrap().to_bytes()
}

#[test]
fn the_example_of_the_specification_verifies() {
    let vkey: Vkey = VKEY.parse().unwrap();
    assert_eq!(vkey.to_string(), VKEY);
    let note = Note::parse(NOTE.as_bytes()).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.to_bytes(), NOTE.as_bytes());
    note.verify_by(&vkey).unwrap();
}

#[test]
fn other_texts_and_other_keys_are_told_apart() {
    let vkey: Vkey = VKEY.parse().unwrap();
    let forged = Note::parse(NOTE.replace("example message", "forged message").as_bytes());
    assert_eq!(
        forged.unwrap().verify_by(&vkey),
        Err(NoteError::BadSignature { name: "example.com/foo".into() })
    );
    let stranger = Vkey::log("example.com/foo", (&key(3)).into()).unwrap();
    let note = Note::parse(NOTE.as_bytes()).unwrap();
    assert!(matches!(note.verify_by(&stranger), Err(NoteError::Unsigned { .. })));
}

#[test]
fn malformed_notes_and_keys_are_refused() {
    for bad in [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— a\n",
        "text\n\n- a YWFhYWFh\n",
        "text\n\n— a YWFhYWFh",
        "te\u{7}xt\n\n— a YWFhYWFh\n",
        "text\n\n— a+b YWFhYWFh\n",
        "text\n\n— a YQ==\n",
    ] {
        assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert_eq!(
        Note::parse(&vec![b'a'; NOTE_BYTES_MAX + 1]).unwrap_err(),
        NoteError::TooLong(NOTE_BYTES_MAX + 1)
    );
    for bad in [
        "",
        "a+b",
        &VKEY.replace("530d903a", "530D903A"),
        &VKEY.replace("530d903a", "530d903b"),
        &VKEY.replace("+Aeky", "+Beky"),
        "a b+00000000+AQ==",
    ] {
        assert!(bad.parse::<Vkey>().is_err(), "{bad:?}");
    }
}

#[test]
fn cosignatures_are_merged_when_they_verify() {
    let (log, witness) = (key(1), key(2));
    let vkey = Vkey::log("log.example", (&log).into()).unwrap();
    let known = Vkey::witness("witness.example", (&witness).into()).unwrap();
    let sign = |text: &str| log.sign(text.as_bytes()).to_bytes();
    let mut note = Note::sign("log.example\n1\n".into(), &vkey, sign).unwrap();

    let stranger = Vkey::witness("stranger.example", (&log).into()).unwrap();
    let answer = [
        cosignature_line(&stranger, &log, 4, note.text()),
        cosignature_line(&known, &witness, 5, note.text()),
    ];
    let added = note.merge(&answer.concat(), std::slice::from_ref(&known)).unwrap();
    assert_eq!(added, [SignedBy { by: known.clone(), at: Some(5) }]);

    let later = cosignature_line(&known, &witness, 9, note.text());
    note.merge(&later, std::slice::from_ref(&known)).unwrap();
    let parsed = Note::parse(&note.to_bytes()).unwrap();
    let both = parsed.verify(&[vkey, known.clone()]).unwrap();
    assert_eq!(both.iter().map(|s| s.at).collect::<Vec<_>>(), [None, Some(9)]);

    let mut lying = cosignature_line(&known, &witness, 9, "another text\n");
    assert!(note.merge(&lying, std::slice::from_ref(&known)).is_err());
    lying.pop();
    assert!(note.merge(&lying, &[]).is_err(), "no final newline");
}

#[test]
fn the_cosignature_of_the_specification_is_read() {
    let text = "example.com/behind-the-sofa\n20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let line = "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWX\
        EhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let note = Note::parse(format!("{text}\n{line}").as_bytes()).unwrap();
    let (time, rest) = Vkey::cosigned_at(note.signatures[0].signature()).unwrap();
    assert_eq!((time, rest.len()), (1_679_315_147, 64));
}

use super::*;

pub(crate) fn key(seed: u8) -> PlatformKey {
    PlatformKey::from_seed(&[seed; 32])
}

pub(crate) fn market() -> Market {
    Market::new("market.example").unwrap()
}

fn block() -> Verified<Block> {
    let head = |size, byte| TreeHead { size, root: Sha256Hash::from([byte; 32]) };
    let block = Block {
        market: market(),
        height: 12,
        previous: BlockHash::from([1; 32]),
        index: head(1000, 2),
        trades: TreeHead::empty(),
        time: 1_800_000_000_000,
        producer: key(1).public(),
        randomness: Sha256Hash::from([3; 32]),
    };
    key(1).sign_block(block).unwrap()
}

#[test]
fn a_checkpoint_names_its_log_its_tree_and_its_block() {
    let signed = SignedCheckpoint::sign(LogName::Index, &block(), &key(1));
    let text = signed.text().to_owned();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..2], ["market.example/index", "1000"]);
    assert!(lines[3].starts_with("block 12 "));

    let vkey = LogName::Index.vkey(&market(), key(1).public());
    let opened = SignedCheckpoint::open(&signed.to_bytes(), &vkey).unwrap();
    assert_eq!(opened.checkpoint(), signed.checkpoint());
    assert_eq!(opened.checkpoint().block, BlockRef::from(&block()));
    assert_eq!(opened.to_bytes(), signed.to_bytes());
    let again = SignedCheckpoint::sign(LogName::Index, &block(), &key(1));
    assert_eq!(again.to_bytes(), signed.to_bytes(), "to the same bytes");
}

#[test]
fn one_log_does_not_pass_for_the_other() {
    let trades = SignedCheckpoint::sign(LogName::Trades, &block(), &key(1)).to_bytes();
    let index = LogName::Index.vkey(&market(), key(1).public());
    let refused = SignedCheckpoint::open(&trades, &index);
    assert!(matches!(refused, Err(CheckpointError::Note(NoteError::Unsigned { .. }))));

    let text = Checkpoint::of(LogName::Trades, &block()).to_string();
    let note = Note::sign(text, &index, |text| key(1).sign_checkpoint_note(text).unwrap()).unwrap();
    let refused = SignedCheckpoint::open(&note.to_bytes(), &index);
    assert!(matches!(refused, Err(CheckpointError::Origin { .. })));
}

#[test]
fn malformed_checkpoints_are_refused() {
    let good = Checkpoint::of(LogName::Index, &block()).to_string();
    assert!(Checkpoint::parse(&good).is_ok());
    for bad in [
        good.replace("block 12", "block 012"),
        good.replace("block 12", "block +12"),
        good.replace("block 12 ", "block 12"),
        good.replace("1000", "01000"),
        good.replace("1000", "18446744073709551615"),
        good.replace("1000", "0"),
        good.lines().take(3).map(|line| format!("{line}\n")).collect(),
        good.trim_end().to_owned(),
        String::new(),
    ] {
        assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
    }
}

//! Every decoder that reads bytes from outside, as a function a fuzzer can call.
//!
//! A target must neither panic nor take memory beyond its input's size, and what it accepts it
//! must be able to write again to the same bytes. `make fuzz TARGET=offer` lets libFuzzer look
//! for a counterexample; `cargo test` replays the vectors, and thousands of mutations of each,
//! against every target without it.
//!
//! ```
//! let offer = encrytrust_fuzz::target("offer").expect("there is one");
//! (offer.run)(b"not an offer"); // refused, without a panic
//! ```

use encrytrust_index_chain::{
    checkpoint::Checkpoint,
    note::{Note, Vkey},
    proof::TlogProof,
};
use encrytrust_keys::{
    identity::Trust,
    membership::PoolSubmission,
    subject::{SUBJECT_ID_MAX, SubjectId},
};
use encrytrust_protocol::{
    AdminCommand, AdminQuery, Block, Delivery, IndexEntry, Join, KeyBinding, KeyStatus, Message,
    Offer, PlatformInfo, Pool, Receipt, Record, RelayPackets, RelayPoll, Reply, Request,
    SealedPacket, Signed, TagAnswer, TagRequest, Withdrawal, split_sequence,
};

/// A decoder under test.
#[derive(Debug)]
pub struct Target {
    /// What it reads; also the name of its folder of vectors, where it has one.
    pub name: &'static str,
    /// Reads the bytes and checks what it accepts.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "offer", run: signed::<Offer> },
    Target { name: "withdrawal", run: signed::<Withdrawal> },
    Target { name: "request", run: signed::<Request> },
    Target { name: "delivery", run: signed::<Delivery> },
    Target { name: "receipt", run: signed::<Receipt> },
    Target { name: "key-binding", run: signed::<KeyBinding> },
    Target { name: "pool", run: signed::<Pool> },
    Target { name: "join", run: signed::<Join> },
    Target { name: "admin-command", run: signed::<AdminCommand> },
    Target { name: "admin-query", run: signed::<AdminQuery> },
    Target { name: "key-status", run: signed::<KeyStatus> },
    Target { name: "platform-info", run: signed::<PlatformInfo> },
    Target { name: "block", run: signed::<Block> },
    Target { name: "tag-request", run: signed::<TagRequest> },
    Target { name: "relay-poll", run: signed::<RelayPoll> },
    Target { name: "index-entry", run: index_entry },
    Target { name: "sequence", run: sequence },
    Target { name: "record", run: |b| rewritten(b, Record::decode(b).ok(), Record::encode) },
    Target {
        name: "sealed-packet",
        run: |b| rewritten(b, SealedPacket::decode(b).ok(), SealedPacket::encode),
    },
    Target { name: "reply", run: |b| rewritten(b, Reply::decode(b).ok(), Reply::encode) },
    Target {
        name: "tag-answer",
        run: |b| rewritten(b, TagAnswer::decode(b).ok(), TagAnswer::encode),
    },
    Target {
        name: "relay-packets",
        run: |b| rewritten(b, RelayPackets::decode(b).ok(), RelayPackets::encode),
    },
    Target { name: "pool-submission", run: |b| drop(PoolSubmission::decode(b)) },
    Target { name: "certificate", run: certificate },
    Target { name: "subject-id", run: subject_id },
    Target { name: "vkey", run: vkey },
    Target { name: "note", run: note },
    Target { name: "checkpoint", run: checkpoint },
    Target { name: "tlog-proof", run: tlog_proof },
];

/// The target of a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|t| t.name == name)
}

fn signed<M: Message>(bytes: &[u8]) {
    if let Ok(signed) = Signed::<M>::decode(bytes) {
        assert_eq!(signed.bytes(), bytes, "an envelope has one spelling");
        assert!(bytes.len() <= M::LIMIT);
    }
}

fn rewritten<T>(bytes: &[u8], read: Option<T>, write: fn(&T) -> Vec<u8>) {
    if let Some(value) = read {
        assert_eq!(write(&value), bytes, "a value has one spelling");
    }
}

fn index_entry(bytes: &[u8]) {
    if let Ok(entry) = IndexEntry::decode(bytes) {
        assert_eq!(entry.bytes(), bytes);
    }
}

fn sequence(bytes: &[u8]) {
    if let Ok(items) = split_sequence(bytes, 100) {
        assert_eq!(items.concat(), bytes, "nothing is lost between items");
    }
}

fn certificate(bytes: &[u8]) {
    // A time at which a certificate made in a test is valid does not matter: reading comes first.
    if let Ok(valid) = Trust::self_signed().validate(&[bytes], 1_800_000_000) {
        assert!(valid.not_before() <= 1_800_000_000 && 1_800_000_000 <= valid.not_after());
    }
}

fn subject_id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(id) = SubjectId::new(text) {
        id.expose(|canonical| {
            assert!(canonical.len() <= SUBJECT_ID_MAX);
            let again = SubjectId::new(std::str::from_utf8(canonical).expect("UTF-8 stays UTF-8"));
            assert_eq!(again.expect("a canonical ID is an ID"), id, "normalising twice is once");
        });
    }
}

fn vkey(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(vkey) = text.parse::<Vkey>() {
        assert_eq!(vkey.to_string(), text, "a vkey has one spelling");
    }
}

fn note(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(Note::parse(&note.to_bytes()).expect("written by us").text(), note.text());
    }
}

fn checkpoint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_string(), text, "a checkpoint has one spelling");
    }
}

fn tlog_proof(bytes: &[u8]) {
    if let Ok(proof) = TlogProof::parse(bytes) {
        let again = TlogProof::parse(proof.encode().as_bytes()).expect("written by us");
        assert_eq!(again.encode(), proof.encode());
    }
}

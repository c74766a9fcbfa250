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

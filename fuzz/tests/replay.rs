//! Vectors, and mutations of vectors, against every decoder.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::{fs, path::Path};

use encrytrust_fuzz::TARGETS;
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// The bytes of every vector in the house, whatever message it is of.
fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    let mut seeds = Vec::new();
    for folder in fs::read_dir(root).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let vector: serde_json::Value = serde_json::from_str(&text).unwrap();
            if let Some(bytes) = vector["bytes"].as_str() {
                seeds.push(hex::decode(bytes).unwrap());
            }
        }
    }
    assert!(seeds.len() > 40, "the vectors are there");
    seeds
}

#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Set(Index, u8),
    Cut(Index),
    Remove(Index),
    Insert(Index, u8),
    Double(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    // Bytes that mean something to CBOR come up more often than chance would have them.
    let byte = prop_oneof![
        any::<u8>(),
        proptest::sample::select(vec![0x00, 0x18, 0x1b, 0x40, 0x5b, 0x5f, 0x7f, 0x9f, 0xbb, 0xff]),
    ];
    prop_oneof![
        (any::<Index>(), 0_u8..8).prop_map(|(i, bit)| Mutation::Flip(i, 1 << bit)),
        (any::<Index>(), byte.clone()).prop_map(|(i, b)| Mutation::Set(i, b)),
        any::<Index>().prop_map(Mutation::Cut),
        any::<Index>().prop_map(Mutation::Remove),
        (any::<Index>(), byte).prop_map(|(i, b)| Mutation::Insert(i, b)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::Double(a, b)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    match mutation {
        Mutation::Flip(i, mask) => {
            let at = i.index(bytes.len());
            bytes[at] ^= mask;
        }
        Mutation::Set(i, byte) => {
            let at = i.index(bytes.len());
            bytes[at] = *byte;
        }
        Mutation::Cut(i) => bytes.truncate(i.index(bytes.len())),
        Mutation::Remove(i) => {
            bytes.remove(i.index(bytes.len()));
        }
        Mutation::Insert(i, byte) => bytes.insert(i.index(bytes.len()), *byte),
        Mutation::Double(a, b) => {
            let (a, b) = (a.index(bytes.len()), b.index(bytes.len()));
            let part = bytes[a.min(b)..a.max(b)].to_vec();
            bytes.extend(part);
        }
    }
}

#[test]
fn vectors_do_not_break_any_decoder() {
    let seeds = corpus();
    for target in TARGETS {
        seeds.iter().for_each(|seed| (target.run)(seed));
    }
}

#[test]
fn mutated_vectors_do_not_break_any_decoder() {
    let seeds = corpus();
    let config = Config { cases: 20_000, failure_persistence: None, ..Config::default() };
    // The same cases every time: a red run is red again for whoever looks into it.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let cases = (any::<Index>(), prop::collection::vec(mutation(), 1..4));
    let outcome = runner.run(&cases, |(seed, mutations)| {
        let mut bytes = seed.get(&seeds).clone();
        mutations.iter().for_each(|m| mutate(&mut bytes, m));
        TARGETS.iter().for_each(|target| (target.run)(&bytes));
        Ok(())
    });
    outcome.unwrap();
}

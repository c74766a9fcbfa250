//! Bytes that another implementation, written from `docs/spec/smpc.md`, made.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use encrytrust_smpc::{
    Committee, Party,
    feldman::{Dealing, Header, Package, batched::BatchedDealing},
    field::{Field, Mersenne61, Mersenne127, Ristretto},
    prg::Seed,
    sharing::reconstruct,
};
use serde_json::Value;

fn vectors(file: &str) -> Value {
    let text = std::fs::read_to_string(format!("../vectors/smpc/{file}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> u16 {
    value.as_u64().unwrap().try_into().unwrap()
}

#[test]
fn seeds_and_elements() {
    let vector = vectors("prg");
    let seed = Seed::from_bytes(bytes(&vector["seed"]).try_into().unwrap());
    let derived = seed.derive(vector["label"].as_str().unwrap(), number(&vector["index"]).into());
    assert_eq!(derived.expose().as_slice(), bytes(&vector["derived"]));
    fn drawn<F: Field>(seed: &Seed, vector: &Value) {
        let mut elements = [F::ZERO; 5];
        seed.prg().elements(&mut elements);
        assert_eq!(F::encode(&elements), bytes(&vector["elements"][F::NAME]));
    }
    drawn::<Mersenne61>(&derived, &vector);
    drawn::<Mersenne127>(&derived, &vector);
    drawn::<Ristretto>(&derived, &vector);
}

#[test]
fn a_batched_dealing_made_elsewhere_is_accepted() {
    fn accepted<F: Field>(vector: &Value) {
        let secrets = F::decode(&bytes(&vector["secrets"])).unwrap();
        let parties = number(&vector["parties"]);
        let degree = number(&vector["degree"]);
        let header = Header {
            session: bytes(&vector["session"]).try_into().unwrap(),
            committee: Committee::new(parties, degree).unwrap(),
            dealer: Party::new(number(&vector["dealer"])).unwrap(),
            len: secrets.len().try_into().unwrap(),
        };
        let broadcast = bytes(&vector["dealing"]);
        let dealing = BatchedDealing::<F>::decode(&header, &broadcast).unwrap();
        assert_eq!(dealing.encode(), broadcast);
        let packages = vector["packages"].as_array().unwrap().iter().map(|package| {
            let package = bytes(package);
            let decoded = Package::<F>::decode(&package, secrets.len(), F::REPETITIONS).unwrap();
            assert_eq!(*decoded.encode(), package);
            dealing.accept(decoded.party(), Some(decoded)).unwrap()
        });
        let shares: Vec<_> = packages.collect();
        let all: Vec<_> = shares.iter().collect();
        assert_eq!(reconstruct(degree.into(), secrets.len(), &all).unwrap().values, secrets);
    }
    for vector in vectors("batched-dealing")["dealings"].as_array().unwrap() {
        match vector["field"].as_str().unwrap() {
            Mersenne61::NAME => accepted::<Mersenne61>(vector),
            Mersenne127::NAME => accepted::<Mersenne127>(vector),
            Ristretto::NAME => accepted::<Ristretto>(vector),
            other => panic!("no field {other}"),
        }
    }
}

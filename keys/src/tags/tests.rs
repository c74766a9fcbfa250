use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn ids(count: usize) -> Vec<SubjectId> {
    (0..count).map(|n| SubjectId::new(&format!("id {n}")).unwrap()).collect()
}

/// The function's output without blinding, as whoever holds the key can compute it.
fn direct(key: &TagKey, id: &SubjectId) -> SubjectTag {
    tag_of_output(&key.0.evaluate(id.as_bytes()).unwrap())
}

/// Hands out given scalars, each as the 64 bytes that reduce to it.
struct Scalars(Vec<Vec<u8>>);

impl rand_core::CryptoRng for Scalars {}

impl rand_core::RngCore for Scalars {
    fn next_u32(&mut self) -> u32 {
        unreachable!("scalars are drawn as bytes")
    }
    fn next_u64(&mut self) -> u64 {
        unreachable!("scalars are drawn as bytes")
    }
    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        let scalar = self.0.remove(0);
        buffer.fill(0);
        buffer[..32].copy_from_slice(&scalar);
    }
    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(buffer);
        Ok(())
    }
}

fn hex_list(value: &Value) -> Vec<Vec<u8>> {
    let texts = value.as_array().unwrap().iter();
    texts.map(|text| hex::decode(text.as_str().unwrap()).unwrap()).collect()
}

fn hex_of(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn rfc_9497_vectors() {
    let text = include_str!("../../../vectors/voprf/ristretto255_sha512.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let seed = hex_of(&file["seed"]).try_into().unwrap();
    let key = TagKey::from_seed(&seed, &hex_of(&file["key_info"]));
    key.expose(|secret| assert_eq!(secret.to_vec(), hex_of(&file["secret_key"])));
    assert_eq!(key.public().as_bytes().to_vec(), hex_of(&file["public_key"]));

    for v in file["vectors"].as_array().unwrap() {
        let inputs = hex_list(&v["inputs"]);
        let mut blinds = Scalars(hex_list(&v["blinds"]));
        let blinded: Vec<_> = inputs
            .iter()
            .map(|input| VoprfClient::<Ristretto255>::blind(input, &mut blinds).unwrap())
            .collect();
        let elements: Vec<u8> = blinded.iter().flat_map(|b| b.message.serialize()).collect();
        assert_eq!(elements, hex_list(&v["blinded"]).concat());

        let mut randomness = Scalars(vec![hex_of(&v["proof_random_scalar"])]);
        let answer = key.evaluate_with(&elements, &mut randomness).unwrap();
        assert_eq!(**answer.evaluated, hex_list(&v["evaluated"]).concat());
        assert_eq!(**answer.proof, hex_of(&v["proof"]));

        let clients: Vec<_> = blinded.into_iter().map(|b| b.state).collect();
        let evaluated = read_elements(&answer.evaluated, EvaluationElement::deserialize).unwrap();
        let proof = Proof::deserialize(&answer.proof).unwrap();
        let public = key.public().element().unwrap();
        let outputs: Vec<_> =
            VoprfClient::batch_finalize(&inputs, &clients, &evaluated, &proof, public)
                .unwrap()
                .map(|output| output.unwrap().to_vec())
                .collect();
        assert_eq!(outputs, hex_list(&v["outputs"]));
    }
}

#[test]
fn tag_vectors() {
    let text = include_str!("../../../vectors/subject-tag/tags.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let key = TagKey::from_secret(&hex_of(&file["secret_key"])).unwrap();
    assert_eq!(key.public().as_bytes().to_vec(), hex_of(&file["public_key"]));
    for v in file["vectors"].as_array().unwrap() {
        let values: Vec<_> =
            v["values"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
        let id = SubjectId::from_columns(&values).unwrap();
        assert_eq!(direct(&key, &id).to_string(), v["voprf"].as_str().unwrap());
        assert_eq!(sha256_tag(&id).to_string(), v["sha256"].as_str().unwrap());
    }
}

#[test]
fn two_blindings_of_one_id_share_nothing_but_the_tag() {
    let key = TagKey::generate();
    let [a, b] = [(); 2].map(|()| BlindedIds::blind(ids(1)).unwrap());
    assert_ne!(a.elements(), b.elements());
    let tag = |blinded: BlindedIds| {
        let answer = key.evaluate(blinded.elements()).unwrap();
        blinded.finalize(&key.public(), &answer.evaluated, &answer.proof).unwrap()
    };
    assert_eq!(tag(a), tag(b));
}

#[test]
fn an_answer_under_another_key_is_refused() {
    let (published, used) = (TagKey::generate(), TagKey::generate());
    let blinded = BlindedIds::blind(ids(3)).unwrap();
    let answer = used.evaluate(blinded.elements()).unwrap();
    let result = blinded.finalize(&published.public(), &answer.evaluated, &answer.proof);
    assert_eq!(result, Err(TagError::BadProof));
}

#[test]
fn one_element_under_another_key_spoils_the_batch() {
    let (published, used) = (TagKey::generate(), TagKey::generate());
    let blinded = BlindedIds::blind(ids(3)).unwrap();
    let mut answer = published.evaluate(blinded.elements()).unwrap();
    let other = used.evaluate(&blinded.elements()[32..64]).unwrap();
    answer.evaluated[32..64].copy_from_slice(&other.evaluated);
    let result = blinded.finalize(&published.public(), &answer.evaluated, &answer.proof);
    assert_eq!(result, Err(TagError::BadProof));
}

#[test]
fn swapped_answers_are_refused() {
    let key = TagKey::generate();
    let blinded = BlindedIds::blind(ids(2)).unwrap();
    let answer = key.evaluate(blinded.elements()).unwrap();
    let swapped = [&answer.evaluated[32..], &answer.evaluated[..32]].concat();
    assert_eq!(blinded.finalize(&key.public(), &swapped, &answer.proof), Err(TagError::BadProof));
}

#[test]
fn faults_of_the_platform_are_named() {
    let key = TagKey::generate();
    let finalize = |change: fn(&mut TagAnswer)| {
        let blinded = BlindedIds::blind(ids(2)).unwrap();
        let mut answer = key.evaluate(blinded.elements()).unwrap();
        change(&mut answer);
        blinded.finalize(&key.public(), &answer.evaluated, &answer.proof).unwrap_err()
    };
    assert_eq!(finalize(|a| a.evaluated.truncate(32)), TagError::Count { expected: 2, found: 1 });
    assert_eq!(finalize(|a| a.evaluated.truncate(40)), TagError::BadEvaluated { index: 1 });
    assert_eq!(finalize(|a| a.evaluated[32..].fill(0xff)), TagError::BadEvaluated { index: 1 });
    assert_eq!(finalize(|a| a.evaluated[..32].fill(0)), TagError::BadEvaluated { index: 0 });
    assert_eq!(finalize(|a| a.proof[0] ^= 1), TagError::BadProof);
    assert_eq!(finalize(|a| a.proof.fill(0xff)), TagError::BadProof);
}

#[test]
fn faults_of_the_client_are_named() {
    let key = TagKey::generate();
    assert_eq!(key.evaluate(&[]), Err(TagError::BatchSize { count: 0 }));
    let element = BlindedIds::blind(ids(1)).unwrap().elements().to_vec();
    let with = |tail: &[u8]| key.evaluate(&[&element, tail].concat());
    assert_eq!(with(&[0; 32]), Err(TagError::BadBlinded { index: 1 }));
    assert_eq!(with(&[0xff; 32]), Err(TagError::BadBlinded { index: 1 }));
    assert_eq!(with(&[1]), Err(TagError::BadBlinded { index: 1 }));
    let many = element.repeat(BATCH_MAX + 1);
    assert_eq!(key.evaluate(&many), Err(TagError::BatchSize { count: BATCH_MAX + 1 }));
    assert_eq!(BlindedIds::blind(vec![]).map(drop), Err(TagError::BatchSize { count: 0 }));
}

#[test]
fn keys_are_read_strictly() {
    let scalar = Err(TagError::BadKey { what: "scalar" });
    assert_eq!(TagKey::from_secret(&[0; 32]).map(drop), scalar);
    assert_eq!(TagKey::from_secret(&[0xff; 32]).map(drop), scalar);
    assert_eq!(TagKey::from_secret(&[1; 31]).map(drop), scalar);
    let element = Err(TagError::BadKey { what: "element" });
    assert_eq!(TagPublicKey::from_bytes(&[0; 32]).map(drop), element);
    assert_eq!(TagPublicKey::from_bytes(&[0xff; 32]).map(drop), element);
    assert_eq!(TagPublicKey::from_bytes(&[1; 33]).map(drop), element);
    let key = TagKey::generate();
    let again = key.expose(|secret| TagKey::from_secret(secret)).unwrap();
    assert_eq!(again.public(), key.public());
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(format!("{:?}", TagKey::generate()), "TagKey(<redacted>)");
    assert_eq!(format!("{:?}", BlindedIds::blind(ids(2)).unwrap()), "BlindedIds(2, <redacted>)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_detour_over_the_platform_gives_the_direct_output(count in 1..20usize) {
        let key = TagKey::generate();
        let ids = ids(count);
        let expected: Vec<_> = ids.iter().map(|id| direct(&key, id)).collect();
        let blinded = BlindedIds::blind(ids).unwrap();
        let answer = key.evaluate(blinded.elements()).unwrap();
        let tags = blinded.finalize(&key.public(), &answer.evaluated, &answer.proof).unwrap();
        prop_assert_eq!(tags, expected);
    }
}

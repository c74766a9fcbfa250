//! Every field against integers: known answers computed elsewhere, and generated ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use encrytrust_smpc::{
    field::{DecodeError, Field, Mersenne61, Mersenne127, Ristretto},
    prg::Seed,
};
use num_bigint::BigUint;
use proptest::prelude::*;
use serde_json::Value;

fn int<F: Field>(element: F) -> BigUint {
    BigUint::from_bytes_le(&F::encode(&[element]))
}

fn element<F: Field>(value: &BigUint) -> F {
    let mut bytes = value.to_bytes_le();
    bytes.resize(F::BYTES, 0);
    F::read(&bytes).expect("the reference reduced it")
}

fn order<F: Field>() -> BigUint {
    int(-F::ONE) + 1_u8
}

fn from_hex<F: Field>(value: &Value) -> Vec<F> {
    F::decode(&hex::decode(value.as_str().unwrap()).unwrap()).unwrap()
}

fn known_answers<F: Field>(file: &str) {
    let text = std::fs::read_to_string(format!("../vectors/smpc/{file}.json")).unwrap();
    let vectors: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(order::<F>().to_string(), vectors["order"].as_str().unwrap());
    for pair in vectors["pairs"].as_array().unwrap() {
        let [a, b, sum, difference, product] =
            ["a", "b", "sum", "difference", "product"].map(|name| from_hex::<F>(&pair[name])[0]);
        assert_eq!(a + b, sum);
        assert_eq!(a - b, difference);
        assert_eq!(a * b, product);
        let inverse = pair["inverse_a"].as_str().map(|_| from_hex::<F>(&pair["inverse_a"])[0]);
        assert_eq!(a.invert(), inverse);
    }
    let product = &vectors["inner_product"];
    let (left, right) = (from_hex::<F>(&product["left"]), from_hex::<F>(&product["right"]));
    assert_eq!(F::inner_product(&left, &right), from_hex(&product["value"])[0]);
    for bytes in vectors["not_canonical"].as_array().unwrap() {
        let mut column = F::encode(&[F::ONE, F::ONE]);
        column[F::BYTES..].copy_from_slice(&hex::decode(bytes.as_str().unwrap()).unwrap());
        let refused = F::decode(&column).unwrap_err();
        assert_eq!(refused, DecodeError::NotCanonical { index: 1, field: F::NAME });
    }
    let cut = F::decode(&vec![0; F::BYTES + 1]).unwrap_err();
    assert!(matches!(cut, DecodeError::Length { .. }), "{cut}");
}

/// Elements that lie at the seams, and a few that do not.
fn columns<F: Field>(seed: u64, len: usize) -> (Vec<F>, Vec<F>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut prg = Seed::from_bytes(bytes).prg();
    let seams = [F::ZERO, F::ONE, -F::ONE, F::from_u64(u64::MAX), -F::from_u64(u64::MAX)];
    let mut column = || {
        let mut column = vec![F::ZERO; len];
        prg.elements(&mut column);
        let choices: Vec<u8> = (0..len).map(|_| prg.bytes::<1>()[0]).collect();
        for (value, choice) in column.iter_mut().zip(choices) {
            *value = seams.get(usize::from(choice % 16)).copied().unwrap_or(*value);
        }
        column
    };
    (column(), column())
}

fn against_integers<F: Field>(seed: u64, len: usize) {
    let p = order::<F>();
    let (a, b) = columns::<F>(seed, len);
    let (ia, ib): (Vec<_>, Vec<_>) = a.iter().zip(&b).map(|(a, b)| (int(*a), int(*b))).unzip();
    let each = |f: &dyn Fn(&BigUint, &BigUint) -> BigUint| -> Vec<F> {
        ia.iter().zip(&ib).map(|(a, b)| element(&(f(a, b) % &p))).collect()
    };
    let after = |f: &dyn Fn(&mut [F])| {
        let mut column = a.clone();
        f(&mut column);
        column
    };
    assert_eq!(after(&|c| F::add_slice(c, &b)), each(&|a, b| a + b));
    assert_eq!(after(&|c| F::sub_slice(c, &b)), each(&|a, b| a + &p - b));
    assert_eq!(after(&|c| F::mul_slice(c, &b)), each(&|a, b| a * b));
    if let Some(&factor) = b.first() {
        assert_eq!(after(&|c| F::scale_slice(c, factor)), each(&|a, _| a * int(factor)));
        assert_eq!(after(&|c| F::horner_slice(c, factor, &b)), each(&|a, b| a * int(factor) + b));
    }
    let sum: BigUint = ia.iter().sum();
    assert_eq!(int(F::sum(&a)), sum % &p);
    let product: BigUint = ia.iter().zip(&ib).map(|(a, b)| a * b).sum();
    assert_eq!(int(F::inner_product(&a, &b)), product % &p);
    // The same numbers as a linear combination of one-element columns, and of long ones.
    let single: Vec<&[F]> = b.chunks(1).collect();
    let mut out = [F::ONE];
    F::combine(&mut out, &a, &single);
    assert_eq!(out[0], F::inner_product(&a, &b));
    if let [first, second, ..] = a[..] {
        let mut out = vec![F::ONE; len];
        F::combine(&mut out, &[first, second], &[&a, &b]);
        assert_eq!(out, each(&|a, b| a * int(first) + b * int(second)));
    }
    for (x, y) in a.iter().zip(&b) {
        assert_eq!(*x + -*x, F::ZERO);
        assert_eq!(x.invert().map_or(F::ONE, |i| i * *x), F::ONE);
        assert_eq!(bool::from(x.ct_eq(y)), x == y);
        assert_eq!(F::conditional_select(x, y, 0.into()), *x);
        assert_eq!(F::conditional_select(x, y, 1.into()), *y);
    }
    assert_eq!(F::decode(&F::encode(&a)).unwrap(), a);
}

#[test]
fn known_answers_in_every_field() {
    known_answers::<Mersenne61>("mersenne61");
    known_answers::<Mersenne127>("mersenne127");
    known_answers::<Ristretto>("ristretto");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn arithmetic_is_that_of_integers(seed: u64, len in 0_usize..300) {
        against_integers::<Mersenne61>(seed, len);
        against_integers::<Mersenne127>(seed, len);
        against_integers::<Ristretto>(seed, len);
    }

    #[test]
    fn axioms(seed: u64) {
        fn hold<F: Field>(seed: u64) {
            let (a, b) = columns::<F>(seed, 2);
            let (x, y, z) = (a[0], a[1], b[0]);
            assert_eq!(x * (y + z), x * y + x * z);
            assert_eq!((x * y) * z, x * (y * z));
            assert_eq!((x + y) + z, x + (y + z));
            assert_eq!((x * y, x + y), (y * x, y + x));
            assert_eq!((x * F::ONE, x + F::ZERO, x * F::ZERO), (x, x, F::ZERO));
        }
        hold::<Mersenne61>(seed);
        hold::<Mersenne127>(seed);
        hold::<Ristretto>(seed);
    }

    #[test]
    fn integers_come_back(value: i64, wide: i128) {
        let small = value >> 4;
        prop_assert_eq!(Mersenne61::from_i64(small).to_i64(), small);
        prop_assert_eq!(Mersenne127::from_i64(value).to_i128(), i128::from(value));
        let wide = wide >> 2;
        prop_assert_eq!(Mersenne127::from_i128(wide).to_i128(), wide);
        prop_assert_eq!(Ristretto::from_i64(value) + Ristretto::from_i64(-small), Ristretto::from_i64(value) - Ristretto::from_i64(small));
        let reference = BigUint::from(value.unsigned_abs()) % Mersenne61::ORDER;
        prop_assert_eq!(int(Mersenne61::from_u64(value.unsigned_abs())), reference);
    }
}

/// A stream's elements are uniform: each of the sixteen top-level intervals gets its part.
#[test]
fn samples_are_uniform() {
    fn chi_square<F: Field>() -> f64 {
        let mut column = vec![F::ZERO; 64_000];
        Seed::from_bytes([3; 32]).prg().elements(&mut column);
        let top = order::<F>();
        let mut counts = [0_u32; 16];
        for value in column {
            let interval: BigUint = int(value) * 16_u8 / &top;
            counts[usize::try_from(interval).unwrap()] += 1;
        }
        counts.iter().map(|c| (f64::from(*c) - 4000.0).powi(2) / 4000.0).sum()
    }
    // Fifteen degrees of freedom: above 44.3 with probability 1e-4.
    for statistic in
        [chi_square::<Mersenne61>(), chi_square::<Mersenne127>(), chi_square::<Ristretto>()]
    {
        assert!(statistic < 44.3, "{statistic}");
    }
}

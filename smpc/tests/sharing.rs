//! Sharing: what comes back, what d shares give away (nothing), and who is caught lying.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use encrytrust_smpc::{
    Committee, Party,
    field::{Field, Mersenne61, Mersenne127, Ristretto},
    prg::{Prg, Seed},
    sharing::{ReconstructError, ShareError, Shares, correct, deal, reconstruct, weights_at_zero},
};
use proptest::prelude::*;

fn prg(seed: u64) -> Prg {
    Seed::from_bytes([9; 32]).derive("test", seed).prg()
}

fn column<F: Field>(prg: &mut Prg, len: usize) -> Vec<F> {
    let mut column = vec![F::ZERO; len];
    prg.elements(&mut column);
    column
}

fn committees() -> impl Strategy<Value = Committee> {
    (1_u16..14).prop_flat_map(|n| (Just(n), 0..n)).prop_map(|(n, d)| Committee::new(n, d).unwrap())
}

/// Any large enough subset, in any order, gives the secrets back.
fn any_subset<F: Field>(committee: Committee, seed: u64, order: &[Party]) {
    let mut prg = prg(seed);
    let secrets = column::<F>(&mut prg, 20);
    let shares = deal(committee, &secrets, &mut prg);
    let chosen: Vec<_> = order.iter().map(|p| &shares[p.index()]).collect();
    let opened = reconstruct(committee.degree().into(), 20, &chosen);
    if order.len() < committee.threshold() {
        let (have, need) = (order.len(), committee.threshold());
        assert_eq!(opened, Err(ReconstructError::TooFew { have, need }));
        return;
    }
    let opened = opened.unwrap();
    assert_eq!(opened.values, secrets);
    assert!(opened.liars.is_empty());
    assert_eq!(opened.checked, order.len() > committee.threshold());
}

/// As many liars as can be corrected, lying where and how they like, are all named.
fn liars_are_named<F: Field>(committee: Committee, seed: u64, order: &[Party], coalition: bool) {
    let mut prg = prg(seed);
    let secrets = column::<F>(&mut prg, 12);
    let mut shares = deal(committee, &secrets, &mut prg);
    // A coalition lies with a second valid sharing, so that its shares agree with each other.
    let other = deal(committee, &column::<F>(&mut prg, 12), &mut prg);
    let count = committee.correctable(order.len());
    let mut liars = order[..count].to_vec();
    liars.sort();
    for (turn, liar) in liars.iter().enumerate() {
        let values = shares[liar.index()].expose_mut();
        if coalition {
            values.copy_from_slice(other[liar.index()].expose());
        } else {
            values[(turn * 5 + seed as usize) % 12] += prg.element::<F>();
        }
    }
    let chosen: Vec<_> = order.iter().map(|p| &shares[p.index()]).collect();
    let opened = reconstruct(committee.degree().into(), 12, &chosen).unwrap();
    assert_eq!(opened.values, secrets);
    assert_eq!(opened.liars, liars);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn shares_come_back(
        (committee, order) in committees().prop_flat_map(|c| {
            let everybody: Vec<_> = c.iter().collect();
            (Just(c), Just(everybody).prop_shuffle())
        }),
        keep in 1_usize..14,
        seed: u64,
    ) {
        let order = &order[..keep.min(order.len())];
        any_subset::<Mersenne61>(committee, seed, order);
        any_subset::<Mersenne127>(committee, seed, order);
        any_subset::<Ristretto>(committee, seed, order);
    }

    #[test]
    fn liars_do_not_hide(
        (committee, order) in committees().prop_flat_map(|c| {
            let everybody: Vec<_> = c.iter().collect();
            (Just(c), Just(everybody).prop_shuffle())
        }),
        coalition: bool,
        seed: u64,
    ) {
        liars_are_named::<Mersenne61>(committee, seed, &order, coalition);
        liars_are_named::<Mersenne127>(committee, seed, &order, coalition);
        liars_are_named::<Ristretto>(committee, seed, &order, coalition);
    }

    /// A decoder's answer, when it gives one, fits all but the named shares, whatever came in.
    #[test]
    fn garbage_is_decoded_rightly_or_refused(values in prop::collection::vec(0_u64..3, 1..12), degree in 0_usize..6) {
        prop_assume!(values.len() > degree);
        let shares: Vec<_> = (1..).zip(&values)
            .map(|(n, v)| (Party::new(n).unwrap(), Mersenne61::from_u64(*v))).collect();
        if let Ok((polynomial, liars)) = correct(&shares, degree) {
            prop_assert!(polynomial.len() == degree + 1);
            prop_assert!(liars.len() <= (shares.len() - degree - 1) / 2);
            for (party, value) in shares {
                let x = party.point::<Mersenne61>();
                let at = polynomial.iter().rev().fold(Mersenne61::ZERO, |sum, c| sum * x + *c);
                prop_assert_eq!(at != value, liars.contains(&party));
            }
        }
    }

    #[test]
    fn linear_operations_act_on_secrets(seed: u64, factor: i64) {
        let committee = Committee::new(5, 2).unwrap();
        let mut prg = prg(seed);
        let [a, b, public]: [Vec<Mersenne127>; 3] = std::array::from_fn(|_| column(&mut prg, 9));
        let (shares_a, shares_b) = (deal(committee, &a, &mut prg), deal(committee, &b, &mut prg));
        let factor = Mersenne127::from_i64(factor);
        let compute = |a: &Shares<Mersenne127>, b: &Shares<Mersenne127>| {
            let mut result = a.clone();
            result.mul_public(&public).unwrap();
            result.sub(b).unwrap();
            result.scale(factor);
            result.add_public(&public).unwrap();
            result.add(&Shares::public(b.party(), &public)).unwrap();
            result
        };
        let results: Vec<_> = shares_a.iter().zip(&shares_b).map(|(a, b)| compute(a, b)).collect();
        let opened = reconstruct(2, 9, &results.iter().collect::<Vec<_>>()).unwrap();
        let expected: Vec<_> = a.iter().zip(&b).zip(&public)
            .map(|((a, b), c)| (*a * *c - *b) * factor + *c + *c).collect();
        prop_assert_eq!(opened.values, expected);
        let sums: Vec<_> = shares_a.iter().map(Shares::sum).collect();
        let opened = reconstruct(2, 1, &sums.iter().collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(opened.values, [Mersenne127::sum(&a)]);
        let dots: Vec<_> = shares_a.iter().map(|s| s.dot_public(&public).unwrap()).collect();
        let opened = reconstruct(2, 1, &dots.iter().collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(opened.values, [Mersenne127::inner_product(&a, &public)]);
    }
}

#[test]
fn errors_name_the_party() {
    let committee = Committee::new(4, 1).unwrap();
    let shares = deal(committee, &[Mersenne61::ONE; 3], &mut prg(0));
    let short = Shares::new(shares[2].party(), vec![Mersenne61::ONE; 2]);
    let refused = reconstruct(1, 3, &[&shares[0], &shares[1], &short]).unwrap_err();
    assert_eq!(refused.culprit(), Party::new(3));
    assert_eq!(
        refused.to_string(),
        "party 3 sent 2 values, 3 were expected: leave it out and try again"
    );
    let refused = reconstruct(1, 3, &[&shares[1], &shares[0], &shares[1]]).unwrap_err();
    assert_eq!(refused.culprit(), Party::new(2));
    let refused = shares[0].clone().add(&shares[3]).unwrap_err();
    assert!(matches!(refused, ShareError::Parties { .. }));
    assert_eq!(refused.culprit().number(), 4);
    assert_eq!(shares[0].clone().add_public(&[Mersenne61::ONE]).unwrap_err().culprit().number(), 1);
}

#[test]
fn one_lie_too_many_is_refused_and_nobody_blamed() {
    // Four shares of degree 1 correct one lie; two liars with one story leave two polynomials.
    let committee = Committee::new(4, 1).unwrap();
    let mut shares = deal(committee, &[Mersenne61::ONE; 3], &mut prg(1));
    for share in &mut shares[2..] {
        share.expose_mut()[1] += Mersenne61::from_u64(5);
    }
    let refused = reconstruct(1, 3, &shares.iter().collect::<Vec<_>>()).unwrap_err();
    assert_eq!(refused.culprit(), None);
    assert!(matches!(refused, ReconstructError::Contradiction { index: 1, .. }), "{refused}");
    // Three shares detect but cannot correct.
    let refused = reconstruct(1, 3, &[&shares[0], &shares[1], &shares[2]]).unwrap_err();
    assert!(matches!(refused, ReconstructError::Contradiction { index: 1, .. }), "{refused}");
    // Each liar alone, in different columns, adds up to one liar too many.
    let mut shares = deal(committee, &[Mersenne61::ONE; 3], &mut prg(2));
    shares[0].expose_mut()[0] += Mersenne61::ONE;
    shares[1].expose_mut()[2] += Mersenne61::ONE;
    let refused = reconstruct(1, 3, &shares.iter().collect::<Vec<_>>()).unwrap_err();
    assert_eq!(refused.culprit(), None);
}

#[test]
fn shares_are_not_shown() {
    let secret = Mersenne61::from_u64(1_234_567);
    let shares = deal(Committee::new(3, 1).unwrap(), &[secret], &mut prg(3));
    assert_eq!(format!("{:?}", shares[0]), "Shares(party 1, 1 values, <redacted>)");
    let opened = reconstruct(1, 1, &[&shares[0], &shares[1]]).unwrap();
    assert!(!format!("{opened:?}").contains("1234567"));
}

/// The joint distribution of d shares is the same for two secrets: a chi-square test over cells
/// formed by the top two bits of each of two shares of degree-2 sharings. As a control, d + 1
/// shares, combined, tell the secrets apart at once.
#[test]
fn d_shares_are_independent_of_the_secret() {
    const SAMPLES: usize = 40_000;
    let committee = Committee::new(5, 2).unwrap();
    let top = |value: Mersenne61| (value.to_u64() >> 59) as usize;
    let histogram = |secret: u64, pair: [usize; 2], seed: u64| {
        let secrets = vec![Mersenne61::from_u64(secret); SAMPLES];
        let shares = deal(committee, &secrets, &mut prg(seed));
        let mut cells = [0_f64; 16];
        for (a, b) in shares[pair[0]].expose().iter().zip(shares[pair[1]].expose()) {
            cells[top(*a) * 4 + top(*b)] += 1.0;
        }
        cells
    };
    for (turn, pair) in [[0, 1], [1, 4], [2, 3], [0, 4]].into_iter().enumerate() {
        let seed = 100 + 2 * turn as u64;
        let zero = histogram(0, pair, seed);
        let salary = histogram((1 << 60) + 12_345, pair, seed + 1);
        let statistic: f64 = zero.iter().zip(&salary).map(|(a, b)| (a - b).powi(2) / (a + b)).sum();
        // Fifteen degrees of freedom: above 44.3 with probability 1e-4.
        assert!(statistic < 44.3, "{pair:?}: {statistic}");
    }
    let three: Vec<_> = [1, 3, 5].map(|n| Party::new(n).unwrap()).to_vec();
    let weights: Vec<Mersenne61> = weights_at_zero(&three).unwrap();
    let shares = deal(committee, &[Mersenne61::from_u64(7)], &mut prg(5));
    let combined: Vec<_> = three.iter().map(|p| shares[p.index()].expose()[0]).collect();
    assert_eq!(Mersenne61::inner_product(&weights, &combined).to_u64(), 7);
}

/// The same, exactly: for every choice of d shares and every secret there is exactly one
/// polynomial, so each secret explains what d parties see equally well.
#[test]
fn every_secret_explains_d_shares() {
    let committee = Committee::new(4, 2).unwrap();
    let shares = deal(committee, &[Mersenne127::from_u64(99)], &mut prg(6));
    for claimed in [0, 1, 99, 1 << 40].map(Mersenne127::from_u64) {
        // Solve for a third share that makes the secret `claimed`; it always exists.
        let three: Vec<_> = committee.iter().take(3).collect();
        let weights: Vec<Mersenne127> = weights_at_zero(&three).unwrap();
        let seen = weights[0] * shares[0].expose()[0] + weights[1] * shares[1].expose()[0];
        let third = (claimed - seen) * weights[2].invert().unwrap();
        let forged = Shares::new(three[2], vec![third]);
        let opened = reconstruct(2, 1, &[&shares[0], &shares[1], &forged]).unwrap();
        assert_eq!(opened.values, [claimed]);
    }
}

/// The example that opens `docs/spec/smpc.md` is what the code computes.
#[test]
fn the_specs_example() {
    let page = std::fs::read_to_string("../docs/spec/smpc.md").unwrap();
    let hex = |value: Mersenne61| {
        let bytes = Mersenne61::encode(&[value]);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
    };
    let line = |label: &str| page.lines().find(|line| line.starts_with(label)).unwrap();
    assert!(line("61-bit element 5").contains(&hex(Mersenne61::from_u64(5))));
    let f = |party: Party| {
        Mersenne61::from_u64(5) + Mersenne61::from_u64(3) * party.point::<Mersenne61>()
    };
    let committee = Committee::new(3, 1).unwrap();
    for party in committee.iter() {
        assert!(line(&format!("share of {party}")).contains(&hex(f(party))));
    }
    let shares = [1, 3].map(|n| Party::new(n).unwrap()).map(|p| Shares::new(p, vec![f(p)]));
    let opened = reconstruct(1, 1, &[&shares[0], &shares[1]]).unwrap();
    assert_eq!(opened.values, [Mersenne61::from_u64(5)]);
}

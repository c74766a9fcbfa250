//! Verifiable dealing: honest dealers are believed, lying ones convicted, false accusers too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;

use curve25519_dalek::{RistrettoPoint, Scalar};
use encrytrust_smpc::{
    Committee, Party,
    feldman::{
        Complaint, Dealing, Fault, Flaw, Header, Package, Verdict,
        bare::{self, BareDealing, HighEntropy},
        batched::BatchedDealing,
        blinded::{BlindedDealing, Timing},
    },
    field::{Field, Mersenne61, Mersenne127, Ristretto},
    prg::Prg,
    sharing::{Polynomials, reconstruct},
};

fn header(parties: u16, degree: u16, len: usize) -> Header {
    let committee = Committee::new(parties, degree).unwrap();
    let dealer = Party::new(parties).unwrap();
    Header { session: [5; 32], committee, dealer, len: len.try_into().unwrap() }
}

fn column<F: Field>(len: usize) -> Vec<F> {
    (0..len as u64).map(|v| F::from_u64(v * 7 + 3)).collect()
}

/// The broadcast and the packages travel as bytes; everybody accepts; the secrets come back.
fn everybody_accepts<D: Dealing>(sent: &D, packages: &[Package<D::Field>], secrets: &[D::Field]) {
    let header = sent.header();
    let dealing = D::decode(header, &sent.encode()).unwrap();
    let receive = |package: &Package<D::Field>| {
        let (values, hiding) = (package.shares().len(), package.hiding().len());
        let received = Package::decode(&package.encode(), values, hiding).unwrap();
        dealing.accept(package.party(), Some(received)).unwrap()
    };
    let shares: Vec<_> = packages.iter().map(receive).collect();
    let degree = header.committee.degree().into();
    let all: Vec<_> = shares.iter().collect();
    assert_eq!(reconstruct(degree, secrets.len(), &all).unwrap().values, secrets);
}

/// A package with one share changed, and a broadcast whose digest says that this is the one.
fn tamper<D: Dealing>(
    dealing: &D,
    package: &Package<D::Field>,
    value: usize,
) -> (D, Package<D::Field>) {
    let mut bytes = package.encode();
    bytes[36 + value * D::Field::BYTES] ^= 1;
    let (values, hiding) = (package.shares().len(), package.hiding().len());
    let wrong = Package::decode(&bytes, values, hiding).unwrap();
    let mut broadcast = dealing.encode();
    let at = 1 + Header::BYTES + 32 * package.party().index();
    broadcast[at..at + 32].copy_from_slice(&wrong.digest(dealing.header()));
    (D::decode(dealing.header(), &broadcast).unwrap(), wrong)
}

#[test]
fn honest_dealings_are_accepted() {
    for (parties, degree) in [(1, 0), (3, 1), (4, 1), (5, 2), (7, 6)] {
        let mut prg = Prg::random();
        let secrets = HighEntropy::sample(3, &mut prg);
        let (dealing, packages) = BareDealing::deal(header(parties, degree, 3), &secrets, &mut prg);
        everybody_accepts(&dealing, &packages, secrets.expose());
        let secrets = column(30);
        for timing in [Timing::Constant, Timing::Variable] {
            let (dealing, packages) =
                BlindedDealing::deal(header(parties, degree, 30), &secrets, timing, &mut prg);
            everybody_accepts(&dealing, &packages, &secrets);
        }
        let secrets = column::<Mersenne61>(30);
        let (dealing, packages) =
            BatchedDealing::deal(header(parties, degree, 30), &secrets, &mut prg);
        everybody_accepts(&dealing, &packages, &secrets);
        let secrets = column::<Mersenne127>(0);
        let (dealing, packages) =
            BatchedDealing::deal(header(parties, degree, 0), &secrets, &mut prg);
        everybody_accepts(&dealing, &packages, &secrets);
    }
}

#[test]
fn columns_longer_than_a_block() {
    for len in [4095, 4096, 4097, 9000] {
        let mut prg = Prg::random();
        let secrets = column(len);
        let (dealing, packages) =
            BlindedDealing::deal(header(3, 1, len), &secrets, Timing::Variable, &mut prg);
        everybody_accepts(&dealing, &packages, &secrets);
        let last = len - 1;
        let (dealing, wrong) = tamper(&dealing, &packages[1], last);
        let complaint = dealing.accept(wrong.party(), Some(wrong)).unwrap_err();
        let fault = Fault::Block { index: last / 4096 };
        let dealer = dealing.header().dealer;
        assert_eq!(complaint.verify(&dealing, None), Verdict::Guilty { dealer, fault });
    }
}

/// The white paper's two equations, computed here from the definition: powers of g and products.
#[test]
fn the_white_papers_equations() {
    let committee = Committee::new(5, 2).unwrap();
    let mut prg = Prg::random();
    let [a, b] = [0, 1].map(|_| {
        let secrets = HighEntropy::sample(4, &mut prg);
        Polynomials::random(committee, secrets.expose(), &mut prg)
    });
    let [g, h] = [&a, &b].map(bare::Commitments::to);
    let sum = g.product(&h).unwrap();
    for party in committee.iter() {
        let (share_a, share_b) = (a.shares(party), b.shares(party));
        for j in 0..4 {
            let (share_a, share_b) = (share_a.expose()[j], share_b.expose()[j]);
            assert!(g.holds(party, j, share_a));
            assert!(h.holds(party, j, share_b));
            assert!(sum.holds(party, j, share_a + share_b));
            assert!(!sum.holds(party, j, share_a + share_b + Ristretto::ONE));
            assert!(!g.holds(party, j, share_b));

            let x = Scalar::from(party.number());
            let mut power = Scalar::ONE;
            let mut product = RistrettoPoint::mul_base(&Scalar::ZERO);
            for k in 0..3 {
                let (r, l) = (a.coefficients(k)[j].to_scalar(), b.coefficients(k)[j].to_scalar());
                product += (RistrettoPoint::mul_base(&r) + RistrettoPoint::mul_base(&l)) * power;
                power *= x;
            }
            assert_eq!(product, RistrettoPoint::mul_base(&(share_a + share_b).to_scalar()));
        }
    }
}

/// Shares of a result are checked against the same combination of commitments.
#[test]
fn blinded_commitments_follow_linear_operations() {
    let mut prg = Prg::random();
    let factor = Ristretto::from_u64(12);
    let deal = |seed: u64, prg: &mut Prg| {
        let secrets: Vec<_> = (0..50).map(|v| Ristretto::from_u64(v * seed)).collect();
        BlindedDealing::deal(header(4, 1, 50), &secrets, Timing::Variable, prg)
    };
    let ((dealing_a, a), (dealing_b, b)) = (deal(3, &mut prg), deal(11, &mut prg));
    let commitments = dealing_a.commitments().scaled(factor).sum(dealing_b.commitments()).unwrap();
    for (a, b) in a.iter().zip(&b) {
        let (mut values, mut blinds) = (a.shares().clone(), a.hiding().clone());
        values.scale(factor);
        blinds.scale(factor);
        values.add(b.shares()).unwrap();
        blinds.add(b.hiding()).unwrap();
        assert!(commitments.holds(a.party(), values.expose(), blinds.expose(), &mut prg));
        values.expose_mut()[7] += Ristretto::ONE;
        assert!(!commitments.holds(a.party(), values.expose(), blinds.expose(), &mut prg));
        assert!(!commitments.holds(a.party(), &values.expose()[1..], blinds.expose(), &mut prg));
    }
}

/// Why bare commitments take no data: a salary below 2^20 is found from g^salary by baby-step
/// giant-step (Shanks 1971), with some 2,000 group operations.
#[test]
fn a_bare_commitment_gives_a_salary_away() {
    let salary = 734_512_u64;
    let committee = Committee::new(3, 1).unwrap();
    let mut prg = Prg::random();
    let polynomials = Polynomials::random(committee, &[Ristretto::from_u64(salary)], &mut prg);
    let coefficient = polynomials.coefficients(0)[0].to_scalar();
    let broadcast = RistrettoPoint::mul_base(&coefficient);

    let g = RistrettoPoint::mul_base(&Scalar::ONE);
    let mut baby = RistrettoPoint::default();
    let steps: HashMap<_, _> = (0..1024_u64)
        .map(|step| {
            let key = baby.compress().to_bytes();
            baby += g;
            (key, step)
        })
        .collect();
    let giant = RistrettoPoint::mul_base(&Scalar::from(1024_u64));
    let mut rest = broadcast;
    let found = (0..1024_u64).find_map(|turn| {
        let hit = steps.get(&rest.compress().to_bytes()).map(|step| turn * 1024 + step);
        rest -= giant;
        hit
    });
    assert_eq!(found, Some(salary));

    let refused = HighEntropy::vouch(vec![Ristretto::from_u64(salary)]).unwrap_err();
    assert_eq!(refused.index, 0);
    assert!(HighEntropy::vouch(vec![Ristretto::from_i64(-734_512)]).is_err());
    assert!(HighEntropy::vouch(vec![prg.element()]).is_ok());
}

/// A blinded commitment to the same salary is another group element each time.
#[test]
fn a_blinded_commitment_gives_nothing_away() {
    let salary = [Ristretto::from_u64(734_512)];
    let mut seen = std::collections::HashSet::new();
    for _ in 0..10 {
        let (dealing, _) =
            BlindedDealing::deal(header(3, 1, 1), &salary, Timing::Constant, &mut Prg::random());
        let bytes = dealing.encode();
        assert!(seen.insert(bytes[bytes.len() - 64..bytes.len() - 32].to_vec()));
    }
}

/// Sin: the dealer sends one party a wrong share, and broadcasts its digest.
fn lying_dealer<D: Dealing>(
    dealing: &D,
    packages: &[Package<D::Field>],
    value: usize,
    fault: Fault,
) {
    let dealer = dealing.header().dealer;
    for victim in 0..packages.len() {
        let (dealing, wrong) = tamper(dealing, &packages[victim], value);
        for (index, package) in packages.iter().enumerate() {
            let sent = if index == victim { &wrong } else { package };
            let accepted = dealing.accept(sent.party(), Some(sent.clone()));
            if index != victim {
                accepted.unwrap();
                continue;
            }
            let complaint = accepted.unwrap_err();
            assert_eq!((complaint.dealer(), complaint.by()), (dealer, wrong.party()));
            let verdict = complaint.verify(&dealing, None);
            assert_eq!(verdict, Verdict::Guilty { dealer, fault });
            assert_eq!(verdict.culprit(), Some(dealer));
        }
    }
}

#[test]
fn a_wrong_share_to_one_convicts_the_dealer() {
    let mut prg = Prg::random();
    let secrets = HighEntropy::sample(5, &mut prg);
    let (dealing, packages) = BareDealing::deal(header(4, 1, 5), &secrets, &mut prg);
    lying_dealer(&dealing, &packages, 3, Fault::Value { index: 3 });
    let (dealing, packages) =
        BlindedDealing::deal(header(4, 1, 20), &column(20), Timing::Variable, &mut prg);
    lying_dealer(&dealing, &packages, 19, Fault::Block { index: 0 });
    // The share of the blinding polynomial, right behind the values, is under commitment too.
    lying_dealer(&dealing, &packages, 20, Fault::Block { index: 0 });
}

fn batched() -> (BatchedDealing<Mersenne61>, Vec<Package<Mersenne61>>) {
    BatchedDealing::deal(header(4, 1, 6), &column(6), &mut Prg::random())
}

/// Sin: the dealer sends nothing, or something else than it broadcast.
#[test]
fn a_withheld_package_is_demanded_in_public() {
    let (dealing, packages) = batched();
    let (_, other) = batched();
    let dealer = dealing.header().dealer;
    let by = packages[1].party();
    for sent in [None, Some(other[1].clone()), Some(packages[2].clone())] {
        let complaint = dealing.accept(by, sent).unwrap_err();
        assert_eq!(complaint, Complaint::withheld(dealer, by));
        let guilty = Verdict::Guilty { dealer, fault: Fault::Withheld };
        assert_eq!(complaint.verify(&dealing, None), guilty);
        assert_eq!(complaint.verify(&dealing, Some(&other[1])), guilty);
        assert_eq!(complaint.verify(&dealing, Some(&packages[2])), guilty);
        assert_eq!(complaint.verify(&dealing, Some(&packages[1])), Verdict::Settled);
        // After which the package is everybody's, and the complainer's.
        assert!(dealing.accept(by, Some(packages[1].clone())).is_ok());
    }
    // An answer that opens the digest but lies convicts as well.
    let (lying, wrong) = tamper(&dealing, &packages[1], 0);
    let verdict = Complaint::withheld(dealer, by).verify(&lying, Some(&wrong));
    assert_eq!(verdict, Verdict::Guilty { dealer, fault: Fault::Combination });
}

/// Sin: a party accuses an honest dealer.
#[test]
fn a_false_accuser_convicts_itself() {
    let (dealing, packages) = batched();
    let by = packages[1].party();
    let (_, forged) = tamper(&dealing, &packages[1], 2);
    for evidence in [packages[1].clone(), forged] {
        let verdict = Complaint::wrong(evidence).verify(&dealing, None);
        assert_eq!(verdict, Verdict::Unfounded { by });
        assert_eq!(verdict.culprit(), Some(by));
    }
    let stranger = Party::new(9).unwrap();
    let verdict = Complaint::withheld(dealing.header().dealer, stranger).verify(&dealing, None);
    assert_eq!(verdict, Verdict::Unfounded { by: stranger });
    let misdirected = Complaint::withheld(by, by).verify(&dealing, None);
    assert_eq!(misdirected, Verdict::Unfounded { by });
}

/// Sin: a dealing, or a package, from another session is sent again.
#[test]
fn another_sessions_dealing_is_refused() {
    let (dealing, packages) = batched();
    let elsewhere = Header { session: [6; 32], ..*dealing.header() };
    let refused = BatchedDealing::<Mersenne61>::decode(&elsewhere, &dealing.encode()).unwrap_err();
    assert_eq!((refused.dealer, refused.why), (elsewhere.dealer, Flaw::Header));
    let (new, _) = BatchedDealing::deal(elsewhere, &column(6), &mut Prg::random());
    let by = packages[0].party();
    assert_eq!(
        new.accept(by, Some(packages[0].clone())).unwrap_err(),
        Complaint::withheld(elsewhere.dealer, by)
    );
}

/// Sin: garbage. Every cut, and every flipped byte, is refused naming the dealer, or leaves a
/// dealing that convicts it; nothing panics.
#[test]
fn garbage_names_the_dealer() {
    let mut prg = Prg::random();
    let secrets = HighEntropy::sample(1, &mut prg);
    let header = header(3, 1, 1);
    let (dealing, packages) = BareDealing::deal(header, &secrets, &mut prg);
    let bytes = dealing.encode();
    for len in 0..bytes.len() {
        let refused = BareDealing::decode(&header, &bytes[..len]).unwrap_err();
        assert_eq!(refused.dealer, header.dealer);
        assert_eq!(refused.why, Flaw::Length { have: len, want: bytes.len() });
    }
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x40;
        match BareDealing::decode(&header, &bytes) {
            Err(refused) => assert_eq!(refused.dealer, header.dealer),
            Ok(dealing) => {
                let complaints = packages.iter().filter_map(|package| {
                    dealing.accept(package.party(), Some(package.clone())).err()
                });
                let verdicts: Vec<_> = complaints.map(|c| c.verify(&dealing, None)).collect();
                assert!(!verdicts.is_empty());
                assert!(verdicts.iter().all(|v| v.culprit() == Some(header.dealer)));
            }
        }
    }
    let package = packages[0].encode();
    assert!(Package::<Ristretto>::decode(&package[..package.len() - 1], 1, 0).is_none());
    assert!(Package::<Ristretto>::decode(&package, 2, 0).is_none());
    assert!(Package::<Ristretto>::decode(&package, usize::MAX, 1).is_none());
}

#[test]
fn packages_are_not_shown() {
    let (_, packages) = batched();
    assert_eq!(format!("{:?}", packages[1]), "Package(from party 4 for party 2, <redacted>)");
    let complaint = Complaint::wrong(packages[1].clone());
    assert!(format!("{complaint:?}").contains("<redacted>"));
}

//! One check for a whole column: a random linear combination, masked.
//!
//! The dealer of polynomials f_1 … f_N adds a mask polynomial m with a random constant term,
//! shared like the others. It broadcasts the digests of all packages, and from these, and nothing
//! else, a challenge c_1 … c_N is computed (Fiat and Shamir 1986). Then it broadcasts the
//! coefficients of
//!
//! ```text
//! F = m + c_1 f_1 + … + c_N f_N
//! ```
//!
//! and party x checks `F(x) = m(x) + c_1 s_1 + … + c_N s_N` with its own shares. (The idea of
//! checking many sharings by one random combination is that of Bellare, Garay and Rabin 1998.)
//!
//! - **Sound.** If the honest parties' shares of any one value lie on no polynomial of degree d,
//!   the equation holds for all of them with probability 1/|field|, once the digests have fixed
//!   the shares. In the field of 61 bits there are two masks and two independent challenges, so
//!   that a dealer who tries 2^60 packages still escapes with probability 2^-62 only.
//! - **Secret.** m is uniform, and so is F: it says nothing about the values.
//!
//! # An old challenge checks nothing that comes later
//!
//! Once the challenge is known, whoever opens a share can add an error e with
//! `c_1 e_1 + … + c_N e_N = 0`, and the equation still holds. This form therefore has no check
//! for opened shares: open with [`reconstruct`](crate::sharing::reconstruct), which corrects
//! errors, or commit with [`blinded`](super::blinded).

use sha2::{Digest, Sha256};

use super::{
    Dealing, Digest32, Fault, Flaw, Header, Malformed, Package, decode_start, encode_start,
};
use crate::{
    field::Field,
    party::Party,
    prg::{Prg, Seed},
    sharing::Polynomials,
};

const FORM: u8 = 3;

/// A broadcast of masked combinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchedDealing<F: Field> {
    header: Header,
    digests: Vec<Digest32>,
    /// One polynomial per repetition, lowest coefficient first.
    combinations: Vec<Vec<F>>,
}

/// The factors of one repetition, from the digests that fix all packages.
fn challenge<F: Field>(header: &Header, digests: &[Digest32], repetition: usize) -> Vec<F> {
    let mut hash = Sha256::new();
    hash.update(b"encrytrust/smpc/challenge/v1");
    hash.update(header.encode());
    hash.update((F::NAME.len() as u64).to_be_bytes());
    hash.update(F::NAME.as_bytes());
    hash.update(digests.as_flattened());
    let seed = Seed::from_bytes(hash.finalize().into());
    let mut factors = vec![F::ZERO; header.values()];
    seed.derive("repetition", repetition as u64).prg().elements(&mut factors);
    factors
}

impl<F: Field> BatchedDealing<F> {
    /// Shares secrets of any kind: the broadcast, and everybody's package in order.
    ///
    /// # Panics
    ///
    /// When the header announces another number of secrets.
    #[must_use]
    pub fn deal(header: Header, secrets: &[F], prg: &mut Prg) -> (Self, Vec<Package<F>>) {
        assert_eq!(secrets.len(), header.values(), "the header announces how many secrets");
        let values = Polynomials::random(header.committee, secrets, prg);
        let mut constants = zeroize::Zeroizing::new(vec![F::ZERO; F::REPETITIONS]);
        prg.elements(&mut constants);
        let masks = Polynomials::random(header.committee, &constants, prg);
        let package = |party| Package::new(header.dealer, party, &values, &masks, prg);
        let packages: Vec<_> = header.committee.iter().map(package).collect();
        (Self::prove(header, &values, &masks, &packages), packages)
    }

    /// Fixes the packages by their digests, then answers the challenge that these make.
    fn prove(
        header: Header,
        values: &Polynomials<F>,
        masks: &Polynomials<F>,
        packages: &[Package<F>],
    ) -> Self {
        let digests: Vec<_> = packages.iter().map(|p| p.digest(&header)).collect();
        let combination = |repetition| {
            let factors = challenge::<F>(&header, &digests, repetition);
            let coefficient = |k| {
                let mask = masks.coefficients(k)[repetition];
                mask + F::inner_product(values.coefficients(k), &factors)
            };
            (0..header.threshold()).map(coefficient).collect()
        };
        let combinations = (0..F::REPETITIONS).map(combination).collect();
        Self { header, digests, combinations }
    }

    /// Whether a party's shares and mask shares combine to the polynomials' values at its point.
    fn combines(&self, party: Party, shares: &[F], masks: &[F]) -> bool {
        self.combinations.iter().zip(masks).enumerate().all(|(repetition, (polynomial, mask))| {
            let factors = challenge::<F>(&self.header, &self.digests, repetition);
            let point = party.point();
            let expected = polynomial.iter().rev().fold(F::ZERO, |sum, c| sum * point + *c);
            *mask + F::inner_product(shares, &factors) == expected
        })
    }
}

impl<F: Field> Dealing for BatchedDealing<F> {
    type Field = F;

    fn header(&self) -> &Header {
        &self.header
    }

    fn digests(&self) -> &[Digest32] {
        &self.digests
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = encode_start(FORM, &self.header, &self.digests);
        bytes.extend(F::encode(&self.combinations.concat()));
        bytes
    }

    fn decode(header: &Header, bytes: &[u8]) -> Result<Self, Malformed> {
        let body = F::REPETITIONS * header.threshold() * F::BYTES;
        let (digests, body) = decode_start(FORM, header, bytes, body)?;
        let why = |error| Malformed { dealer: header.dealer, why: Flaw::Element(error) };
        let coefficients = F::decode(body).map_err(why)?;
        let combinations = coefficients.chunks(header.threshold()).map(<[F]>::to_vec).collect();
        Ok(Self { header: *header, digests, combinations })
    }

    fn fault(&self, package: &Package<F>) -> Option<Fault> {
        let (shares, masks) = (package.shares().expose(), package.hiding().expose());
        if shares.len() != self.header.values() || masks.len() != F::REPETITIONS {
            return Some(Fault::Length);
        }
        (!self.combines(package.party(), shares, masks)).then_some(Fault::Combination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        feldman::{Complaint, Verdict},
        field::{Mersenne61, Mersenne127, Ristretto},
        party::Committee,
    };

    /// A dealer that sends `to` a wrong share of one value and is honest in all else, its digests
    /// included.
    fn wrong_share_to_one<F: Field>(to: u16, index: usize) {
        let committee = Committee::new(5, 2).unwrap();
        let dealer = Party::new(2).unwrap();
        let header = Header { session: [1; 32], committee, dealer, len: 100 };
        let mut prg = Prg::random();
        let values = Polynomials::random(committee, &[F::from_u64(30_000); 100], &mut prg);
        let masks = Polynomials::random(committee, &vec![prg.element(); F::REPETITIONS], &mut prg);
        let package = |party: Party| {
            let honest = Package::new(dealer, party, &values, &masks, &mut prg);
            let mut bytes = honest.encode();
            if party.number() == to {
                let at = 36 + index * F::BYTES;
                bytes[at] ^= 1;
            }
            Package::decode(&bytes, 100, F::REPETITIONS).unwrap()
        };
        let packages: Vec<_> = committee.iter().map(package).collect();
        let dealing = BatchedDealing::prove(header, &values, &masks, &packages);
        for package in packages {
            let party = package.party();
            let accepted = dealing.accept(party, Some(package));
            if party.number() != to {
                accepted.unwrap();
                continue;
            }
            let complaint: Complaint<F> = accepted.unwrap_err();
            assert_eq!((complaint.dealer(), complaint.by()), (dealer, party));
            let guilty = Verdict::Guilty { dealer, fault: Fault::Combination };
            assert_eq!(complaint.verify(&dealing, None), guilty);
        }
    }

    #[test]
    fn a_wrong_share_to_one_convicts_the_dealer() {
        wrong_share_to_one::<Mersenne61>(4, 0);
        wrong_share_to_one::<Mersenne127>(1, 99);
        wrong_share_to_one::<Ristretto>(5, 50);
    }

    /// Sin: polynomials of too high a degree, of which no threshold of parties finds the secret.
    /// The dealer broadcasts the lower coefficients of what it should; all but at most d parties
    /// find their shares beside it.
    #[test]
    fn too_high_a_degree_convicts_the_dealer() {
        let committee = Committee::new(5, 2).unwrap();
        let higher = Committee::new(5, 3).unwrap();
        let dealer = Party::new(1).unwrap();
        let header = Header { session: [1; 32], committee, dealer, len: 8 };
        let mut prg = Prg::random();
        let values = Polynomials::random(higher, &[Mersenne61::ONE; 8], &mut prg);
        let masks = Polynomials::random(committee, &prg_column(&mut prg), &mut prg);
        let package = |party| Package::new(dealer, party, &values, &masks, &mut prg);
        let packages: Vec<_> = committee.iter().map(package).collect();
        let dealing = BatchedDealing::prove(header, &values, &masks, &packages);
        let complaints: Vec<_> = packages
            .into_iter()
            .filter_map(|package| dealing.accept(package.party(), Some(package)).err())
            .collect();
        assert!(complaints.len() >= 3);
        for complaint in complaints {
            assert_eq!(complaint.verify(&dealing, None).culprit(), Some(dealer));
        }
    }

    fn prg_column(prg: &mut Prg) -> [Mersenne61; 2] {
        [prg.element(), prg.element()]
    }

    /// Why there is no check of opened shares here: with the challenge known, an error that is
    /// orthogonal to it passes.
    #[test]
    fn an_old_challenge_passes_an_orthogonal_error() {
        let committee = Committee::new(4, 1).unwrap();
        let dealer = Party::new(1).unwrap();
        let header = Header { session: [1; 32], committee, dealer, len: 10 };
        let (dealing, packages) =
            BatchedDealing::deal(header, &[Mersenne61::ONE; 10], &mut Prg::random());
        let package = &packages[2];
        let [first, second] =
            [0, 1].map(|r| challenge::<Mersenne61>(&header, dealing.digests(), r));
        // The cross product of two challenges is orthogonal to both.
        let minor = |i: usize, j: usize| first[i] * second[j] - first[j] * second[i];
        let mut opened = package.shares().expose().to_vec();
        opened[0] += minor(1, 2);
        opened[1] += minor(2, 0);
        opened[2] += minor(0, 1);
        assert_ne!(opened, package.shares().expose());
        assert!(dealing.combines(package.party(), &opened, package.hiding().expose()));
    }
}

//! Dealing with fewer bytes: d of the shares are not sent but drawn from seeds.
//!
//! A polynomial of degree d is fixed by its secret and d further values. These may be any uniform
//! numbers, so they may be those that a generator gives to the dealer and to one other party
//! alike: the d parties after the dealer, in a circle, compute their shares, and only the other
//! n - 1 - d are sent theirs. (Cramer, Damgård and Ishai 2005 begin with this idea.)

use std::fmt;

use zeroize::Zeroize;

use crate::{
    field::Field,
    party::{Committee, Party},
    prg::Seed,
    sharing::{Shares, weights_between},
};

/// One party's seeds, each shared with one other party and nobody else.
pub struct PairSeeds {
    me: Party,
    seeds: Vec<Option<Seed>>,
}

impl PairSeeds {
    /// No seed yet.
    #[must_use]
    pub fn new(committee: Committee, me: Party) -> Self {
        Self { me, seeds: vec![None; committee.parties().into()] }
    }

    /// Whose these are.
    #[must_use]
    pub const fn me(&self) -> Party {
        self.me
    }

    /// Keeps the seed shared with a party.
    pub fn insert(&mut self, other: Party, seed: Seed) {
        self.seeds[other.index()] = Some(seed);
    }

    /// The values that `dealer` and `helper` draw for one dealing, from the seed between them.
    ///
    /// # Panics
    ///
    /// When neither of them is this party, or no seed was agreed with the other.
    fn draw<F: Field>(&self, dealer: Party, helper: Party, step: u64, len: usize) -> Vec<F> {
        let other = if dealer == self.me { helper } else { dealer };
        let seed = self.seeds[other.index()].as_ref().expect("seeds are agreed before dealing");
        let mut values = vec![F::ZERO; len];
        let purpose = seed.derive("dealing", u64::from(dealer.number()));
        purpose.derive("step", step).prg().elements(&mut values);
        values
    }
}

impl fmt::Debug for PairSeeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairSeeds({}, <redacted>)", self.me)
    }
}

/// How one dealer's polynomials are made: weights computed once, used for every dealing.
#[derive(Debug, Clone)]
pub struct CompressedDealing<F> {
    dealer: Party,
    helpers: Vec<Party>,
    /// Who gets a share that is not drawn, the dealer included; and that share's weights over the
    /// secret and the helpers' values.
    others: Vec<(Party, Vec<F>)>,
}

impl<F: Field> CompressedDealing<F> {
    /// The dealings of one party.
    #[must_use]
    pub fn new(committee: Committee, dealer: Party) -> Self {
        let circle = committee.iter().chain(committee.iter()).skip(dealer.index() + 1);
        let helpers: Vec<_> = circle.take(committee.degree().into()).collect();
        let points: Vec<F> =
            [F::ZERO].into_iter().chain(helpers.iter().map(|h| h.point())).collect();
        let others = committee.iter().filter(|p| !helpers.contains(p));
        let others = others.map(|p| (p, weights_between(&points, p.point()))).collect();
        Self { dealer, helpers, others }
    }

    /// Whether a party's shares are drawn instead of sent.
    #[must_use]
    pub fn draws(&self, party: Party) -> bool {
        self.helpers.contains(&party)
    }

    /// The dealer's part: its own shares, and those to be sent. `step` differs from dealing to
    /// dealing.
    ///
    /// # Panics
    ///
    /// When the seeds are not the dealer's.
    #[must_use]
    pub fn deal(&self, secrets: &[F], seeds: &PairSeeds, step: u64) -> (Shares<F>, Vec<Shares<F>>) {
        assert_eq!(seeds.me, self.dealer, "only the dealer deals");
        let draw = |helper: &Party| seeds.draw(self.dealer, *helper, step, secrets.len());
        let mut drawn: Vec<Vec<F>> = self.helpers.iter().map(draw).collect();
        let columns: Vec<&[F]> =
            [secrets].into_iter().chain(drawn.iter().map(Vec::as_slice)).collect();
        let mut own = None;
        let mut sent = Vec::new();
        for (party, weights) in &self.others {
            let mut values = vec![F::ZERO; secrets.len()];
            F::combine(&mut values, weights, &columns);
            let shares = Shares::new(*party, values);
            if *party == self.dealer { own = Some(shares) } else { sent.push(shares) }
        }
        drawn.zeroize();
        (own.expect("the dealer is not among its helpers"), sent)
    }

    /// A helper's part: its shares, without a message.
    ///
    /// # Panics
    ///
    /// When the seeds are not those of a helper.
    #[must_use]
    pub fn draw(&self, seeds: &PairSeeds, step: u64, len: usize) -> Shares<F> {
        assert!(self.draws(seeds.me), "only helpers draw");
        Shares::new(seeds.me, seeds.draw(self.dealer, seeds.me, step, len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{field::Mersenne61, prg::Prg, sharing::reconstruct};

    #[test]
    fn drawn_and_sent_shares_fit_together() {
        for (parties, degree) in [(1, 0), (2, 1), (3, 1), (4, 1), (5, 2), (7, 3), (7, 6)] {
            let committee = Committee::new(parties, degree).unwrap();
            let mut prg = Prg::random();
            let mut seeds: Vec<_> =
                committee.iter().map(|p| PairSeeds::new(committee, p)).collect();
            for a in committee.iter() {
                for b in committee.iter().filter(|b| *b > a) {
                    let seed = Seed::from_bytes(prg.bytes());
                    seeds[a.index()].insert(b, seed.clone());
                    seeds[b.index()].insert(a, seed);
                }
            }
            let secrets = [3, 1, 4, 1, 5].map(Mersenne61::from_u64);
            for dealer in committee.iter() {
                let dealing = CompressedDealing::new(committee, dealer);
                let (own, sent) = dealing.deal(&secrets, &seeds[dealer.index()], 1);
                assert_eq!(sent.len(), usize::from(parties - 1 - degree));
                let helpers = committee.iter().filter(|p| dealing.draws(*p));
                let drawn: Vec<_> =
                    helpers.map(|p| dealing.draw(&seeds[p.index()], 1, 5)).collect();
                let all: Vec<_> = sent.iter().chain(&drawn).chain([&own]).collect();
                let opened = reconstruct(degree.into(), 5, &all).unwrap();
                assert_eq!((&opened.values[..], opened.liars.len()), (&secrets[..], 0));
                let (again, _) = dealing.deal(&secrets, &seeds[dealer.index()], 2);
                assert!(degree == 0 || again != own);
            }
        }
    }
}

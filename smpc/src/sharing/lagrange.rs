//! Lagrange's weights: the value of a polynomial anywhere, from its values at some points.
//!
//! Recomputed for whoever answered: a party that is late costs its weight, not the result.

use crate::{field::Field, party::Party};

/// A party that appears twice where each may appear once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} appears twice")]
pub struct DuplicateParty(pub Party);

/// The weights w with f(at) = w_1 f(x_1) + w_2 f(x_2) + …, where x_1, x_2, … are the parties'
/// points, for every polynomial f of a degree below their number.
///
/// The white paper's recombination vector is the case `at` = 0: the product over j ≠ i of
/// j / (j - i). (It prints a sum sign there.)
pub fn weights_at<F: Field>(parties: &[Party], at: F) -> Result<Vec<F>, DuplicateParty> {
    for (index, party) in parties.iter().enumerate() {
        if parties[..index].contains(party) {
            return Err(DuplicateParty(*party));
        }
    }
    let points: Vec<F> = parties.iter().map(|p| p.point()).collect();
    Ok(weights_between(&points, at))
}

/// The same for any distinct points.
pub(crate) fn weights_between<F: Field>(points: &[F], at: F) -> Vec<F> {
    let weight = |i: usize| {
        let others = || points.iter().enumerate().filter(move |(j, _)| *j != i).map(|(_, x)| *x);
        let numerator = others().fold(F::ONE, |product, x| product * (at - x));
        let denominator = others().fold(F::ONE, |product, x| product * (points[i] - x));
        let inverse = denominator.invert().expect("points differ");
        numerator * inverse
    };
    (0..points.len()).map(weight).collect()
}

/// The weights that give the secret.
pub fn weights_at_zero<F: Field>(parties: &[Party]) -> Result<Vec<F>, DuplicateParty> {
    weights_at(parties, F::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Mersenne61;

    #[test]
    fn known_weights() {
        let parties = [1, 2, 4].map(|n| Party::new(n).unwrap());
        // At 0: 2·4/((2-1)(4-1)) = 8/3, 1·4/((1-2)(4-2)) = -2, 1·2/((1-4)(2-4)) = 1/3.
        let third = Mersenne61::from_u64(3).invert().unwrap();
        let weights: Vec<Mersenne61> = weights_at_zero(&parties).unwrap();
        assert_eq!(weights, [Mersenne61::from_u64(8) * third, Mersenne61::from_i64(-2), third]);
        let at_a_party = weights_at(&parties, Mersenne61::from_u64(2)).unwrap();
        assert_eq!(at_a_party, [0, 1, 0].map(Mersenne61::from_u64));
        let twice = [parties[0], parties[1], parties[0]];
        assert_eq!(weights_at_zero::<Mersenne61>(&twice), Err(DuplicateParty(parties[0])));
    }
}

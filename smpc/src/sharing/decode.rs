//! One shared value from shares of which some are wrong: Gao's decoder for Reed-Solomon codes.
//!
//! Shares of one secret are a Reed-Solomon word: of m shares of a polynomial of degree d, up to
//! (m - d - 1) / 2 may be anything (McEliece and Sarwate 1981). Gao (2003) finds the polynomial
//! by running Euclid's algorithm on g0 = (x - x1)…(x - xm) and the interpolation g1 of what was
//! received, until the remainder g drops below degree (m + d + 1) / 2; with g = u g0 + v g1, the
//! polynomial is g / v when that division leaves no rest.
//!
//! Variable-time: what is opened is public.

use crate::{field::Field, party::Party};

/// More shares are wrong than can be corrected; who lied cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {correctable} of {shares} shares are wrong: nothing fits, and nobody can be named"
)]
pub struct DecodeFailure {
    /// Wrong shares that could have been corrected.
    pub correctable: usize,
    /// Shares given.
    pub shares: usize,
}

/// The polynomial of the given degree that fits all but at most (m - degree - 1) / 2 of the m
/// shares, lowest coefficient first, and who sent the others. Parties are distinct.
///
/// # Panics
///
/// With fewer than degree + 1 shares.
pub fn correct<F: Field>(
    shares: &[(Party, F)],
    degree: usize,
) -> Result<(Vec<F>, Vec<Party>), DecodeFailure> {
    let (m, k) = (shares.len(), degree + 1);
    assert!(m >= k, "{m} shares of a polynomial of degree {degree}");
    let failure = DecodeFailure { correctable: (m - k) / 2, shares: m };
    let points: Vec<F> = shares.iter().map(|(party, _)| party.point()).collect();
    let values: Vec<F> = shares.iter().map(|(_, value)| *value).collect();

    let (mut upper, mut lower) = (vanishing(&points), interpolate(&points, &values));
    let (mut v_upper, mut v_lower) = (Poly::new(), vec![F::ONE]);
    while 2 * lower.len().saturating_sub(1) >= m + k {
        let (quotient, rest) = divide(&upper, &lower);
        let v_next = subtract(&v_upper, &multiply(&quotient, &v_lower));
        (upper, lower) = (lower, rest);
        (v_upper, v_lower) = (v_lower, v_next);
    }
    let (mut polynomial, rest) = divide(&lower, &v_lower);
    if !rest.is_empty() || polynomial.len() > k {
        return Err(failure);
    }
    let liars: Vec<Party> = shares
        .iter()
        .filter(|(party, value)| evaluate(&polynomial, party.point()) != *value)
        .map(|(party, _)| *party)
        .collect();
    if liars.len() > failure.correctable {
        return Err(failure);
    }
    polynomial.resize(k, F::ZERO);
    Ok((polynomial, liars))
}

/// Coefficients, lowest first, the last one not zero; zero is empty.
type Poly<F> = Vec<F>;

fn trim<F: Field>(mut poly: Poly<F>) -> Poly<F> {
    while poly.last() == Some(&F::ZERO) {
        poly.pop();
    }
    poly
}

pub(crate) fn evaluate<F: Field>(poly: &[F], at: F) -> F {
    poly.iter().rev().fold(F::ZERO, |sum, c| sum * at + *c)
}

/// (x - x1)…(x - xm).
fn vanishing<F: Field>(points: &[F]) -> Poly<F> {
    points.iter().fold(vec![F::ONE], |poly, x| multiply(&poly, &[-*x, F::ONE]))
}

/// Newton's interpolation, by divided differences.
fn interpolate<F: Field>(points: &[F], values: &[F]) -> Poly<F> {
    let mut differences = values.to_vec();
    for order in 1..points.len() {
        for i in (order..points.len()).rev() {
            let span = (points[i] - points[i - order]).invert().expect("points differ");
            differences[i] = (differences[i] - differences[i - 1]) * span;
        }
    }
    let mut poly = Poly::new();
    for (x, difference) in points.iter().zip(&differences).rev() {
        poly = multiply(&poly, &[-*x, F::ONE]);
        match poly.first_mut() {
            Some(constant) => *constant += *difference,
            None => poly = trim(vec![*difference]),
        }
    }
    trim(poly)
}

fn multiply<F: Field>(left: &[F], right: &[F]) -> Poly<F> {
    if left.is_empty() || right.is_empty() {
        return Poly::new();
    }
    let mut product = vec![F::ZERO; left.len() + right.len() - 1];
    for (i, l) in left.iter().enumerate() {
        for (j, r) in right.iter().enumerate() {
            product[i + j] += *l * *r;
        }
    }
    trim(product)
}

fn subtract<F: Field>(left: &[F], right: &[F]) -> Poly<F> {
    let mut difference = left.to_vec();
    difference.resize(left.len().max(right.len()), F::ZERO);
    difference.iter_mut().zip(right).for_each(|(l, r)| *l -= *r);
    trim(difference)
}

/// Quotient and rest; the divisor is not zero.
fn divide<F: Field>(dividend: &[F], divisor: &[F]) -> (Poly<F>, Poly<F>) {
    let lead = divisor.last().and_then(F::invert).expect("the divisor is not zero");
    let mut rest = dividend.to_vec();
    let mut quotient = vec![F::ZERO; (rest.len() + 1).saturating_sub(divisor.len())];
    for shift in (0..quotient.len()).rev() {
        let factor = rest[shift + divisor.len() - 1] * lead;
        quotient[shift] = factor;
        for (i, d) in divisor.iter().enumerate() {
            rest[shift + i] -= factor * *d;
        }
    }
    (trim(quotient), trim(rest))
}

//! What one party does in each protocol: pure functions, no messages.
//!
//! | protocol | rounds | elements sent per party and value |
//! |---|---|---|
//! | input | 1 | dealer n - 1 - d |
//! | add, subtract, sum, public factors | 0 | 0 |
//! | multiply (Gennaro, Rabin and Rabin 1998) | 1 | n - 1 - d, by 2d + 1 parties |
//! | inner product of any length | 1 | as one multiplication |
//! | open | 1 | 1 per receiver |
//!
//! A [`Plan`] lists protocols over columns; a [`Session`](crate::session::Session) runs it.

mod dealing;
mod plan;

pub use self::{
    dealing::{CompressedDealing, PairSeeds},
    plan::{Column, Plan, PlanError, Step},
};
use crate::{
    field::Field,
    party::{Committee, Party},
    sharing::{DuplicateParty, Shares, weights_at_zero},
};

/// The parties that reshare in a multiplication: the first 2d + 1, as many as a product needs.
pub fn multipliers(committee: Committee) -> impl Iterator<Item = Party> + Clone {
    committee.iter().take(committee.product_threshold())
}

/// A party's shares of the products, on polynomials of degree 2d: to be reshared.
///
/// # Panics
///
/// When the columns differ in length.
#[must_use]
pub fn products<F: Field>(left: &Shares<F>, right: &Shares<F>) -> Shares<F> {
    let mut product = left.clone();
    F::mul_slice(product.expose_mut(), right.expose());
    product
}

/// A party's share of the inner product, on a polynomial of degree 2d: one element to be
/// reshared, however long the columns are.
///
/// # Panics
///
/// When the columns differ in length.
#[must_use]
pub fn inner_product<F: Field>(left: &Shares<F>, right: &Shares<F>) -> Shares<F> {
    Shares::new(left.party(), vec![F::inner_product(left.expose(), right.expose())])
}

/// The second half of a multiplication: from the subshares that the multipliers dealt to `me`,
/// `me`'s shares of the products, on polynomials of degree d again. (The product is a fixed
/// linear combination of the multipliers' shares, and so of what they dealt.)
pub fn recombine<F: Field>(
    me: Party,
    subshares: &[(Party, &[F])],
) -> Result<Shares<F>, DuplicateParty> {
    let (dealers, columns): (Vec<_>, Vec<_>) = subshares.iter().copied().unzip();
    let weights = weights_at_zero(&dealers)?;
    let mut values = vec![F::ZERO; columns.first().map_or(0, |c| c.len())];
    F::combine(&mut values, &weights, &columns);
    Ok(Shares::new(me, values))
}

//! Opening a column: check what can be checked, correct what can be corrected, name the liars.

use super::{
    Shares,
    decode::{DecodeFailure, correct},
    lagrange::{DuplicateParty, weights_at, weights_at_zero},
};
use crate::{field::Field, party::Party};

/// Shares from which a column cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReconstructError {
    /// Not enough parties answered.
    #[error("{have} shares, {need} needed: wait for more parties")]
    TooFew {
        /// Shares given.
        have: usize,
        /// Shares needed, degree + 1.
        need: usize,
    },
    /// A party sent two columns.
    #[error(transparent)]
    Duplicate(#[from] DuplicateParty),
    /// A party's column is not as long as the others.
    #[error("{party} sent {have} values, {want} were expected: leave it out and try again")]
    Length {
        /// Who sent it.
        party: Party,
        /// Its length.
        have: usize,
        /// The length expected.
        want: usize,
    },
    /// The shares contradict each other beyond correction.
    #[error("value {index}: {failure}")]
    Contradiction {
        /// The first value concerned, from 0.
        index: usize,
        /// How many could have been corrected.
        failure: DecodeFailure,
    },
}

impl ReconstructError {
    /// The party at fault, where one can be named.
    #[must_use]
    pub const fn culprit(&self) -> Option<Party> {
        match self {
            Self::Duplicate(DuplicateParty(party)) | Self::Length { party, .. } => Some(*party),
            Self::TooFew { .. } | Self::Contradiction { .. } => None,
        }
    }
}

/// An opened column.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened<F> {
    /// The values, correct if at most (m - degree - 1) / 2 of the m parties lied.
    pub values: Vec<F>,
    /// Who sent a wrong share of any of them.
    pub liars: Vec<Party>,
    /// Whether a wrong share would have shown: more than degree + 1 honest shares agreed.
    pub checked: bool,
}

impl<F> std::fmt::Debug for Opened<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { values, liars, checked } = self;
        let mut opened = f.debug_struct("Opened");
        opened.field("values", &values.len()).field("liars", liars);
        opened.field("checked", checked).finish()
    }
}

/// Opens a column of `len` values, shared with polynomials of `degree`, from the shares of any
/// parties.
///
/// With exactly degree + 1 shares there is nothing to check against: a lie goes unnoticed, and
/// [`Opened::checked`] says so. Each further share is compared with what the first ones predict;
/// where they differ, Gao's decoder finds the liars, their columns are left out, and the rest is
/// compared again. The cost is that of the comparison and of one decoding per liar, whatever the
/// length of the column.
pub fn reconstruct<F: Field>(
    degree: usize,
    len: usize,
    shares: &[&Shares<F>],
) -> Result<Opened<F>, ReconstructError> {
    let need = degree + 1;
    if let Some(wrong) = shares.iter().find(|s| s.len() != len) {
        let (party, have) = (wrong.party(), wrong.len());
        return Err(ReconstructError::Length { party, have, want: len });
    }
    if shares.len() < need {
        return Err(ReconstructError::TooFew { have: shares.len(), need });
    }
    weights_at_zero::<F>(&parties(shares))?;
    let capacity = (shares.len() - need) / 2;
    let mut kept = shares.to_vec();
    let mut liars = Vec::new();
    while let Some(index) = first_contradiction(degree, &kept)? {
        let column: Vec<_> = kept.iter().map(|s| (s.party(), s.expose()[index])).collect();
        let (_, named) = correct(&column, degree)
            .map_err(|failure| ReconstructError::Contradiction { index, failure })?;
        kept.retain(|s| !named.contains(&s.party()));
        liars.extend(named);
        if liars.len() > capacity {
            let failure = DecodeFailure { correctable: capacity, shares: shares.len() };
            return Err(ReconstructError::Contradiction { index, failure });
        }
    }
    liars.sort_unstable();
    let checked = kept.len() > need;
    kept.truncate(need);
    let weights = weights_at_zero(&parties(&kept))?;
    let mut values = vec![F::ZERO; len];
    F::combine(&mut values, &weights, &columns(&kept));
    Ok(Opened { values, liars, checked })
}

/// The first value whose shares do not lie on one polynomial of the degree.
fn first_contradiction<F: Field>(
    degree: usize,
    shares: &[&Shares<F>],
) -> Result<Option<usize>, ReconstructError> {
    let (base, further) = shares.split_at(degree + 1);
    let base_columns = columns(base);
    let mut first = None;
    let mut predicted = vec![F::ZERO; base[0].len()];
    for share in further {
        let weights = weights_at(&parties(base), share.party().point())?;
        F::combine(&mut predicted, &weights, &base_columns);
        let mut pairs = predicted.iter().zip(share.expose());
        let differs = pairs.position(|(expected, received)| expected != received);
        first = match (first, differs) {
            (Some(a), Some(b)) => Some(std::cmp::min(a, b)),
            (a, b) => a.or(b),
        };
    }
    Ok(first)
}

fn parties<F: Field>(shares: &[&Shares<F>]) -> Vec<Party> {
    shares.iter().map(|s| s.party()).collect()
}

fn columns<'a, F: Field>(shares: &[&'a Shares<F>]) -> Vec<&'a [F]> {
    shares.iter().map(|s| s.expose()).collect()
}

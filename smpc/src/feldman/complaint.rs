//! An accusation that everybody can judge, and the judgement.

use super::{Dealing, Fault, Package};
use crate::{field::Field, party::Party};

/// One party's accusation of a dealer, to be broadcast.
///
/// With evidence, it convicts by itself. Without, it calls on the dealer to broadcast the
/// complainer's package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint<F: Field> {
    dealer: Party,
    by: Party,
    evidence: Option<Package<F>>,
}

/// What everybody concludes from a complaint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The dealer lied.
    Guilty {
        /// The dealer.
        dealer: Party,
        /// How.
        fault: Fault,
    },
    /// The complaint is false: the evidence is forged, or shows a package that is right.
    Unfounded {
        /// Who raised it.
        by: Party,
    },
    /// The dealer answered with a right package, which is public now. Nobody is convicted: either
    /// side may have dropped the message.
    Settled,
}

impl Verdict {
    /// The party that is convicted, if any.
    #[must_use]
    pub const fn culprit(&self) -> Option<Party> {
        match self {
            Self::Guilty { dealer, .. } => Some(*dealer),
            Self::Unfounded { by } => Some(*by),
            Self::Settled => None,
        }
    }
}

impl<F: Field> Complaint<F> {
    /// "I hold no package of yours that opens the digest you broadcast for me."
    #[must_use]
    pub const fn withheld(dealer: Party, by: Party) -> Self {
        Self { dealer, by, evidence: None }
    }

    /// "The package you sent me, whose digest you broadcast, contradicts your dealing."
    #[must_use]
    pub const fn wrong(package: Package<F>) -> Self {
        Self { dealer: package.dealer(), by: package.party(), evidence: Some(package) }
    }

    /// Who is accused.
    #[must_use]
    pub const fn dealer(&self) -> Party {
        self.dealer
    }

    /// Who accuses.
    #[must_use]
    pub const fn by(&self) -> Party {
        self.by
    }

    /// The package shown as evidence, if one is.
    #[must_use]
    pub const fn evidence(&self) -> Option<&Package<F>> {
        self.evidence.as_ref()
    }

    /// Judges the complaint against the dealing it is about. `answer` is the package that the
    /// dealer broadcast in reply to a complaint without evidence, if it did in time.
    ///
    /// The judge trusts neither side and knows no secret.
    pub fn verify<D>(&self, dealing: &D, answer: Option<&Package<F>>) -> Verdict
    where
        D: Dealing<Field = F>,
    {
        let header = dealing.header();
        let (dealer, by) = (header.dealer, self.by);
        if self.dealer != dealer || !header.committee.contains(by) {
            return Verdict::Unfounded { by };
        }
        let authentic = |package: &Package<F>| package.party() == by && dealing.opens(package);
        match (&self.evidence, answer) {
            (Some(package), _) if authentic(package) => match dealing.fault(package) {
                Some(fault) => Verdict::Guilty { dealer, fault },
                None => Verdict::Unfounded { by },
            },
            (Some(_), _) => Verdict::Unfounded { by },
            (None, Some(package)) if authentic(package) => match dealing.fault(package) {
                Some(fault) => Verdict::Guilty { dealer, fault },
                None => Verdict::Settled,
            },
            (None, _) => Verdict::Guilty { dealer, fault: Fault::Withheld },
        }
    }
}

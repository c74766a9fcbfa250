//! Adversaries are characters. Each file opens with its sin in one sentence; its tests let it try,
//! against a real platform and real nodes, and show who notices and what is left of the attempt.
//!
//! | who | sins against |
//! |---|---|
//! | [`outsider`], [`suspended_member`], [`expired_identity`] | who may act at all |
//! | [`time_traveller`], [`echo`] | when, and how often |
//! | [`impostor`], [`forger`], [`usurper`] | in whose name, and in which form |
//! | [`two_faced_platform`], [`lying_index`] | the buyer, as the platform |
//! | [`lying_provider`] | the buyer, as the provider |
//! | [`eavesdropper`], [`greedy_guesser`] | the subjects |
//! | [`crowder`], [`flooder`] | those who look for something |

mod crowder;
mod eavesdropper;
mod echo;
mod expired_identity;
mod flooder;
mod forger;
mod greedy_guesser;
mod impostor;
mod lying_index;
mod lying_provider;
mod outsider;
mod suspended_member;
mod time_traveller;
mod two_faced_platform;
mod usurper;

//! How much anyone may ask for: token buckets by address and by participant.
//!
//! The buckets are in memory: a restart fills them. What a participant gets is counted over all its
//! keys, so that more keys are not more guesses at subject IDs.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use encrytrust_protocol::ParticipantId;
use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};

use crate::{
    config::Limits,
    problem::{Refused, TOO_MANY, TOO_MANY_TAGS},
};

/// The buckets of one platform.
pub(crate) struct Gate {
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    participants: DefaultKeyedRateLimiter<ParticipantId>,
    tags: DefaultKeyedRateLimiter<ParticipantId>,
    clock: DefaultClock,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        let per_second = |rate: NonZeroU32, burst| Quota::per_second(rate).allow_burst(burst);
        Self {
            addresses: DefaultKeyedRateLimiter::keyed(per_second(
                limits.requests_per_second,
                limits.requests_burst,
            )),
            participants: DefaultKeyedRateLimiter::keyed(per_second(
                limits.participant_requests_per_second,
                limits.participant_requests_burst,
            )),
            tags: DefaultKeyedRateLimiter::keyed(
                Quota::per_hour(limits.tags_per_hour).allow_burst(limits.tags_burst),
            ),
            clock: DefaultClock::default(),
        }
    }

    /// One request from an address.
    pub(crate) fn request_from(&self, address: IpAddr) -> Result<(), Refused> {
        self.addresses.check_key(&network(address)).map_err(|wait| {
            let wait = wait.wait_time_from(self.clock.now());
            too_many(&TOO_MANY, "this address sends more requests than it may", wait)
        })
    }

    /// One signed request by a key of a participant.
    pub(crate) fn request_by(&self, participant: &ParticipantId) -> Result<(), Refused> {
        self.participants.check_key(participant).map_err(|wait| {
            let wait = wait.wait_time_from(self.clock.now());
            too_many(&TOO_MANY, "this participant's keys send more requests than they may", wait)
        })
    }

    /// `count` subject IDs for a participant.
    pub(crate) fn tags_for(&self, participant: &ParticipantId, count: u32) -> Result<(), Refused> {
        let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        match self.tags.check_key_n(participant, count) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(wait)) => {
                let wait = wait.wait_time_from(self.clock.now());
                let detail = format!("{count} more subject IDs are more than this participant may");
                Err(too_many(&TOO_MANY_TAGS, &detail, wait))
            }
            Err(capacity) => TOO_MANY_TAGS.refuse(format!(
                "{count} subject IDs at once; this market allows {} at once",
                capacity.0
            )),
        }
    }

    /// Forgets buckets that are full again, so that memory is bounded by recent callers.
    pub(crate) fn forget_idle(&self) {
        self.addresses.retain_recent();
        self.participants.retain_recent();
        self.tags.retain_recent();
    }
}

/// Whoever has one IPv6 address has its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let prefix = u128::from(v6) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        v4 => v4,
    }
}

fn too_many(kind: &crate::problem::Kind, detail: &str, wait: Duration) -> Refused {
    Refused::from(kind.because(detail)).after(wait.as_secs() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> NonZeroU32 {
        NonZeroU32::MIN
    }

    #[test]
    fn an_address_runs_dry_and_its_neighbour_does_not() {
        let limits =
            Limits { requests_per_second: one(), requests_burst: one(), ..Limits::default() };
        let gate = Gate::new(&limits);
        let a: IpAddr = "10.0.0.1".parse().unwrap();
        gate.request_from(a).unwrap();
        assert_eq!(gate.request_from(a).unwrap_err().retry_after, Some(1));
        gate.request_from("10.0.0.2".parse().unwrap()).unwrap();
        gate.request_from("2001:db8::1".parse().unwrap()).unwrap();
        assert!(gate.request_from("2001:db8::2".parse().unwrap()).is_err(), "one /64");
    }

    #[test]
    fn tags_are_counted_by_participant() {
        let limits = Limits { tags_burst: NonZeroU32::new(10).unwrap(), ..Limits::default() };
        let gate = Gate::new(&limits);
        let (a, b) = (ParticipantId::from([1; 32]), ParticipantId::from([2; 32]));
        gate.tags_for(&a, 7).unwrap();
        assert_eq!(gate.tags_for(&a, 7).unwrap_err().problem().slug(), "tag-allowance");
        gate.tags_for(&b, 7).unwrap();
        assert!(gate.tags_for(&b, 11).is_err(), "never");
    }
}

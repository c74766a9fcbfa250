use std::convert::Infallible;

use encrytrust_protocol::Validity;

use super::*;
use crate::sample::{self, Sample};

const NOW: UnixSeconds = 1_800_000_000;

/// A market with nothing in it and one suspended key.
struct Empty {
    market: Market,
    suspended: PublicKey,
    stranger: PublicKey,
}

impl View for Empty {
    type Error = Infallible;
    fn market(&self) -> &Market {
        &self.market
    }
    fn position(&self, _: &EntryId) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
    fn offer(&self, _: &OfferId) -> Result<Option<OfferState>, Infallible> {
        Ok(None)
    }
    fn trade(&self, _: &TradeId) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
    fn key(&self, key: &PublicKey) -> Result<KeyStanding, Infallible> {
        Ok(match key {
            k if *k == self.suspended => KeyStanding::Suspended,
            k if *k == self.stranger => KeyStanding::Unknown,
            _ => KeyStanding::Admitted,
        })
    }
}

fn empty() -> Empty {
    let suspended = Sample::provider(8).public();
    Empty { market: sample::market(), suspended, stranger: Sample::provider(9).public() }
}

fn judge(staging: &mut Staging<'_, Empty>, entry: &IndexEntry) -> Verdict {
    let index = staging.positions.len() as u64;
    staging.admit(entry, index, Moment::at(NOW)).unwrap()
}

fn slug(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Refused(refusal) => refusal.slug(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_offer_lives_through_update_and_withdrawal() {
    let view = empty();
    let mut staging = Staging::new(&view);
    let bank = Sample::provider(1);
    let first = bank.offer(1, NOW, None);
    let second = bank.offer(1, NOW, Some(first.id()));
    assert_eq!(judge(&mut staging, &first), Verdict::New);
    assert_eq!(judge(&mut staging, &first), Verdict::Present(0));
    assert_eq!(judge(&mut staging, &second), Verdict::New);
    let late = bank.withdrawal(1, first.id(), NOW);
    assert_eq!(slug(judge(&mut staging, &late)), "offer-superseded");
    let end = bank.withdrawal(1, second.id(), NOW);
    assert_eq!(judge(&mut staging, &end), Verdict::New);
    assert_eq!(judge(&mut staging, &end), Verdict::Present(2));
    let again = bank.withdrawal(1, second.id(), NOW - 1);
    assert_eq!(slug(judge(&mut staging, &again)), "offer-withdrawn");
    let third = bank.offer(1, NOW, Some(second.id()));
    assert_eq!(slug(judge(&mut staging, &third)), "offer-withdrawn");
}

#[test]
fn only_its_signer_ends_an_offer_and_only_under_its_subject() {
    let view = empty();
    let mut staging = Staging::new(&view);
    let (bank, thief) = (Sample::provider(1), Sample::provider(2));
    let offer = bank.offer(1, NOW, None);
    judge(&mut staging, &offer);
    for entry in [thief.offer(1, NOW, Some(offer.id())), thief.withdrawal(1, offer.id(), NOW)] {
        assert_eq!(slug(judge(&mut staging, &entry)), "other-signer");
    }
    for entry in [bank.offer(2, NOW, Some(offer.id())), bank.withdrawal(2, offer.id(), NOW)] {
        assert_eq!(slug(judge(&mut staging, &entry)), "other-subject");
    }
    let nothing = bank.offer(1, NOW + 1, Some(EntryId::from([7; 32])));
    assert_eq!(slug(judge(&mut staging, &nothing)), "offer-unknown");
}

#[test]
fn keys_markets_and_times_are_checked() {
    let view = empty();
    let mut staging = Staging::new(&view);
    let bank = Sample::provider(1);
    let mut refused = |entry| slug(judge(&mut staging, &entry));
    assert_eq!(refused(Sample::provider(8).offer(1, NOW, None)), "key-suspended");
    assert_eq!(refused(Sample::provider(9).offer(1, NOW, None)), "key-not-admitted");
    let elsewhere = bank.offer_with(1, |offer| offer.market = "other.example".parse().unwrap());
    assert_eq!(refused(elsewhere), "wrong-market");
    let valid = |from, until| bank.offer_with(1, move |o| o.valid = Validity { from, until });
    assert_eq!(refused(valid(NOW - 10, NOW)), "offer-ended");
    assert_eq!(refused(valid(NOW + CLOCK_SKEW_MAX + 1, NOW + 1_000)), "offer-not-begun");
    let later = bank.withdrawal(1, EntryId::from([7; 32]), NOW + CLOCK_SKEW_MAX + 1);
    assert_eq!(refused(later), "from-the-future");
    let in_time = valid(NOW + CLOCK_SKEW_MAX, NOW + 1_000);
    assert_eq!(judge(&mut staging, &in_time), Verdict::New);
}

#[test]
fn an_auditor_allows_for_what_it_cannot_know() {
    let moment = Moment::between(Some((NOW - 1) * 1_000), NOW * 1_000);
    let view = empty();
    let just_ended = Sample::provider(1)
        .offer_with(1, |o| o.valid = Validity { from: 1_700_000_000, until: NOW - CLOCK_SKEW_MAX });
    assert_eq!(admit(&just_ended, &view, moment).unwrap(), Verdict::New);
    let first = Moment::between(None, NOW * 1_000);
    let long_ended =
        Sample::provider(1).offer_with(1, |o| o.valid = Validity { from: 1, until: 2 });
    assert_eq!(admit(&long_ended, &view, first).unwrap(), Verdict::New);
    assert_eq!(slug(admit(&long_ended, &view, moment).unwrap()), "offer-ended");
}

#[test]
fn a_trade_ends_once_and_with_its_provider() {
    let view = empty();
    let mut staging = Staging::new(&view);
    let (bank, buyer, thief) = (Sample::provider(1), Sample::provider(2), Sample::provider(3));
    let offer = bank.offer(1, NOW, None);
    judge(&mut staging, &offer);
    let mut judge = |receipt| {
        let (index, now) = (staging.trades.len() as u64, Moment::at(NOW));
        staging.admit_receipt(&receipt, index, now).unwrap()
    };
    let receipt = |provider: &Sample, trade, at| buyer.receipt(provider, offer.id(), trade, at);
    assert_eq!(judge(receipt(&bank, 1, NOW)), Verdict::New);
    assert_eq!(judge(receipt(&bank, 1, NOW)), Verdict::Present(0));
    assert_eq!(slug(judge(receipt(&bank, 1, NOW - 1))), "trade-ended");
    assert_eq!(slug(judge(receipt(&thief, 2, NOW))), "other-provider");
    assert_eq!(slug(judge(receipt(&bank, 3, NOW + 2 * CLOCK_SKEW_MAX))), "from-the-future");
    let nothing = buyer.receipt(&bank, EntryId::from([7; 32]), 4, NOW);
    assert_eq!(slug(judge(nothing)), "offer-unknown");
    let unsound = thief.receipt_over(&receipt(&bank, 5, NOW), NOW);
    assert_eq!(slug(judge(unsound)), "receipt-unsound");
}

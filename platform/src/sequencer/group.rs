//! Entries that share one commit: judged in their order, written together.

use std::time::Instant;

use encrytrust_index_chain::{
    admit::{Moment, Refusal, Staging, Verdict as Rule, View},
    checkpoint::LogName,
};
use encrytrust_protocol::{Delivery, Problem, Receipt, Verified};
use metrics::{counter, histogram};
use tokio::sync::oneshot;

use super::{Candidate, Desk, Order, SequencerError, Verdict, view::LogView};
use crate::{
    freshness::now,
    problem, standing,
    state::{IndexFact, TradeFact},
};

/// A receipt, both of whose signatures were checked.
pub(crate) struct ReceiptOrder {
    pub(crate) receipt: Verified<Receipt>,
    pub(crate) delivery: Verified<Delivery>,
}

enum Answer {
    Index(oneshot::Sender<Vec<Verdict>>, Vec<Verdict>),
    Receipt(oneshot::Sender<Verdict>, Verdict),
}

/// Judges, appends, makes durable, applies, answers. Says how many entries are new.
pub(super) fn take(desk: &mut Desk, orders: Vec<Order>) -> Result<usize, SequencerError> {
    let first = LogName::ALL.map(|log| desk.chain.next_index(log));
    let (mut offers, mut receipts) = (Vec::new(), Vec::new());
    let answers = judge(desk, orders, &mut offers, &mut receipts)?;
    let new = offers.len() + receipts.len();
    if new > 0 {
        let began = Instant::now();
        desk.chain.commit()?;
        let durable = began.elapsed();
        desk.state.apply(first[LogName::Index as usize], &offers)?;
        desk.state.apply(first[LogName::Trades as usize], &receipts)?;
        histogram!("ets_commit_seconds").record(durable.as_secs_f64());
        histogram!("ets_apply_seconds").record((began.elapsed() - durable).as_secs_f64());
        histogram!("ets_commit_entries").record(new as f64);
        counter!("ets_entries_total", "log" => "index").increment(offers.len() as u64);
        counter!("ets_entries_total", "log" => "trades").increment(receipts.len() as u64);
    }
    for answer in answers {
        // Whoever does not wait any more finds the entry by submitting it again.
        match answer {
            Answer::Index(reply, verdicts) => drop(reply.send(verdicts)),
            Answer::Receipt(reply, verdict) => drop(reply.send(verdict)),
        }
    }
    Ok(new)
}

fn judge(
    desk: &mut Desk,
    orders: Vec<Order>,
    offers: &mut Vec<IndexFact>,
    receipts: &mut Vec<TradeFact>,
) -> Result<Vec<Answer>, SequencerError> {
    let Desk { chain, state, .. } = desk;
    let (market, now) = (chain.market().clone(), now());
    let view = |log| LogView::new(log, &market, state, chain.reader(), now);
    let [index_view, trades_view] = LogName::ALL.map(view);
    let mut index = Staging::new(&index_view);
    let mut trades = Staging::new(&trades_view);
    let mut answers = Vec::with_capacity(orders.len());
    for order in orders {
        match order {
            Order::Index { candidates, reply } => {
                let mut verdicts = Vec::with_capacity(candidates.len());
                for Candidate { id, entry } in candidates {
                    let at = chain.next_index(LogName::Index);
                    let rule = index.admit(&entry, at, Moment::at(now))?;
                    if rule == Rule::New {
                        chain.append(LogName::Index, &[entry.bytes()])?;
                        offers.push(IndexFact::of(id, &entry));
                    }
                    verdicts.push(verdict(rule, at, &index_view)?);
                }
                answers.push(Answer::Index(reply, verdicts));
            }
            Order::Receipt { receipt, reply } => {
                let ReceiptOrder { receipt, delivery } = *receipt;
                let at = chain.next_index(LogName::Trades);
                let absent = trades.position(&receipt.id())?.is_none();
                let verdict = match strangers(&trades_view, &receipt, &delivery)? {
                    Some(problem) if absent => Verdict::Refused(Box::new(problem)),
                    _ => {
                        let rule = trades.admit_receipt(&receipt, at, Moment::at(now))?;
                        if rule == Rule::New {
                            chain.append(LogName::Trades, &[receipt.bytes()])?;
                            receipts.push(TradeFact::of(&receipt, delivery.message()));
                        }
                        verdict(rule, at, &trades_view)?
                    }
                };
                answers.push(Answer::Receipt(reply, verdict));
            }
            _ => unreachable!("groups are made of entries"),
        }
    }
    Ok(answers)
}

/// Both keys must have been admitted when the provider delivered; what became of them since does
/// not undo the trade.
fn strangers(
    view: &LogView<'_>,
    receipt: &Verified<Receipt>,
    delivery: &Verified<Delivery>,
) -> Result<Option<Problem>, SequencerError> {
    for key in [receipt.signer(), delivery.signer()] {
        let then = standing::of(view.state, &key, delivery.message().at)?;
        if let Err(problem) = then.active_then() {
            return Ok(Some(problem));
        }
    }
    Ok(None)
}

fn verdict(rule: Rule, at: u64, view: &LogView<'_>) -> Result<Verdict, SequencerError> {
    Ok(match rule {
        Rule::New => Verdict::Accepted(at),
        Rule::Present(index) => Verdict::Present(index),
        // Of a key that may not be used, more can be said than the rules know.
        Rule::Refused(
            ref refusal @ (Refusal::KeyNotAdmitted(key) | Refusal::KeySuspended(key)),
        ) => {
            let why = standing::of(view.state, &key, view.now)?.active().err();
            Verdict::Refused(Box::new(why.unwrap_or_else(|| problem::inadmissible(refusal))))
        }
        Rule::Refused(refusal) => Verdict::Refused(Box::new(problem::inadmissible(&refusal))),
    })
}

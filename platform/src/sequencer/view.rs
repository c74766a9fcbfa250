//! The market's state as the rules of [`encrytrust_index_chain::admit`] ask for it.

use std::{cell::RefCell, collections::HashMap};

use encrytrust_index_chain::{
    admit::{KeyStanding, OfferState, Standing, View},
    chain::{ChainError, ChainReader},
    checkpoint::LogName,
};
use encrytrust_protocol::{
    EntryId, Market, Offer, OfferId, PublicKey, Signed, TradeId, UnixSeconds,
};

use super::SequencerError;
use crate::{
    standing,
    state::{self, State},
};

/// One log's view of the market, for the length of one group.
pub(super) struct LogView<'a> {
    pub(super) log: LogName,
    pub(super) market: &'a Market,
    pub(super) state: &'a State,
    pub(super) chain: ChainReader,
    pub(super) now: UnixSeconds,
    /// What was found out about keys: many entries of a group have one signer.
    keys: RefCell<HashMap<PublicKey, KeyStanding>>,
}

impl<'a> LogView<'a> {
    pub(super) fn new(
        log: LogName,
        market: &'a Market,
        state: &'a State,
        chain: ChainReader,
        now: UnixSeconds,
    ) -> Self {
        Self { log, market, state, chain, now, keys: RefCell::default() }
    }
}

impl View for LogView<'_> {
    type Error = SequencerError;

    fn market(&self) -> &Market {
        self.market
    }

    fn position(&self, entry: &EntryId) -> Result<Option<u64>, SequencerError> {
        Ok(match self.log {
            LogName::Index => self.state.slot(entry)?.map(|slot| slot.index),
            LogName::Trades => self.state.receipt(entry)?,
        })
    }

    fn offer(&self, offer: &OfferId) -> Result<Option<OfferState>, SequencerError> {
        let Some(slot) = self.state.slot(offer)? else { return Ok(None) };
        let standing = match slot.standing {
            state::Standing::Current => Standing::Current,
            state::Standing::Superseded => Standing::Superseded,
            state::Standing::Withdrawn => Standing::Withdrawn,
            state::Standing::Withdrawal => return Ok(None),
        };
        let bytes = self.chain.log(LogName::Index).entry(slot.index).map_err(ChainError::from)?;
        // It was decoded when it was admitted; whoever changed it since has no offer here.
        let Ok(offer) = Signed::<Offer>::decode(&bytes) else { return Ok(None) };
        let (signer, subject) = (offer.claimed_signer(), offer.unverified().subject);
        Ok(Some(OfferState { signer, subject, standing }))
    }

    fn trade(&self, trade: &TradeId) -> Result<Option<u64>, SequencerError> {
        Ok(self.state.trade(trade)?)
    }

    fn key(&self, key: &PublicKey) -> Result<KeyStanding, SequencerError> {
        if let Some(known) = self.keys.borrow().get(key) {
            return Ok(*known);
        }
        // A receipt is about a trade that was admitted when it was made: see `group`.
        let standing = match self.log {
            LogName::Index => standing::of(self.state, key, self.now)?.admitted(),
            LogName::Trades => KeyStanding::Admitted,
        };
        self.keys.borrow_mut().insert(*key, standing);
        Ok(standing)
    }
}

//! What this node has published: for its own audit.

use encrytrust_protocol::OfferId;

use crate::{
    error::NodeError,
    node::Node,
    vault::{Follower, OfferBook, OfferEvent},
};

impl Node {
    /// Every offer of this node that the platform once proved to be in the index, whether it
    /// stands or has ended. An index that lacks one of them is not the index that was proved.
    pub fn own_offers(&self) -> Result<Vec<OfferId>, NodeError> {
        let mut book = OfferBook::default();
        let mut offers = Follower::<OfferEvent>::new(&self.vault(), "offers", self.vault_key());
        offers.read(|event| book.apply(event))?;
        Ok(book.proved().collect())
    }
}

//! Lookups in the copy: nothing is sent, and nothing is taken from the copy without its proof.

use encrytrust_index_chain::{
    checkpoint::{LogName, SignedCheckpoint},
    copy::Copy,
    log::{LogReader, TILE_WIDTH},
    tree::verify_inclusion,
};
use encrytrust_protocol::{IndexEntry, OfferId, SubjectTag, api::OfferState};

use super::tags;
use crate::{blocking, client::CheckedOffer, error::NodeError, files::now, node::Node};

impl Node {
    /// The offers about a subject that can be taken, and how many entries were searched.
    pub(crate) async fn look_up_in_copy(
        &self,
        copy: Copy,
        subject: Vec<SubjectTag>,
    ) -> Result<(u64, Vec<CheckedOffer>), NodeError> {
        let dir = self.copy_dir();
        blocking(move || {
            let Some(search) = Search::new(&copy) else { return Ok((0, Vec::new())) };
            let places = tags::places(&dir, &subject, search.size())?;
            let mut offers = search.history(&places)?;
            offers.retain(|offer| offer.state == OfferState::Current);
            Ok((search.size(), offers))
        })
        .await
    }

    /// An offer by its name, if there is a copy and the offer is in it.
    pub(crate) async fn offer_in_copy(
        &self,
        id: &OfferId,
    ) -> Result<Option<CheckedOffer>, NodeError> {
        let (Some(copy), dir, id) = (self.old_copy().await?, self.copy_dir(), *id) else {
            return Ok(None);
        };
        blocking(move || {
            let Some(search) = Search::new(&copy) else { return Ok(None) };
            let Some(place) = search.place(&id)? else { return Ok(None) };
            let tag = search.entry(place)?.subject().tag;
            let places = tags::places(&dir, &[tag], search.size())?;
            let history = search.history(&places)?;
            Ok(history.into_iter().find(|checked| checked.offer.id() == id))
        })
        .await
    }
}

/// The complete part of a copied index.
struct Search<'a> {
    index: LogReader,
    checkpoint: &'a SignedCheckpoint,
}

impl<'a> Search<'a> {
    fn new(copy: &'a Copy) -> Option<Self> {
        let checkpoint = copy.checkpoint(LogName::Index)?;
        Some(Self { index: copy.log(LogName::Index), checkpoint })
    }

    fn size(&self) -> u64 {
        self.checkpoint.head().size
    }

    /// An entry whose signature and inclusion hold.
    fn entry(&self, place: u64) -> Result<IndexEntry, NodeError> {
        let broken = |e: &dyn std::fmt::Display| {
            NodeError::state("copy/index", format!("entry {place}: {e}"))
        };
        let bytes = self.index.entry(place).map_err(|e| broken(&e))?;
        let entry = IndexEntry::decode(&bytes).map_err(|e| broken(&e))?;
        let proof = self.index.prove_inclusion(place, self.size()).map_err(|e| broken(&e))?;
        verify_inclusion(&proof, place, &entry.id(), &self.checkpoint.head())
            .map_err(|e| broken(&e))?;
        Ok(entry)
    }

    /// The offers among these entries, and what the later ones made of the earlier.
    fn history(&self, places: &[u64]) -> Result<Vec<CheckedOffer>, NodeError> {
        let mut offers: Vec<CheckedOffer> = Vec::new();
        for place in places {
            let entry = self.entry(*place)?;
            let ended = entry.ends().and_then(|old| {
                let same = |checked: &&mut CheckedOffer| {
                    checked.offer.id() == old
                        && checked.offer.signer() == entry.signer()
                        && checked.offer.message().subject == entry.subject()
                };
                offers.iter_mut().find(same)
            });
            match entry {
                IndexEntry::Offer(offer) => {
                    if let Some(ended) = ended {
                        ended.state = OfferState::Superseded;
                    }
                    let running = offer.message().valid.contains(now());
                    let state = if running { OfferState::Current } else { OfferState::Expired };
                    offers.push(CheckedOffer { index: *place, state, offer });
                }
                IndexEntry::Withdrawal(_) => {
                    if let Some(ended) = ended {
                        ended.state = OfferState::Withdrawn;
                    }
                }
            }
        }
        Ok(offers)
    }

    /// Where an offer stands, by its leaf hash.
    fn place(&self, id: &OfferId) -> Result<Option<u64>, NodeError> {
        for n in 0..self.size().div_ceil(TILE_WIDTH) {
            let width = TILE_WIDTH.min(self.size() - n * TILE_WIDTH);
            let tile =
                self.index.tile(0, n, width).map_err(|e| NodeError::state("copy/index", e))?;
            let at = tile.as_chunks::<32>().0.iter().position(|leaf| leaf == id.as_bytes());
            if let Some(at) = at {
                return Ok(Some(n * TILE_WIDTH + at as u64));
            }
        }
        Ok(None)
    }
}

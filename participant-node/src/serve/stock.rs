//! What there is to deliver: the offers of the vault, and the sources behind them.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use encrytrust_protocol::{OfferId, Problem};

use crate::{
    source::{Source, SourceError, SourceSpec},
    vault::{Follower, Held, OfferBook, OfferEvent, Terms, VaultError, VaultKey},
};

/// The vault's offers, followed while another process publishes.
pub(super) struct Offers(Mutex<(Follower<OfferEvent>, OfferBook)>);

impl Offers {
    pub(super) fn open(vault: &Path, key: &VaultKey) -> Result<Self, VaultError> {
        let offers = Self(Mutex::new((Follower::new(vault, "offers", key), OfferBook::default())));
        offers.with_news(|_| ())?;
        Ok(offers)
    }

    /// Reads what was published since, then looks.
    pub(super) fn with_news<T>(&self, look: impl FnOnce(&OfferBook) -> T) -> Result<T, VaultError> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (follower, book) = &mut *guard;
        follower.read(|event| book.apply(event))?;
        Ok(look(book))
    }

    /// An offer of this node that stands, with the terms that say where its row is by now; or why
    /// there is none.
    pub(super) fn find(&self, id: &OfferId) -> Result<(Arc<Held>, Arc<Terms>), Problem> {
        let found = self.with_news(|book| {
            let held = book.offer(id).map(|held| {
                let newest = book.newest(&held.terms.dataset).unwrap_or(&held.terms);
                (Arc::clone(&held), Arc::clone(newest))
            });
            (held, book.has_ended(id))
        });
        match found {
            Ok((_, true)) => {
                let why = format!("offer {id} was replaced or withdrawn");
                Err(Problem::new(410, "offer-ended", why).with_next("look the subject up again"))
            }
            Ok((Some(found), false)) => Ok(found),
            Ok((None, false)) => {
                let why = format!("offer {id} is not this node's");
                Err(Problem::new(404, "offer-unknown", why))
            }
            Err(error) => {
                tracing::error!("the vault cannot be read: {error}");
                Err(Problem::new(500, "internal", "the provider's vault cannot be read"))
            }
        }
    }
}

/// Open sources, one for each set of terms that reads differently.
#[derive(Default)]
pub(super) struct Sources(tokio::sync::Mutex<HashMap<Vec<u8>, Arc<dyn Source>>>);

impl Sources {
    /// The source of an offer: where it is by now, with the types its columns had when it was
    /// offered.
    pub(super) async fn of(
        &self,
        terms: &Terms,
        place: &Terms,
    ) -> Result<Arc<dyn Source>, SourceError> {
        let columns = &terms.description.columns;
        let reading = encrytrust_protocol::encode(&(&place.location, &place.id_columns, columns));
        let mut sources = self.0.lock().await;
        if let Some(source) = sources.get(&reading) {
            return Ok(Arc::clone(source));
        }
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let spec = SourceSpec::from(&place.location);
        let source = spec.open(&place.id_columns, &names, Some(columns)).await?;
        let source: Arc<dyn Source> = Arc::from(source);
        sources.insert(reading, Arc::clone(&source));
        Ok(source)
    }
}

//! From rows to offers (white paper, section 6.3).
//!
//! ```text
//! rows ─▶ subject IDs ─▶ tags          blindly evaluated once, then remembered
//! rows ─▶ records ─▶ commitments ─▶ compared with the vault ─▶ what is new, changed or gone
//!                                   ─▶ vault (fsync) ─▶ platform ─▶ proofs checked ─▶ vault
//! ```
//!
//! The source is walked twice: once for the subjects, so that a duplicate stops the run before
//! anything is sent, and once for the records. Between both nothing of a row is kept but a keyed
//! hash of its ID.
//!
//! # What a crash leaves behind
//!
//! Every entry is in the vault before it is sent and until its proof is checked. Killed in
//! between, the next run sends the very same bytes first and hears `present` or `accepted`; then
//! it compares as always. So running it again is always safe, and a run over an unchanged source
//! sends nothing.
//!
//! # When an offer is replaced
//!
//! When its record, its title, text, columns, price or endpoint differ, when its row is now
//! addressed by other ID columns, or when less than a quarter of its time is left. The new offer
//! is signed by the key of the old one.

mod published;
mod send;
mod subjects;

use std::{collections::HashSet, sync::Arc, time::Instant};

use encrytrust_keys::pool::KeyRing;
use encrytrust_protocol::{
    CLOCK_SKEW_MAX, Commitment, Description, Message, Offer, Record, Subject, SubjectTag, Validity,
    Value,
};
use futures::StreamExt;
use sha2::{Digest, Sha256};

use self::{
    send::{Item, Sender},
    subjects::Subjects,
};
use crate::{
    error::NodeError,
    files::now,
    node::Node,
    report::{Progress, PublishSpec, Published, RefusedRow},
    source::{Place, Row, Source},
    vault::{Ended, Held, Pending, Sent, Terms},
};

/// Entries in one submission.
const BATCH: usize = 1000;

impl Node {
    /// Publishes what is new, changed or gone in a source since it was published last.
    pub async fn publish(
        &self,
        spec: &PublishSpec,
        progress: Progress<'_>,
    ) -> Result<Published, NodeError> {
        let began = Instant::now();
        let ring = self.ring();
        if ring.keys().is_empty() {
            self.some_key()?;
        }
        let location = spec.source.absolute()?;
        let source = location.open(&spec.id_columns, &spec.columns, None).await?;
        let terms = self.terms(spec, source.as_ref())?;

        let mut report = Published::default();
        let mut sender = Sender::open(self, Arc::clone(&ring), progress)?;
        sender.resume(&mut report).await?;

        let subjects = Subjects::know(self, source.as_ref(), spec.scheme, progress, &mut report);
        let subjects = subjects.await?;
        let mut run = Run { node: self, ring, terms, number: None, seen: HashSet::new() };
        let mut batch = Vec::with_capacity(BATCH);
        let mut rows = source.scan().await?;
        while let Some(row) = rows.next().await {
            let row = row?;
            let Some(tag) = subjects.tag_of(self, &row)? else { continue };
            if let Some(item) = run.compare(&mut sender, row, tag, &mut report)? {
                batch.push(item);
            }
            if batch.len() == BATCH {
                sender.dispatch(std::mem::take(&mut batch), &mut report).await?;
            }
        }
        drop(rows);
        run.note_place(&mut sender)?;
        for item in run.vanished(&sender) {
            batch.push(item);
            if batch.len() == BATCH {
                sender.dispatch(std::mem::take(&mut batch), &mut report).await?;
            }
        }
        sender.dispatch(batch, &mut report).await?;
        sender.finish(&mut report).await?;

        let seen = self.platform().seen(encrytrust_index_chain::checkpoint::LogName::Index);
        report.index_size = seen.map_or(0, |checkpoint| checkpoint.head().size);
        report.seconds = began.elapsed().as_secs_f64();
        Ok(report)
    }

    /// What the offers of this run have in common; refuses what no reader would accept.
    fn terms(&self, spec: &PublishSpec, source: &dyn Source) -> Result<Terms, NodeError> {
        let location = spec.source.absolute()?;
        let name = spec.dataset.clone().unwrap_or_else(|| location.identity());
        let dataset: [u8; 32] = Sha256::new()
            .chain_update("encrytrust/dataset/v1\0")
            .chain_update(name)
            .finalize()
            .into();
        let (from, duration) = (now(), spec.duration.as_secs());
        let terms = Terms {
            dataset: dataset.into(),
            location: location.into(),
            id_columns: spec.id_columns.clone(),
            scheme: spec.scheme,
            description: Description {
                title: spec.title.clone(),
                columns: source.columns().to_vec(),
                text: spec.text.clone(),
            },
            price: spec.price,
            endpoint: spec.endpoint.clone(),
            // Begun a little ago, so that it has begun by every clock that is not too wrong.
            valid: Validity {
                from: from.saturating_sub(CLOCK_SKEW_MAX),
                until: from.saturating_add(duration),
            },
        };
        let (tag, commitment) = (SubjectTag::from([0; 32]), Commitment::from([0; 32]));
        let sample = Sent::new(0, tag, &Vec::new(), commitment, [0; 32].into(), None);
        let sample: Offer = sample.offer(self.market(), &terms);
        sample.check().map_err(|e| NodeError::Usage(format!("no such offer can be made: {e}")))?;
        Ok(terms)
    }
}

/// One walk over the records.
struct Run<'a> {
    node: &'a Node,
    ring: Arc<KeyRing>,
    terms: Terms,
    /// The number of the terms in the vault, once they are needed.
    number: Option<u32>,
    seen: HashSet<SubjectTag>,
}

impl Run<'_> {
    /// What is to be said about a row, if anything.
    fn compare(
        &mut self,
        sender: &mut Sender<'_>,
        row: Row,
        tag: SubjectTag,
        report: &mut Published,
    ) -> Result<Option<Item>, NodeError> {
        self.seen.insert(tag);
        let Row { place, key, values } = row;
        let commitment = match values.and_then(|values| self.commitment(&tag, values)) {
            Ok(commitment) => commitment,
            Err(why) => return Ok(refuse(report, place, why)),
        };
        let held = sender.book().current(&self.terms.dataset, &tag).cloned();
        let (signer, supersedes) = match held {
            Some(held) if self.stands(&held, &commitment) && held.row == key => {
                report.unchanged += 1;
                return Ok(None);
            }
            Some(held) if self.ring.get(&held.key).is_none() => {
                let why = format!("its offer is signed by {}, which the pool lost", held.key);
                return Ok(refuse(report, place, why));
            }
            Some(held) => (held.key, Some(held.id)),
            None => {
                let keys = self.ring.keys();
                (keys[self.node.vault_key().choose(&tag, keys.len())].public(), None)
            }
        };
        let number = match self.number {
            Some(number) => number,
            None => *self.number.insert(sender.add_terms(&self.terms)?),
        };
        let sent = Sent::new(number, tag, &key, commitment, signer, supersedes);
        Ok(Some(Item { entry: Pending::Offer(sent), place: Some(place) }))
    }

    fn commitment(&self, tag: &SubjectTag, values: Vec<Value>) -> Result<Commitment, String> {
        let record = self.node.vault_key().record(&self.terms.dataset, tag, values);
        record.matches(&self.terms.description.columns).map_err(|e| e.to_string())?;
        let size = record.encode().len();
        if size > Record::BYTES_MAX {
            return Err(format!("a record of {size} bytes; at most {}", Record::BYTES_MAX));
        }
        Ok(record.commitment())
    }

    fn stands(&self, held: &Held, commitment: &Commitment) -> bool {
        let Validity { from, until } = held.terms.valid;
        let left = until.saturating_sub(now());
        held.commitment == *commitment
            && held.terms.same_words(&self.terms)
            && left >= (until - from) / 4
    }

    /// A source that moved, or has another password, is where the older offers' rows are too.
    fn note_place(&mut self, sender: &mut Sender<'_>) -> Result<(), NodeError> {
        let newest = sender.book().newest(&self.terms.dataset);
        if newest.is_some_and(|newest| !newest.same_place(&self.terms)) {
            self.number = Some(sender.add_terms(&self.terms)?);
        }
        Ok(())
    }

    /// The ends of offers whose rows are gone.
    fn vanished(&self, sender: &Sender<'_>) -> Vec<Item> {
        let gone = |held: &&Arc<Held>| !self.seen.contains(&held.tag);
        let held = sender.book().dataset(&self.terms.dataset).filter(gone);
        let end = |held: &Arc<Held>| {
            let subject = Subject { scheme: held.terms.scheme, tag: held.tag };
            let ended = Ended::new(subject, held.id, held.key, now());
            Item { entry: Pending::Withdrawal(ended), place: None }
        };
        held.map(end).collect()
    }
}

fn refuse(report: &mut Published, place: Place, why: String) -> Option<Item> {
    report.refused.push(RefusedRow { row: place.to_string(), why });
    None
}

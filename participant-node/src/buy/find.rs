//! Look a subject up without saying whom.
//!
//! | | sent | who learns what |
//! |---|---|---|
//! | the ID's tag, once for each ID | a blinded point | the platform: that somebody asks |
//! | lookup at the platform | the tag | the platform: that this pseudonym is asked for |
//! | lookup in the copy | nothing | nobody anything |
//!
//! The platform could leave an offer out, or call a replaced one current; both show in the copy,
//! where an offer's standing is read off the chain.
//!
//! In the copy, offers under the white paper's plain hash are found too. At the platform they are
//! not asked for: a plain hash sent is an ID revealed to whoever tries all IDs.

use encrytrust_keys::{subject::SubjectId, tags::sha256_tag};
use encrytrust_protocol::SubjectTag;

use crate::{
    client::CheckedOffer,
    error::NodeError,
    node::Node,
    report::{Found, FoundOffer, Progress},
    vault::TagCache,
};

impl Node {
    /// The offers about a subject, whose ID is given column by column. With `local` the chain is
    /// brought up to date first and the lookup itself sends nothing.
    pub async fn find(
        &self,
        id: &[String],
        local: bool,
        progress: Progress<'_>,
    ) -> Result<Found, NodeError> {
        let subject = SubjectId::from_columns(id).map_err(|e| NodeError::Usage(e.to_string()))?;
        let mut sent = Vec::new();
        let tag = self.tag(&subject, &mut sent).await?;
        let (index_size, checked) = if local {
            let (copy, news) = self.fresh_copy(progress).await?;
            sent.push(news);
            self.look_up_in_copy(copy, vec![tag, sha256_tag(&subject)]).await?
        } else {
            sent.push(format!("the tag {tag}, to the platform"));
            let (checkpoint, checked) = self.platform().subject(&tag).await?;
            (checkpoint.head().size, checked)
        };
        let offers = checked.iter().map(FoundOffer::from).collect();
        Ok(Found { tag, index_size, offers, sent })
    }

    /// A subject's tag: known, or evaluated by the platform and from then on known.
    async fn tag(
        &self,
        subject: &SubjectId,
        sent: &mut Vec<String>,
    ) -> Result<SubjectTag, NodeError> {
        let mut cache = TagCache::open(&self.vault(), self.vault_key())?;
        if let Some(tag) = cache.get(subject) {
            return Ok(tag);
        }
        let tags = self.evaluate(vec![subject.clone()]).await?;
        sent.push("one blinded point, to the platform: it cannot tell which ID".to_owned());
        let [tag] = <[_; 1]>::try_from(tags)
            .map_err(|tags| NodeError::untrue("the platform", format!("{} tags", tags.len())))?;
        cache.add(&[(self.vault_key().mark(subject), tag)])?;
        Ok(tag)
    }
}

impl From<&CheckedOffer> for FoundOffer {
    fn from(checked: &CheckedOffer) -> Self {
        let CheckedOffer { index, state, offer } = checked;
        Self::new(offer.id(), *index, *state, offer.signer(), offer.message())
    }
}

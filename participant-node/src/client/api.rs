//! One function for each thing a participant asks of the platform. What they return was checked.

use std::{collections::HashMap, sync::Arc};

use backon::Retryable;
use base64::{Engine, prelude::BASE64_STANDARD};
use encrytrust_index_chain::{
    checkpoint::{LogName, SignedCheckpoint},
    note::Vkey,
    proof::TlogProof,
};
use encrytrust_keys::{
    pool::PoolKey,
    subject::SubjectId,
    tags::{BlindedIds, TagPublicKey},
};
use encrytrust_protocol::{
    BlockHash, CLOCK_SKEW_MAX, EntryId, KeyBinding, KeyStatus, Market, Nonce, Offer, OfferId,
    ParticipantId, PlatformInfo, PublicKey, RelayPackets, RelayPoll, Reply, Sha256Hash, Signed,
    SubjectTag, TagAnswer, TagRequest, TradeId, Verified,
    api::{
        BlocksView, KeyView, OfferState, OfferView, OneOfferView, ParticipantView, PlatformView,
        PoolView, SubjectView, SubmitStatus, SubmitView,
    },
};

use super::{
    ClientError, Http, Media, PLATFORM, Platform,
    http::{JSON_MAX, backoff, is_passing},
};
use crate::files::now;

/// Offers about a subject in one answer of the platform, unless there are fewer.
const PAGE: usize = 1000;

/// Offers about one subject that are fetched at most.
const CROWD_MAX: usize = 100 * PAGE;

/// An offer that its signer signed and that is in the index.
#[derive(Debug, Clone)]
pub(crate) struct CheckedOffer {
    pub(crate) index: u64,
    pub(crate) state: OfferState,
    pub(crate) offer: Verified<Offer>,
}

/// What became of a submitted entry.
#[derive(Debug, Clone)]
pub(crate) enum Submitted {
    /// In the log at this place; the proof was checked.
    Included { index: u64 },
    /// Not in the log.
    Refused { why: String },
}

/// 16 bytes that make a message one of a kind.
pub(crate) fn nonce() -> Result<Nonce, ClientError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(ClientError::local)?;
    Ok(Nonce::from(bytes))
}

/// Asks a platform who it is, and checks that it answers under its own key. Whether that key is
/// the right one only its caller can know.
pub(crate) async fn introduce(url: &str) -> Result<(Vkey, Verified<PlatformInfo>), ClientError> {
    let http = Http::new(url, PLATFORM)?;
    let view: PlatformView = http.get_json("platform description", "v1/platform").await?;
    let vkey: Vkey = view.vkey.parse().map_err(|e| ClientError::malformed("vkey", e))?;
    let market = Market::new(vkey.name()).map_err(|e| ClientError::malformed("market", e))?;
    let info = Signed::<PlatformInfo>::decode(&view.info.0)?.verify();
    let info = info.map_err(ClientError::untrue)?;
    if info.signer() != vkey.key() || info.message().market != market || view.market != vkey.name()
    {
        return Err(ClientError::untrue("its description names two keys or two markets"));
    }
    TagPublicKey::from_bytes(&*info.message().tag_key).map_err(ClientError::untrue)?;
    Ok((vkey, info))
}

impl Platform {
    fn nonce_and_time() -> Result<(Nonce, u64), ClientError> {
        Ok((nonce()?, now()))
    }

    /// Lets the platform evaluate subject IDs blindly, and checks its proof; at most
    /// [`TagRequest::ELEMENTS_MAX`] at once.
    pub(crate) async fn tags(
        &self,
        ids: Vec<SubjectId>,
        key: &PoolKey,
        tag_key: &TagPublicKey,
    ) -> Result<Vec<SubjectTag>, ClientError> {
        let blind = move || BlindedIds::blind(ids);
        let blinded = crate::blocking(blind).await.map_err(ClientError::local)?;
        // Each try is a message of its own: the platform answers none twice.
        let ask = async || {
            let (nonce, at) = Self::nonce_and_time()?;
            let (market, elements) = (self.market.clone(), blinded.elements().to_vec().into());
            let request = TagRequest { market, blinded: elements, nonce, at };
            let request = key.sign_tag_request(request).map_err(ClientError::local)?;
            let max = TagRequest::ELEMENTS_MAX * 32 + 1024;
            let body = (Media::Cose, request.bytes());
            self.http.post_once("v1/subject-tags", body, max).await
        };
        let answer = ask.retry(backoff()).when(is_passing).await?;
        let answer =
            TagAnswer::decode(&answer).map_err(|e| ClientError::malformed("tag answer", e))?;
        let tag_key = *tag_key;
        let finalize = move || blinded.finalize(&tag_key, &answer.evaluated, &answer.proof);
        crate::blocking(finalize).await.map_err(ClientError::untrue)
    }

    /// Sends entries of the index and waits until each is included and proved.
    pub(crate) async fn submit_offers(
        &self,
        entries: &[(EntryId, Arc<[u8]>)],
    ) -> Result<Vec<Submitted>, ClientError> {
        let body: Vec<u8> = entries.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let floor = self.floor(LogName::Index);
        let body = (Media::CborSequence, &body[..]);
        let answer = self.http.post_again("v1/offers?wait=included", body, JSON_MAX).await?;
        let ids: Vec<EntryId> = entries.iter().map(|(id, _)| *id).collect();
        self.results(LogName::Index, &ids, &answer, floor).await
    }

    /// Sends a receipt and waits until it is included and proved.
    pub(crate) async fn submit_receipt(
        &self,
        id: EntryId,
        receipt: &[u8],
    ) -> Result<Submitted, ClientError> {
        let floor = self.floor(LogName::Trades);
        let body = (Media::Cose, receipt);
        let answer = self.http.post_again("v1/receipts?wait=included", body, JSON_MAX).await?;
        let mut results = self.results(LogName::Trades, &[id], &answer, floor).await?;
        results.pop().ok_or_else(|| ClientError::malformed("result", "none"))
    }

    async fn results(
        &self,
        log: LogName,
        ids: &[EntryId],
        answer: &[u8],
        floor: super::Floor,
    ) -> Result<Vec<Submitted>, ClientError> {
        let view: SubmitView = self.http.json("list of results", answer)?;
        if view.results.len() != ids.len() {
            let why = format!("{} results for {} entries", view.results.len(), ids.len());
            return Err(ClientError::malformed("list of results", why));
        }
        // Most proofs of one answer are under one checkpoint: it is judged once.
        let mut believed = HashMap::<String, Arc<SignedCheckpoint>>::new();
        let mut submitted = Vec::with_capacity(ids.len());
        for (id, result) in ids.iter().zip(view.results) {
            if result.id.is_some_and(|named| named != *id) {
                return Err(ClientError::untrue(format!(
                    "its result for {id} names another entry"
                )));
            }
            if result.status == SubmitStatus::Refused {
                let why = result.problem.map(|problem| problem.to_string());
                let why = why.unwrap_or_else(|| "no reason given".to_owned());
                submitted.push(Submitted::Refused { why });
                continue;
            }
            let (Some(index), Some(proof)) = (result.index, result.proof) else {
                return Err(ClientError::malformed("result", format!("{id} taken, not proved")));
            };
            let note = proof.split_once("\n\n").map_or("", |(_, note)| note);
            let parsed = TlogProof::parse(proof.as_bytes()).map_err(ClientError::untrue)?;
            if parsed.index != index {
                return Err(ClientError::untrue(format!("{id} stands at two places")));
            }
            let checkpoint = match believed.get(note) {
                Some(checkpoint) => Arc::clone(checkpoint),
                None => {
                    let checkpoint = self.believe(log, note.as_bytes(), floor).await?;
                    believed.insert(note.to_owned(), Arc::clone(&checkpoint));
                    checkpoint
                }
            };
            self.included(log, &checkpoint, index, id, &parsed.hashes)?;
            submitted.push(Submitted::Included { index });
        }
        Ok(submitted)
    }

    /// The offers for a tag, oldest first, and the checkpoint the last of them were proved under.
    ///
    /// Page after page: whoever wants to hide an offer could put a thousand others before it.
    pub(crate) async fn subject(
        &self,
        tag: &SubjectTag,
    ) -> Result<(Arc<SignedCheckpoint>, Vec<CheckedOffer>), ClientError> {
        let mut offers: Vec<CheckedOffer> = Vec::new();
        loop {
            let last = offers.last().map(|offer| offer.index);
            let (checkpoint, page) = self.subject_page(tag, last).await?;
            let full = page.len() >= PAGE;
            offers.extend(page);
            if !full {
                return Ok((checkpoint, offers));
            }
            if offers.len() >= CROWD_MAX {
                let why = format!(
                    "more than {CROWD_MAX} offers about one subject; look it up in a copy of the log"
                );
                return Err(ClientError::local(why));
            }
        }
    }

    /// The offers for a tag behind a place in the index; less than a full page of them: the last.
    async fn subject_page(
        &self,
        tag: &SubjectTag,
        after: Option<u64>,
    ) -> Result<(Arc<SignedCheckpoint>, Vec<CheckedOffer>), ClientError> {
        let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let floor = self.floor(LogName::Index);
        let view: SubjectView =
            self.http.get_json("list of offers", &format!("v1/subjects/{tag}{query}")).await?;
        let note = view.checkpoint.as_bytes();
        let checkpoint = self.believe(LogName::Index, note, floor).await?;
        let mut last = after;
        let checked = view.offers.iter().map(|offer| {
            let checked = self.check_offer(&checkpoint, offer)?;
            if checked.offer.message().subject.tag != *tag {
                return Err(ClientError::untrue(format!("{} is about somebody else", offer.id)));
            }
            if last.is_some_and(|last| checked.index <= last) {
                return Err(ClientError::untrue("its list of offers does not go forward"));
            }
            last = Some(checked.index);
            Ok(checked)
        });
        let checked = checked.collect::<Result<_, _>>()?;
        Ok((checkpoint, checked))
    }

    /// One offer, and the checkpoint it was proved under.
    pub(crate) async fn offer(
        &self,
        id: &OfferId,
    ) -> Result<(Arc<SignedCheckpoint>, CheckedOffer), ClientError> {
        let floor = self.floor(LogName::Index);
        let view: OneOfferView = self.http.get_json("offer", &format!("v1/offers/{id}")).await?;
        let note = view.checkpoint.as_bytes();
        let checkpoint = self.believe(LogName::Index, note, floor).await?;
        let checked = self.check_offer(&checkpoint, &view.offer)?;
        if checked.offer.id() != *id {
            return Err(ClientError::untrue(format!("asked for offer {id}, it sent another")));
        }
        Ok((checkpoint, checked))
    }

    fn check_offer(
        &self,
        checkpoint: &SignedCheckpoint,
        view: &OfferView,
    ) -> Result<CheckedOffer, ClientError> {
        let offer = Signed::<Offer>::decode(&view.entry.0)?;
        let offer = offer.verify().map_err(ClientError::untrue)?;
        if offer.id() != view.id || offer.message().market != self.market {
            return Err(ClientError::untrue(format!(
                "{} is another offer, or another market's",
                view.id
            )));
        }
        let hashes = view.proof.iter().map(|hash| Sha256Hash::try_from(hash.0.as_slice()));
        let hashes: Vec<_> = hashes.collect::<Result<_, _>>().map_err(ClientError::untrue)?;
        self.included(LogName::Index, checkpoint, view.index, &offer.id(), &hashes)?;
        Ok(CheckedOffer { index: view.index, state: view.state, offer })
    }

    /// The platform's fresh word on a key, and the HPKE key its holder claims.
    pub(crate) async fn key(
        &self,
        key: &PublicKey,
    ) -> Result<(Verified<KeyStatus>, Verified<KeyBinding>), ClientError> {
        let view: KeyView = self.http.get_json("key status", &format!("v1/keys/{key}")).await?;
        let status = Signed::<KeyStatus>::decode(&view.status.0)?;
        let status = status.verify().map_err(ClientError::untrue)?;
        let word = status.message();
        if status.signer() != self.key || word.key != *key || word.market != self.market {
            return Err(ClientError::untrue(format!("its status of key {key} is about another")));
        }
        let now = now();
        if word.until <= now || word.at > now + CLOCK_SKEW_MAX {
            let why = format!("its status of key {key} is not of now; compare the clocks");
            return Err(ClientError::untrue(why));
        }
        let binding = Signed::<KeyBinding>::decode(&view.binding.0)?;
        let binding = binding.verify().map_err(ClientError::untrue)?;
        if binding.signer() != *key || binding.message().market != self.market {
            return Err(ClientError::untrue(format!("its binding of key {key} is another's")));
        }
        Ok((status, binding))
    }

    /// Asks to take part.
    pub(crate) async fn join(&self, join: &[u8]) -> Result<(), ClientError> {
        let body = (Media::Cose, join);
        self.http.post_again("v1/participants", body, JSON_MAX).await.map(drop)
    }

    /// Where a participant stands.
    pub(crate) async fn participant(
        &self,
        id: &ParticipantId,
    ) -> Result<ParticipantView, ClientError> {
        self.http.get_json("participant", &format!("v1/participants/{id}")).await
    }

    /// Registers pool keys.
    pub(crate) async fn pool(&self, submission: &[u8]) -> Result<PoolView, ClientError> {
        let body = (Media::CborSequence, submission);
        let answer = self.http.post_again("v1/keys", body, JSON_MAX).await?;
        self.http.json("result", &answer)
    }

    /// Leaves a sealed request at the relay and waits for the sealed reply.
    pub(crate) async fn relay_ask(
        &self,
        provider: &PublicKey,
        packet: &[u8],
    ) -> Result<Vec<u8>, ClientError> {
        let body = (Media::Octets, packet);
        self.http.post_once(&format!("v1/relay/{provider}"), body, Reply::BYTES_MAX).await
    }

    /// Waits, up to 25 seconds, for requests to a key.
    pub(crate) async fn relay_next(&self, key: &PoolKey) -> Result<RelayPackets, ClientError> {
        let (nonce, at) = Self::nonce_and_time()?;
        let poll = RelayPoll { market: self.market.clone(), nonce, at };
        let poll = key.sign_relay_poll(poll).map_err(ClientError::local)?;
        let max = RelayPackets::COUNT_MAX * (RelayPackets::PACKET_BYTES_MAX + 64);
        let body = (Media::Cose, poll.bytes());
        let packets = self.http.post_once("v1/relay/next", body, max).await?;
        RelayPackets::decode(&packets).map_err(|e| ClientError::malformed("relay packets", e))
    }

    /// Hands in the reply to a request.
    pub(crate) async fn relay_reply(&self, id: &Nonce, reply: &[u8]) -> Result<(), ClientError> {
        let path = format!("v1/relay/replies/{id}");
        self.http.post_again(&path, (Media::Octets, reply), 1024).await.map(drop)
    }

    /// Blocks from a height on.
    pub(crate) async fn blocks(&self, from: u64, limit: u64) -> Result<BlocksView, ClientError> {
        self.http.get_json("list of blocks", &format!("v1/blocks?from={from}&limit={limit}")).await
    }

    /// Proof that an offer is in the index, in the form of C2SP tlog-proof; not checked yet.
    pub(crate) async fn offer_proof(&self, id: &OfferId) -> Result<String, ClientError> {
        let view: OneOfferView = self.http.get_json("offer", &format!("v1/offers/{id}")).await?;
        let mut text = format!("c2sp.org/tlog-proof@v1\nindex {}\n", view.offer.index);
        for hash in &view.offer.proof {
            text.push_str(&BASE64_STANDARD.encode(&hash.0));
            text.push('\n');
        }
        Ok(format!("{text}\n{}", view.checkpoint))
    }

    /// The block a buyer relies on: the one its newest checkpoint of the index names.
    pub(crate) fn newest_block(&self) -> Option<BlockHash> {
        self.seen(LogName::Index).map(|seen| seen.checkpoint().block.hash)
    }
}

/// The name of a trade in a log line.
pub(crate) fn short(id: &TradeId) -> String {
    id.to_string().chars().take(12).collect()
}

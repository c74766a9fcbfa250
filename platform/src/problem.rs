//! Every way the platform says no, in one table (RFC 9457).
//!
//! A [`Kind`] is what clients may build on: its slug and status do not change. Its text is served
//! at `/problems/<slug>`, where a problem document's `type` leads.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode, http::header};
use encrytrust_index_chain::admit::Refusal;
use encrytrust_protocol::{BadSignature, DecodeError, Problem};

/// One kind of refusal.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) slug: &'static str,
    pub(crate) status: u16,
    /// What it means, for people.
    pub(crate) about: &'static str,
    /// What to do about it.
    pub(crate) next: &'static str,
}

impl Kind {
    /// The problem, as it happened this time.
    pub(crate) fn because(&self, detail: impl Into<String>) -> Problem {
        Problem::new(self.status, self.slug, detail).with_next(self.next)
    }

    /// The refusal of a whole request.
    pub(crate) fn refuse<T>(&self, detail: impl Into<String>) -> Result<T, Refused> {
        Err(Refused::from(self.because(detail)))
    }
}

macro_rules! kinds {
    ($($name:ident = $status:literal, $slug:literal, $about:literal, $next:literal;)*) => {
        $(pub(crate) const $name: Kind =
            Kind { slug: $slug, status: $status, about: $about, next: $next };)*
        /// All of them.
        pub(crate) const ALL: &[Kind] = &[$($name),*];
    };
}

kinds! {
    BAD_MESSAGE = 400, "bad-message",
        "The bytes are not the message this endpoint takes: truncated, followed by other bytes, \
         signed for another purpose, not in deterministic CBOR, or outside the protocol's limits.",
        "compare the bytes with the message's page in docs/spec";
    BAD_REQUEST = 400, "bad-request",
        "The path, the query or the headers could not be understood.",
        "see /docs for what this endpoint takes";
    BAD_SIGNATURE = 401, "bad-signature",
        "The message is well-formed, and the signature on it is not that of the signer it names.",
        "sign the message with the key its kid header names";
    NOT_AN_ADMIN = 403, "not-an-admin",
        "The signature holds, and its key is not one that may administer this market.",
        "use the key in keys/admin.key, or add yours to admins in platform.toml";
    UNKNOWN_KEY = 403, "key-not-admitted",
        "The signature holds, and its key is not in the pool of an approved participant.",
        "submit the key in a pool (ets node keys add) and have the participant approved";
    SUSPENDED = 403, "key-suspended",
        "The key's participant is suspended.",
        "ask the market's administrator";
    IDENTITY_EXPIRED = 403, "identity-expired",
        "The certificate behind the key's participant is not valid at this time.",
        "join again with a renewed certificate for the same key";
    BAD_IDENTITY = 403, "bad-identity",
        "The certificate chain does not lead to an identity this market takes.",
        "use a certificate from a CA this market trusts, or ask whether it takes self-signed ones";
    NOT_FOUND = 404, "not-found",
        "There is nothing under this name.",
        "see /docs for what there is";
    UNKNOWN_PARTICIPANT = 404, "unknown-participant",
        "No participant of this id has joined.",
        "join first: ets node join";
    WRONG_METHOD = 405, "wrong-method",
        "The path exists and is asked in another way; the Allow header says which.",
        "see /docs for what this endpoint takes";
    CONFLICT = 409, "conflict",
        "What was asked contradicts what is already there.",
        "look at what is there; if it is yours, nothing is to be done";
    REPLAYED = 409, "replayed",
        "This very message was answered already.",
        "sign a new message with a fresh nonce";
    TOO_LARGE = 413, "too-large",
        "The body has more bytes than this endpoint takes.",
        "send it in smaller parts";
    BAD_MEDIA_TYPE = 415, "bad-media-type",
        "The body is not of a media type this endpoint takes.",
        "set the Content-Type header to one that /docs lists";
    WRONG_MARKET = 422, "wrong-market",
        "The message was signed for another market.",
        "check the platform's URL, or sign for this market";
    CLOCK_SKEW = 422, "clock-skew",
        "The time in the message is too far from the platform's.",
        "set your clock (NTP), then sign again";
    OFFER_ENDED = 422, "offer-ended",
        "The offer's validity is over.",
        "sign an offer that can be taken";
    OFFER_NOT_BEGUN = 422, "offer-not-begun",
        "The offer's validity has not begun.",
        "publish it when it begins";
    FROM_THE_FUTURE = 422, "from-the-future",
        "The message says it was signed later than it is.",
        "set your clock (NTP), then sign again";
    OFFER_UNKNOWN = 422, "offer-unknown",
        "The entry replaces, withdraws or settles an offer that is not in the index.",
        "publish the offer first, or name another";
    OFFER_SUPERSEDED = 422, "offer-superseded",
        "The offer that the entry replaces or withdraws was replaced before.",
        "name the newest version: GET /v1/subjects/{tag}";
    OFFER_WITHDRAWN = 422, "offer-withdrawn",
        "The offer that the entry replaces or withdraws was withdrawn before.",
        "publish a new offer that supersedes nothing";
    OTHER_SIGNER = 422, "other-signer",
        "Only the key that signed an offer can replace or withdraw it.",
        "sign with the offer's key";
    OTHER_SUBJECT = 422, "other-subject",
        "An offer is replaced or withdrawn under its own subject.",
        "use the subject of the offer";
    RECEIPT_UNSOUND = 422, "receipt-unsound",
        "The receipt's two halves do not belong together.",
        "submit the receipt that the buyer signed over the provider's delivery";
    OTHER_PROVIDER = 422, "other-provider",
        "The delivery inside the receipt is not signed by the key that signed the offer.",
        "the provider must sign deliveries with the offer's key";
    TRADE_ENDED = 409, "trade-ended",
        "The trade has a receipt already; the first one counts.",
        "look at the receipt in the trades log";
    REFUSED_ALL = 422, "refused",
        "None of the entries was taken; each has its own problem.",
        "read the results";
    TOO_MANY = 429, "too-many-requests",
        "More was asked for than one address or one participant may.",
        "wait as long as the Retry-After header says";
    TOO_MANY_TAGS = 429, "tag-allowance",
        "The participant's allowance of subject IDs, which all its keys share, is used up.",
        "wait as long as the Retry-After header says";
    INTERNAL = 500, "internal",
        "The platform failed to do what it should.",
        "try again; if it stays, tell the operator the request id";
    BUSY = 503, "busy",
        "The platform has more to do than it can hold in memory.",
        "try again shortly; nothing was kept";
    STORAGE = 503, "storage",
        "The platform's disk refused a write. What was not acknowledged may or may not be kept.",
        "try again later: submitting the same bytes twice is safe";
    NODE_AWAY = 504, "node-away",
        "The provider's node did not answer through the relay in time.",
        "try again when the node is up";
}

/// The problem with an entry that contradicts what is there.
pub(crate) fn inadmissible(refusal: &Refusal) -> Problem {
    let kind = ALL.iter().find(|kind| kind.slug == refusal.slug());
    kind.unwrap_or(&CONFLICT).because(refusal.to_string())
}

/// A request refused with a problem document.
#[derive(Debug)]
pub(crate) struct Refused {
    problem: Box<Problem>,
    /// Seconds after which to try again.
    pub(crate) retry_after: Option<u64>,
}

impl Refused {
    /// The document.
    pub(crate) fn problem(&self) -> &Problem {
        &self.problem
    }

    #[must_use]
    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Something went wrong that is not the caller's doing: said in full to the log alone.
    pub(crate) fn internal(what: &str, error: impl fmt::Display) -> Self {
        tracing::error!(%error, "{what}");
        INTERNAL.because(format!("{what} failed")).into()
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let retry_after = (problem.status == 503).then_some(1);
        Self { problem: Box::new(problem), retry_after }
    }
}

impl From<DecodeError> for Refused {
    fn from(error: DecodeError) -> Self {
        unreadable(&error).into()
    }
}

impl From<BadSignature> for Refused {
    fn from(error: BadSignature) -> Self {
        BAD_SIGNATURE.because(error.to_string()).into()
    }
}

/// The problem with bytes that could not be read.
pub(crate) fn unreadable(error: &DecodeError) -> Problem {
    match error {
        DecodeError::TooLong { .. } => TOO_LARGE.because(error.to_string()),
        _ => BAD_MESSAGE.because(error.to_string()),
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response
            .content_type(Problem::MEDIA_TYPE)
            .insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        response.body(serde_json::to_vec(&self.problem).expect("a problem has a JSON form"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_distinct_and_statuses_are_errors() {
        let slugs: std::collections::HashSet<_> = ALL.iter().map(|k| k.slug).collect();
        assert_eq!(slugs.len(), ALL.len());
        assert!(ALL.iter().all(|k| (400..600).contains(&k.status)));
    }

    #[test]
    fn the_rules_have_their_problems() {
        let key = encrytrust_protocol::PublicKey::from([1; 32]);
        for refusal in [Refusal::KeyNotAdmitted(key), Refusal::OfferUnknown([2; 32].into())] {
            assert_eq!(inadmissible(&refusal).slug(), refusal.slug());
        }
    }
}

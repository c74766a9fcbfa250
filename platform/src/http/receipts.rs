//! Receipts: the end of a trade, signed by both sides.

use actix_web::{
    HttpRequest, HttpResponse, post,
    web::{Payload, Query},
};
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_protocol::{Message, Receipt, Signed, api::SubmitView};

use super::{Binary, Problems, Site, WaitQuery, body, offers};
use crate::{
    problem::{RECEIPT_UNSOUND, Refused},
    sequencer::ReceiptOrder,
};

/// Leave a receipt
///
/// The body is a Receipt: the buyer's signature over the provider's signed Delivery. The offer must
/// be in the index and the provider's, both keys admitted when it was delivered, and the trade
/// without another receipt.
#[utoipa::path(
    tag = "trades",
    params(WaitQuery),
    request_body(content = Binary, content_type = "application/cose"),
    responses(
        (status = 200, description = "It is in the trades log", body = SubmitView),
        (status = 422, description = "It was not taken; the result says why", body = SubmitView),
        Problems
    )
)]
#[post("/v1/receipts")]
pub(crate) async fn post_receipt(
    site: Site,
    request: HttpRequest,
    query: Query<WaitQuery>,
    payload: Payload,
) -> Result<HttpResponse, Refused> {
    let bytes = body(&request, payload, Receipt::LIMIT).await?;
    let receipt = Signed::<Receipt>::decode(&bytes)?.verify()?;
    site.check_market(&receipt.message().market)?;
    let delivery = match receipt.delivery() {
        Ok(delivery) => delivery,
        Err(e) => return RECEIPT_UNSOUND.refuse(e.to_string()),
    };
    let mut result = offers::result(Some(receipt.id()));
    let verdict = site.sequencer.receipt(ReceiptOrder { receipt, delivery }).await?;
    offers::settle(&mut result, verdict);
    offers::answer(&site, LogName::Trades, vec![result], query.included()).await
}

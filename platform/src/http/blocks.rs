//! The chain of signed blocks.

use actix_web::{
    HttpResponse, get,
    http::header::CACHE_CONTROL,
    web::{Path, Query},
};
use encrytrust_protocol::{
    Block, Signed,
    api::{Base64, BlockView, BlocksView},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Problems, Site, fresh, read};
use crate::{
    problem::{NOT_FOUND, Refused},
    service::Service,
};

/// Blocks in one answer.
const LIMIT_MAX: u64 = 1000;

/// One signed block
#[utoipa::path(
    tag = "log",
    params(("height" = u64, Path, description = "0 is the first")),
    responses((status = 200, body = BlockView), Problems)
)]
#[get("/v1/blocks/{height}")]
pub(crate) async fn get_block(site: Site, height: Path<u64>) -> Result<HttpResponse, Refused> {
    let height = height.into_inner();
    match view(&site, height)? {
        Some(block) => Ok(HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
            .json(block)),
        None => NOT_FOUND.refuse(format!("the last block is {}", site.heads().height())),
    }
}

#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    /// The first height; 0 if not said.
    #[serde(default)]
    from: u64,
    /// How many, at most 1,000; 100 if not said.
    #[serde(default = "some")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: u64,
}

fn some() -> u64 {
    100
}

/// Signed blocks in order of height
#[utoipa::path(tag = "log", params(Range), responses((status = 200, body = BlocksView), Problems))]
#[get("/v1/blocks")]
pub(crate) async fn get_blocks(site: Site, range: Query<Range>) -> Result<HttpResponse, Refused> {
    let Range { from, limit } = range.into_inner();
    let blocks = read(&site, move |service| {
        let heights = from..from.saturating_add(limit.min(LIMIT_MAX));
        let views = heights.map(|height| view(service, height).transpose());
        views.map_while(|view| view).collect::<Result<Vec<_>, _>>()
    });
    Ok(fresh(&BlocksView { blocks: blocks.await? }))
}

/// A block, once its checkpoints are published.
fn view(service: &Service, height: u64) -> Result<Option<BlockView>, Refused> {
    if height > service.heads().height() {
        return Ok(None);
    }
    let internal = |e: &dyn std::fmt::Display| Refused::internal("reading a block", e);
    let Some(bytes) = service.chain.blocks().bytes(height).map_err(|e| internal(&e))? else {
        return Ok(None);
    };
    let signed = Signed::<Block>::decode(&bytes).map_err(|e| internal(&e))?;
    let block = signed.unverified();
    Ok(Some(BlockView {
        height: block.height,
        hash: encrytrust_index_chain::block::block_hash(&bytes),
        time: block.time,
        index: block.index.into(),
        trades: block.trades.into(),
        signed: Base64(bytes),
    }))
}

//! Subject tags for a batch of IDs, from end to end.

use std::time::Instant;

use anyhow::{Context as _, Result};
use encrytrust_bench::{
    corpus::{self, Corpus},
    market,
    process::Platform,
    report::Row,
    wire::{self, Connection},
};
use encrytrust_keys::{
    subject::SubjectId,
    tags::{BATCH_MAX, BlindedIds, TagKey, TagPublicKey},
};
use encrytrust_protocol::{Nonce, PlatformInfo, Signed, TagAnswer, TagRequest, api::PlatformView};

use super::Bench;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let home = tempfile::tempdir_in(market::shelf()?)?;
    market::make(home.path())?;
    let (platform, corpus) = (Platform::start(home.path())?, Corpus::now());
    market::admit(home.path(), &platform, &corpus)?;
    let mut connection = Connection::open(platform.address())?;
    let view: PlatformView =
        serde_json::from_slice(connection.exchange(&wire::get("/v1/platform"))?.ok()?)?;
    let info = Signed::<PlatformInfo>::decode(&view.info.0)?.verify()?;
    let key = TagPublicKey::from_bytes(&*info.message().tag_key)?;

    let ids = (0..BATCH_MAX).map(|n| SubjectId::new(&format!("ZZ-{n:06}-96")));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    let blinded = BlindedIds::blind(ids)?;
    let elements = blinded.elements().to_vec();
    let request = corpus.key(0).sign_tag_request(TagRequest {
        market: corpus::market(),
        blinded: elements.clone().into(),
        nonce: Nonce::try_from(&corpus::random()?.as_bytes()[..16]).context("16 bytes")?,
        at: corpus::now(),
    })?;
    let blinding = began.elapsed();
    let answer = connection.exchange(&wire::post("/v1/subject-tags", request.bytes()))?;
    let answer = TagAnswer::decode(answer.ok()?)?;
    let answered = began.elapsed();
    let tags = blinded.finalize(&key, &answer.evaluated, &answer.proof)?;
    let whole = began.elapsed();

    // The same evaluation without a server around it.
    let bare = TagKey::generate();
    let began = Instant::now();
    bare.evaluate(&elements)?;
    let bare = began.elapsed();

    let rate = |time: std::time::Duration| tags.len() as f64 / time.as_secs_f64();
    let name = format!("tags/ids={}", tags.len());
    bench.report.row(Row::new(&name, rate(whole), "IDs/s"));
    bench.report.row(Row::new(format!("{name} blind"), rate(blinding), "IDs/s"));
    bench.report.row(
        Row::new(format!("{name} evaluate"), rate(answered - blinding), "IDs/s")
            .beside("the evaluation alone, one core", rate(bare)),
    );
    bench.report.row(Row::new(format!("{name} finalize"), rate(whole - answered), "IDs/s"));
    Ok(())
}

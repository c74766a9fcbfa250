//! A market to measure: a platform's directory, and three providers that may publish there.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use encrytrust_keys::{files, identity::Identity, membership::PoolSubmission, platform::AdminKey};
use encrytrust_platform::{Config, Limits, init};
use encrytrust_protocol::{AdminAction, AdminCommand, Algorithm, Nonce};

use crate::{
    corpus::{self, Corpus, PROVIDERS},
    pace::{self, Pace, Work},
    process::Platform,
    wire::{self, Answer, Connection},
};

/// Makes a platform's directory. The limits on how often one address and one participant may ask
/// are lifted, since all the load comes from one of each; every other default stands.
pub fn make(dir: &Path) -> Result<()> {
    let many = std::num::NonZeroU32::new(100_000_000).context("not zero")?;
    let mut config = Config::new(corpus::market());
    config.limits = Limits {
        requests_per_second: many,
        requests_burst: many,
        participant_requests_per_second: many,
        participant_requests_burst: many,
        tags_per_hour: many,
        tags_burst: many,
        ..config.limits
    };
    init(dir, config, None)?;
    Ok(())
}

/// Lets the providers of a corpus in: each joins, is approved, and brings its keys.
pub fn admit(dir: &Path, platform: &Platform, corpus: &Corpus) -> Result<()> {
    let admin: AdminKey = files::load(&dir.join("keys/admin.key"), None)?;
    let (market, at) = (corpus::market(), corpus::now());
    let mut connection = Connection::open(platform.address())?;
    let mut send = |path: &str, body: &[u8]| -> Result<()> {
        connection.exchange(&wire::post(path, body))?.ok().context(path.to_owned()).map(drop)
    };
    for provider in 0..PROVIDERS {
        let name = format!("Provider {provider}");
        let identity = Identity::generate(Algorithm::Ed25519, &name, at)?;
        send("/v1/participants", identity.sign_join(&market, &name, at)?.bytes())?;
        let command = AdminCommand {
            market: market.clone(),
            action: AdminAction::Approve,
            participant: identity.participant(),
            reason: String::new(),
            nonce: Nonce::try_from(&corpus::random()?.as_bytes()[..16])?,
            at,
        };
        send("/v1/admin/commands", admin.sign_command(command)?.bytes())?;
        let bindings = corpus.keys_of(provider).iter().map(|key| key.sign_binding(&market, at));
        let bindings = bindings.collect::<Result<Vec<_>, _>>()?;
        let pool = identity.sign_pool(&market, &bindings, at)?;
        send("/v1/keys", &PoolSubmission::encode(&pool, &bindings))?;
    }
    Ok(())
}

/// Refuses an answer to `POST /v1/offers` that did not accept `offers` of them.
pub fn accepted(answer: &Answer<'_>, offers: usize) -> Result<()> {
    let body = answer.ok()?;
    let found = memchr::memmem::find_iter(body, br#""status":"accepted""#).count();
    ensure!(found == offers, "{found} of {offers} accepted: {}", String::from_utf8_lossy(body));
    Ok(())
}

/// Where states that take long to make are kept: cargo's target directory.
pub fn shelf() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().find(|dir| dir.join("CACHEDIR.TAG").exists());
    Ok(target.context("this program is not in cargo's target directory")?.join("bench-state"))
}

/// Offers in one request while a market is filled, and requests made at a time.
const EACH: u64 = 1_000;
const AT_A_TIME: u64 = 50;

/// The last file written: a market without it was not filled to the end.
const FILLED: &str = "filled";

/// A market with so many offers: made once, through the platform's own intake, and found again.
pub fn filled(offers: u64, progress: &dyn Fn(u64)) -> Result<PathBuf> {
    let dir = shelf()?.join(format!("offers-{offers}"));
    if dir.join(FILLED).exists() {
        return Ok(dir);
    }
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    make(&dir)?;
    let (platform, corpus) = (Platform::start(&dir)?, Corpus::now());
    admit(&dir, &platform, &corpus)?;
    let (mut sent, mut sending) = (0, Duration::ZERO);
    while sent < offers {
        let count = AT_A_TIME.min((offers - sent).div_ceil(EACH));
        let bodies = corpus.bodies(sent, count, EACH);
        let requests: Vec<_> = bodies.iter().map(|b| wire::post("/v1/offers", b)).collect();
        let began = Instant::now();
        pace::run(
            &Work {
                address: platform.address(),
                connections: 4,
                request: &|n| requests.get(n).map(Vec::as_slice),
                check: &|answer| accepted(answer, EACH as usize),
            },
            Pace::Closed { lasting: Duration::MAX },
        )?;
        sending += began.elapsed();
        sent += count * EACH;
        progress(sent);
    }
    let (seconds, memory) = (sending.as_secs_f64(), platform.peak_memory()? as f64 / 1e6);
    drop(platform);
    let rate = sent as f64 / seconds;
    let told = format!(
        "filled with {sent} offers in {seconds:.0} s, {rate:.0} a second, {EACH} per request; \
         the platform's peak memory was {memory:.0} MB"
    );
    fs::write(dir.join(FILLED), told)?;
    Ok(dir)
}

/// How filling a market went, whenever that was.
pub fn filling(dir: &Path) -> Result<String> {
    Ok(fs::read_to_string(dir.join(FILLED))?)
}

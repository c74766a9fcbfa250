//! The two public logs as C2SP tlog-tiles (<https://c2sp.org/tlog-tiles>), byte for byte.

use actix_web::{
    HttpResponse, get,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::Path,
};
use encrytrust_index_chain::{
    checkpoint::{LogName, NoSuchLog},
    log::TILE_WIDTH,
};

use super::{Binary, Problems, Site, read};
use crate::{
    problem::{NOT_FOUND, Refused},
    service::Service,
};

/// A full tile never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// A partial tile does not either, but soon nobody asks for it.
const FOR_A_WHILE: &str = "public, max-age=300";
/// A checkpoint is replaced with the next block.
const BRIEFLY: &str = "public, max-age=1, must-revalidate";

/// The log's latest checkpoint
///
/// A C2SP signed note: origin, size, root, the block that sealed it; signed by the platform,
/// cosigned by witnesses.
#[utoipa::path(
    tag = "log",
    params(("log", Path, description = "`index` or `trades`")),
    responses((status = 200, body = String, content_type = "text/plain"), Problems)
)]
#[get("/log/{log}/checkpoint")]
pub(crate) async fn get_checkpoint(site: Site, log: Path<String>) -> Result<HttpResponse, Refused> {
    let heads = site.heads();
    let head = heads.of(log_name(&log)?);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CACHE_CONTROL, BRIEFLY))
        .body(head.served.clone()))
}

/// A tile or an entry bundle of the log
///
/// `<L>/<N>[.p/<W>]` is tile N of level L: W (or 256) hashes of 32 bytes. `entries/<N>[.p/<W>]` is
/// W (or 256) entries, each behind its length in 16 bits. N is written in groups of three digits,
/// all but the last with an x before: `x001/234`.
#[utoipa::path(
    tag = "log",
    params(
        ("log", Path, description = "`index` or `trades`"),
        ("path", Path, description = "which tile", example = "0/x001/234.p/7"),
    ),
    responses(
        (status = 200, body = Binary, content_type = "application/octet-stream"),
        Problems
    )
)]
#[get("/log/{log}/tile/{path:.*}")]
pub(crate) async fn get_tile(
    site: Site,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Refused> {
    let (log, path) = path.into_inner();
    let log = log_name(&log)?;
    let Some(tile) = Tile::parse(&path) else {
        return NOT_FOUND.refuse(format!("{path:?} names no tile"));
    };
    let cached = if tile.width == TILE_WIDTH { FOR_EVER } else { FOR_A_WHILE };
    let bytes = match tile.level {
        // Eight kilobytes at most, as good as always in memory.
        Some(_) => tile.read(&site, log)?,
        None => read(&site, move |service| tile.read(service, log)).await?,
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header((CACHE_CONTROL, cached))
        .body(bytes))
}

fn log_name(text: &str) -> Result<LogName, Refused> {
    text.parse().or_else(|e: NoSuchLog| NOT_FOUND.refuse(e.to_string()))
}

/// What a tile path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    /// `None`: entries.
    level: Option<u8>,
    n: u64,
    width: u64,
}

impl Tile {
    fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.split_once('/')?;
        let level = match level {
            "entries" => None,
            _ => Some(canonical(level).filter(|level| *level < 64)?.try_into().ok()?),
        };
        let (n, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH),
            Some((n, width)) => (n, canonical(width).filter(|w| (1..TILE_WIDTH).contains(w))?),
        };
        Some(Self { level, n: grouped(n)?, width })
    }

    /// Its bytes, if they are under the checkpoint.
    fn read(self, service: &Service, log: LogName) -> Result<Vec<u8>, Refused> {
        let size = service.heads().of(log).size();
        let there = size.checked_shr(8 * u32::from(self.level.unwrap_or(0))).unwrap_or(0);
        let end = self.n.checked_mul(TILE_WIDTH).and_then(|start| start.checked_add(self.width));
        if end.is_none_or(|end| end > there) {
            return NOT_FOUND.refuse(format!("the checkpoint has {size} entries"));
        }
        let reader = service.log(log);
        let bytes = match self.level {
            None => reader.bundle(self.n, self.width),
            Some(level) => reader.tile(level, self.n, self.width),
        };
        bytes.map_err(|e| Refused::internal("reading a tile", e))
    }
}

/// A decimal number in its only spelling.
fn canonical(digits: &str) -> Option<u64> {
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// `x001/x234/067` is 1,234,067.
fn grouped(path: &str) -> Option<u64> {
    let mut number: u64 = 0;
    let mut groups = path.split('/').peekable();
    let mut first = true;
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() { group.strip_prefix('x')? } else { group };
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if first && groups.peek().is_some() && digits == "000" {
            return None;
        }
        first = false;
        number = number.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_spelling() {
        let tile = |level, n, width| Some(Tile { level, n, width });
        assert_eq!(Tile::parse("0/000"), tile(Some(0), 0, 256));
        assert_eq!(Tile::parse("2/x001/x234/067"), tile(Some(2), 1_234_067, 256));
        assert_eq!(Tile::parse("entries/x001/234.p/7"), tile(None, 1234, 7));
        for bad in [
            "",
            "0",
            "0/",
            "0/0",
            "0/0000",
            "00/000",
            "64/000",
            "-1/000",
            "0/x000/001",
            "0/001/002",
            "0/x001",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/07",
            "0/000.p/",
            "0/000.p/1/2",
            "0/ 00",
            "0/+01",
            "entry/000",
            "0/x001/x001/x001/x001/x001/x001/x001/001",
        ] {
            assert_eq!(Tile::parse(bad), None, "{bad:?}");
        }
    }
}

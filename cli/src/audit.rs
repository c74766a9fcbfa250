//! `ets audit`: trust nobody's word for it.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use encrytrust_index_chain::{
    audit::{AuditError, Auditor, Fault, Report, Stage},
    checkpoint::{LogName, SignedCheckpoint},
    note::{NoteError, SignedBy, Vkey},
};
use encrytrust_participant_node::{Synced, sync_copy};
use encrytrust_protocol::Market;
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    exit::{Exit, Failure},
    home::{NodeDir, pinned_key, url},
    output::{Output, counted, grouped, rate, size, took},
    passphrase::PassphraseFile,
};

/// Verify a market from its first block, on your machine.
///
/// Downloads the logs, or what is new in them, and checks everything without asking anyone: the
/// trees, the blocks and how they are linked, every checkpoint's signature, the signature of every
/// offer and every receipt, that both continue what this auditor saw before, and that one's own
/// offers are all there.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ets audit --platform https://market.example --dir copy \\
      --platform-key 'market.example+1f2e3d4c+ARxV…'
  ets audit --platform http://127.0.0.1:7700 --mine bank
  ets audit --dir copy

The last one uses no network. A fault is reported with the exact entry and what contradicts \
what, and ends with exit code 3; what proves it stays in the copy.")]
pub(crate) struct Audit {
    /// The market's URL; without it only the copy is audited, offline.
    #[arg(long, value_name = "URL", value_parser = url, required_unless_present_any = ["dir", "mine"])]
    platform: Option<String>,

    /// Keep the copy of the logs here and continue from it next time; otherwise in a directory
    /// that is removed afterwards.
    #[arg(long, value_name = "COPY")]
    dir: Option<PathBuf>,

    /// Also check that everything this node published is there.
    #[arg(long, value_name = "NODE_DIR")]
    mine: Option<PathBuf>,

    /// The market's verifier key, as its operator told you; otherwise the key in the copy, or on
    /// the first audit the one the platform shows.
    #[arg(long, value_name = "VKEY")]
    platform_key: Option<Vkey>,

    /// A witness whose cosignatures on the checkpoints are to be verified too: its C2SP verifier
    /// key. May be given several times.
    #[arg(long = "witness", value_name = "VKEY", value_parser = witness)]
    witnesses: Vec<Vkey>,

    #[command(flatten)]
    passphrase: PassphraseFile,
}

fn witness(text: &str) -> Result<Vkey, String> {
    let vkey: Vkey = text.parse().map_err(|e: NoteError| e.to_string())?;
    if vkey.is_witness() { Ok(vkey) } else { Err(format!("{} is no witness's key", vkey.name())) }
}

/// What a copy of a market's logs is told apart by, and what its auditor has seen of them.
struct Case {
    dir: PathBuf,
    /// Removes `dir` in the end, if nobody asked to keep it.
    _fleeting: Option<TempDir>,
}

impl Case {
    fn open(dir: Option<&Path>) -> Result<Self, Failure> {
        if let Some(dir) = dir {
            return Ok(Self { dir: dir.to_owned(), _fleeting: None });
        }
        let fleeting = TempDir::with_prefix("ets-audit-")
            .map_err(|e| Failure::file(&std::env::temp_dir(), &e))?;
        Ok(Self { dir: fleeting.path().to_owned(), _fleeting: Some(fleeting) })
    }

    fn key(&self) -> Result<Option<Vkey>, Failure> {
        let path = self.dir.join("vkey");
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        let key = text.trim().parse();
        key.map(Some).map_err(|e| Failure::refused("file", format!("{}: {e}", path.display())))
    }

    fn remember(&self, report: &Report) -> Result<(), Failure> {
        for (log, checkpoint) in LogName::ALL.into_iter().zip(&report.checkpoints) {
            let path = self.dir.join(format!("{AUDITED}.{log}"));
            fs::write(&path, checkpoint.to_bytes()).map_err(|e| Failure::file(&path, &e))?;
        }
        Ok(())
    }
}

/// In a copy: the checkpoints of the last audit that found no fault.
const AUDITED: &str = "audited";

/// The checkpoints that somebody kept in a directory.
fn checkpoints(
    dir: &Path,
    stem: &str,
    market: &Market,
    key: &Vkey,
) -> Result<Vec<SignedCheckpoint>, Failure> {
    let mut kept = Vec::new();
    for log in LogName::ALL {
        let path = dir.join(format!("{stem}.{log}"));
        let Ok(note) = fs::read(&path) else { continue };
        let checkpoint = SignedCheckpoint::open(&note, &log.vkey(market, key.key()))
            .map_err(|e| Failure::unproven("untrue", format!("{}: {e}", path.display())))?;
        kept.push(checkpoint);
    }
    Ok(kept)
}

pub(crate) async fn audit(args: Audit, output: &Output) -> Result<Exit, Failure> {
    let case = Case::open(args.dir.as_deref())?;
    let mine = match &args.mine {
        Some(dir) => Some(NodeDir { dir: dir.clone(), passphrase: args.passphrase }.open()?),
        None => None,
    };
    let platform = match (&args.platform, &mine) {
        (Some(url), _) => Some(url.clone()),
        // An own copy was not named, so a node's market is what is meant.
        (None, Some(node)) if args.dir.is_none() => Some(node.platform_url().to_owned()),
        (None, _) => None,
    };
    let pinned = args.mine.as_deref().map(pinned_key).transpose()?;
    let known = known_key(args.platform_key, pinned, &case)?;

    let bar = output.progress();
    let (key, trusted, downloaded) = match (&platform, known) {
        (None, Some((key, trusted))) => (key, trusted, None),
        (None, None) => {
            let detail = format!("{} is no copy of a market's logs", case.dir.display());
            return Err(Failure::usage("no-copy", detail).or_try("ets audit --platform URL"));
        }
        (Some(url), known) => {
            let given = known.as_ref().map(|(key, _)| key.to_string());
            let show = |step| bar.show(step);
            let (key, synced) = sync_copy(&case.dir, url, given.as_deref(), &show).await?;
            (key, known.map_or(Trusted::Believed, |(_, trusted)| trusted), Some(synced))
        }
    };
    let market = Market::new(key.name()).map_err(|e| Failure::usage("usage", e))?;
    let mut seen = checkpoints(&case.dir, AUDITED, &market, &key)?;
    let mut own = Vec::new();
    if let Some(node) = &mine {
        own = node.own_offers()?;
        seen.extend(checkpoints(&node.dir().join("seen"), "checkpoint", &market, &key)?);
    }
    let began = Instant::now();
    let auditor = Auditor::new(market.clone(), key.key())
        .knows_witnesses(args.witnesses.iter().cloned())
        .has_seen(seen)
        .expects(own)
        .timed_by(|| began.elapsed())
        .reporting_to(|progress| bar.audit(progress));
    let report = tokio::task::block_in_place(|| auditor.audit(&case.dir));
    let seconds = began.elapsed().as_secs_f64();
    drop(bar);
    let report = report.map_err(|error| fault(error, &case, platform.is_some()))?;
    // A platform's own directory is left as it is.
    if downloaded.is_some() || case.key()?.is_some() {
        case.remember(&report)?;
    }
    let Audit { dir, witnesses, .. } = args;
    output.answer(&Clean { market, key, trusted, dir, downloaded, report, seconds, witnesses })
}

/// Why an audit believes in the key that everything is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Trusted {
    /// The auditor gave it.
    Given,
    /// The node has pinned it.
    Node,
    /// The copy was made under it.
    Copy,
    /// The platform says so.
    Believed,
}

/// The key to check against, if one is known: never one that contradicts another.
fn known_key(
    given: Option<Vkey>,
    pinned: Option<Vkey>,
    case: &Case,
) -> Result<Option<(Vkey, Trusted)>, Failure> {
    let known = [
        given.map(|key| (key, Trusted::Given)),
        pinned.map(|key| (key, Trusted::Node)),
        case.key()?.map(|key| (key, Trusted::Copy)),
    ];
    let mut known = known.into_iter().flatten();
    let Some((key, trusted)) = known.next() else { return Ok(None) };
    let Some((other, whose)) = known.find(|(other, _)| *other != key) else {
        return Ok(Some((key, trusted)));
    };
    let whose = if whose == Trusted::Copy { "the copy was made" } else { "the node has joined" };
    let detail = format!("asked to check against {key}; {whose} under {other}");
    Err(Failure::unproven("other-key", detail)
        .or_try("find out which of the two keys the market's operator published"))
}

/// An audit's end when something does not hold.
fn fault(error: AuditError, case: &Case, online: bool) -> Failure {
    let fault = match error {
        AuditError::Fault(fault) => fault,
        other => return Failure::refused("unreadable", other),
    };
    let Fault { kind, place, found, expected } = *fault;
    let detail = format!("{place}\nfound: {found}\nbut:   {expected}");
    let next = if online {
        "keep the copy, and show it to other participants and to the operator"
    } else {
        "ets audit --platform URL --dir OTHER, to learn whether only this copy is damaged"
    };
    let fault = json!({
        "kind": kind.slug(),
        "file": case.dir.join(&place.file),
        "offset": place.offset,
        "log": place.log.map(LogName::as_str),
        "index": place.index,
        "block": place.block,
        "found": found,
        "expected": expected,
    });
    Failure::unproven("audit-fault", detail).with("fault", fault).or_try(next)
}

/// An audit without a fault.
struct Clean {
    market: Market,
    key: Vkey,
    trusted: Trusted,
    dir: Option<PathBuf>,
    downloaded: Option<Synced>,
    report: Report,
    seconds: f64,
    /// Those whose cosignatures were asked for.
    witnesses: Vec<Vkey>,
}

impl Clean {
    /// For each witness, when it cosigned which log's checkpoint, Unix seconds.
    fn cosigned(&self) -> impl Iterator<Item = (&Vkey, [Option<u64>; 2])> {
        self.witnesses.iter().map(|witness| {
            let at = |by: &[SignedBy]| by.iter().find(|s| s.by == *witness).and_then(|s| s.at);
            let [index, trades] = &self.report.witnesses;
            (witness, [at(index), at(trades)])
        })
    }

    fn log_keys(&self) -> [(LogName, Vkey); 2] {
        LogName::ALL.map(|log| (log, log.vkey(&self.market, self.key.key())))
    }
}

impl Serialize for Clean {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let Self { market, key, trusted, dir, downloaded, report, seconds, .. } = self;
        let log_keys =
            self.log_keys().map(|(log, key)| (log.as_str().to_owned(), json!(key.to_string())));
        let heads = LogName::ALL.iter().zip(&report.checkpoints).map(|(log, checkpoint)| {
            let head = checkpoint.head();
            (log.as_str().to_owned(), json!({"size": head.size, "root": head.root}))
        });
        let witnesses = self.cosigned().map(|(witness, [index, trades])| {
            json!({"vkey": witness.to_string(), "index": index, "trades": trades})
        });
        let stages = report.stages.iter().map(|stage| {
            json!({
                "stage": stage.stage.to_string(),
                "checked": stage.checked,
                "signatures": stage.signatures,
                "seconds": stage.time.as_secs_f64(),
                "per_second": stage.rate(),
            })
        });
        json!({
            "market": market,
            "platform_key": key.to_string(),
            "platform_key_trusted": trusted,
            "log_keys": log_keys.into_iter().collect::<serde_json::Map<_, _>>(),
            "copy": dir,
            "downloaded": downloaded,
            "last_block": {"height": report.last_block.height, "hash": report.last_block.hash},
            "heads": heads.collect::<serde_json::Map<_, _>>(),
            "blocks": report.blocks,
            "index_entries": report.index_entries,
            "offers": report.offers,
            "current_offers": report.current_offers,
            "withdrawals": report.withdrawals,
            "receipts": report.receipts,
            "own_offers": report.own_offers,
            "heads_seen_before": report.seen,
            "witnesses": witnesses.collect::<Value>(),
            "bytes": report.bytes,
            "stages": stages.collect::<Value>(),
            "seconds": seconds,
        })
        .serialize(s)
    }
}

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { market, key, trusted, report, .. } = self;
        let why = match trusted {
            Trusted::Given => "which you gave",
            Trusted::Node => "which your node has pinned",
            Trusted::Copy => "which the copy was made under",
            Trusted::Believed => "believed because the platform says so: compare it",
        };
        writeln!(f, "{market} under {key},\n  {why}\n")?;
        if let Some(got) = &self.downloaded {
            writeln!(f, "  {} downloaded in {}", size(got.bytes), took(got.seconds))?;
        }
        for stage in &report.stages {
            if stage.checked == 0 {
                continue;
            }
            let what = match stage.stage {
                Stage::Checkpoints => "signed by the platform and naming the last block",
                Stage::Blocks => "signed and linked, each to the one before",
                Stage::Index => "hashed into the tree of every block, decoded, signed, admissible",
                Stage::Trades => "hashed into the tree of every block, both halves signed",
                Stage::OwnOffers => "all there",
            };
            let name = match stage.stage {
                Stage::Index => "index entry",
                Stage::Trades => "receipt",
                Stage::Checkpoints => "checkpoint",
                Stage::Blocks => "block",
                Stage::OwnOffers => "own offer",
            };
            let counted = counted(stage.checked, name);
            let time = stage.time.as_secs_f64();
            writeln!(f, "  {counted:22} {what}{}", rate(stage.checked, time))?;
        }
        let seen = match report.seen {
            0 => "first audit here: nothing seen before to compare with".to_owned(),
            seen => format!("continues {} seen before", counted(seen, "checkpoint")),
        };
        writeln!(f, "  {seen}")?;
        for (witness, cosigned) in self.cosigned() {
            let said = match cosigned {
                [Some(_), Some(_)] => "cosigned both checkpoints",
                [None, None] => "has cosigned neither checkpoint",
                _ => "has cosigned one of the two checkpoints",
            };
            writeln!(f, "  witness {} {said}", witness.name())?;
        }
        writeln!(
            f,
            "\n{} ({} current), {}, {}, {}: everything holds, to block {}, in {}",
            counted(report.offers, "offer"),
            grouped(report.current_offers),
            counted(report.withdrawals, "withdrawal"),
            counted(report.receipts, "receipt"),
            size(report.bytes),
            report.last_block.height,
            took(self.seconds)
        )?;
        writeln!(f, "\nother tools read the logs under these keys:")?;
        let [(_, index), (_, trades)] = self.log_keys();
        write!(f, "  {index}\n  {trades}")
    }
}

//! `ets admin`: decide who takes part.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};
use encrytrust_keys::platform::AdminKey;
use encrytrust_protocol::{
    AdminAction, AdminCommand, AdminQuery, Market, Nonce, ParticipantId, ParticipantState, Problem,
    UnixSeconds,
    api::{ParticipantView, ParticipantsView},
};
use reqwest::{Certificate, Client, Url, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    exit::{Exit, Failure},
    home::url,
    output::{self, Output, counted, date, short, table},
    passphrase::PassphraseFile,
    platform::{Whereabouts, configuration, secret},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    List(List),
    Approve(Approve),
    Suspend(Suspend),
}

/// Which market, and with whose key.
#[derive(Debug, Args)]
struct Office {
    /// The market's state: its admin key signs, its platform.toml says where the market listens.
    #[arg(long)]
    dir: PathBuf,

    /// Talk to the market at this URL instead.
    #[arg(long, value_name = "URL", value_parser = url)]
    platform: Option<String>,

    #[command(flatten)]
    passphrase: PassphraseFile,
}

/// Show who joined, and where each stands.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ets admin list --dir market")]
pub(crate) struct List {
    #[command(flatten)]
    office: Office,
}

/// Let participants in, or in again.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ets admin approve --dir market \"Kontor Bank\"
  ets admin approve --dir market 7f3a91
  ets admin approve --dir market --all

Compare the id with the one that the participant reads to you from `ets node status`: anyone \
can write any name into a certificate.")]
pub(crate) struct Approve {
    #[command(flatten)]
    office: Office,

    /// Whom: an id, the beginning of one, or a name.
    #[arg(value_name = "WHO", required_unless_present = "all", conflicts_with = "all")]
    who: Vec<String>,

    /// Everyone who is waiting.
    #[arg(long)]
    all: bool,

    /// Why, for the record.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Stop participants' keys from being used.
///
/// What they published stays in the log and is no longer offered; nodes hear of it within the
/// minute that a key's status may be relied on.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ets admin suspend --dir market \"Kontor Bank\" --reason \"certificate compromised\"")]
pub(crate) struct Suspend {
    #[command(flatten)]
    office: Office,

    /// Whom: an id, the beginning of one, or a name.
    #[arg(value_name = "WHO", required = true)]
    who: Vec<String>,

    /// Why, for the record.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

pub(crate) async fn run(verb: Verb, output: &Output) -> Result<Exit, Failure> {
    match verb {
        Verb::List(List { office }) => {
            let participants = Desk::open(&office)?.participants().await?;
            output.answer(&Roll { dir: office.dir, participants })
        }
        Verb::Approve(Approve { office, who, all, reason }) => {
            let desk = Desk::open(&office)?;
            let roll = desk.participants().await?;
            let whom = if all {
                let waiting = |p: &&ParticipantView| p.state == ParticipantState::Pending;
                roll.iter().filter(waiting).cloned().collect()
            } else {
                named(&roll, &who, &office.dir)?
            };
            output.answer(&desk.decide(AdminAction::Approve, whom, &reason).await?)
        }
        Verb::Suspend(Suspend { office, who, reason }) => {
            let desk = Desk::open(&office)?;
            let whom = named(&desk.participants().await?, &who, &office.dir)?;
            output.answer(&desk.decide(AdminAction::Suspend, whom, &reason).await?)
        }
    }
}

/// Finds the participants that an administrator means.
fn named(
    roll: &[ParticipantView],
    who: &[String],
    dir: &Path,
) -> Result<Vec<ParticipantView>, Failure> {
    let list = || format!("ets admin list --dir {}", dir.display());
    let mut whom = Vec::<ParticipantView>::new();
    for wanted in who {
        let prefix = wanted.to_ascii_lowercase();
        let is_prefix = prefix.len() >= 4 && prefix.bytes().all(|b| b.is_ascii_hexdigit());
        let by_id = |p: &&ParticipantView| is_prefix && p.id.to_string().starts_with(&prefix);
        let mut meant: Vec<_> = roll.iter().filter(by_id).collect();
        // A name that reads like an id must not stand in for somebody else's id.
        if meant.is_empty() {
            meant = roll.iter().filter(|p| p.name == *wanted).collect();
        }
        match meant[..] {
            [one] => whom.push(one.clone()),
            [] => {
                let detail =
                    format!("no participant is called {wanted:?} or has an id that starts so");
                return Err(Failure::refused("unknown-participant", detail).or_try(list()));
            }
            _ => {
                let ids: Vec<_> = meant.iter().map(|p| short(p.id)).collect();
                let detail = format!("{wanted:?} could be any of {}", ids.join(", "));
                let next = "say which by more of its id";
                return Err(Failure::refused("ambiguous-participant", detail).or_try(next));
            }
        }
    }
    Ok(whom)
}

/// Where an administrator signs.
struct Desk {
    http: Client,
    base: Url,
    market: Market,
    key: AdminKey,
}

/// What the platform answers to a command.
#[derive(Deserialize)]
struct Decided {
    state: ParticipantState,
}

impl Desk {
    fn open(office: &Office) -> Result<Self, Failure> {
        let config = configuration(&office.dir)?;
        let (key, _) = secret::<AdminKey>(&office.dir, "admin.key", &office.passphrase)?;
        let Whereabouts { url, certificate } = Whereabouts::of(&office.dir, &config);
        let base = office.platform.clone().unwrap_or(url);
        let base = Url::parse(&format!("{}/", base.trim_end_matches('/')))
            .map_err(|e| Failure::usage("usage", format!("{base:?} is no URL: {e}")))?;
        let http = client(certificate.as_deref()).map_err(|e| Failure::refused("network", e))?;
        Ok(Self { http, base, market: config.market, key })
    }

    async fn participants(&self) -> Result<Vec<ParticipantView>, Failure> {
        let (nonce, at) = (nonce()?, now());
        let query = AdminQuery { market: self.market.clone(), nonce, at };
        let query = self.key.sign_query(query).map_err(|e| Failure::refused("signing", e))?;
        let view: ParticipantsView = self.post("v1/admin/participants", query.bytes()).await?;
        Ok(view.participants)
    }

    async fn decide(
        &self,
        action: AdminAction,
        whom: Vec<ParticipantView>,
        reason: &str,
    ) -> Result<Decisions, Failure> {
        let mut participants = Vec::with_capacity(whom.len());
        for participant in whom {
            let command = AdminCommand {
                market: self.market.clone(),
                action,
                participant: participant.id,
                reason: reason.to_owned(),
                nonce: nonce()?,
                at: now(),
            };
            let command =
                self.key.sign_command(command).map_err(|e| Failure::usage("bad-message", e))?;
            let decided: Decided = self.post("v1/admin/commands", command.bytes()).await?;
            let ParticipantView { id, name, .. } = participant;
            participants.push(Decision { id, name, state: decided.state });
        }
        Ok(Decisions { participants })
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, Failure> {
        let away = |e: reqwest::Error| {
            Failure::unreachable(format_args!("the platform at {}", self.base), &e)
                .or_try("start it with `ets platform serve`, or name its URL with --platform")
        };
        let url = self.base.join(path).map_err(|e| Failure::usage("usage", e))?;
        let request = self.http.post(url).header(header::CONTENT_TYPE, "application/cose");
        let response = request.body(body.to_vec()).send().await.map_err(away)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(away)?;
        let strange = |e: serde_json::Error| {
            let detail =
                format!("{} answered {status}, and not as a platform does: {e}", self.base);
            Failure::refused("strange-answer", detail)
        };
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(strange);
        }
        Err(serde_json::from_slice::<Problem>(&bytes).map_err(strange)?.into())
    }
}

/// A client that trusts the certificate this very platform was given, besides the usual ones.
fn client(certificate: Option<&Path>) -> reqwest::Result<Client> {
    let mut builder = Client::builder().timeout(Duration::from_secs(30));
    if let Some(pem) = certificate.and_then(|path| fs::read(path).ok()) {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(&pem)?);
    }
    builder.build()
}

fn nonce() -> Result<Nonce, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| Failure::refused("randomness", e))?;
    Ok(Nonce::from(bytes))
}

fn now() -> UnixSeconds {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Who joined.
#[derive(Serialize)]
struct Roll {
    #[serde(skip)]
    dir: PathBuf,
    participants: Vec<ParticipantView>,
}

impl fmt::Display for Roll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.participants.is_empty() {
            return f.write_str("nobody has joined yet");
        }
        let rows: Vec<_> = self
            .participants
            .iter()
            .map(|p| {
                let keys = output::grouped(p.keys);
                [short(p.id), state(p.state).to_owned(), keys, date(p.since), p.name.clone()]
            })
            .collect();
        table(f, ["ID", "STATE", "KEYS", "SINCE", "NAME"], &rows)?;
        let waiting = self.participants.iter().filter(|p| p.state == ParticipantState::Pending);
        match waiting.count() as u64 {
            0 => Ok(()),
            count => write!(
                f,
                "\n{} to decide on: ets admin approve --dir {} ID",
                counted(count, "participant"),
                self.dir.display()
            ),
        }
    }
}

/// What was decided.
#[derive(Serialize)]
struct Decisions {
    participants: Vec<Decision>,
}

#[derive(Serialize)]
struct Decision {
    id: ParticipantId,
    name: String,
    state: ParticipantState,
}

impl fmt::Display for Decisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.participants.is_empty() {
            return f.write_str("nobody is waiting");
        }
        for Decision { id, name, state: now } in &self.participants {
            writeln!(f, "{:9}  {}  {name}", state(*now), short(id))?;
        }
        Ok(())
    }
}

/// A state, as a word.
pub(crate) fn state(state: ParticipantState) -> &'static str {
    match state {
        ParticipantState::Pending => "pending",
        ParticipantState::Approved => "approved",
        ParticipantState::Suspended => "suspended",
    }
}

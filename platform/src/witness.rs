//! Witnesses cosign what is published (<https://c2sp.org/tlog-witness>).
//!
//! After each block the platform sends the new checkpoint to its witnesses, in the background and
//! each on its own; a cosignature that verifies is added to the checkpoint everybody gets. A
//! witness that is down or slow holds nobody up: it gets a later checkpoint instead.

use std::{sync::Arc, time::Duration};

use encrytrust_index_chain::{
    checkpoint::{LogName, SignedCheckpoint},
    log::{LogError, LogReader},
    note::{NoteError, Vkey},
    witness::{add_checkpoint, conflict_size},
};
use metrics::counter;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{heads::Heads, service::Service};

/// Someone who keeps the platform from telling two stories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// Its cosigning key: a vkey of the tlog-cosignature type.
    #[serde(serialize_with = "write_vkey", deserialize_with = "read_vkey")]
    pub vkey: Vkey,
    /// What `/add-checkpoint` is appended to.
    pub url: String,
}

/// `<vkey>=<url>`, as on a command line.
impl std::str::FromStr for Witness {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A vkey ends in base64, which may end in '='; a URL begins with its scheme.
        let (vkey, url) = ["=http://", "=https://"]
            .iter()
            .find_map(|scheme| text.find(scheme))
            .map(|at| (&text[..at], &text[at + 1..]))
            .ok_or("a witness is written VKEY=URL, with an http or https URL")?;
        Self::new(vkey.parse().map_err(|e: NoteError| e.to_string())?, url)
    }
}

impl Witness {
    fn new(vkey: Vkey, url: &str) -> Result<Self, String> {
        if vkey.is_witness() {
            return Ok(Self { vkey, url: url.trim_end_matches('/').to_owned() });
        }
        Err(format!("{} is a log's key, not a witness's (type 04)", vkey.name()))
    }
}

fn write_vkey<S: Serializer>(vkey: &Vkey, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(vkey)
}

fn read_vkey<'de, D: Deserializer<'de>>(d: D) -> Result<Vkey, D::Error> {
    let vkey: Vkey = String::deserialize(d)?.parse().map_err(de::Error::custom)?;
    let witness = Witness::new(vkey, "").map_err(de::Error::custom)?;
    Ok(witness.vkey)
}

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
enum WitnessError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("it answers {status}: {text}")]
    Refused { status: u16, text: String },
    #[error("its cosignature: {0}")]
    Note(#[from] NoteError),
    #[error("it answers with no cosignature of its own")]
    Nothing,
    #[error("its last tree is not of this log: {0}")]
    Proof(#[from] LogError),
}

/// How long a witness may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes a witness may answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Sends every new checkpoint to one witness until the platform stops.
async fn attend(service: Arc<Service>, witness: Witness, client: reqwest::Client) {
    let mut heads = service.heads.clone();
    heads.mark_changed();
    let mut stopping = service.stopping.clone();
    // The sizes of the last trees it cosigned; it says so itself when this is wrong.
    let mut known = [0; 2];
    let mut heard: [Option<u64>; 2] = [None; 2];
    loop {
        tokio::select! {
            changed = heads.changed() => if changed.is_err() { return },
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        for log in LogName::ALL {
            let now: Heads = heads.borrow_and_update().clone();
            // A cosignature changes the heads too; the same checkpoint is sent once.
            if heard[log as usize] == Some(now.height()) {
                continue;
            }
            heard[log as usize] = Some(now.height());
            let checkpoint = &now.of(log).checkpoint;
            let known = &mut known[log as usize];
            match cosign(&client, &witness, service.log(log), known, checkpoint).await {
                Ok(answer) => {
                    counter!("ets_witness_cosignatures_total").increment(1);
                    service.publisher.send_if_modified(|heads| {
                        heads.cosign(log, checkpoint, &answer, &witness.vkey)
                    });
                }
                Err(error) => {
                    counter!("ets_witness_failures_total").increment(1);
                    tracing::warn!(witness = witness.vkey.name(), %log, %error, "not cosigned");
                }
            }
        }
    }
}

async fn cosign(
    client: &reqwest::Client,
    witness: &Witness,
    log: &LogReader,
    known: &mut u64,
    checkpoint: &SignedCheckpoint,
) -> Result<Vec<u8>, WitnessError> {
    let url = format!("{}/add-checkpoint", witness.url);
    let mut corrected = false;
    loop {
        let body = add_checkpoint(log, *known, checkpoint)?;
        let response = client.post(&url).body(body).timeout(PATIENCE).send().await?;
        let status = response.status().as_u16();
        let answer = bounded(response).await?;
        match status {
            200 => {
                let by = std::slice::from_ref(&witness.vkey);
                if checkpoint.clone().add_cosignatures(&answer, by)?.is_empty() {
                    return Err(WitnessError::Nothing);
                }
                *known = checkpoint.head().size;
                return Ok(answer);
            }
            409 if !corrected && let Some(size) = conflict_size(&answer) => {
                (*known, corrected) = (size, true);
            }
            _ => {
                let text: String = String::from_utf8_lossy(&answer).chars().take(200).collect();
                return Err(WitnessError::Refused { status, text });
            }
        }
    }
}

async fn bounded(mut response: reqwest::Response) -> Result<Vec<u8>, WitnessError> {
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if answer.len() + chunk.len() > ANSWER_BYTES_MAX {
            let text = format!("more than {ANSWER_BYTES_MAX} bytes");
            return Err(WitnessError::Refused { status: response.status().as_u16(), text });
        }
        answer.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// Starts attending to every witness.
pub(crate) fn attend_all(service: &Arc<Service>) -> Result<(), reqwest::Error> {
    if service.config.witnesses.is_empty() {
        return Ok(());
    }
    let client = reqwest::Client::builder().user_agent("encrytrust-platform").build()?;
    for witness in &service.config.witnesses {
        tokio::spawn(attend(Arc::clone(service), witness.clone(), client.clone()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use encrytrust_keys::platform::PlatformKey;

    #[test]
    fn a_witness_is_written_as_vkey_and_url() {
        let key = PlatformKey::generate().public();
        let vkey = Vkey::witness("witness.example/w1", key).unwrap();
        let witness: Witness = format!("{vkey}=https://witness.example/w1/").parse().unwrap();
        assert_eq!(
            (witness.vkey.clone(), witness.url.as_str()),
            (vkey, "https://witness.example/w1")
        );
        let log = Vkey::log("witness.example", key).unwrap();
        assert!(format!("{log}=https://w").parse::<Witness>().is_err(), "a log's key");
        assert!("nonsense".parse::<Witness>().is_err());
    }
}

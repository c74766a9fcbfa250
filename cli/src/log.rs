//! `ets log`, `ets prove`: have the public log here, and what it proves in a file.

use std::{fmt, fs, path::PathBuf};

use clap::{Args, Subcommand};
use encrytrust_index_chain::proof::TlogProof;
use encrytrust_participant_node::{Node, Synced};
use encrytrust_protocol::{OfferId, api::OneOfferView, leaf_hash};
use serde::Serialize;

use crate::{
    exit::{Exit, Failure},
    home::NodeDir,
    output::{Output, grouped, short, size, took},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Sync(Sync),
}

/// Download what is new in the index, and check that it continues what was there.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ets log sync --dir lender

Afterwards `ets find --local` sends nothing at all.")]
pub(crate) struct Sync {
    #[command(flatten)]
    node: NodeDir,
}

/// Write the proof that an offer is in the index, for any C2SP tool.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ets prove --dir bank 7f3a91 --out offer.tlog-proof

Next to the proof goes the offer itself (offer.cose), the bytes that the proof is about.")]
pub(crate) struct Prove {
    #[command(flatten)]
    node: NodeDir,

    /// The offer: its id, or the beginning of one that `ets find` showed.
    #[arg(value_name = "OFFER")]
    offer: String,

    /// Where to write the proof; stdout if not given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(verb: Verb, output: &Output) -> Result<Exit, Failure> {
    let Verb::Sync(Sync { node }) = verb;
    let node = node.open()?;
    let bar = output.progress();
    let synced = node.sync(&|step| bar.show(step)).await?;
    drop(bar);
    output.answer(&Download(synced))
}

/// What downloading did, as people read it.
#[derive(Serialize)]
#[serde(transparent)]
struct Download(Synced);

impl fmt::Display for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Synced { dir, blocks, index, trades, bytes, seconds } = &self.0;
        writeln!(f, "copy in {}", dir.display())?;
        let rows =
            [("blocks", blocks), ("index", index), ("trades", trades)].map(|(what, grown)| {
                [what.to_owned(), grouped(grown.total), format!("{} new", grouped(grown.new))]
            });
        for [what, total, new] in rows {
            writeln!(f, "  {what:8}{total:>12}  {new:>12}")?;
        }
        write!(f, "{} in {}", size(*bytes), took(*seconds))
    }
}

pub(crate) async fn prove(args: Prove, output: &Output) -> Result<Exit, Failure> {
    let node = args.node.open()?;
    let id = args.node.recall(&args.offer, &node)?;
    let proof = node.prove(&id).await?;
    let index = TlogProof::parse(proof.as_bytes())
        .map_err(|e| Failure::unproven("untrue", format!("the platform's proof: {e}")))?
        .index;
    let Some(path) = args.out else {
        return output.answer(&Proof { offer: id, index, proof, out: None, entry: None });
    };
    let entry = path.with_extension("cose");
    let bytes = entry_bytes(&node, id).await?;
    for (path, bytes) in [(&path, proof.as_bytes()), (&entry, &bytes)] {
        fs::write(path, bytes).map_err(|e| Failure::file(path, &e))?;
    }
    output.answer(&Proof { offer: id, index, proof, out: Some(path), entry: Some(entry) })
}

/// The bytes that an offer's id names, from the platform; no other bytes pass.
async fn entry_bytes(node: &Node, id: OfferId) -> Result<Vec<u8>, Failure> {
    let url = format!("{}/v1/offers/{id}", node.platform_url().trim_end_matches('/'));
    let failed = |e: reqwest::Error| Failure::unreachable(&url, &e);
    let answer = reqwest::get(&url).await.and_then(reqwest::Response::error_for_status);
    let answer = answer.map_err(failed)?.bytes().await.map_err(failed)?;
    let view: OneOfferView = serde_json::from_slice(&answer)
        .map_err(|e| Failure::unproven("untrue", format!("{url} answers with no offer: {e}")))?;
    let entry = view.offer.entry.0;
    if leaf_hash(&entry) == id {
        return Ok(entry);
    }
    Err(Failure::unproven("untrue", format!("{url} answers with bytes that have another id")))
}

/// A proof that an offer is in the index, as people read it.
#[derive(Serialize)]
struct Proof {
    offer: OfferId,
    /// The offer's place in the index.
    index: u64,
    /// The C2SP tlog-proof.
    proof: String,
    out: Option<PathBuf>,
    /// Where the offer's own bytes are.
    entry: Option<PathBuf>,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.out, &self.entry) {
            (Some(out), Some(entry)) => write!(
                f,
                "offer {} is entry {} of the index: proof in {}, the offer's bytes in {}",
                short(self.offer),
                self.index,
                out.display(),
                entry.display()
            ),
            _ => f.write_str(&self.proof),
        }
    }
}

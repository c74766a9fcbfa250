//! `ets find`, `ets get`: buy.

use std::{fmt, path::PathBuf};

use clap::Args;
use encrytrust_participant_node::{Found, FoundOffer, Purchase};
use encrytrust_protocol::api::OfferState;
use serde::Serialize;

use crate::{
    exit::{Exit, Failure},
    home::NodeDir,
    output::{Output, counted, day, short, wrapped},
};

/// Find offers about somebody, without telling anyone about whom.
///
/// The platform helps to make the pseudonym from an ID that it sees only blinded, then looks up a
/// pseudonym that it cannot turn back. Each answer is proven to be in the index.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ets find --dir lender --id ZZ-000042-96
  ets find --dir lender --id \"Erika Mustermann\" --id 1964-08-12
  ets find --dir lender --id ZZ-000042-96 --local

With --local the platform does not learn the pseudonym either: the index is downloaded, only \
what is new since the last time, checked, and searched on this machine.")]
pub(crate) struct Find {
    #[command(flatten)]
    node: NodeDir,

    /// Whom: the ID; once per column if the market's IDs have several. Case, spacing and Unicode
    /// form make no difference.
    #[arg(long, value_name = "ID", required = true)]
    id: Vec<String>,

    /// Download the index and look there.
    #[arg(long)]
    local: bool,
}

/// Get the record behind an offer.
///
/// Asks the provider's node, decrypts what comes back, checks it against the commitment in the
/// index, and leaves a receipt signed by both sides in the trade log. A record that is not the one
/// that was offered ends with exit code 3, and the receipt says so.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ets get --dir lender 7f3a91 --out record.json")]
pub(crate) struct Get {
    #[command(flatten)]
    node: NodeDir,

    /// The offer: its id, or the beginning of one that `ets find` showed.
    #[arg(value_name = "OFFER")]
    offer: String,

    /// Write the record here, as JSON, readable by you alone.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) async fn find(args: Find, output: &Output) -> Result<Exit, Failure> {
    let node = args.node.member()?;
    let bar = output.progress();
    let found = node.find(&args.id, args.local, &|step| bar.show(step)).await?;
    drop(bar);
    args.node.remember(found.offers.iter().map(|offer| offer.id))?;
    output.answer(&Listing(found))
}

pub(crate) async fn get(args: Get, output: &Output) -> Result<Exit, Failure> {
    // Whether the record can be written is found out before it is bought.
    let out = args.out.display();
    let folder = args.out.parent().filter(|folder| !folder.as_os_str().is_empty());
    if args.out.exists() || folder.is_some_and(|folder| !folder.is_dir()) {
        let why = if args.out.exists() { "is there already" } else { "has no folder to be in" };
        return Err(Failure::refused("file", format!("{out} {why}; nothing was bought"))
            .or_try("--out with another name"));
    }
    let node = args.node.member()?;
    let offer = args.node.recall(&args.offer, &node)?;
    let waiting = output.waiting("asking the provider's node");
    let purchase = node.get(offer, &args.out).await?;
    drop(waiting);
    output.answer(&Bought(purchase))
}

/// A record that was bought, as people read it.
#[derive(Serialize)]
#[serde(transparent)]
struct Bought(Purchase);

impl fmt::Display for Bought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Purchase { provider, columns, price, receipt, trade, out, .. } = &self.0;
        let columns = counted(columns.len() as u64, "column");
        writeln!(f, "{columns} for {}, in {}", counted(*price, "credit"), out.display())?;
        writeln!(f, "signed by provider {}, and is what the offer committed to", short(provider))?;
        write!(f, "receipt {receipt} in the trade log, for trade {}", short(trade))
    }
}

/// What a lookup found, as people read it.
#[derive(Serialize)]
#[serde(transparent)]
struct Listing(Found);

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { tag, index_size, offers, sent } = &self.0;
        let index = counted(*index_size, "entry");
        if offers.is_empty() {
            writeln!(f, "nothing is on offer under pseudonym {}", short(tag))?;
        } else {
            let offers = counted(offers.len() as u64, "offer");
            writeln!(
                f,
                "{offers} under pseudonym {}, proven to be in the index of {index}\n",
                short(tag)
            )?;
        }
        for offer in offers {
            summary(f, offer)?;
        }
        match &sent[..] {
            [] => write!(f, "nothing left this machine"),
            sent => write!(f, "what left this machine:\n  {}", sent.join("\n  ")),
        }
    }
}

fn summary(f: &mut fmt::Formatter<'_>, offer: &FoundOffer) -> fmt::Result {
    const INDENT: usize = 14;
    let FoundOffer { id, title, text, price, columns, valid, .. } = offer;
    writeln!(f, "{}  {title}", short(id))?;
    let state = match offer.state {
        OfferState::Current => format!("until {}", day(valid.until)),
        OfferState::Superseded => "replaced by a newer offer".to_owned(),
        OfferState::Withdrawn => "withdrawn".to_owned(),
        OfferState::Expired => "not valid now".to_owned(),
    };
    let (price, count) = (counted(*price, "credit"), counted(columns.len() as u64, "column"));
    writeln!(f, "{:INDENT$}{price}, {count}, {state}", "")?;
    let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    writeln!(f, "{}", wrapped(&names.join(", "), INDENT))?;
    if !text.is_empty() {
        writeln!(f, "{}", wrapped(text, INDENT))?;
    }
    writeln!(f)
}

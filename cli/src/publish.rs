//! `ets publish`: offer the rows of a source.

use std::{fmt, time::Duration};

use clap::{Args, ValueEnum};
use encrytrust_participant_node::{NodeError, PublishSpec, Published, source::SourceSpec};
use encrytrust_protocol::{Offer, TagScheme};
use serde::Serialize;

use crate::{
    exit::{Exit, Failure},
    home::{NodeDir, url},
    output::{Output, counted, rate, took},
    pgpass::with_password,
};

/// Offer every row of a source, or bring the offers up to date with it.
///
/// Each row becomes a signed offer in the market's index: a pseudonym of whom it is about, which
/// columns there are, a commitment to their values, the price. The values stay where they are. Run
/// it again after the source changed, or after it was interrupted: only new, changed and vanished
/// rows cause entries.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ets publish --dir bank --source csv:bank.csv --id-columns national_id \\
      --columns credit_amount,creditability --price 5 --title \"Credit history\"
  ets publish --dir bank --source postgres://reader@db.kontor.example/crm \\
      --table customers --id-columns name,born --columns income --price 20 \\
      --title \"Income\"

A password for PostgreSQL comes from the environment (PGPASSWORD), not from the command line. \
All sellers and buyers of a market must make IDs from the same columns in the same order.")]
pub(crate) struct Publish {
    #[command(flatten)]
    pub(crate) node: NodeDir,

    /// csv:FILE, or postgres://USER@HOST/DATABASE with --table.
    #[arg(long, value_name = "SOURCE")]
    source: String,

    /// The table or view to read, PostgreSQL only.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,

    /// The columns that say whom a row is about, in the order the market agreed on.
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    id_columns: Vec<String>,

    /// The columns on offer.
    #[arg(long, value_name = "X,Y", value_delimiter = ',', required = true)]
    columns: Vec<String>,

    /// What one record costs, in the market's credits.
    #[arg(long, value_name = "CREDITS")]
    #[arg(value_parser = clap::value_parser!(u64).range(..=Offer::PRICE_MAX))]
    price: u64,

    /// One line that says what the data is.
    #[arg(long, value_name = "TEXT")]
    title: String,

    /// More about the data, for buyers.
    #[arg(long, value_name = "TEXT", default_value = "")]
    text: String,

    /// How long the offers run.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=5 * 366))]
    valid_days: u64,

    /// Where buyers reach your node; what `ets node serve --endpoint` last said if not given.
    #[arg(long, value_name = "URL", value_parser = url)]
    endpoint: Option<String>,

    /// Tells two products made from one source apart. Without it, offering other columns of the
    /// same source replaces the offers made before.
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,

    /// How whom it is about is hidden.
    #[arg(long, value_enum, default_value_t = Scheme::Voprf)]
    subject_scheme: Scheme,
}

/// How a pseudonym is made from an ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scheme {
    /// With the platform's help, blindly (RFC 9497): nobody can find an ID by trying them all.
    Voprf,
    /// A bare hash, as in the white paper: anyone who can list the IDs can find them all.
    Sha256,
}

impl From<Scheme> for TagScheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Voprf => Self::Voprf,
            Scheme::Sha256 => Self::Sha256,
        }
    }
}

pub(crate) async fn run(args: Publish, output: &Output) -> Result<Exit, Failure> {
    let source = with_password(&args.source)?;
    let source = SourceSpec::parse(&source, args.table.as_deref()).map_err(NodeError::from)?;
    let node = args.node.member()?;
    if args.subject_scheme == Scheme::Sha256 {
        output.remark("warning: with sha256 anyone who can list the IDs can find them all");
    }
    let spec = PublishSpec {
        source,
        id_columns: args.id_columns,
        columns: args.columns,
        title: args.title,
        text: args.text,
        price: args.price,
        duration: Duration::from_secs(args.valid_days * 86_400),
        endpoint: args.endpoint.or_else(|| args.node.endpoint()),
        scheme: args.subject_scheme.into(),
        dataset: args.dataset,
    };
    let bar = output.progress();
    let published = node.publish(&spec, &|step| bar.show(step)).await?;
    drop(bar);
    let refused = !published.refused.is_empty();
    output.answer(&Done(published))?;
    Ok(if refused { Exit::Refused } else { Exit::Done })
}

/// What publishing did, as people read it.
#[derive(Serialize)]
#[serde(transparent)]
struct Done(Published);

/// The most refused rows that are listed for people.
const REFUSED_SHOWN: usize = 10;

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Published { rows, new, updated, withdrawn, unchanged, refused, .. } = &self.0;
        let parts =
            [(new, "new offer"), (updated, "updated offer"), (withdrawn, "withdrawn offer")];
        let parts = parts.iter().filter(|(count, _)| **count > 0);
        let parts: Vec<_> = parts.map(|(count, what)| counted(**count, what)).collect();
        let standing = counted(*unchanged, "unchanged offer");
        if parts.is_empty() {
            writeln!(f, "nothing to publish: {standing}")?;
        } else {
            let standing = if *unchanged > 0 { format!("; {standing}") } else { String::new() };
            writeln!(f, "published: {}{standing}", parts.join(", "))?;
            let index = counted(self.0.index_size, "entry");
            writeln!(f, "each is proven to be in the index of {index}")?;
        }
        if self.0.resumed > 0 {
            writeln!(f, "{} of an interrupted run came first", counted(self.0.resumed, "entry"))?;
        }
        if self.0.tags_asked > 0 {
            writeln!(
                f,
                "{} became pseudonyms; the platform saw them blinded",
                counted(self.0.tags_asked, "ID")
            )?;
        }
        let Published { seconds, .. } = self.0;
        let rate = rate(*rows, seconds);
        write!(f, "{} in {}{rate}", counted(*rows, "row"), took(seconds))?;
        if !refused.is_empty() {
            write!(f, "\n\n{} could not be offered:", counted(refused.len() as u64, "row"))?;
            for row in refused.iter().take(REFUSED_SHOWN) {
                write!(f, "\n  {}: {}", row.row, row.why)?;
            }
            if refused.len() > REFUSED_SHOWN {
                write!(f, "\n  … --json lists them all")?;
            }
        }
        Ok(())
    }
}

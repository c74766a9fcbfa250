//! `ets`, the command line of an EncryTrust market: for whoever runs one, sells on one, buys on
//! one, or checks one.
//!
//! One file a verb group: what it takes (clap), what it does (a call into `platform` or
//! `participant-node`), what it says. A verb's answer is a value that knows two ways to appear, as
//! text and as JSON ([`output`]); a verb's failure says what happened, what to try next, and which
//! exit code it deserves ([`exit`]). Answers go to stdout, everything else to stderr.

mod admin;
mod audit;
mod buy;
mod exit;
mod home;
mod log;
mod node;
mod output;
mod passphrase;
mod pgpass;
mod platform;
mod publish;

use std::{io::IsTerminal, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use exit::{Exit, Failure};
use output::Output;

/// A marketplace for data that stays where it is.
///
/// Enterprises publish signed offers about people or things, named by pseudonyms only, in an index
/// that anyone can verify. A buyer looks somebody up without telling whom, asks the provider's own
/// node, and holds a record that is checked against the index.
#[derive(Debug, Parser)]
#[command(
    name = "ets",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_long_help = "\
A market on one machine:
  ets platform init --dir market
  ets platform serve --dir market
  ets node init --dir me --platform http://127.0.0.1:7700
  ets node join --dir me
  ets admin approve --dir market me

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 a verification failed."
)]
struct Cli {
    /// Answer with one JSON document on stdout.
    #[arg(long, global = true, help_heading = "On every command")]
    json: bool,

    /// Write log lines to stderr as text or json; ETS_LOG says which lines, as in ETS_LOG=debug.
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "On every command")]
    #[arg(value_enum, default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    log: LogFormat,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a market.
    #[command(subcommand)]
    Platform(platform::Verb),
    /// Decide who takes part in a market that you run.
    #[command(subcommand)]
    Admin(admin::Verb),
    /// Take part in a market: keys, identity, answering buyers.
    #[command(subcommand)]
    Node(node::Verb),
    Publish(publish::Publish),
    Find(buy::Find),
    Get(buy::Get),
    Prove(log::Prove),
    /// Keep a copy of the public logs.
    #[command(subcommand)]
    Log(log::Verb),
    Audit(audit::Audit),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let trades = matches!(cli.verb, Verb::Node(node::Verb::Serve(_)));
    start_logging(cli.log, if trades { "encrytrust_participant_node=info" } else { "" });
    let output = Output::new(cli.json);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return output.fail(&Failure::refused("threads", error)).into(),
    };
    let done = runtime.block_on(run(cli.verb, &output));
    // A thread that still waits for somebody must not keep a finished command.
    runtime.shutdown_background();
    done.unwrap_or_else(|failure| output.fail(&failure)).into()
}

async fn run(verb: Verb, output: &Output) -> Result<Exit, Failure> {
    match verb {
        Verb::Platform(verb) => platform::run(verb, output).await,
        Verb::Admin(verb) => admin::run(verb, output).await,
        Verb::Node(verb) => node::run(verb, output).await,
        Verb::Publish(publish) => publish::run(publish, output).await,
        Verb::Find(find) => buy::find(find, output).await,
        Verb::Get(get) => buy::get(get, output).await,
        Verb::Prove(prove) => log::prove(prove, output).await,
        Verb::Log(verb) => log::run(verb, output).await,
        Verb::Audit(audit) => audit::audit(audit, output).await,
    }
}

/// Log lines are for whoever operates a server, hence on stderr; the verbs that end by themselves
/// say what matters in their answer. ETS_LOG overrides what is logged by default.
fn start_logging(format: LogFormat, more: &str) {
    // What this library has to say about a certificate, the error that follows says too.
    let default = || EnvFilter::new(format!("warn,rustls_platform_verifier=off,{more}"));
    let filter = EnvFilter::try_from_env("ETS_LOG").unwrap_or_else(|_| default());
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.compact().init(),
        LogFormat::Json => lines.json().init(),
    }
}

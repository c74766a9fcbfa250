//! How a command ends when it does not end well.

use std::{fmt, io, path::Path, process::ExitCode};

use clap::error::ErrorKind as Misread;
use encrytrust_participant_node::{ClientError, ErrorKind, NodeError};
use encrytrust_protocol::Problem;
use serde_json::json;

/// What an exit code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It is done.
    Done = 0,
    /// Somebody refused, or it could not be done.
    Refused = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Something that claims to be true is not.
    Unproven = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What happened, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// A stable slug, the same that the platform's problem documents use where it is theirs.
    kind: String,
    detail: String,
    next: Option<String>,
    /// More for programs, beside the error.
    more: Option<Box<(&'static str, serde_json::Value)>>,
}

impl Failure {
    fn new(exit: Exit, kind: &str, detail: impl fmt::Display) -> Self {
        Self { exit, kind: kind.to_owned(), detail: detail.to_string(), next: None, more: None }
    }

    /// It was refused or failed.
    pub(crate) fn refused(kind: &str, detail: impl fmt::Display) -> Self {
        Self::new(Exit::Refused, kind, detail)
    }

    /// The arguments contradict each other or what they name.
    pub(crate) fn usage(kind: &str, detail: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, kind, detail)
    }

    /// A signature, proof, commitment or chain does not hold.
    pub(crate) fn unproven(kind: &str, detail: impl fmt::Display) -> Self {
        Self::new(Exit::Unproven, kind, detail)
    }

    /// A file could not be read or written.
    pub(crate) fn file(path: &Path, source: &io::Error) -> Self {
        Self::refused("file", format!("{}: {source}", path.display()))
    }

    /// A server did not answer, or not to the end.
    pub(crate) fn unreachable(who: impl fmt::Display, error: &reqwest::Error) -> Self {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self::refused("unreachable", format!("{who} cannot be reached: {cause}"))
    }

    /// Adds what to try next, as a rule a command to type.
    pub(crate) fn or_try(mut self, next: impl Into<String>) -> Self {
        self.next.get_or_insert_with(|| next.into());
        self
    }

    /// Adds something for programs, beside the error.
    pub(crate) fn with(mut self, name: &'static str, value: serde_json::Value) -> Self {
        self.more = Some(Box::new((name, value)));
        self
    }

    /// How the process ends.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The JSON document that stands for it.
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut document = json!({"error": {
            "type": self.kind,
            "title": self.kind.replace('-', " "),
            "detail": self.detail.replace('\n', "; "),
            "next": self.next,
        }});
        if let Some(more) = &self.more {
            document[more.0] = more.1.clone();
        }
        document
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.detail.replace('\n', "\n       "))?;
        if let Some(next) = &self.next {
            write!(f, "\ntry:   {}", next.replace('\n', "\n       "))?;
        }
        Ok(())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let failure = Self::refused(problem.slug(), &problem.detail);
        Self { next: problem.next, ..failure }
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let exit = match error.kind() {
            ErrorKind::Refused => Exit::Refused,
            ErrorKind::Usage => Exit::Usage,
            ErrorKind::Verification => Exit::Unproven,
        };
        let kind = match &error {
            NodeError::Platform(error) => error.slug().unwrap_or(match error {
                ClientError::Unreachable { .. } => "unreachable",
                ClientError::SplitView { .. } => "split-view",
                _ if error.is_untrue() => "untrue",
                _ => "failed",
            }),
            NodeError::Provider { problem, .. } => problem.slug(),
            NodeError::Mismatch { .. } => "record-mismatch",
            NodeError::Untrue { .. } => "untrue",
            NodeError::Usage(_) => "usage",
            NodeError::Source(_) => "source",
            _ => "failed",
        };
        let failure = Self::new(exit, kind, &error);
        match (error.next(), failure.detail.split_once(": ets ")) {
            (Some(next), _) => failure.or_try(next),
            // A command that closes the message is the next step: "…; run: ets node join".
            (None, Some((what, command))) => {
                let what = what.rsplit_once(';').map_or(what, |(what, _)| what);
                Self::new(exit, kind, what).or_try(format!("ets {command}"))
            }
            (None, None) => failure,
        }
    }
}

/// Ends a command whose line could not be read, or that only asked for help.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let asked = matches!(error.kind(), Misread::DisplayHelp | Misread::DisplayVersion);
    if !asked && std::env::args_os().any(|arg| arg == "--json") {
        let text = error.render().to_string();
        let detail = text.split("\n\nUsage:").next().unwrap_or(&text);
        let detail = detail.strip_prefix("error: ").unwrap_or(detail);
        let detail = detail.split_whitespace().collect::<Vec<_>>().join(" ");
        let failure = Failure::usage("usage", detail).or_try("the same command with --help");
        println!("{:#}", failure.json());
        return failure.exit().into();
    }
    // A reader that went away is no reason to fail differently.
    let _ = error.print();
    if asked { Exit::Done.into() } else { Exit::Usage.into() }
}

//! The command line: one file per command, no logic of its own.

mod map;

use std::{fmt::Display, io, process::ExitCode};

use clap::{Parser, Subcommand};

/// Streams Microsoft Entra ID's logs into a Vector pipeline, over Microsoft Graph.
#[derive(Parser)]
#[command(name = "vector-entra-id", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Map Graph records or source events (NDJSON) to ECS documents
    Map(map::Map),
}

/// Why a command ended without doing its work, and the exit code that says so.
#[derive(Debug)]
pub enum Failure {
    /// The command could not do its work: exit code 1.
    Failed(String),
    /// The command line or the configuration is wrong: exit code 2.
    Usage(String),
    /// The reader of standard output went away, as `head` does: exit code 0, in silence.
    ReaderGone,
}

impl Failure {
    pub fn failed(message: impl Display) -> Self {
        Self::Failed(message.to_string())
    }

    pub fn usage(message: impl Display) -> Self {
        Self::Usage(message.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ReaderGone
        } else {
            Self::Failed(format!("writing to standard output failed: {error}"))
        }
    }
}

/// Parses the command line, runs the command and turns its outcome into an exit code:
/// 0 done, 1 failed, 2 bad usage or configuration.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Map(args) => map::run(&args),
    };
    match outcome {
        Ok(()) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => {
            eprintln!("error: {message}");
            ExitCode::from(1)
        }
        Err(Failure::Usage(message)) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

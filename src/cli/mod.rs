//! The command line: one file per command, no logic of its own.

mod backfill;
mod check;
mod credentials;
mod demo;
mod emulate;
mod man;
mod map;
mod progress;
mod report;
mod run;
mod signals;
mod source;
mod status;
mod test;
mod vrl;

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};

/// Streams Microsoft Entra ID's logs into a Vector pipeline, over Microsoft Graph.
#[derive(Parser)]
#[command(name = "vector-entra-id", version, max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Collect until stopped: the source
    Run(run::Run),
    /// Show it all on an emulated tenant: source, mapping, documents
    Demo(demo::Demo),
    /// Map Graph records or source events (NDJSON) to ECS documents
    Map(map::Map),
    /// Run the `tests:` of Vector configurations
    Test(test::Test),
    /// Look at all that a source needs, and say what is wrong
    Check(check::Check),
    /// Collect history
    Backfill(backfill::Backfill),
    /// Show what was read, delivered and proven
    Status(status::Status),
    /// Serve an emulated tenant: token endpoint and Graph
    Emulate(emulate::Emulate),
    /// Write the bundled VRL files out, for Vector to name
    Vrl(vrl::Vrl),
    /// Write man pages
    Man(man::Man),
    /// Print completions for a shell
    Completions(man::Completions),
}

/// Why a command ended without doing its work, and the exit code that says so.
#[derive(Debug)]
pub enum Failure {
    /// The command could not do its work: exit code 1.
    Failed(String),
    /// The command line or the configuration is wrong: exit code 2.
    Usage(String),
    /// What failed was told already: exit code 1, with nothing more to say.
    Told,
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

/// Writes to standard output.
fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()?;
    Ok(())
}

/// Runs a command that needs a network. A write to a pipe that nobody reads must not keep the
/// process once the command is over, so what still blocks is left behind.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the runtime does not start: {error}")))?;
    let outcome = runtime.block_on(command);
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Parses the command line, runs the command and turns its outcome into an exit code:
/// 0 done, 1 failed, 2 bad usage or configuration.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Map(args) => map::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Backfill(args) => backfill::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Emulate(args) => emulate::run(&args),
        Command::Vrl(args) => vrl::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Completions(args) => man::completions(&args),
    };
    match outcome {
        Ok(()) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(Failure::Told) => ExitCode::from(1),
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

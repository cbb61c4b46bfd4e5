//! What the source says about itself: its log, to standard error or a file, since standard output is
//! data; metrics; events of its own in the pipeline.

pub mod event;
pub mod metrics;

use std::{
    collections::HashMap,
    fs::OpenOptions,
    io::{self, IsTerminal},
    sync::Mutex,
    time::Duration,
};

use tokio::time::Instant;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Level, Log, LogFormat};

/// Starts the log as configured: text for a terminal, JSON otherwise.
///
/// # Errors
/// When the log file cannot be opened.
pub fn start(log: &Log) -> io::Result<()> {
    let level = match log.level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    // Other crates speak of what no operator asked for, and could speak of requests.
    let filter = EnvFilter::new(format!("off,vector_entra_id={level}"));
    let builder = fmt()
        .with_env_filter(filter)
        .with_target(false)
        // Where the log goes may be gone, as under an exec source that died; that is no panic.
        .log_internal_errors(false);
    let json = match log.format {
        Some(format) => format == LogFormat::Json,
        None => log.file.is_some() || !io::stderr().is_terminal(),
    };
    // An error says that a log was started already, which tests do.
    let _ = match &log.file {
        Some(path) => {
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
            let file = Mutex::new(options.open(path)?);
            let builder = builder.with_ansi(false).with_writer(file);
            if json {
                builder.json().flatten_event(true).try_init()
            } else {
                builder.try_init()
            }
        }
        None => {
            let builder = builder
                .with_ansi(io::stderr().is_terminal())
                .with_writer(io::stderr);
            if json {
                builder.json().flatten_event(true).try_init()
            } else {
                builder.try_init()
            }
        }
    };
    Ok(())
}

/// Keeps one message from being said over and over.
#[derive(Debug, Default)]
pub struct Repeats(HashMap<String, Instant>);

impl Repeats {
    /// How long the same message is not said again.
    const QUIET: Duration = Duration::from_secs(60);
    /// Messages that are remembered; more than that are not the same ones over and over.
    const REMEMBERED: usize = 1000;

    /// Whether to say it now.
    pub fn is_due(&mut self, message: String) -> bool {
        let now = Instant::now();
        if self
            .0
            .get(&message)
            .is_some_and(|said| now - *said < Self::QUIET)
        {
            return false;
        }
        if self.0.len() >= Self::REMEMBERED {
            self.0.clear();
        }
        self.0.insert(message, now);
        true
    }
}

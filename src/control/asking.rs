//! Asking a running source.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use uuid::Uuid;

use super::{Answer, Asked, PATIENCE, Request, path};
use crate::{status::StreamStatus, stream::Stream, time::Span};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No source runs over this state.
    #[error("no source runs")]
    Nobody,
    #[error("the running source refuses: {0}")]
    Refused(String),
    #[error(
        "the running source gives another answer than was asked for; is it of another version?"
    )]
    Strange,
    #[error("the running source does not answer on {path}: {source}")]
    Silent { path: String, source: io::Error },
}

/// Where every stream of the running source stands.
///
/// # Errors
/// [`AskError`].
pub fn status(state_dir: &Path) -> Result<Vec<StreamStatus>, AskError> {
    match ask(state_dir, &Request::Status)? {
        Answer::Status { streams, .. } => Ok(streams),
        Answer::Refused { reason } => Err(AskError::Refused(reason)),
        Answer::Backfill { .. } => Err(AskError::Strange),
    }
}

/// Asks the running source for history of a tenant. Returns what it will read for it.
///
/// # Errors
/// [`AskError`].
pub fn backfill(
    state_dir: &Path,
    tenant_id: Uuid,
    streams: &[Stream],
    span: Span,
) -> Result<Vec<Asked>, AskError> {
    let request = Request::Backfill {
        tenant_id,
        streams: streams.to_vec(),
        span,
    };
    match ask(state_dir, &request)? {
        Answer::Backfill { asked } => Ok(asked),
        Answer::Refused { reason } => Err(AskError::Refused(reason)),
        Answer::Status { .. } => Err(AskError::Strange),
    }
}

fn ask(state_dir: &Path, request: &Request) -> Result<Answer, AskError> {
    exchange(state_dir, request).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::ConnectionRefused => AskError::Nobody,
        _ => AskError::Silent {
            path: path(state_dir).display().to_string(),
            source,
        },
    })
}

fn exchange(state_dir: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(path(state_dir))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

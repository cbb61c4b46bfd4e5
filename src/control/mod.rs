//! The socket that a running source answers: a Unix socket beside its state, for its owner alone
//! (0600). One request and one answer, each a line of JSON.

mod asking;
mod orders;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncBufReader},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
    time::timeout,
};
use tracing::warn;
use uuid::Uuid;

pub use asking::{AskError, backfill, status};
pub use orders::{Asked, Order, OrderBook, OrderError};

use crate::{
    status::{Board, StreamStatus},
    stream::Stream,
    time::Span,
};

/// How long one exchange may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a request at most.
const LONGEST_REQUEST: u64 = 64 << 10;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum Request {
    /// Where every stream stands.
    Status,
    /// History: what of the span was never read, of these streams of a tenant.
    Backfill {
        tenant_id: Uuid,
        streams: Vec<Stream>,
        span: Span,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    Status {
        /// The running source's version.
        version: String,
        streams: Vec<StreamStatus>,
    },
    /// It will be read, what was asked for before included.
    Backfill { asked: Vec<Asked> },
    /// The request was not understood, or cannot be met.
    Refused { reason: String },
}

/// Where the socket is.
#[must_use]
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("control.sock")
}

/// The listening socket; it is closed and removed when this is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    listening: Option<JoinHandle<()>>,
}

impl Control {
    /// Listens. Whoever calls this owns the state, so a socket that is there already is a dead
    /// process's.
    ///
    /// # Errors
    /// When there can be no socket there: a path of more than some 100 bytes, for one.
    pub fn listen(state_dir: &Path, board: Arc<Board>, orders: Arc<OrderBook>) -> io::Result<Self> {
        let path = path(state_dir);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        let mut control = Self {
            path,
            listening: None,
        };
        fs::set_permissions(&control.path, fs::Permissions::from_mode(0o600))?;
        control.listening = Some(tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // Out of file descriptors, mostly: it passes, and must not spin until then.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let (board, orders) = (Arc::clone(&board), Arc::clone(&orders));
                tokio::spawn(async move {
                    match timeout(PATIENCE, answer(stream, &board, &orders)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => warn!("control socket: {error}"),
                        Err(_) => warn!("control socket: the request took too long"),
                    }
                });
            }
        }));
        Ok(control)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
        // It may be gone with its directory.
        let _ = fs::remove_file(&self.path);
    }
}

async fn answer(stream: UnixStream, board: &Board, orders: &OrderBook) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    AsyncBufReader::new(read.take(LONGEST_REQUEST))
        .read_line(&mut line)
        .await?;
    let answer = match serde_json::from_str(&line) {
        Ok(Request::Status) => Answer::Status {
            version: env!("CARGO_PKG_VERSION").into(),
            streams: board.all(),
        },
        Ok(Request::Backfill {
            tenant_id,
            streams,
            span,
        }) => match orders.ask(tenant_id, streams, span).await {
            Ok(asked) => Answer::Backfill { asked },
            Err(error) => Answer::Refused {
                reason: error.to_string(),
            },
        },
        Err(error) => Answer::Refused {
            reason: error.to_string(),
        },
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    write.write_all(&text).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_running_source_tells_its_owner_where_its_streams_stand() {
        let dir = tempfile::tempdir().unwrap();
        let board = Arc::new(Board::default());
        let observed = "2026-11-22T10:00:00Z".parse().unwrap();
        let status = StreamStatus::new(Uuid::nil(), Stream::SignIns, observed);
        board.put(status.clone());
        // A socket that a killed process left behind is no hindrance.
        fs::write(path(dir.path()), "").unwrap();
        let control = Control::listen(dir.path(), board, Arc::default()).unwrap();
        let mode = fs::metadata(path(dir.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let asked = dir.path().to_owned();
        let told = tokio::task::spawn_blocking(move || super::status(&asked));
        assert_eq!(told.await.unwrap().unwrap(), [status]);
        drop(control);
        assert!(!path(dir.path()).exists());
    }

    #[test]
    fn with_no_source_running_there_is_nobody_to_ask() {
        let dir = tempfile::tempdir().unwrap();
        let told = status(dir.path());
        assert!(matches!(told, Err(AskError::Nobody)), "{told:?}");
    }
}

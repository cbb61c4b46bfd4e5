//! The one thread that writes: whatever waits goes into one transaction.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
};

use redb::Database;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Changes, StateError, tables};
use crate::{
    record::{Key, Known},
    stream::Stream,
};

/// Something to write.
#[derive(Debug)]
pub enum Write {
    Acked {
        tenant: Uuid,
        stream: Stream,
        events: Vec<(Key, Known)>,
    },
    /// What was delivered before was seen again.
    Seen {
        tenant: Uuid,
        stream: Stream,
        events: Vec<(Key, Known)>,
    },
    Changes {
        tenant: Uuid,
        stream: Stream,
        changes: Changes,
    },
    /// What was written to standard output, to be written again by the next start.
    Replay {
        lines: Vec<u8>,
        events: u64,
        keep: u64,
    },
    ClearReplay,
}

/// A write that is not on disk. The text is shared by all writes of the transaction.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct WriteFailed(pub Arc<str>);

pub type Job = (Write, oneshot::Sender<Result<(), WriteFailed>>);

/// Performs writes.
pub enum Writer {
    /// By a thread that ends when this is dropped and the last write is done.
    Thread {
        jobs: Option<mpsc::Sender<Job>>,
        thread: Option<thread::JoinHandle<()>>,
    },
    /// At once, where the state is memory: nothing is gained by waiting.
    Inline(Arc<Database>),
}

impl Writer {
    pub fn start(database: Arc<Database>, path: PathBuf) -> Self {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let thread = thread::Builder::new()
            .name("state".into())
            .spawn(move || {
                while let Ok(first) = waiting.recv() {
                    let group: Vec<Job> =
                        std::iter::once(first).chain(waiting.try_iter()).collect();
                    let outcome = commit(&database, group.iter().map(|(write, _)| write))
                        .map_err(|error| StateError::of(&path, error).to_string())
                        .map_err(|text| WriteFailed(text.into()));
                    for (_, done) in group {
                        // Nobody waits any more when the process is being stopped.
                        let _ = done.send(outcome.clone());
                    }
                }
            })
            .ok();
        Self::Thread {
            jobs: Some(jobs),
            thread,
        }
    }

    pub fn submit(
        &self,
        write: Write,
    ) -> impl Future<Output = Result<(), WriteFailed>> + Send + use<> {
        let (done, outcome) = oneshot::channel();
        match self {
            // A thread that is gone drops `done`, and the receiver below says so.
            Self::Thread { jobs, .. } => {
                if let Some(jobs) = jobs {
                    let _ = jobs.send((write, done));
                }
            }
            Self::Inline(database) => {
                let written = commit(database, std::iter::once(&write));
                let _ = done.send(written.map_err(|error| WriteFailed(error.to_string().into())));
            }
        }
        async move {
            outcome
                .await
                .unwrap_or_else(|_| Err(WriteFailed("the state's writer is gone".into())))
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let Self::Thread { jobs, thread } = self else {
            return;
        };
        *jobs = None;
        if let Some(thread) = thread.take() {
            // A panic in the writer was reported to those who waited for it.
            let _ = thread.join();
        }
    }
}

fn commit<'a>(
    database: &Database,
    writes: impl Iterator<Item = &'a Write>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for write in writes {
        match write {
            Write::Acked {
                tenant,
                stream,
                events,
            } => tables::write_acked(&transaction, *tenant, *stream, events)?,
            Write::Seen {
                tenant,
                stream,
                events,
            } => tables::write_seen(&transaction, *tenant, *stream, events)?,
            Write::Changes {
                tenant,
                stream,
                changes,
            } => tables::write_changes(&transaction, *tenant, *stream, changes)?,
            Write::Replay {
                lines,
                events,
                keep,
            } => tables::write_replay(&transaction, lines, *events, *keep)?,
            Write::ClearReplay => tables::clear_replay(&transaction)?,
        }
    }
    transaction.commit()?;
    Ok(())
}

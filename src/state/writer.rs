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
    Changes {
        tenant: Uuid,
        stream: Stream,
        changes: Changes,
    },
}

/// A write that is not on disk. The text is shared by all writes of the transaction.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct WriteFailed(pub Arc<str>);

type Job = (Write, oneshot::Sender<Result<(), WriteFailed>>);

/// Hands writes to the thread; it ends when this is dropped and the last write is done.
pub struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
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
                    let outcome = commit(&database, &group)
                        .map_err(|error| StateError::of(&path, error).to_string())
                        .map_err(|text| WriteFailed(text.into()));
                    for (_, done) in group {
                        // Nobody waits any more when the process is being stopped.
                        let _ = done.send(outcome.clone());
                    }
                }
            })
            .ok();
        Self {
            jobs: Some(jobs),
            thread,
        }
    }

    pub fn submit(
        &self,
        write: Write,
    ) -> impl Future<Output = Result<(), WriteFailed>> + Send + use<> {
        let (done, outcome) = oneshot::channel();
        if let Some(jobs) = &self.jobs {
            // A thread that is gone drops `done`, and the receiver below says so.
            let _ = jobs.send((write, done));
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
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in the writer was reported to those who waited for it.
            let _ = thread.join();
        }
    }
}

fn commit(database: &Database, group: &[Job]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for (write, _) in group {
        match write {
            Write::Acked {
                tenant,
                stream,
                events,
            } => tables::write_acked(&transaction, *tenant, *stream, events)?,
            Write::Changes {
                tenant,
                stream,
                changes,
            } => tables::write_changes(&transaction, *tenant, *stream, changes)?,
        }
    }
    transaction.commit()?;
    Ok(())
}

//! The state file: what was delivered, what was read, what is proven. In redb.
//!
//! One process owns the file. Reads go straight to it; writes go to one thread that puts all that
//! wait into one transaction, in the order in which they were handed over.

mod error;
mod lateness;
mod saved;
mod tables;
mod writer;

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File, OpenOptions},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use redb::{Database, ReadTransaction, ReadableDatabase, backends::InMemoryBackend};
use uuid::Uuid;

pub use error::StateError;
pub use lateness::Lateness;
pub use saved::{Changes, Counts, Head, Over, Proof, Slot, Totals};
pub use writer::{Write, WriteFailed};

use crate::{
    record::{Key, Known},
    stream::Stream,
};
use writer::Writer;

/// Memory that redb may use for its pages, in bytes.
const CACHE_BYTES: usize = 8 << 20;

/// The open state file.
pub struct State {
    database: Arc<Database>,
    path: PathBuf,
    writer: Writer,
}

impl State {
    /// How long a new owner waits for the one before it to let go of the file.
    pub const PATIENCE: Duration = Duration::from_secs(30);
    const FILE: &str = "state.redb";

    /// Opens the state file in `dir`, and makes both if they are missing: the directory for its
    /// owner alone (0700), the file too (0600). Waits for so long while another process owns it.
    ///
    /// # Errors
    /// [`StateError`]. A file that cannot be used is never replaced.
    pub fn open(dir: &Path, patience: Duration) -> Result<Self, StateError> {
        let path = dir.join(Self::FILE);
        let failed = |source: std::io::Error| StateError::Io {
            path: path.clone(),
            source,
        };
        make_dir(dir).map_err(failed)?;
        if !path.try_exists().map_err(failed)? {
            make_file(dir, &path)?;
        }
        Self::open_file(path, patience)
    }

    /// Opens the state file in `dir` if there is one.
    ///
    /// # Errors
    /// As [`State::open`].
    pub fn open_existing(dir: &Path) -> Result<Option<Self>, StateError> {
        let path = dir.join(Self::FILE);
        match path.try_exists() {
            Ok(true) => Self::open_file(path, Duration::ZERO).map(Some),
            Ok(false) => Ok(None),
            Err(source) => Err(StateError::Io { path, source }),
        }
    }

    fn open_file(path: PathBuf, patience: Duration) -> Result<Self, StateError> {
        let began = Instant::now();
        loop {
            match Self::try_open(&path) {
                Err(StateError::InUse { .. }) if began.elapsed() < patience => {
                    thread::sleep(Duration::from_millis(50));
                }
                Err(StateError::InUse { path, .. }) => {
                    let waited = began.elapsed();
                    return Err(StateError::InUse { path, waited });
                }
                other => return other,
            }
        }
    }

    fn try_open(path: &Path) -> Result<Self, StateError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|source| StateError::Io {
            path: path.to_owned(),
            source,
        })?;
        // A file is made whole before it gets its name: one that is empty was emptied.
        if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            return Err(StateError::Unusable {
                path: path.to_owned(),
                reason: "it is empty".into(),
            });
        }
        let backend = redb::backends::FileBackend::new(file)
            .map_err(|error| StateError::of_open(path, error))?;
        let database = Arc::new(on(backend, path)?);
        Ok(Self {
            writer: Writer::start(Arc::clone(&database), path.to_owned()),
            database,
            path: path.to_owned(),
        })
    }

    /// A state that lives as long as the process; what is written is there at once.
    ///
    /// # Errors
    /// [`StateError`], as far as memory can fail.
    pub fn in_memory() -> Result<Self, StateError> {
        let path = PathBuf::from("memory");
        let database = Arc::new(on(InMemoryBackend::new(), &path)?);
        Ok(Self {
            writer: Writer::Inline(Arc::clone(&database)),
            database,
            path,
        })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StateError> {
        let transaction = self.database.begin_read();
        let transaction = transaction.map_err(|error| StateError::of(&self.path, error))?;
        read(&transaction).map_err(|error| StateError::of(&self.path, error))
    }

    /// The latest delivered revision of each key, `None` where nothing was delivered.
    ///
    /// # Errors
    /// [`StateError`] when the file cannot be read.
    pub fn known(
        &self,
        tenant: Uuid,
        stream: Stream,
        keys: &[Key],
    ) -> Result<Vec<Option<Known>>, StateError> {
        self.read(|read| tables::known(read, tenant, stream, keys))
    }

    /// What was saved of a stream; `None` when it was never read.
    ///
    /// # Errors
    /// [`StateError`] when the file cannot be read.
    pub fn coverage(&self, tenant: Uuid, stream: Stream) -> Result<Option<Saved>, StateError> {
        self.read(|read| tables::coverage(read, tenant, stream))
    }

    /// What was delivered of a stream in all.
    ///
    /// # Errors
    /// [`StateError`] when the file cannot be read.
    pub fn totals(&self, tenant: Uuid, stream: Stream) -> Result<Totals, StateError> {
        self.read(|read| tables::totals(read, tenant, stream))
    }

    /// What became of a stream's slots, by day, oldest first.
    ///
    /// # Errors
    /// [`StateError`] when the file cannot be read.
    pub fn proofs(
        &self,
        tenant: Uuid,
        stream: Stream,
    ) -> Result<Vec<(DateTime<Utc>, Proof)>, StateError> {
        self.read(|read| tables::proofs(read, tenant, stream))
    }

    /// What was kept for a replay, the lines after number `after` (0 for the first) with theirs.
    ///
    /// # Errors
    /// [`StateError`] when the file cannot be read.
    pub fn replay(&self, after: u64) -> Result<Option<(u64, Vec<u8>)>, StateError> {
        self.read(|read| tables::replay(read, after))
    }

    /// Hands over lines that were written to standard output, `events` of them, to be written again
    /// by the next start; as [`State::acked`]. The oldest go when `keep` events remain without them.
    pub fn keep_for_replay(
        &self,
        lines: Vec<u8>,
        events: u64,
        keep: u64,
    ) -> impl Future<Output = Result<(), WriteFailed>> + Send + use<> {
        self.writer.submit(Write::Replay {
            lines,
            events,
            keep,
        })
    }

    /// Drops what is kept for a replay.
    pub fn clear_replay(&self) -> impl Future<Output = Result<(), WriteFailed>> + Send + use<> {
        self.writer.submit(Write::ClearReplay)
    }

    /// Hands over what to remember of acked events. It is safe on disk once the returned future
    /// is done; the order of calls is the order of writes.
    pub fn acked(
        &self,
        tenant: Uuid,
        stream: Stream,
        events: Vec<(Key, Known)>,
    ) -> impl Future<Output = Result<(), WriteFailed>> + Send + use<> {
        self.writer.submit(Write::Acked {
            tenant,
            stream,
            events,
        })
    }

    /// Hands over what was delivered before and was seen again; as [`State::acked`].
    pub fn seen(
        &self,
        tenant: Uuid,
        stream: Stream,
        events: Vec<(Key, Known)>,
    ) -> impl Future<Output = Result<(), WriteFailed>> + Send + use<> {
        self.writer.submit(Write::Seen {
            tenant,
            stream,
            events,
        })
    }

    /// Hands over what changed in a stream's coverage; as [`State::acked`].
    pub fn save(
        &self,
        tenant: Uuid,
        stream: Stream,
        changes: Changes,
    ) -> impl Future<Output = Result<(), WriteFailed>> + Send + use<> {
        self.writer.submit(Write::Changes {
            tenant,
            stream,
            changes,
        })
    }
}

fn make_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Makes the state file under another name and gives it its own when it is whole, so that no crash
/// leaves half of one.
fn make_file(dir: &Path, path: &Path) -> Result<(), StateError> {
    let failed = |source: std::io::Error| StateError::Io {
        path: path.to_owned(),
        source,
    };
    // Its owner's alone (0600), which is what tempfile makes.
    let file = tempfile::Builder::new()
        .prefix(".state-new-")
        .tempfile_in(dir)
        .map_err(failed)?;
    let backend = file.reopen().map_err(failed)?;
    let backend = redb::backends::FileBackend::new(backend)
        .map_err(|error| StateError::of_open(path, error))?;
    drop(on(backend, path)?);
    match file.persist_noclobber(path) {
        Ok(file) => {
            file.sync_all().map_err(failed)?;
            File::open(dir)
                .and_then(|dir| dir.sync_all())
                .map_err(failed)
        }
        // Another process was faster; its file is as good.
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error.error)),
    }
}

fn on(backend: impl redb::StorageBackend, path: &Path) -> Result<Database, StateError> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(backend)
        .map_err(|error| StateError::of_open(path, error))?;
    tables::prepare(&database, path)?;
    Ok(database)
}

/// Slots by their start.
type Slots = BTreeMap<DateTime<Utc>, Slot>;

/// A stream as it was saved.
pub type Saved = (Head, Slots);

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;

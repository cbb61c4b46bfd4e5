//! The state file: what was delivered, what was read, what is proven. In redb.
//!
//! One process owns the file. Reads go straight to it; writes go to one thread that puts all that
//! wait into one transaction, in the order in which they were handed over.

mod error;
mod saved;
mod tables;
mod writer;

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, OpenOptions},
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use redb::{Database, ReadableDatabase, backends::InMemoryBackend};
use uuid::Uuid;

pub use error::StateError;
pub use saved::{Changes, Counts, Head, Slot};
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
    /// Opens the state file in `dir`, and makes both if they are missing: the directory for its
    /// owner alone (0700), the file too (0600).
    ///
    /// # Errors
    /// [`StateError`]. A file that cannot be used is never replaced.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let path = dir.join("state.redb");
        let failed = |source: std::io::Error| StateError::Io {
            path: path.clone(),
            source,
        };
        make_dir(dir).map_err(failed)?;
        let file = private_file(&path).map_err(failed)?;
        let backend = redb::backends::FileBackend::new(file)
            .map_err(|error| StateError::of_open(&path, error))?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(backend)
            .map_err(|error| StateError::of_open(&path, error))?;
        Self::new(database, path)
    }

    /// A state that lives as long as the process.
    ///
    /// # Errors
    /// [`StateError`], as far as memory can fail.
    pub fn in_memory() -> Result<Self, StateError> {
        let path = PathBuf::from("memory");
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(InMemoryBackend::new())
            .map_err(|error| StateError::of_open(&path, error))?;
        Self::new(database, path)
    }

    fn new(database: Database, path: PathBuf) -> Result<Self, StateError> {
        tables::prepare(&database, &path)?;
        let database = Arc::new(database);
        Ok(Self {
            writer: Writer::start(Arc::clone(&database), path.clone()),
            database,
            path,
        })
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
        let read = self
            .database
            .begin_read()
            .map_err(|error| StateError::of(&self.path, error))?;
        tables::known(&read, tenant, stream, keys)
            .map_err(|error| StateError::of(&self.path, error))
    }

    /// What was saved of a stream; `None` when it was never read.
    ///
    /// # Errors
    /// [`StateError`] when the file cannot be read.
    pub fn coverage(&self, tenant: Uuid, stream: Stream) -> Result<Option<Saved>, StateError> {
        let read = self
            .database
            .begin_read()
            .map_err(|error| StateError::of(&self.path, error))?;
        tables::coverage(&read, tenant, stream).map_err(|error| StateError::of(&self.path, error))
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

fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Slots by their start.
type Slots = BTreeMap<DateTime<Utc>, Slot>;

/// A stream as it was saved.
pub type Saved = (Head, Slots);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::Hash,
        time::{Span, Spans},
    };

    const TENANT: Uuid = Uuid::from_u128(7);

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn known(revision: u32) -> Known {
        Known {
            raw: Hash(1),
            canonical: Hash(2),
            revision,
            first_seen: at(5),
            observed_ms: 6,
        }
    }

    fn key(slot: i64, id: &[u8]) -> Key {
        Key {
            slot: at(slot),
            id: Hash::of(id),
        }
    }

    fn head() -> Head {
        let mut unread = Spans::default();
        unread.add(Span {
            from: at(0),
            to: at(300),
        });
        Head {
            slot_ms: 300_000,
            origin: at(0),
            tail_from: at(900),
            unread,
        }
    }

    async fn acked(state: &State, events: Vec<(Key, Known)>) {
        state.acked(TENANT, Stream::SignIns, events).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_acked_is_known_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        acked(&state, vec![(key(300, b"a"), known(3))]).await;
        drop(state);

        let state = State::open(dir.path()).unwrap();
        let keys = [key(300, b"a"), key(300, b"b"), key(600, b"a")];
        let found = state.known(TENANT, Stream::SignIns, &keys).unwrap();
        assert_eq!(found, [Some(known(3)), None, None]);
        let other = state.known(TENANT, Stream::DirectoryAudits, &keys).unwrap();
        assert_eq!(other, [None, None, None]);
    }

    #[tokio::test]
    async fn a_stream_s_coverage_comes_back_as_it_was_saved() {
        let state = State::in_memory().unwrap();
        let slot = Slot {
            due: at(1000),
            counts: Counts {
                records: 4,
                late: 1,
                revised: 2,
            },
        };
        let changes = Changes {
            head: head(),
            slots: vec![(at(600), slot)],
            closed: Vec::new(),
        };
        state.save(TENANT, Stream::SignIns, changes).await.unwrap();
        let restored = state.coverage(TENANT, Stream::SignIns).unwrap();
        let expected = (head(), BTreeMap::from([(at(600), slot)]));
        assert_eq!(restored, Some(expected));
        assert_eq!(state.coverage(TENANT, Stream::Provisioning).unwrap(), None);
    }

    #[tokio::test]
    async fn a_closed_slot_takes_its_ids_with_it_and_no_others() {
        let state = State::in_memory().unwrap();
        let keys = [key(300, b"a"), key(300, b"b"), key(600, b"a")];
        acked(&state, keys.map(|key| (key, known(0))).into()).await;
        let changes = Changes {
            head: head(),
            slots: Vec::new(),
            closed: vec![(at(300), Counts::default())],
        };
        state.save(TENANT, Stream::SignIns, changes).await.unwrap();
        let found = state.known(TENANT, Stream::SignIns, &keys).unwrap();
        assert_eq!(found, [None, None, Some(known(0))]);
    }

    #[cfg(unix)]
    #[test]
    fn the_state_is_its_owner_s_alone() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("made");
        let _state = State::open(&dir).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join("state.redb")), 0o600);
    }

    #[test]
    fn a_second_owner_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = State::open(dir.path()).unwrap();
        let second = State::open(dir.path()).err().unwrap();
        assert!(matches!(second, StateError::InUse { .. }), "{second}");
    }

    #[test]
    fn a_foreign_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        let text = "this is no database ".repeat(1000);
        std::fs::write(&path, &text).unwrap();
        let error = State::open(dir.path()).err().unwrap();
        assert!(matches!(error, StateError::Unusable { .. }), "{error}");
        assert!(error.to_string().contains("move it away"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

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
        seen_ms: 7,
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
        backfill: Spans::default(),
        before: Spans::default(),
        slot_ms: 300_000,
        origin: at(0),
        tail_from: at(900),
        unread,
        late: 0,
        unproven: 0,
        lateness: Lateness::default(),
        held_until: None,
    }
}

async fn acked(state: &State, events: Vec<(Key, Known)>) {
    state.acked(TENANT, Stream::SignIns, events).await.unwrap();
}

#[tokio::test]
async fn what_was_acked_is_known_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path(), Duration::ZERO).unwrap();
    acked(&state, vec![(key(300, b"a"), known(3))]).await;
    drop(state);

    let state = State::open(dir.path(), Duration::ZERO).unwrap();
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
        over: Vec::new(),
        forget_before: None,
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
        over: vec![(at(300), Over::Closed(Counts::default()))],
        forget_before: None,
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
    let _state = State::open(&dir, Duration::ZERO).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("state.redb")), 0o600);
}

#[test]
fn a_second_owner_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = State::open(dir.path(), Duration::ZERO).unwrap();
    let second = State::open(dir.path(), Duration::ZERO).err().unwrap();
    assert!(matches!(second, StateError::InUse { .. }), "{second}");
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    let text = "this is no database ".repeat(1000);
    std::fs::write(&path, &text).unwrap();
    let error = State::open(dir.path(), Duration::ZERO).err().unwrap();
    assert!(matches!(error, StateError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("move it away"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_second_owner_waits_until_the_first_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let first = State::open(dir.path(), Duration::ZERO).unwrap();
    let began = Instant::now();
    let letting_go = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        drop(first);
    });
    let second = State::open(dir.path(), Duration::from_secs(20));
    letting_go.join().unwrap();
    assert!(second.is_ok());
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_second_owner_that_waits_in_vain_is_told_for_how_long() {
    let dir = tempfile::tempdir().unwrap();
    let _first = State::open(dir.path(), Duration::ZERO).unwrap();
    let error = State::open(dir.path(), Duration::from_millis(1100))
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(
        text.contains("in use by another process, and was for 1 s"),
        "{text}"
    );
}

#[test]
fn an_emptied_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    std::fs::write(&path, "").unwrap();
    let error = State::open(dir.path(), Duration::ZERO).err().unwrap();
    assert!(error.to_string().contains("it is empty"), "{error}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
}

#[test]
fn a_file_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(State::open(dir.path(), Duration::ZERO).unwrap());
    let database = Database::create(dir.path().join("state.redb")).unwrap();
    let write = database.begin_write().unwrap();
    {
        let meta: redb::TableDefinition<&str, u64> = redb::TableDefinition::new("meta");
        write
            .open_table(meta)
            .unwrap()
            .insert("version", 99)
            .unwrap();
    }
    write.commit().unwrap();
    drop(database);
    let error = State::open(dir.path(), Duration::ZERO).err().unwrap();
    assert!(error.to_string().contains("has version 99"), "{error}");
}

#[test]
fn a_file_that_was_cut_short_or_written_over_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    drop(State::open(dir.path(), Duration::ZERO).unwrap());
    let whole = std::fs::read(&path).unwrap();
    for damaged in [whole[..whole.len() / 2].to_vec(), vec![0; whole.len()]] {
        std::fs::write(&path, damaged).unwrap();
        let error = State::open(dir.path(), Duration::ZERO).err().unwrap();
        assert!(matches!(error, StateError::Unusable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_proof_counts_the_ids_that_were_acked_whatever_the_ledger_saw_of_them() {
    let state = State::in_memory().unwrap();
    let events = vec![
        (key(300, b"a"), known(0)),
        (key(300, b"b"), known(0)),
        (key(300, b"b"), known(1)),
    ];
    acked(&state, events).await;
    let counts = Counts {
        late: 1,
        ..Counts::default()
    };
    let changes = Changes {
        head: head(),
        slots: Vec::new(),
        over: vec![(at(300), Over::Closed(counts))],
        forget_before: None,
    };
    state.save(TENANT, Stream::SignIns, changes).await.unwrap();
    let proof = Proof {
        slots: 1,
        unproven: 0,
        counts: Counts {
            records: 2,
            late: 1,
            revised: 1,
        },
    };
    assert_eq!(
        state.proofs(TENANT, Stream::SignIns).unwrap(),
        [(at(0), proof)]
    );
    let totals = state.totals(TENANT, Stream::SignIns).unwrap();
    assert_eq!((totals.records, totals.revised), (2, 1));
}

#[tokio::test]
async fn what_is_known_by_id_is_dropped_when_it_was_not_seen_for_long() {
    let state = State::in_memory().unwrap();
    let seen = |seconds: i64| Known {
        seen_ms: seconds * 1000,
        ..known(0)
    };
    let keys = [key(0, b"old"), key(0, b"new"), key(0, b"seen again")];
    let events = vec![
        (keys[0], seen(100)),
        (keys[1], seen(200)),
        (keys[2], seen(100)),
    ];
    let stream = Stream::RiskyUsers;
    state.acked(TENANT, stream, events).await.unwrap();
    state
        .seen(TENANT, stream, vec![(keys[2], seen(150))])
        .await
        .unwrap();
    let changes = Changes {
        head: head(),
        slots: Vec::new(),
        over: Vec::new(),
        forget_before: Some(at(150)),
    };
    state.save(TENANT, stream, changes).await.unwrap();
    let known = state.known(TENANT, stream, &keys).unwrap();
    assert_eq!(known, [None, Some(seen(200)), Some(seen(150))]);
    // To have been seen again is not to have been delivered again.
    assert_eq!(state.totals(TENANT, stream).unwrap().records, 3);
}

/// A disk that can be full.
#[derive(Clone, Debug)]
struct Disk {
    bytes: Arc<InMemoryBackend>,
    full: Arc<std::sync::atomic::AtomicBool>,
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.bytes.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.bytes.set_len(len)
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.bytes.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        if self.full.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
        }
        self.bytes.write(offset, data)
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_write_and_costs_nothing_that_was_acked() {
    let disk = Disk {
        bytes: Arc::new(InMemoryBackend::new()),
        full: Arc::default(),
    };
    let open = || {
        let path = PathBuf::from("disk");
        let database = Arc::new(on(disk.clone(), &path).unwrap());
        State {
            writer: Writer::start(Arc::clone(&database), path.clone()),
            database,
            path,
        }
    };
    let state = open();
    acked(&state, vec![(key(300, b"a"), known(0))]).await;
    disk.full.store(true, std::sync::atomic::Ordering::Relaxed);
    let events = vec![(key(300, b"b"), known(0))];
    let failed = state
        .acked(TENANT, Stream::SignIns, events)
        .await
        .unwrap_err();
    let text = failed.to_string();
    assert!(text.contains("with room on its disk"), "{text}");
    drop(state);
    disk.full.store(false, std::sync::atomic::Ordering::Relaxed);
    let keys = [key(300, b"a"), key(300, b"b")];
    let found = open().known(TENANT, Stream::SignIns, &keys).unwrap();
    assert_eq!(found, [Some(known(0)), None]);
}

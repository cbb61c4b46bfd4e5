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
        slot_ms: 300_000,
        origin: at(0),
        tail_from: at(900),
        unread,
        late: 0,
        unproven: 0,
        lateness: Lateness::default(),
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

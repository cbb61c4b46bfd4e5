//! The tables of the state file, and how each thing is written in them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `version`, `replay_events` | version of this layout; events in `replay` |
//! | `delivered` | tenant, stream, slot, id hash | the latest delivered revision, 60 bytes |
//! | `heads` | tenant, stream | [`Head`] as JSON |
//! | `slots` | tenant, stream, slot | [`Slot`] as JSON |
//! | `proofs` | tenant, stream, day | what became of the slots of that day, as [`Proof`] in JSON |
//! | `totals` | tenant, stream | records and further revisions that were acked |
//! | `replay` | number | how many events, and their lines, compressed |
//!
//! Times in keys are milliseconds since the Unix epoch.

use std::{ops::RangeInclusive, path::Path};

use chrono::{DateTime, TimeDelta, Utc};
use redb::{Database, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{Changes, Counts, Head, Over, Proof, Saved, Slots, StateError, Totals};
use crate::{
    record::{Hash, Key, Known},
    stream::{Kind, Stream},
    time::slot_of,
};

type StreamKey = (u128, u8);
type SlotKey = (u128, u8, i64);
type DeliveredKey = (u128, u8, i64, u128);

const VERSION: u64 = 2;
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const DELIVERED: TableDefinition<DeliveredKey, &[u8; KNOWN_BYTES]> =
    TableDefinition::new("delivered");
const HEADS: TableDefinition<StreamKey, &[u8]> = TableDefinition::new("heads");
const SLOTS: TableDefinition<SlotKey, &[u8]> = TableDefinition::new("slots");
const PROOFS: TableDefinition<SlotKey, &[u8]> = TableDefinition::new("proofs");

/// Records and further revisions that were acked.
const TOTALS: TableDefinition<StreamKey, (u64, u64)> = TableDefinition::new("totals");
/// What was written to standard output last, in that order: how many events, and their lines.
const REPLAY: TableDefinition<u64, (u64, &[u8])> = TableDefinition::new("replay");
/// In `meta`: the events in `replay`.
const REPLAY_EVENTS: &str = "replay_events";

/// Makes the tables of a new file, and checks the version of an old one.
pub fn prepare(database: &Database, path: &Path) -> Result<(), StateError> {
    let found = prepare_inner(database).map_err(|error| StateError::of(path, error))?;
    if found == VERSION {
        Ok(())
    } else {
        Err(StateError::OtherVersion {
            path: path.to_owned(),
            found,
            known: VERSION,
        })
    }
}

fn prepare_inner(database: &Database) -> Result<u64, redb::Error> {
    let write = database.begin_write()?;
    let found = {
        let mut meta = write.open_table(META)?;
        let found = meta.get("version")?.map(|version| version.value());
        match found {
            Some(found) => found,
            None => {
                meta.insert("version", VERSION)?;
                VERSION
            }
        }
    };
    if found == VERSION {
        write.open_table(DELIVERED)?;
        write.open_table(HEADS)?;
        write.open_table(SLOTS)?;
        write.open_table(PROOFS)?;
        write.open_table(REPLAY)?;
        write.open_table(TOTALS)?;
    }
    write.commit()?;
    Ok(found)
}

pub fn known(
    read: &ReadTransaction,
    tenant: Uuid,
    stream: Stream,
    keys: &[Key],
) -> Result<Vec<Option<Known>>, redb::Error> {
    let table = read.open_table(DELIVERED)?;
    keys.iter()
        .map(|key| {
            let value = table.get(delivered_key(tenant, stream, key))?;
            value.map(|value| decode(value.value())).transpose()
        })
        .collect()
}

pub fn coverage(
    read: &ReadTransaction,
    tenant: Uuid,
    stream: Stream,
) -> Result<Option<Saved>, redb::Error> {
    let heads = read.open_table(HEADS)?;
    let Some(head) = heads.get((tenant.as_u128(), stream.number()))? else {
        return Ok(None);
    };
    let head: Head = from_json(head.value())?;
    let table = read.open_table(SLOTS)?;
    let mut slots = Slots::new();
    for row in table.range(all_slots(tenant, stream))? {
        let (key, value) = row?;
        slots.insert(time(key.value().2)?, from_json(value.value())?);
    }
    Ok(Some((head, slots)))
}

pub fn write_acked(
    write: &WriteTransaction,
    tenant: Uuid,
    stream: Stream,
    events: &[(Key, Known)],
) -> Result<(), redb::Error> {
    write_seen(write, tenant, stream, events)?;
    let mut table = write.open_table(TOTALS)?;
    let stream_key = (tenant.as_u128(), stream.number());
    let mut totals = read_totals(&table, stream_key)?;
    for (_, known) in events {
        totals.add(known.revision);
    }
    table.insert(stream_key, (totals.records, totals.revised))?;
    Ok(())
}

/// Remembers events without counting them: what was delivered before was seen again.
pub fn write_seen(
    write: &WriteTransaction,
    tenant: Uuid,
    stream: Stream,
    events: &[(Key, Known)],
) -> Result<(), redb::Error> {
    let mut table = write.open_table(DELIVERED)?;
    for (key, known) in events {
        table.insert(delivered_key(tenant, stream, key), &encode(known))?;
    }
    Ok(())
}

pub fn totals(read: &ReadTransaction, tenant: Uuid, stream: Stream) -> Result<Totals, redb::Error> {
    let table = read.open_table(TOTALS)?;
    read_totals(&table, (tenant.as_u128(), stream.number()))
}

fn read_totals(
    table: &impl ReadableTable<StreamKey, (u64, u64)>,
    key: StreamKey,
) -> Result<Totals, redb::Error> {
    let (records, revised) = table.get(key)?.map(|row| row.value()).unwrap_or_default();
    Ok(Totals { records, revised })
}

pub fn write_changes(
    write: &WriteTransaction,
    tenant: Uuid,
    stream: Stream,
    changes: &Changes,
) -> Result<(), redb::Error> {
    let stream_key = (tenant.as_u128(), stream.number());
    let slot_key = |time: DateTime<Utc>| (stream_key.0, stream_key.1, time.timestamp_millis());
    write
        .open_table(HEADS)?
        .insert(stream_key, to_json(&changes.head)?.as_slice())?;
    let mut slots = write.open_table(SLOTS)?;
    for (start, slot) in &changes.slots {
        slots.insert(slot_key(*start), to_json(slot)?.as_slice())?;
    }
    let mut delivered = write.open_table(DELIVERED)?;
    let mut proofs = write.open_table(PROOFS)?;
    for (start, over) in &changes.over {
        slots.remove(slot_key(*start))?;
        let mut counts = Counts {
            late: over.counts().late,
            ..Counts::default()
        };
        delivered.retain_in(ids_of(tenant, stream, *start), |_, value| {
            counts.records += 1;
            counts.revised += u64::from(revision(value));
            false
        })?;
        let by_slot = stream.entry().kind == Kind::Events;
        let over = if by_slot { over.with(counts) } else { *over };
        add_proof(&mut proofs, slot_key(day_of(*start)), over)?;
    }
    if let Some(before) = changes.forget_before {
        let before = before.timestamp_millis();
        delivered.retain_in(ids_of(tenant, stream, DateTime::UNIX_EPOCH), |_, value| {
            seen_ms(value) >= before
        })?;
    }
    Ok(())
}

fn add_proof(
    proofs: &mut Table<'_, SlotKey, &[u8]>,
    day: SlotKey,
    over: Over,
) -> Result<(), redb::Error> {
    let proof = proofs.get(day)?;
    let proof = proof.map(|row| from_json::<Proof>(row.value()));
    let mut proof = proof.transpose()?.unwrap_or_default();
    proof.add(over);
    proofs.insert(day, to_json(&proof)?.as_slice())?;
    Ok(())
}

fn day_of(time: DateTime<Utc>) -> DateTime<Utc> {
    slot_of(time, TimeDelta::days(1))
}

/// The daily totals of a stream, oldest first.
pub fn proofs(
    read: &ReadTransaction,
    tenant: Uuid,
    stream: Stream,
) -> Result<Vec<(DateTime<Utc>, Proof)>, redb::Error> {
    let table = read.open_table(PROOFS)?;
    table
        .range(all_slots(tenant, stream))?
        .map(|row| {
            let (key, value) = row?;
            Ok((time(key.value().2)?, from_json(value.value())?))
        })
        .collect()
}

/// Adds what was written, and drops the oldest as long as `keep` events remain.
pub fn write_replay(
    write: &WriteTransaction,
    lines: &[u8],
    events: u64,
    keep: u64,
) -> Result<(), redb::Error> {
    let mut meta = write.open_table(META)?;
    let mut replay = write.open_table(REPLAY)?;
    let kept = meta.get(REPLAY_EVENTS)?.map_or(0, |kept| kept.value());
    let last = replay.last()?.map_or(0, |(number, _)| number.value());
    replay.insert(last + 1, (events, lines))?;
    let mut kept = kept + events;
    loop {
        let first = replay.first()?;
        let Some((number, oldest)) = first.map(|(number, value)| (number.value(), value.value().0))
        else {
            break;
        };
        if kept.saturating_sub(oldest) < keep {
            break;
        }
        replay.remove(number)?;
        kept = kept.saturating_sub(oldest);
    }
    meta.insert(REPLAY_EVENTS, kept)?;
    Ok(())
}

/// Drops all that is kept for a replay.
pub fn clear_replay(write: &WriteTransaction) -> Result<(), redb::Error> {
    write.open_table(REPLAY)?.retain(|_, _| false)?;
    write.open_table(META)?.remove(REPLAY_EVENTS)?;
    Ok(())
}

/// The first lines kept for a replay after number `after`, with their number.
pub fn replay(read: &ReadTransaction, after: u64) -> Result<Option<(u64, Vec<u8>)>, redb::Error> {
    let table = read.open_table(REPLAY)?;
    let next = table.range(after + 1..)?.next().transpose()?;
    Ok(next.map(|(number, value)| (number.value(), value.value().1.to_vec())))
}

fn delivered_key(tenant: Uuid, stream: Stream, key: &Key) -> DeliveredKey {
    (
        tenant.as_u128(),
        stream.number(),
        key.slot.timestamp_millis(),
        key.id.0,
    )
}

fn all_slots(tenant: Uuid, stream: Stream) -> RangeInclusive<SlotKey> {
    let (tenant, stream) = (tenant.as_u128(), stream.number());
    (tenant, stream, i64::MIN)..=(tenant, stream, i64::MAX)
}

fn ids_of(tenant: Uuid, stream: Stream, slot: DateTime<Utc>) -> RangeInclusive<DeliveredKey> {
    let (tenant, stream, slot) = (tenant.as_u128(), stream.number(), slot.timestamp_millis());
    (tenant, stream, slot, u128::MIN)..=(tenant, stream, slot, u128::MAX)
}

const KNOWN_BYTES: usize = 60;
const SEEN: usize = 52;

/// Raw hash, canonical hash, revision, first seen, observed, last seen; big-endian.
fn encode(known: &Known) -> [u8; KNOWN_BYTES] {
    let mut bytes = [0; KNOWN_BYTES];
    bytes[..16].copy_from_slice(&known.raw.0.to_be_bytes());
    bytes[16..32].copy_from_slice(&known.canonical.0.to_be_bytes());
    bytes[32..36].copy_from_slice(&known.revision.to_be_bytes());
    bytes[36..44].copy_from_slice(&known.first_seen.timestamp_millis().to_be_bytes());
    bytes[44..SEEN].copy_from_slice(&known.observed_ms.to_be_bytes());
    bytes[SEEN..].copy_from_slice(&known.seen_ms.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8; KNOWN_BYTES]) -> Result<Known, redb::Error> {
    let mut rest = bytes.as_slice();
    Ok(Known {
        raw: Hash(u128::from_be_bytes(take(&mut rest)?)),
        canonical: Hash(u128::from_be_bytes(take(&mut rest)?)),
        revision: u32::from_be_bytes(take(&mut rest)?),
        first_seen: time(i64::from_be_bytes(take(&mut rest)?))?,
        observed_ms: i64::from_be_bytes(take(&mut rest)?),
        seen_ms: i64::from_be_bytes(take(&mut rest)?),
    })
}

fn revision(bytes: &[u8; KNOWN_BYTES]) -> u32 {
    let mut revision = [0; 4];
    revision.copy_from_slice(&bytes[32..36]);
    u32::from_be_bytes(revision)
}

fn seen_ms(bytes: &[u8; KNOWN_BYTES]) -> i64 {
    let mut seen = [0; 8];
    seen.copy_from_slice(&bytes[SEEN..]);
    i64::from_be_bytes(seen)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], redb::Error> {
    let (first, others) = rest
        .split_first_chunk::<N>()
        .ok_or_else(|| StateError::nonsense("a row is too short"))?;
    *rest = others;
    Ok(*first)
}

fn time(millis: i64) -> Result<DateTime<Utc>, redb::Error> {
    DateTime::from_timestamp_millis(millis)
        .ok_or_else(|| StateError::nonsense(format!("{millis} is no time")))
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(value).map_err(StateError::nonsense)
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(bytes).map_err(StateError::nonsense)
}

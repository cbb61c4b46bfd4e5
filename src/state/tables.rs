//! The tables of the state file, and how each thing is written in them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `version` | version of this layout |
//! | `delivered` | tenant, stream, slot, id hash | the latest delivered revision, 52 bytes |
//! | `heads` | tenant, stream | [`Head`] as JSON |
//! | `slots` | tenant, stream, slot | [`Slot`] as JSON |
//! | `proofs` | tenant, stream, day | what the closed slots of that day held, as JSON |
//!
//! Times in keys are milliseconds since the Unix epoch.

use std::{ops::RangeInclusive, path::Path};

use chrono::{DateTime, TimeDelta, Utc};
use redb::{Database, ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{Changes, Counts, Head, Saved, Slots, StateError};
use crate::{
    record::{Hash, Key, Known},
    stream::Stream,
    time::slot_of,
};

type StreamKey = (u128, u8);
type SlotKey = (u128, u8, i64);
type DeliveredKey = (u128, u8, i64, u128);

const VERSION: u64 = 1;
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const DELIVERED: TableDefinition<DeliveredKey, &[u8; KNOWN_BYTES]> =
    TableDefinition::new("delivered");
const HEADS: TableDefinition<StreamKey, &[u8]> = TableDefinition::new("heads");
const SLOTS: TableDefinition<SlotKey, &[u8]> = TableDefinition::new("slots");
const PROOFS: TableDefinition<SlotKey, &[u8]> = TableDefinition::new("proofs");

/// What the closed slots of one day held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub slots: u64,
    pub counts: Counts,
}

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
    let mut table = write.open_table(DELIVERED)?;
    for (key, known) in events {
        table.insert(delivered_key(tenant, stream, key), &encode(known))?;
    }
    Ok(())
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
    for (start, counts) in &changes.closed {
        slots.remove(slot_key(*start))?;
        delivered.retain_in(ids_of(tenant, stream, *start), |_, _| false)?;
        let day = slot_key(slot_of(*start, TimeDelta::days(1)));
        let mut proof: Proof = proofs
            .get(day)?
            .map(|row| from_json(row.value()))
            .transpose()?
            .unwrap_or_default();
        proof.slots += 1;
        proof.counts.add(*counts);
        proofs.insert(day, to_json(&proof)?.as_slice())?;
    }
    Ok(())
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

const KNOWN_BYTES: usize = 52;

/// Raw hash, canonical hash, revision, first seen, observed; big-endian.
fn encode(known: &Known) -> [u8; KNOWN_BYTES] {
    let mut bytes = [0; KNOWN_BYTES];
    bytes[..16].copy_from_slice(&known.raw.0.to_be_bytes());
    bytes[16..32].copy_from_slice(&known.canonical.0.to_be_bytes());
    bytes[32..36].copy_from_slice(&known.revision.to_be_bytes());
    bytes[36..44].copy_from_slice(&known.first_seen.timestamp_millis().to_be_bytes());
    bytes[44..].copy_from_slice(&known.observed_ms.to_be_bytes());
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
    })
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

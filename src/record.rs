//! A record, the event that carries it, and a batch of events.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::stream::Stream;

/// One JSON object as Graph sent it. It shares its page's text.
#[derive(Clone, Debug)]
pub struct Record {
    page: Arc<String>,
    span: Range<usize>,
    id: Option<String>,
    time: Option<DateTime<Utc>>,
}

impl Record {
    /// A record that is the part `raw` of `page`.
    #[must_use]
    pub fn new(
        page: &Arc<String>,
        raw: &str,
        id: Option<String>,
        time: Option<DateTime<Utc>>,
    ) -> Self {
        // `raw` borrows from the page's text, so the difference of the two is its place there.
        let start = raw.as_ptr().addr().wrapping_sub(page.as_ptr().addr());
        let span = start..start.wrapping_add(raw.len());
        match page.get(span.clone()) {
            Some(_) => Self {
                page: Arc::clone(page),
                span,
                id,
                time,
            },
            None => Self {
                page: Arc::new(raw.to_owned()),
                span: 0..raw.len(),
                id,
                time,
            },
        }
    }

    /// The text, byte for byte.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.page[self.span.clone()]
    }

    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The stream's time property, if the record has it.
    #[must_use]
    pub fn time(&self) -> Option<DateTime<Utc>> {
        self.time
    }
}

/// A 128-bit hash: the first half of SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub u128);

impl Hash {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::first_half(Sha256::digest(bytes).into())
    }

    fn first_half(digest: [u8; 32]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(u128::from_be_bytes(half))
    }

    /// 32 hexadecimal digits, lower case.
    #[must_use]
    pub fn hex(self) -> String {
        format!("{:032x}", self.0)
    }
}

/// The document id: the first 32 hexadecimal digits of SHA-256 over tenant GUID (lower case),
/// stream name and record id, with a line feed between them.
///
/// In VRL: `slice!(sha2(join!([tenant_id, stream, record_id], "\n"), variant: "SHA-256"), 0, 32)`.
#[must_use]
pub fn document_id(tenant: Uuid, stream: Stream, record_id: &str) -> String {
    Hash::of(format!("{tenant}\n{stream}\n{record_id}").as_bytes()).hex()
}

/// What the source knows of one revision of a record: enough to tell the next one apart, and to
/// describe it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Hash of the text as Graph sent it.
    pub raw: Hash,
    /// Hash of the canonical form ([`crate::collect::revision`]).
    pub canonical: Hash,
    /// 0 for the first.
    pub revision: u32,
    /// When the record was first seen.
    pub first_seen: DateTime<Utc>,
    /// When this revision was seen, in milliseconds; it rises strictly within a document.
    pub observed_ms: i64,
    /// When the record was last seen, in milliseconds, to within a week: what is known by id alone
    /// is kept for as long as Graph shows it.
    pub seen_ms: i64,
}

/// What the source knows of where an event comes from; the same for all of one stream.
#[derive(Clone, Debug)]
pub struct Origin {
    pub tenant: Uuid,
    pub stream: Stream,
    /// The cloud's name.
    pub cloud: Arc<str>,
}

/// Where a delivered record is remembered: its slot (the Unix epoch for streams that are known by
/// id alone) and the hash of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub slot: DateTime<Utc>,
    pub id: Hash,
}

/// One NDJSON line on its way to the pipeline, and what to remember once it is acked.
#[derive(Clone, Debug)]
pub struct Event {
    pub line: Bytes,
    pub key: Key,
    pub known: Known,
}

#[derive(Serialize)]
struct Line<'a> {
    message: &'a str,
    timestamp: String,
    source_type: &'static str,
    entra_id: EntraId<'a>,
}

#[derive(Serialize)]
struct EntraId<'a> {
    tenant_id: Uuid,
    stream: Stream,
    category: &'static str,
    record_id: &'a str,
    document_id: String,
    revision: u32,
    first_seen: String,
    observed_ms: i64,
    cloud: &'a str,
    api_version: &'static str,
}

impl Event {
    /// The event that carries `record`. `id` is the record's own, or its content's hash.
    ///
    /// # Errors
    /// None that a record can cause: every part is text or a number. serde_json's type is kept so
    /// that no panic stands in for a proof.
    pub fn new(
        origin: &Origin,
        record: &Record,
        id: &str,
        key: Key,
        known: Known,
    ) -> Result<Self, serde_json::Error> {
        let entry = origin.stream.entry();
        let line = Line {
            message: record.raw(),
            timestamp: text(
                record.time().unwrap_or(known.first_seen),
                SecondsFormat::AutoSi,
            ),
            source_type: "entra_id",
            entra_id: EntraId {
                tenant_id: origin.tenant,
                stream: origin.stream,
                category: entry.category,
                record_id: id,
                document_id: document_id(origin.tenant, origin.stream, id),
                revision: known.revision,
                first_seen: text(known.first_seen, SecondsFormat::Millis),
                observed_ms: known.observed_ms,
                cloud: &origin.cloud,
                api_version: entry.version.as_str(),
            },
        };
        let mut bytes = Vec::with_capacity(record.raw().len() * 5 / 4 + 512);
        serde_json::to_writer(&mut bytes, &line)?;
        bytes.push(b'\n');
        Ok(Self {
            line: bytes.into(),
            key,
            known,
        })
    }
}

fn text(time: DateTime<Utc>, precision: SecondsFormat) -> String {
    time.to_rfc3339_opts(precision, true)
}

/// Events of one stream that are delivered, and acked or refused, as one.
#[derive(Clone, Debug)]
pub struct Batch {
    pub origin: Origin,
    pub events: Vec<Event>,
    pub content: Content,
}

/// What a batch is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Records that Graph gave.
    Records,
    /// What the source says about itself: replaced by the next of its kind, and never repeated.
    Status,
}

impl Batch {
    /// Bytes of all lines.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.line.len()).sum()
    }

    /// The NDJSON body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.bytes());
        for event in &self.events {
            body.extend_from_slice(&event.line);
        }
        body
    }

    /// The batch as two halves; `None` for a single event.
    #[must_use]
    pub fn halves(&self) -> Option<[Self; 2]> {
        if self.events.len() < 2 {
            return None;
        }
        let (first, second) = self.events.split_at(self.events.len() / 2);
        Some([first, second].map(|events| Self {
            origin: self.origin.clone(),
            events: events.to_vec(),
            content: self.content,
        }))
    }

    /// Cuts events into batches of at most `limit` bytes; an event larger than that has a batch
    /// to itself. No batch holds two events of one record.
    #[must_use]
    pub fn cut(origin: &Origin, events: Vec<Event>, limit: usize) -> Vec<Self> {
        let mut batches: Vec<Self> = Vec::new();
        let mut size = usize::MAX;
        for event in events {
            let length = event.line.len();
            match batches.last_mut() {
                Some(batch) if size.saturating_add(length) <= limit => {
                    size += length;
                    batch.events.push(event);
                }
                _ => {
                    size = length;
                    batches.push(Self {
                        origin: origin.clone(),
                        events: vec![event],
                        content: Content::Records,
                    });
                }
            }
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: Uuid = Uuid::from_u128(0x11111111_2222_3333_4444_555555555555);

    fn origin() -> Origin {
        Origin {
            tenant: TENANT,
            stream: Stream::SignIns,
            cloud: "global".into(),
        }
    }

    fn event(raw: &str) -> Event {
        let page = Arc::new(raw.to_owned());
        let time = "2026-11-22T10:00:00Z".parse().ok();
        let record = Record::new(&page, &page, Some("a".into()), time);
        let known = Known {
            raw: Hash(0),
            canonical: Hash(0),
            revision: 0,
            first_seen: "2026-11-22T10:03:10.123Z".parse().unwrap(),
            observed_ms: 1_795_341_790_123,
            seen_ms: 0,
        };
        let key = Key {
            slot: DateTime::UNIX_EPOCH,
            id: Hash::of(b"a"),
        };
        Event::new(&origin(), &record, "a", key, known).unwrap()
    }

    #[test]
    fn the_event_is_one_line_of_the_documented_shape() {
        let line = event("{\n \"id\":\"a\"}").line;
        assert_eq!(
            std::str::from_utf8(&line).unwrap(),
            concat!(
                r#"{"message":"{\n \"id\":\"a\"}","timestamp":"2026-11-22T10:00:00Z","#,
                r#""source_type":"entra_id","entra_id":{"#,
                r#""tenant_id":"11111111-2222-3333-4444-555555555555","stream":"sign_ins","#,
                r#""category":"SignInLogs","record_id":"a","#,
                r#""document_id":"9104047be8583f286d0aa394313c13b2","revision":0,"#,
                r#""first_seen":"2026-11-22T10:03:10.123Z","observed_ms":1795341790123,"#,
                r#""cloud":"global","api_version":"beta"}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn batches_keep_to_their_limit_and_lose_nothing() {
        let events: Vec<Event> = (0..10).map(|_| event("{}")).collect();
        let length = events[0].line.len();
        let batches = Batch::cut(&origin(), events, 3 * length);
        let sizes: Vec<usize> = batches.iter().map(|batch| batch.events.len()).collect();
        assert_eq!(sizes, [3, 3, 3, 1]);
    }

    #[test]
    fn an_event_over_the_limit_has_a_batch_to_itself() {
        let batches = Batch::cut(&origin(), vec![event("{}"), event("{}")], 1);
        assert_eq!(batches.len(), 2);
    }

    #[test]
    fn a_batch_halves_down_to_single_events() {
        let batch = Batch {
            origin: origin(),
            events: (0..3).map(|_| event("{}")).collect(),
            content: Content::Records,
        };
        let [first, second] = batch.halves().unwrap();
        assert_eq!((first.events.len(), second.events.len()), (1, 2));
        assert!(first.halves().is_none());
    }
}

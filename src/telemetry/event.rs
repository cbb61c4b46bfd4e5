//! The source's own events in the pipeline: where a stream stands, so that silence is never mistaken
//! for quiet.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use crate::{
    record::{Batch, Content, Event, Hash, Key, Known, Origin},
    status::StreamStatus,
};

#[derive(Serialize)]
struct Line<'a> {
    message: String,
    timestamp: String,
    source_type: &'static str,
    entra_id: Envelope<'a>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    kind: &'static str,
    category: &'static str,
    cloud: &'a str,
    #[serde(flatten)]
    status: &'a StreamStatus,
}

/// A batch of one event that tells a stream's status.
///
/// # Errors
/// None that a status can cause; serde_json's type is kept so that no panic stands in for a proof.
pub fn status_batch(cloud: &Arc<str>, status: &StreamStatus) -> Result<Batch, serde_json::Error> {
    let line = Line {
        message: status.summary(),
        timestamp: status.observed.to_rfc3339_opts(SecondsFormat::Millis, true),
        source_type: "entra_id",
        entra_id: Envelope {
            kind: "status",
            category: status.stream.entry().category,
            cloud,
            status,
        },
    };
    let mut bytes = serde_json::to_vec(&line)?;
    bytes.push(b'\n');
    // Nothing is remembered of it.
    let none = Known {
        raw: Hash(0),
        canonical: Hash(0),
        revision: 0,
        first_seen: status.observed,
        observed_ms: 0,
        seen_ms: 0,
    };
    Ok(Batch {
        origin: Origin {
            tenant: status.tenant_id,
            stream: status.stream,
            cloud: Arc::clone(cloud),
        },
        events: vec![Event {
            line: bytes.into(),
            key: Key {
                slot: DateTime::UNIX_EPOCH,
                id: Hash(0),
            },
            known: none,
        }],
        content: Content::Status,
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::stream::Stream;

    #[test]
    fn a_status_event_has_the_documented_shape() {
        let observed = "2026-11-22T10:00:00Z".parse().unwrap();
        let status = StreamStatus {
            records: 7,
            read_to: "2026-11-22T09:59:30Z".parse().ok(),
            ..StreamStatus::new(Uuid::nil(), Stream::SignIns, observed)
        };
        let batch = status_batch(&"global".into(), &status).unwrap();
        assert_eq!(batch.content, Content::Status);
        let line: serde_json::Value = serde_json::from_slice(&batch.events[0].line).unwrap();
        assert_eq!(
            line["message"],
            "sign_ins: stopped; read up to 2026-11-22T09:59:30Z, closed through never; 7 records, \
             0 late, 0 revised, 0 dead letters, 0 slots unproven"
        );
        assert_eq!(line["source_type"], "entra_id");
        assert_eq!(line["entra_id"]["kind"], "status");
        assert_eq!(line["entra_id"]["stream"], "sign_ins");
        assert_eq!(line["entra_id"]["records"], 7);
        assert_eq!(line["entra_id"]["read_to"], "2026-11-22T09:59:30Z");
    }
}

//! A record that comes through Azure Event Hubs makes the document that it makes when it comes from
//! Graph, but for what only one of the two feeds tells.

use chrono::DateTime;
use serde_json::{Value, json};
use uuid::Uuid;
use vector_entra_id::{
    ecs::{Mapper, Program, bundle, tables::Tables},
    emulator::records,
    record::document_id,
    stream::Stream,
};

use crate::common::diagnostic;

/// What belongs to the delivery. (The message is the record's text: Graph's, or the normaliser's.)
const OF_THE_DELIVERY: [&str; 6] = [
    "/message",
    "/event/created",
    "/event/ingested",
    "/azure/entraid/revision",
    "/azure/entraid/first_seen",
    "/azure/entraid/observed_ms",
];

/// What Event Hubs tells and these records of Graph do not. Where a record of Graph has it, it must
/// be the same.
const OF_EVENT_HUBS: [&str; 9] = [
    "/azure/entraid/other/callerIpAddress",
    "/azure/entraid/other/operationName",
    "/azure/entraid/other/tenantGeo",
    "/azure/entraid/other/rngcStatus",
    "/azure/entraid/other/isGuest",
    "/azure/entraid/other/homeTenantId",
    "/azure/entraid/other/userType",
    "/azure/entraid/other/crossTenantAccessType",
    "/azure/entraid/properties/riskType",
];
/// The same, of sign-ins in Graph's beta, which has `riskEventTypes_v2` alone.
const OF_SIGN_INS: &str = "/azure/entraid/properties/riskEventTypes";

/// What this feed adds to each step of `authenticationDetails`.
const OF_A_STEP: [&str; 2] = ["StatusSequence", "RequestSequence"];

#[test]
fn both_feeds_make_the_same_document_of_a_record() {
    compare(&[]);
}

#[test]
fn both_feeds_make_the_same_document_of_overlay_sekoia() {
    compare(bundle::addition("sekoia").unwrap());
}

fn compare(overlay: &[(&str, &str)]) {
    let mut sources = bundle::base();
    sources.extend(bundle::sources(overlay));
    let mut from_graph = Mapper::new(&sources, &Tables::default()).unwrap();
    let mut from_event_hubs = Mapper::new(&sources, &Tables::default()).unwrap();
    let normaliser = bundle::sources(bundle::EVENT_HUBS);
    from_event_hubs.before(Program::compile(&normaliser, &Tables::default()).unwrap());

    let mut rng = fastrand::Rng::with_seed(13);
    let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    // Azure has no category for security alerts.
    for stream in Stream::ALL
        .into_iter()
        .filter(|stream| *stream != Stream::SecurityAlerts)
    {
        let made: Vec<records::Made> = (0..63)
            .map(|ordinal| records::make(&mut rng, stream, at, ordinal))
            .collect();
        let expected = made.iter().map(|record| {
            let documents = from_graph.map(&event(stream, record));
            assert_eq!(documents.len(), 1);
            documents[0].clone()
        });
        let diagnostic: Vec<Value> = made
            .iter()
            .enumerate()
            .map(|(number, record)| {
                let graph: Value = serde_json::from_str(&record.text).unwrap();
                diagnostic::record(stream, &graph, number)
            })
            .collect();
        let documents: Vec<String> = diagnostic
            .chunks(7)
            .enumerate()
            .flat_map(|(number, records)| messages(number, records))
            .flat_map(|message| from_event_hubs.map(&message))
            .collect();
        assert_eq!(documents.len(), made.len(), "{stream}");

        for ((expected, document), record) in expected.zip(&documents).zip(&diagnostic) {
            let mut differences = Vec::new();
            let [expected, document] = comparable(stream, &expected, document);
            differ("", &expected, &document, &mut differences);
            assert_eq!(differences, [""; 0], "{stream}, {record:#}");
            if overlay.is_empty() {
                for path in ["/azure/entraid/document_id", "/event/id"] {
                    assert!(document.pointer(path).is_some_and(Value::is_string));
                }
            }
        }
    }
}

/// The event that the source makes of a record of Graph.
fn event(stream: Stream, record: &records::Made) -> String {
    let tenant = Uuid::parse_str(records::TENANT_ID).unwrap();
    json!({
        "message": record.text,
        "timestamp": "2026-11-22T10:00:00Z",
        "source_type": "http_server",
        "entra_id": {
            "tenant_id": tenant,
            "stream": stream.name(),
            "category": stream.entry().category,
            "record_id": record.id,
            "document_id": document_id(tenant, stream, &record.id),
            "revision": 0,
            "first_seen": "2026-11-22T10:00:00.123Z",
            "observed_ms": 1_795_341_600_123_i64,
        },
    })
    .to_string()
}

/// The events that Vector's kafka source makes of records: one message, a list, or a message each.
fn messages(number: usize, records: &[Value]) -> Vec<String> {
    let texts = match number % 3 {
        0 => vec![json!({"records": records}).to_string()],
        1 => vec![json!(records).to_string()],
        _ => records.iter().map(Value::to_string).collect(),
    };
    let event = |text: String| {
        json!({
            "message": text,
            "timestamp": "2026-11-22T10:07:00.5Z",
            "source_type": "kafka",
            "topic": "insights-logs-signinlogs",
            "partition": 0,
            "offset": 4711,
            "headers": {},
            "message_key": null,
        })
        .to_string()
    };
    texts.into_iter().map(event).collect()
}

/// Both documents without what may differ.
fn comparable(stream: Stream, from_graph: &str, from_event_hubs: &str) -> [Value; 2] {
    let mut documents: [Value; 2] =
        [from_graph, from_event_hubs].map(|text| serde_json::from_str(text).unwrap());
    for path in OF_THE_DELIVERY {
        for document in &mut documents {
            remove(document, path);
        }
    }
    let [graph, event_hubs] = &mut documents;
    for path in OF_EVENT_HUBS.into_iter().chain([OF_SIGN_INS]) {
        if graph.pointer(path).is_none() {
            remove(event_hubs, path);
        }
    }
    // Graph's failure of every success. Base leaves it out, overlay `sekoia` does not.
    let reason = "/error/message";
    if graph.pointer(reason) == Some(&json!("Other.")) && event_hubs.pointer(reason).is_none() {
        remove(graph, reason);
    }
    for document in &mut documents {
        level(stream, document);
    }
    documents
}

fn remove(document: &mut Value, path: &str) {
    let (parent, name) = path.rsplit_once('/').unwrap();
    if let Some(parent) = document.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.remove(name);
    }
}

/// Levels what the feeds write differently within lists, where the mapping passes objects through
/// as they are: null in Graph is absent here. Levels the precision of times.
fn level(stream: Stream, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                match value {
                    Value::String(time)
                        if name.ends_with("DateTime")
                            || name == "@timestamp"
                            || name == "start" =>
                    {
                        *value = instant(stream, time);
                    }
                    value => level(stream, value),
                }
            }
            map.retain(|name, value| {
                !value.is_null() && *value != json!({}) && !OF_A_STEP.contains(&name.as_str())
            });
        }
        Value::Array(list) => list.iter_mut().for_each(|value| level(stream, value)),
        _ => {}
    }
}

/// A time in the coarser precision of the two: whole seconds, which Graph writes in sign-ins and in
/// provisioning; milliseconds, which Event Hubs writes in risks. In audits both write all digits.
fn instant(stream: Stream, time: &str) -> Value {
    let at = DateTime::parse_from_rfc3339(time).unwrap();
    match stream {
        Stream::SignIns
        | Stream::SignInsNonInteractive
        | Stream::SignInsServicePrincipal
        | Stream::SignInsManagedIdentity
        | Stream::Provisioning => at.timestamp().into(),
        Stream::RiskDetections
        | Stream::ServicePrincipalRiskDetections
        | Stream::RiskyUsers
        | Stream::RiskyServicePrincipals => at.timestamp_millis().into(),
        Stream::DirectoryAudits | Stream::SecurityAlerts => time.into(),
    }
}

/// The paths at which two documents differ.
fn differ(path: &str, expected: &Value, document: &Value, differences: &mut Vec<String>) {
    match (expected, document) {
        (Value::Object(one), Value::Object(other)) => {
            let only_other = other.keys().filter(|name| !one.contains_key(*name));
            for name in one.keys().chain(only_other) {
                let path = format!("{path}/{name}");
                differ(&path, &expected[name], &document[name], differences);
            }
        }
        _ if expected == document => {}
        _ => differences.push(format!("{path}: {expected} is {document}")),
    }
}

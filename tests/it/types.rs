//! Whatever the record, each layer makes one document of it, and each field of it is of the type that
//! the catalogue gives it.

use chrono::DateTime;
use proptest::{
    prelude::{Just, Strategy, any, prop},
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use vector_entra_id::{
    ecs::{Mapper, Program, bundle, tables::Tables, vector_config::VectorConfig},
    emulator::records,
    stream::Stream,
};

use crate::catalogue::{Catalogue, Type, check, project};

/// A layer: the mapper and what its documents may hold.
struct Layer {
    name: &'static str,
    mapper: Mapper,
    fields: Vec<(String, Type)>,
    open: &'static [&'static str],
    normalised: bool,
}

/// Below these, overlay `elastic` keeps what no catalogue has.
const KEPT: [&str; 3] = [
    "azure.signinlogs.properties.",
    "azure.auditlogs.properties.",
    "azure.identityprotection.properties.",
];

/// Base with these additions, and with the normaliser before it where asked for.
fn layer(name: &'static str, additions: &[&str], normalised: bool) -> Layer {
    let catalogue = Catalogue::read();
    let mut fields = catalogue.base();
    let mut open: &[&str] = &[];
    if additions.contains(&"elastic") {
        // What Elastic has no stream for stays as base wrote it.
        let own = catalogue.elastic_with_ecs();
        fields.retain(|(there, _)| own.iter().all(|(name, _)| name != there));
        fields.extend(own);
        open = &KEPT;
    }
    let declared = VectorConfig::read(&[project().join("tests/vrl/layers.yaml")]).unwrap();
    let tables = Tables::load(&declared.enrichment_tables).unwrap();
    let mut mapper = Mapper::new(&bundle::layered(additions).unwrap(), &tables).unwrap();
    if normalised {
        let normaliser = bundle::sources(bundle::EVENT_HUBS);
        mapper.before(Program::compile(&normaliser, &tables).unwrap());
    }
    Layer {
        name,
        mapper,
        fields,
        open,
        normalised,
    }
}

/// The event of the source for this record.
fn from_graph(stream: Stream, record: &str) -> Value {
    json!({
        "message": record,
        "timestamp": "2026-11-22T10:00:00Z",
        "entra_id": {"tenant_id": records::TENANT_ID, "stream": stream.name(), "revision": 0},
    })
}

/// The event of Vector's kafka source for this record in Azure's envelope.
fn from_event_hubs(stream: Stream, record: &str) -> Value {
    let category = stream.entry().category;
    let envelope = format!(
        r#"{{"time":"2026-11-22T10:00:00Z","category":"{category}","properties":{record}}}"#
    );
    json!({"message": envelope, "timestamp": "2026-11-22T10:00:00Z", "topic": "t", "offset": 1})
}

impl Layer {
    fn check(&mut self, stream: Stream, record: &str) -> Result<(), String> {
        let event = if self.normalised {
            from_event_hubs(stream, record)
        } else {
            from_graph(stream, record)
        };
        let documents = self.mapper.map(&event.to_string());
        let told = |what: String| Err(format!("{}, {stream}, {record}: {what}", self.name));
        if documents.len() != 1 {
            return told(format!("{} documents", documents.len()));
        }
        let document: Value = serde_json::from_str(&documents[0]).unwrap();
        if document["error"]["message"]
            .as_str()
            .is_some_and(|reason| reason.starts_with("the VRL program failed"))
        {
            return told(document["error"]["message"].to_string());
        }
        let misfits = check::misfits(&document, &self.fields, self.open);
        if misfits.is_empty() {
            Ok(())
        } else {
            told(misfits.join("; "))
        }
    }

    /// Records of every stream as they come.
    fn believable(&mut self) {
        let mut rng = fastrand::Rng::with_seed(11);
        let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        for stream in Stream::ALL {
            for ordinal in 0..60 {
                let record = records::make(&mut rng, stream, at, ordinal).text;
                self.check(stream, &record).unwrap();
            }
        }
    }

    /// A record of every stream with every value in it, however deep, replaced by every other type.
    fn of_other_types(&mut self) {
        let others = [
            Value::Null,
            json!(true),
            json!(7),
            json!(-1.5),
            json!("text \u{0} \u{202e}\u{1f480}\n"),
            json!("2026-02-30T10:00:00Z"),
            json!("2026-02-03T10:00:00+99:99"),
            json!([]),
            json!(["a", null, 1, {"b": 2}, [3]]),
            json!({}),
            json!({"displayName": {"x": [1]}, "id": 5, "Strange Name": null}),
        ];
        let mut rng = fastrand::Rng::with_seed(12);
        let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        for stream in Stream::ALL {
            let record: Value =
                serde_json::from_str(&records::make(&mut rng, stream, at, 1).text).unwrap();
            for path in paths(&record) {
                for other in &others {
                    let mut record = record.clone();
                    *record.pointer_mut(&path).unwrap() = other.clone();
                    self.check(stream, &record.to_string()).unwrap();
                }
            }
        }
    }

    /// Records made of Graph's names and anything as values; texts that are no records at all.
    fn arbitrary(&mut self) {
        let scalar = prop::strategy::Union::new([
            Just(Value::Null).boxed(),
            any::<bool>().prop_map(Value::from).boxed(),
            any::<i64>().prop_map(Value::from).boxed(),
            any::<f64>().prop_map(Value::from).boxed(),
            any::<String>().prop_map(Value::from).boxed(),
            Just(json!("2026-02-30T25:61:61+99:99")).boxed(),
        ]);
        let name = prop::sample::select(vec![
            "id",
            "displayName",
            "status",
            "location",
            "deviceDetail",
            "targetResources",
            "type",
            "modifiedProperties",
            "newValue",
            "initiatedBy",
            "user",
            "geoCoordinates",
            "latitude",
            "createdDateTime",
            "activityDateTime",
            "ipAddress",
            "errorCode",
            "additionalInfo",
            "x y",
        ]);
        let value = scalar.prop_recursive(6, 60, 8, move |inner| {
            prop::strategy::Union::new([
                prop::collection::vec(inner.clone(), 0..5)
                    .prop_map(Value::from)
                    .boxed(),
                prop::collection::vec((name.clone(), inner), 0..9)
                    .prop_map(|pairs| {
                        pairs
                            .into_iter()
                            .map(|(name, value)| (name.to_owned(), value))
                            .collect()
                    })
                    .boxed(),
            ])
        });
        let stream = prop::sample::select(Stream::ALL.to_vec());
        let mut runner = TestRunner::new_with_rng(
            Config {
                cases: 1500,
                failure_persistence: None,
                ..Config::default()
            },
            prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha),
        );
        let cell = std::cell::RefCell::new(self);
        runner
            .run(&(stream, value, 0.0..1.2f64), |(stream, value, kept)| {
                let text = value.to_string();
                // Now and then cut short, as a broken line is.
                let length = (text.chars().count() as f64 * kept) as usize;
                let start: String = text.chars().take(length).collect();
                cell.borrow_mut()
                    .check(stream, &start)
                    .map_err(prop::test_runner::TestCaseError::fail)
            })
            .unwrap();
    }
}

/// The JSON pointers of every value in it.
fn paths(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), value))
            .collect(),
        Value::Array(list) => list
            .iter()
            .take(2)
            .enumerate()
            .map(|(place, value)| (place.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (key, value) in below {
        let key = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
        found.push(key.clone());
        found.extend(paths(value).into_iter().map(|path| format!("{key}{path}")));
    }
    found
}

impl Layer {
    fn takes_anything(&mut self) {
        self.believable();
        self.of_other_types();
        self.arbitrary();
        let deep = format!("{{\"id\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        self.check(Stream::SignIns, &deep).unwrap();
    }
}

#[test]
fn base_makes_one_document_of_catalogue_types_of_anything() {
    layer("base", &[], false).takes_anything();
}

#[test]
fn overlay_elastic_makes_one_document_of_catalogue_types_of_anything() {
    layer("elastic", &["elastic"], false).takes_anything();
}

#[test]
fn overlay_sekoia_makes_one_document_of_catalogue_types_of_anything() {
    layer("sekoia", &["sekoia"], false).takes_anything();
}

#[test]
fn enrichment_makes_one_document_of_catalogue_types_of_anything() {
    let all = ["geoip-city", "geoip-asn", "directory", "tor", "threat-list"];
    layer("enrichment", &all, false).takes_anything();
}

#[test]
fn the_normaliser_makes_one_document_of_catalogue_types_of_anything() {
    layer("event hubs", &[], true).takes_anything();
}

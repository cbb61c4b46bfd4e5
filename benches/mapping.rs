//! What the mapping costs: each layer against `. = parse_json!(.message)`, encoding included in both.
//!
//! The programs take turns over the same records, round by round, and a figure is the median over the
//! rounds: what disturbs the machine disturbs all of them. Run it with `cargo bench --bench mapping`;
//! `-- STREAM` keeps to one stream.

use std::{hint::black_box, time::Instant};

use chrono::DateTime;
use serde_json::{Value, json};
use vector_entra_id::{
    ecs::{Program, Source, bundle, tables::Tables},
    emulator::records,
    stream::Stream,
};

/// Records of each stream, each situation as often as its weight says.
const RECORDS: u64 = 200;
const ROUNDS: usize = 21;

struct Contender {
    name: &'static str,
    program: Program,
    /// Nanoseconds a record, one figure a round.
    rounds: Vec<f64>,
}

impl Contender {
    fn new(name: &'static str, sources: &[Source]) -> Self {
        let begun = Instant::now();
        let program = Program::compile(sources, &Tables::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        println!("{name}: compiled in {:.0?}", begun.elapsed());
        Self {
            name,
            program,
            rounds: Vec::new(),
        }
    }

    fn round(&mut self, events: &[vrl::value::Value]) {
        let copies = events.to_vec();
        let begun = Instant::now();
        for event in copies {
            let documents = self.program.run(event).expect("the program maps");
            for document in &documents {
                black_box(serde_json::to_vec(document).expect("JSON"));
            }
        }
        self.rounds
            .push(begun.elapsed().as_nanos() as f64 / events.len() as f64);
    }

    fn median(&mut self) -> f64 {
        self.rounds.sort_by(f64::total_cmp);
        self.rounds[self.rounds.len() / 2]
    }
}

fn main() {
    let only: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let mut contenders = vec![
        Contender::new(
            "parse and encode",
            &[Source {
                name: "parse".into(),
                text: ". = parse_json!(.message)".into(),
            }],
        ),
        Contender::new("base", &bundle::base()),
        Contender::new(
            "base, sekoia",
            &bundle::layered(&["sekoia"]).expect("bundled"),
        ),
        Contender::new(
            "base, elastic",
            &bundle::layered(&["elastic"]).expect("bundled"),
        ),
    ];
    println!();
    for stream in Stream::ALL {
        if !only.is_empty() && !only.iter().any(|name| name == stream.name()) {
            continue;
        }
        let texts = texts(stream);
        for (with, events) in [
            ("", events(stream, &texts, false)),
            (" with user agent", events(stream, &texts, true)),
        ] {
            for _ in 0..ROUNDS {
                for contender in &mut contenders {
                    contender.round(&events);
                }
            }
            let mean = texts.iter().map(String::len).sum::<usize>() / texts.len();
            println!("{}{with}, {mean} bytes a record", stream.name());
            let alone = contenders[0].median();
            for contender in &mut contenders {
                let median = contender.median();
                contender.rounds.clear();
                println!(
                    "  {:<20} {:>7.1} us  {:.2}",
                    contender.name,
                    median / 1000.0,
                    median / alone
                );
            }
        }
    }
}

fn texts(stream: Stream) -> Vec<String> {
    let mut rng = fastrand::Rng::with_seed(7);
    let at = DateTime::from_timestamp(1_795_000_000, 0).expect("a time");
    (0..RECORDS)
        .map(|ordinal| records::make(&mut rng, stream, at, ordinal).text)
        .collect()
}

/// The events of the source for these records; without what the mapping would parse as a user agent
/// unless asked for.
fn events(stream: Stream, texts: &[String], user_agents: bool) -> Vec<vrl::value::Value> {
    texts
        .iter()
        .map(|text| {
            let mut record: Value = serde_json::from_str(text).expect("a record");
            if !user_agents {
                drop_user_agents(&mut record);
            }
            json!({
                "message": record.to_string(),
                "timestamp": "2026-11-22T10:00:00Z",
                "source_type": "entra_id",
                "entra_id": {
                    "tenant_id": records::TENANT_ID,
                    "stream": stream.name(),
                    "category": stream.entry().category,
                    "record_id": record["id"],
                    "document_id": "00112233445566778899aabbccddeeff",
                    "revision": 0,
                    "first_seen": "2026-11-22T10:03:10.123Z",
                    "observed_ms": 1_795_341_790_123_u64,
                    "cloud": "global",
                    "api_version": "beta",
                },
            })
            .into()
        })
        .collect()
}

fn drop_user_agents(record: &mut Value) {
    if let Some(agent) = record.get_mut("userAgent") {
        *agent = Value::Null;
    }
    if let Some(browser) = record.pointer_mut("/deviceDetail/browser") {
        *browser = Value::Null;
    }
    if let Some(details) = record
        .get_mut("additionalDetails")
        .and_then(Value::as_array_mut)
    {
        details.retain(|detail| detail["key"] != "User-Agent");
    }
    if record["additionalInfo"].is_string() {
        record["additionalInfo"] = Value::Null;
    }
}

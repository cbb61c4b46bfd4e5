//! What `demo` tells at its end.

use std::{collections::BTreeMap, fmt::Write, path::Path, time::Duration};

use serde_json::Value;

use crate::{
    ecs::{EcsFile, Written},
    emulator::Served,
    stream::Stream,
};

/// One document, then the table of what came through and where it is: what scrolls away is not
/// the table.
pub fn demo(file: &EcsFile, path: &Path, took: Duration, served: &Served) -> String {
    let written = file.written();
    let errors: u64 = written
        .values()
        .map(|written| written.pipeline_errors)
        .sum();
    let repeats: u64 = written.values().map(|written| written.repeats).sum();
    let mut text = String::new();
    // Writing to a String does not fail.
    if let Some(sample) = file.sample() {
        let _ = write!(
            text,
            "one of the documents, its raw record cut short:\n{}\n\n",
            shown(&sample)
        );
    }
    text.push_str(&table(&written));
    let _ = write!(
        text,
        "\n{} requests to Graph, {} throttled, in {:.1} s\n\
         {errors} pipeline errors, {repeats} repeats\n\
         documents: {}\n",
        served.requests,
        served.throttled,
        took.as_secs_f64(),
        path.display(),
    );
    text
}

fn table(written: &BTreeMap<Stream, Written>) -> String {
    let mut text = format!(
        "{:<34}{:>9}{:>11}{:>11}{:>8}\n",
        "stream", "records", "revisions", "documents", "errors"
    );
    let mut total = [0; 4];
    let mut line = |name: &str, counts: [u64; 4]| {
        let [records, revisions, documents, errors] = counts;
        let _ = writeln!(
            text,
            "{name:<34}{records:>9}{revisions:>11}{documents:>11}{errors:>8}"
        );
    };
    for (stream, written) in written {
        let counts = [
            written.records() as u64,
            written.revisions.len() as u64,
            written.documents,
            written.pipeline_errors,
        ];
        line(stream.name(), counts);
        for (sum, count) in total.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    line("all", total);
    text
}

/// A document for a person: the raw record, a line of thousands of characters, cut short.
fn shown(document: &str) -> String {
    let Ok(mut document) = serde_json::from_str::<Value>(document) else {
        return document.to_owned();
    };
    if let Some(message) = document.get_mut("message")
        && let Some(text) = message.as_str()
    {
        let start: String = text.chars().take(40).collect();
        *message = Value::String(format!("{start}..."));
    }
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

//! The dashboard and the rules name metrics that the source has, and no others.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use vector_entra_id::telemetry::metrics::{COUNTERS, GAUGES, OF_TENANT};

use crate::catalogue::project;

/// Every word in a text that looks like one of the source's metrics.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("entra_id_")).collect()
}

#[test]
fn what_is_watched_is_told_by_the_source() {
    let told: BTreeSet<&str> = GAUGES
        .iter()
        .chain(&COUNTERS)
        .chain(&OF_TENANT)
        .map(|(name, ..)| *name)
        .collect();
    for file in ["grafana-dashboard.json", "alerts.yaml", "alerts_test.yaml"] {
        let text = fs::read_to_string(project().join("monitoring").join(file)).unwrap();
        let named = metrics_in(&text);
        let unknown: Vec<_> = named.difference(&told).collect();
        assert!(named.len() > 5 && unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn the_dashboard_shows_every_metric() {
    let text = fs::read_to_string(project().join("monitoring/grafana-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39);
    let shown = metrics_in(&text);
    let all = GAUGES.iter().chain(&COUNTERS).chain(&OF_TENANT);
    let missing: Vec<&str> = all
        .map(|(name, ..)| *name)
        .filter(|name| !shown.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

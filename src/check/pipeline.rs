//! Vector's own configuration: whether the source there takes our events, whether acknowledgements
//! reach it from every sink behind it, and whether batches come to an end in time.
//!
//! Options and defaults are those of Vector 0.57 (src/sources/http_server.rs, src/sources/exec,
//! src/sinks/util/batch.rs, src/config). What is no concern of ours is left to `vector validate`.

use std::{collections::BTreeSet, path::PathBuf};

use glob::Pattern;
use serde_json::{Map, Value};

use super::Finding;
use crate::config::{Format, Http, Outlet};

const AREA: &str = "vector";
/// Sinks that batch for five minutes where nothing else is said (the object stores).
const SLOW: [&str; 3] = ["aws_s3", "azure_blob", "gcp_cloud_storage"];
/// Sinks that keep nothing: for them acknowledgements matter little.
const KEEP_NOTHING: [&str; 4] = ["blackhole", "console", "prometheus_exporter", "statsd"];

/// Reads the files, merged as Vector does, and judges them.
pub(super) fn check(outlet: &Outlet, files: &[PathBuf]) -> Vec<Finding> {
    let mut whole = Map::new();
    for path in files {
        let shown = path.display();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                return vec![Finding::fail(AREA, format!("cannot read {shown}: {error}"))];
            }
        };
        let parsed: Result<Value, String> = match Format::of(path) {
            Format::Yaml => serde_saphyr::from_str(&text).map_err(|error| error.to_string()),
            Format::Toml => toml::from_str(&text).map_err(|error| error.to_string()),
            Format::Json => serde_json::from_str(&text).map_err(|error| error.to_string()),
        };
        match parsed {
            Ok(Value::Object(parsed)) => merge(&mut whole, parsed),
            Ok(_) => {
                return vec![Finding::fail(
                    AREA,
                    format!("{shown} holds no configuration"),
                )];
            }
            Err(error) => {
                let first = error.lines().next().unwrap_or_default();
                return vec![Finding::fail(AREA, format!("{shown}: {first}"))];
            }
        }
    }
    Pipeline(&Value::Object(whole)).judge(outlet)
}

fn merge(whole: &mut Map<String, Value>, file: Map<String, Value>) {
    for (key, value) in file {
        match (whole.get_mut(&key), value) {
            (Some(Value::Object(there)), Value::Object(more)) => there.extend(more),
            (_, value) => drop(whole.insert(key, value)),
        }
    }
}

struct Pipeline<'a>(&'a Value);

impl<'a> Pipeline<'a> {
    fn judge(&self, outlet: &Outlet) -> Vec<Finding> {
        let mut findings = Vec::new();
        let sources: Vec<&str> = match outlet {
            Outlet::Http(http) => self.http_sources(http, &mut findings),
            Outlet::Stdout(_) => self.exec_sources(&mut findings),
        };
        for source in sources {
            let reached = self.reached_from(source);
            let sinks: Vec<(&str, &Value)> = self
                .components("sinks")
                .filter(|(name, _)| reached.contains(*name))
                .collect();
            if sinks.is_empty() {
                findings.push(Finding::fail(
                    AREA,
                    format!("no sink is connected to {source}: what arrives there is dropped"),
                ));
                continue;
            }
            for (name, transform) in self.components("transforms") {
                if reached.contains(name) {
                    findings.extend(self.transform(name, transform));
                }
            }
            let before = findings.len();
            for (name, sink) in &sinks {
                findings.extend(self.sink(name, sink, outlet));
            }
            if findings.len() == before {
                let names: Vec<&str> = sinks.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                findings.push(Finding::ok(
                    AREA,
                    match outlet {
                        Outlet::Http(_) => {
                            format!("acknowledgements reach {source} from every sink: {names}")
                        }
                        Outlet::Stdout(_) => format!("{source} is connected to {names}"),
                    },
                ));
            }
        }
        findings
    }

    fn components(&self, kind: &str) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        let all = self.0[kind].as_object().into_iter().flatten();
        all.map(|(name, component)| (name.as_str(), component))
    }

    fn http_sources(&self, http: &Http, findings: &mut Vec<Finding>) -> Vec<&'a str> {
        let port = http.url.port_or_known_default().unwrap_or_default();
        let ours: Vec<(&str, &Value)> = self
            .components("sources")
            .filter(|(_, source)| matches!(source["type"].as_str(), Some("http_server" | "http")))
            .filter(|(_, source)| {
                let address = source["address"].as_str().unwrap_or_default();
                // What stands in a variable cannot be told.
                address.contains("${") || address.rsplit(':').next() == Some(&port.to_string())
            })
            .collect();
        if ours.is_empty() {
            findings.push(Finding::fail(
                AREA,
                format!("no http_server source listens on port {port} of outlet.http.url"),
            ));
        }
        for (name, source) in &ours {
            let mut fault = |text: String| findings.push(Finding::fail(AREA, text));
            if source["decoding"]["codec"] != "json" {
                fault(format!("{name}: set `decoding: {{codec: json}}`"));
            }
            let framing = source["framing"]["method"].as_str();
            if framing.is_some_and(|method| method != "newline_delimited") {
                fault(format!(
                    "{name}: leave `framing` out; events come one a line"
                ));
            }
            let path = source["path"].as_str().unwrap_or("/");
            let strict = source["strict_path"].as_bool().unwrap_or(true);
            if strict && path != http.url.path() {
                fault(format!(
                    "{name}: its path is {path}, that of outlet.http.url is {}",
                    http.url.path()
                ));
            }
            let method = source["method"].as_str().unwrap_or("POST");
            if !method.eq_ignore_ascii_case("POST") {
                fault(format!("{name}: its method is {method}; it must be POST"));
            }
            if source["auth"].is_object() && http.auth.is_none() {
                fault(format!("{name} asks for a password; set outlet.http.auth"));
            }
            if source["tls"]["enabled"].as_bool().unwrap_or(false) != (http.url.scheme() == "https")
            {
                fault(format!(
                    "{name}: TLS is on at one end only; its `tls.enabled` and https go together"
                ));
            }
        }
        ours.into_iter().map(|(name, _)| name).collect()
    }

    fn exec_sources(&self, findings: &mut Vec<Finding>) -> Vec<&'a str> {
        let ours: Vec<(&str, &Value)> = self
            .components("sources")
            .filter(|(_, source)| source["type"] == "exec")
            .filter(|(_, source)| source["command"].to_string().contains("\"run\""))
            .collect();
        if ours.is_empty() {
            findings.push(Finding::fail(
                AREA,
                "no exec source runs `vector-entra-id run`, and outlet is stdout",
            ));
        }
        for (name, source) in &ours {
            if source["mode"] != "streaming" {
                findings.push(Finding::fail(
                    AREA,
                    format!("{name}: set `mode: streaming`"),
                ));
            }
            if source["decoding"]["codec"] != "json" {
                let text = format!("{name}: set `decoding: {{codec: json}}`");
                findings.push(Finding::fail(AREA, text));
            }
            if source["include_stderr"].as_bool().unwrap_or(true) {
                findings.push(Finding::warn(
                    AREA,
                    format!(
                        "{name}: the source's log would be read as events; set `include_stderr: \
                         false`, and `log.file` here"
                    ),
                ));
            }
        }
        ours.into_iter().map(|(name, _)| name).collect()
    }

    /// Everything behind a component, as Vector's inputs say: names, outputs (`name.port`) and
    /// wildcards.
    fn reached_from(&self, source: &str) -> BTreeSet<&'a str> {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![source.to_owned()];
        while let Some(from) = open.pop() {
            let behind = self
                .components("transforms")
                .chain(self.components("sinks"));
            for (name, component) in behind {
                if takes_from(component, &from) && reached.insert(name) {
                    open.push(name.to_owned());
                }
            }
        }
        reached
    }

    fn transform(&self, name: &str, transform: &Value) -> Option<Finding> {
        let text = match transform["type"].as_str()? {
            kind @ ("sample" | "throttle") => {
                format!("{name} ({kind}) drops records, which count as delivered")
            }
            kind @ ("reduce" | "aggregate") => {
                format!("{name} ({kind}) holds records in memory; a crash of Vector loses them")
            }
            "remap"
                if transform["drop_on_error"] == true && transform["reroute_dropped"] != true =>
            {
                format!("{name} drops what fails, which counts as delivered; set `reroute_dropped`")
            }
            "route" if !self.is_consumed(&format!("{name}._unmatched")) => format!(
                "{name}: what matches no route is dropped, and counts as delivered; connect \
                 {name}._unmatched"
            ),
            _ => return None,
        };
        Some(Finding::warn(AREA, text))
    }

    fn is_consumed(&self, output: &str) -> bool {
        let mut behind = self
            .components("transforms")
            .chain(self.components("sinks"));
        behind.any(|(_, component)| inputs(component).any(|input| matches(input, output)))
    }

    fn sink(&self, name: &str, sink: &Value, outlet: &Outlet) -> Vec<Finding> {
        let Outlet::Http(http) = outlet else {
            return Vec::new();
        };
        let kind = sink["type"].as_str().unwrap_or_default();
        let mut findings = Vec::new();
        let on = |value: &Value| value["enabled"].as_bool().or(value.as_bool());
        let acks = on(&sink["acknowledgements"]).or(on(&self.0["acknowledgements"]));
        if acks != Some(true) {
            let text = format!(
                "{name} ({kind}) does not acknowledge: what it loses counts as delivered; set \
                 `acknowledgements: {{enabled: true}}`"
            );
            // Who says no in so many words means it: an alarm must not hold up the records.
            let is_meant = acks == Some(false) || KEEP_NOTHING.contains(&kind);
            findings.push(match is_meant {
                true => Finding::warn(AREA, text),
                false => Finding::fail(AREA, text),
            });
        }
        let compression = sink["compression"].as_str().unwrap_or("none");
        if kind == "file" && compression != "none" {
            findings.push(Finding::warn(
                AREA,
                format!(
                    "{name} compresses: a record counts as delivered while it is in the \
                     compressor, and is lost if Vector is killed then; leave `compression` out"
                ),
            ));
        }
        if sink["buffer"]["type"] == "disk" {
            findings.push(Finding::warn(
                AREA,
                format!(
                    "{name} has a disk buffer: a record counts as delivered once it is in there, \
                     and a refusal of the store no longer comes back to the source"
                ),
            ));
        }
        let waits = sink["batch"]["timeout_secs"].as_f64();
        let waits = waits.unwrap_or(if SLOW.contains(&kind) { 300.0 } else { 1.0 });
        let patience = http.reply_timeout.as_secs_f64();
        if waits >= patience {
            findings.push(Finding::fail(
                AREA,
                format!(
                    "{name} gathers batches for {waits} s, and outlet.http.reply_timeout_secs is \
                     {patience}: every batch would be sent again; make the one shorter or the \
                     other longer"
                ),
            ));
        }
        findings
    }
}

fn inputs(component: &Value) -> impl Iterator<Item = &str> {
    let inputs = &component["inputs"];
    let list = inputs
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    list.chain(inputs.as_str())
}

/// Whether an input takes what a component, or one of its outputs, gives.
fn takes_from(component: &Value, name: &str) -> bool {
    inputs(component).any(|input| {
        matches(input, name)
            || input
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('.'))
    })
}

fn matches(input: &str, name: &str) -> bool {
    input == name || Pattern::new(input).is_ok_and(|pattern| pattern.matches(name))
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;

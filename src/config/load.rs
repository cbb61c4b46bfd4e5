//! From a file to a checked [`Config`].

use std::path::Path;

use super::{Config, Faults, document::Document, faults, network, outlet, tenants};
use serde_json::Value;

/// The notation of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Toml,
    Json,
}

impl Format {
    /// By the file's extension; YAML where it says nothing.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::Toml,
            Some("json") => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// Reads and checks a configuration file.
///
/// # Errors
/// All its faults at once, each with its place and what to do.
pub fn load(path: &Path) -> Result<Config, Faults> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let mut faults = Faults {
            file: file.clone(),
            ..Faults::default()
        };
        faults.add("", format!("cannot be read: {error}"));
        faults
    })?;
    parse(&file, &text, Format::of(path))
}

/// As [`load`], from text; `file` is the name used in messages.
///
/// # Errors
/// As [`load`].
pub fn parse(file: &str, text: &str, format: Format) -> Result<Config, Faults> {
    let mut faults = Faults {
        file: file.to_owned(),
        ..Faults::default()
    };
    let document: Document = match tree(text, format) {
        Ok(Value::Null) => Document::default(),
        Ok(tree) => faults::deserialize(tree, &mut faults),
        Err(reason) => {
            faults.add("", reason);
            return Err(faults);
        }
    };
    let config = check(document, &mut faults);
    match config {
        Some(config) if faults.list.is_empty() => Ok(config),
        _ => Err(faults),
    }
}

fn tree(text: &str, format: Format) -> Result<Value, String> {
    match format {
        Format::Yaml => serde_saphyr::from_str(text)
            .map_err(|error| format!("is not valid YAML: {}", first_line(&error.to_string()))),
        // Its full text repeats the line, which may hold what is not to be shown.
        Format::Toml => toml::from_str(text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = 1 + before.unwrap_or_default().matches('\n').count();
            format!("is not valid TOML: line {line}: {}", error.message())
        }),
        Format::Json => {
            serde_json::from_str(text).map_err(|error| format!("is not valid JSON: {error}"))
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

fn check(document: Document, faults: &mut Faults) -> Option<Config> {
    let state_dir = required(
        document.state_dir,
        "state_dir",
        "name a directory for the state, such as /var/lib/vector-entra-id",
        faults,
    );
    if let Some(dir) = &state_dir
        && (dir.as_os_str().is_empty() || dir.starts_with("~"))
    {
        faults.add(
            "state_dir",
            "must be a directory's path, such as /var/lib/vector-entra-id; `~` means nothing here",
        );
    }
    let tenants = tenants::check(document.tenants, faults);
    let outlet = outlet::check(document.outlet, faults);
    let network = network::check(document.network, faults);
    check_collect(&document.collect, faults);
    Some(Config {
        state_dir: state_dir?,
        network,
        tenants,
        outlet: outlet?,
        collect: document.collect,
        telemetry: document.telemetry,
        log: document.log,
    })
}

/// What must be there, with what to do when it is not.
pub(super) fn required<T>(
    value: Option<T>,
    place: &str,
    remedy: &str,
    faults: &mut Faults,
) -> Option<T> {
    if value.is_none() && !faults.within(place) {
        faults.add(place, format!("is missing; {remedy}"));
    }
    value
}

fn check_collect(collect: &super::Collect, faults: &mut Faults) {
    const DAY: u32 = 24 * 60 * 60;
    let retention = collect.retention_secs.get();
    if retention > 90 * DAY {
        faults.add(
            "collect.retention_secs",
            "must be 7776000 (90 days) or less",
        );
    }
    if collect.start_secs > retention {
        faults.add(
            "collect.start_secs",
            format!("must be at most retention_secs, which is {retention}: Graph keeps no more"),
        );
    }
    let last_age = collect.reread_ages_secs.last().copied().unwrap_or_default();
    // The last read may wait two hours for its neighbours, and is made twice.
    let needed = last_age
        .saturating_add(last_age.min(DAY) / 6)
        .saturating_add(collect.slot_secs.get().saturating_mul(6));
    if needed > retention {
        faults.add(
            "collect.reread_ages_secs",
            format!(
                "its last age must leave time to close a slot: with it, retention_secs must be \
                 {needed} at least, and is {retention}"
            ),
        );
    }
    if collect.slot_secs.get() > DAY {
        faults.add("collect.slot_secs", "must be 86400 (a day) or less");
    }
    let ages = &collect.reread_ages_secs;
    if ages.is_empty() {
        faults.add(
            "collect.reread_ages_secs",
            "is empty; records appear late, so name at least one age",
        );
    }
    if !ages.is_sorted_by(|a, b| a < b) {
        faults.add(
            "collect.reread_ages_secs",
            "must rise from each age to the next",
        );
    }
    if collect.idle_poll_secs < collect.poll_secs {
        faults.add(
            "collect.idle_poll_secs",
            format!("must be at least poll_secs, which is {}", collect.poll_secs),
        );
    }
    if collect.overlap_secs > collect.slot_secs.get().saturating_mul(2) {
        faults.add(
            "collect.overlap_secs",
            "must be at most two slots (2 x slot_secs); older time is read again by its ages",
        );
    }
    if collect.memory_bytes.get() < 1 << 20 {
        faults.add("collect.memory_bytes", "must be at least 1048576 (1 MiB)");
    }
    let limits = &collect.limits;
    for (name, limit) in [
        ("reports", limits.reports),
        ("identity_protection", limits.identity_protection),
        ("security", limits.security),
    ] {
        if limit.requests.get() > 1000 {
            faults.add(
                format!("collect.limits.{name}.requests"),
                "must be 1000 or less",
            );
        }
    }
}

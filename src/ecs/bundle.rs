//! The VRL files that the binary carries.

use super::Source;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../vrl/", $name)))),*]
    };
}

/// The files of the base mapping, in the order in which they are joined.
pub const BASE: [(&str, &str); 14] = files![
    "base/10_record.vrl",
    "base/20_properties.vrl",
    "base/25_to_fill_in.vrl",
    "base/26_place.vrl",
    "base/30_sign_in.vrl",
    "base/40_audit.vrl",
    "base/41_audit_operation.vrl",
    "base/50_provisioning.vrl",
    "base/51_risk.vrl",
    "base/52_alert.vrl",
    "base/53_other.vrl",
    "base/60_time_and_address.vrl",
    "base/70_other.vrl",
    "base/90_document.vrl",
];

/// Files that may follow the base mapping: overlays and enrichment.
pub const ADDITIONS: [(&str, &[(&str, &str)]); 7] = [
    ("sekoia", &files!["overlays/sekoia.vrl"]),
    (
        "elastic",
        &files![
            "overlays/elastic/10_document.vrl",
            "overlays/elastic/20_sign_in_properties.vrl",
            "overlays/elastic/21_sign_in.vrl",
            "overlays/elastic/22_sign_in_rest.vrl",
            "overlays/elastic/30_audit.vrl",
            "overlays/elastic/40_identity_protection.vrl",
            "overlays/elastic/90_related.vrl",
        ],
    ),
    ("geoip-city", &files!["enrichment/geoip_city.vrl"]),
    ("geoip-asn", &files!["enrichment/geoip_asn.vrl"]),
    ("directory", &files!["enrichment/directory.vrl"]),
    ("tor", &files!["enrichment/tor.vrl"]),
    ("threat-list", &files!["enrichment/threat_list.vrl"]),
];

/// The normaliser for records from Azure Event Hubs, in a transform of its own before the mapping.
pub const EVENT_HUBS: &[(&str, &str)] =
    &files!["event_hubs/10_records.vrl", "event_hubs/20_graph_shape.vrl",];

/// Every bundled file.
pub fn all() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let additions = ADDITIONS.iter().flat_map(|(_, files)| files.iter());
    BASE.iter().chain(additions).chain(EVENT_HUBS)
}

/// The files of this name that may follow the base mapping.
#[must_use]
pub fn addition(name: &str) -> Option<&'static [(&'static str, &'static str)]> {
    ADDITIONS
        .iter()
        .find(|(there, _)| *there == name)
        .map(|(_, files)| *files)
}

/// The base mapping, ready to compile.
#[must_use]
pub fn base() -> Vec<Source> {
    sources(&BASE)
}

/// The base mapping with these additions after it, ready to compile; `None` when the bundle does not
/// have one of that name.
#[must_use]
pub fn layered(additions: &[&str]) -> Option<Vec<Source>> {
    let mut layered = base();
    for name in additions {
        layered.extend(sources(addition(name)?));
    }
    Some(layered)
}

/// Bundled files, ready to compile.
#[must_use]
pub fn sources(files: &[(&str, &str)]) -> Vec<Source> {
    files
        .iter()
        .map(|(name, text)| Source {
            name: format!("vrl/{name}"),
            text: (*text).into(),
        })
        .collect()
}

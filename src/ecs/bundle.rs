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

/// The base mapping, ready to compile.
#[must_use]
pub fn base() -> Vec<Source> {
    BASE.iter()
        .map(|(name, text)| Source {
            name: format!("vrl/{name}"),
            text: (*text).into(),
        })
        .collect()
}

//! The VRL files that the binary carries.

use super::Source;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../vrl/", $name)))),*]
    };
}

/// The files of the base mapping, in the order in which they are joined.
pub const BASE: [(&str, &str); 4] = files![
    "base/10_record.vrl",
    "base/20_properties.vrl",
    "base/30_sign_in.vrl",
    "base/40_audit.vrl",
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

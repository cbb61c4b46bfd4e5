//! The VRL files that the binary carries.

use super::Source;

/// The files of the base mapping, in the order in which they are joined.
pub const BASE: [(&str, &str); 1] = [("base/10_record.vrl", "")];

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

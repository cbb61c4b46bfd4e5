//! The configuration's JSON schema, from the types that read it.

use schemars::schema_for;
use serde_json::Value;

use super::document::Document;

/// The schema (JSON Schema, draft 2020-12) of a configuration file.
#[must_use]
pub fn schema() -> Value {
    schema_for!(Document).to_value()
}

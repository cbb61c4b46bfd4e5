//! The configuration as it stands in the file: every key optional, so that a missing one is a
//! fault like any other and does not hide the rest.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::{Collect, Compression, Log, Telemetry};
use crate::graph::SecretSource;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Document {
    pub state_dir: Option<PathBuf>,
    pub tenants: Option<Vec<Tenant>>,
    pub outlet: Option<Outlet>,
    pub collect: Collect,
    pub telemetry: Telemetry,
    pub log: Log,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tenant {
    pub tenant_id: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<SecretSource>,
    pub cloud: Option<String>,
    pub custom_cloud: Option<CustomCloud>,
    /// Names; kept as they are so that each wrong one is reported.
    pub streams: Option<Vec<Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CustomCloud {
    pub authority_url: Option<String>,
    pub graph_url: Option<String>,
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outlet {
    pub stdout: Option<Stdout>,
    pub http: Option<Http>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stdout {
    pub replay_records: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    pub url: Option<String>,
    pub compression: Compression,
    pub reply_timeout_secs: Option<u32>,
    pub dead_letter_after_secs: Option<u32>,
}

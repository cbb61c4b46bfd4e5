//! The configuration: typed options, their defaults, what they mean.
//!
//! [`load`] reads a file and reports every fault at once.

mod credential;
mod document;
mod faults;
mod load;
mod network;
mod outlet;
mod schema;
mod tenants;

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

pub use faults::{Fault, Faults};
pub use load::{Format, load, parse};
pub use schema::schema;

use crate::{
    graph::{Cloud, Credential, Route, SecretSource},
    stream::Stream,
};

/// A whole configuration, checked: what `run` works with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of the state file, made at start if it is missing.
    pub state_dir: PathBuf,
    /// The way to the token endpoint and Graph.
    pub network: Route,
    pub tenants: Vec<Tenant>,
    pub outlet: Outlet,
    pub collect: Collect,
    pub telemetry: Telemetry,
    pub log: Log,
}

/// One tenant and how its logs may be read.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub tenant_id: Uuid,
    pub credential: Credential,
    pub cloud: Cloud,
    /// The streams to collect, in the catalogue's order.
    pub streams: Vec<Stream>,
}

/// Where batches go.
#[derive(Clone, Debug, PartialEq)]
pub enum Outlet {
    Stdout(Stdout),
    Http(Box<Http>),
}

/// Delivery to Vector's `exec` source.
#[derive(Clone, Debug, PartialEq)]
pub struct Stdout {
    /// Records that a start writes again, since Vector may have lost them.
    pub replay_records: u32,
}

/// Delivery to Vector's `http_server` source.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    pub url: Url,
    pub compression: Compression,
    /// How long to wait for a reply before the outcome counts as unknown.
    pub reply_timeout: Duration,
    /// How long a record is refused, alone and while others are taken, before it is set aside.
    pub dead_letter_after: Duration,
    pub auth: Option<BasicAuth>,
    /// Whom to trust there, and what to show.
    pub route: Route,
}

/// HTTP's basic authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    pub user: String,
    pub password: SecretSource,
}

impl Config {
    /// The way to a tenant's cloud: a custom one's own CA alone is trusted there.
    #[must_use]
    pub fn route_to(&self, cloud: &Cloud) -> Route {
        match cloud.ca_file() {
            None => self.network.clone(),
            Some(path) => Route {
                ca_file: Some(path.to_owned()),
                system_roots_too: false,
                ..self.network.clone()
            },
        }
    }
}

/// How a batch's body is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    #[default]
    Gzip,
    None,
}

/// When and how much is read. Times are in seconds; the defaults are for a live tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Collect {
    /// How far back the first start reads; `retention_secs` at most. Default: 86400 (a day).
    pub start_secs: u32,
    /// How long Graph keeps records: 30 days with P1 or P2, 7 without. What was not proven complete
    /// by then is given up, counted and alarmed. Default: 2592000 (30 days).
    pub retention_secs: NonZeroU32,
    /// How often each stream's newest records are read. Default: 30.
    pub poll_secs: NonZeroU32,
    /// How far the poll of a stream that stays empty stretches. Default: 120.
    pub idle_poll_secs: NonZeroU32,
    /// How far a poll reaches back before the last one; two slots at most. Default: 30.
    pub overlap_secs: u32,
    /// The piece of a stream's time that is read again and closed as one. Default: 300.
    pub slot_secs: NonZeroU32,
    /// The ages after a slot's end at which it is read again, rising.
    pub reread_ages_secs: Vec<u32>,
    /// How often risky users and risky service principals are read whole. Default: 900.
    pub snapshot_secs: NonZeroU32,
    /// How often a stream that Graph denies is tried again. Default: 3600.
    pub unavailable_retry_secs: NonZeroU32,
    /// Per stream, whether a record that changed is delivered again: `emit`, or `ignore`, as in
    /// `{sign_ins: ignore}`. Default: `emit` for all.
    pub revisions: BTreeMap<Stream, Revisions>,
    /// How long to wait for a page. Default: 180.
    pub request_timeout_secs: NonZeroU32,
    /// The bytes that pages and batches may take together, in the whole process. Default:
    /// 16777216 (16 MiB).
    pub memory_bytes: NonZeroU32,
    /// How many requests are sent at most, per throttle bucket: so many `requests` in any `per_ms`
    /// milliseconds.
    pub limits: Limits,
}

/// What becomes of a record that changed after it was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Revisions {
    /// It is delivered again, as its next revision.
    #[default]
    Emit,
    /// It is not: each record is delivered once, as it was first seen.
    Ignore,
}

/// The request limits per throttle bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Audits, sign-ins and provisioning together; Graph allows 5 in 10 seconds. Default: 5 in
    /// 10250 ms.
    pub reports: Limit,
    /// Risks; Graph allows one a second, for all apps of the tenant together. Default: 1 in 2000
    /// ms.
    pub identity_protection: Limit,
    /// Security alerts, to begin with. Default: 1 in 2000 ms.
    pub security: Limit,
}

/// So many requests in any span of so many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Requests in any such span.
    pub requests: NonZeroU32,
    /// The span, in milliseconds.
    pub per_ms: NonZeroU32,
}

/// What the source tells about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// How often where each stream stands goes into the pipeline, as an event with
    /// `entra_id.kind: status`; 0 for never. Default: 300.
    pub status_secs: u32,
    /// Address that serves Prometheus metrics at `/metrics`, such as `127.0.0.1:9598`;
    /// [metrics.md](metrics.md) lists them. Default: none.
    pub metrics_listen: Option<SocketAddr>,
    /// How long before a secret or certificate expires it is warned of, in days. Default: 30.
    pub expiry_warning_days: u16,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            status_secs: 300,
            metrics_listen: None,
            expiry_warning_days: 30,
        }
    }
}

/// Where the log goes. The events themselves go to the outlet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// File to append to. Default: standard error.
    pub file: Option<PathBuf>,
    /// `text` or `json`. Default: text on a terminal, JSON otherwise.
    pub format: Option<LogFormat>,
    /// The least level that is written: `error`, `warn`, `info` or `debug`.
    pub level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

const fn nonzero(value: u32) -> NonZeroU32 {
    match NonZeroU32::new(value) {
        Some(value) => value,
        None => NonZeroU32::MIN,
    }
}

impl Default for Collect {
    fn default() -> Self {
        const MINUTE: u32 = 60;
        const HOUR: u32 = 60 * MINUTE;
        Self {
            start_secs: 24 * HOUR,
            retention_secs: nonzero(30 * 24 * HOUR),
            poll_secs: nonzero(30),
            idle_poll_secs: nonzero(2 * MINUTE),
            overlap_secs: 30,
            slot_secs: nonzero(5 * MINUTE),
            reread_ages_secs: [1, 3, 6, 10, 15, 20, 30, 45, 120, 24 * 60]
                .map(|minutes| minutes * MINUTE)
                .into(),
            snapshot_secs: nonzero(15 * MINUTE),
            unavailable_retry_secs: nonzero(HOUR),
            revisions: BTreeMap::new(),
            request_timeout_secs: nonzero(3 * MINUTE),
            memory_bytes: nonzero(16 << 20),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let limit = |requests, per_ms| Limit {
            requests: nonzero(requests),
            per_ms: nonzero(per_ms),
        };
        Self {
            // Graph counts 5 in 10 s; the quarter second covers requests that overtake each
            // other on the way.
            reports: limit(5, 10_250),
            identity_protection: limit(1, 2_000),
            security: limit(1, 2_000),
        }
    }
}

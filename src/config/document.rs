//! The configuration as it stands in the file: every key optional, so that a missing one is a
//! fault like any other and does not hide the rest.
//!
//! The reference page and the JSON schema are made from the comments here and in [`super`].

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Collect, Compression, Log, Telemetry};
use crate::{graph::SecretSource, stream::Stream};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Configuration of vector-entra-id")]
pub struct Document {
    /// Directory of the state file, the dead letters and the control socket; made, for its owner
    /// alone, if it is missing. One process owns it; another waits 30 seconds for it, then ends.
    /// Needed.
    pub state_dir: Option<PathBuf>,
    /// The way to the token endpoint and Graph.
    pub network: Network,
    /// The tenants to collect, at least one. Needed.
    pub tenants: Option<Vec<Tenant>>,
    /// Where events go: `http` or `stdout`, one of the two. Needed.
    pub outlet: Option<Outlet>,
    /// When and how much is read; the defaults suit a live tenant.
    pub collect: Collect,
    /// What the source tells about itself.
    pub telemetry: Telemetry,
    /// Where the log goes.
    pub log: Log,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tenant {
    /// The tenant's GUID. Needed.
    pub tenant_id: Option<String>,
    /// The app registration's application (client) ID, a GUID. Needed, but for a managed identity:
    /// there it is a user-assigned identity's own.
    pub client_id: Option<String>,
    /// A client secret: where it is. The secret itself never stands in the configuration. One of
    /// `client_secret`, `certificate`, `workload_identity` and `managed_identity` is needed.
    pub client_secret: Option<ClientSecret>,
    /// A certificate of the app, with its RSA key.
    pub certificate: Option<Certificate>,
    /// Workload identity federation: a token of another issuer, such as Kubernetes.
    pub workload_identity: Option<WorkloadIdentity>,
    /// The identity of the Azure machine that this runs on: `managed_identity: {}`.
    pub managed_identity: Option<ManagedIdentity>,
    /// The tenant's cloud: `global`, `us_gov_l4`, `us_gov_l5` or `china`. Default: `global`.
    pub cloud: Option<String>,
    /// A cloud that is none of these, instead of `cloud`.
    pub custom_cloud: Option<CustomCloud>,
    /// What to collect. Default: all.
    // Kept as they are, so that each wrong one is reported.
    #[schemars(with = "Option<Vec<Stream>>")]
    pub streams: Option<Vec<Value>>,
}

/// As a [`SecretSource`], with what its owner knows of it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientSecret {
    /// Environment variable that holds the secret.
    pub env: Option<String>,
    /// File that holds the secret, read anew at each renewal of the token; line breaks at its end
    /// do not count.
    pub file: Option<PathBuf>,
    /// The day on which it expires, as in `2027-05-01`, to be warned before: Entra does not tell
    /// the app.
    pub expires: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Certificate {
    /// PEM, or PFX (PKCS #12) if its name ends in `.pfx` or `.p12`; read anew at each renewal of
    /// the token. Needed.
    pub file: Option<PathBuf>,
    /// PEM file of the key, where it is not in `file`.
    pub key_file: Option<PathBuf>,
    /// The PFX file's password: `env` or `file`.
    pub password: Option<SecretSource>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadIdentity {
    /// File of the other issuer's token. Default: what `AZURE_FEDERATED_TOKEN_FILE` names.
    pub token_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManagedIdentity {}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// The proxy for tokens and Graph. Delivery does not go through it, nor does a managed
    /// identity. Default: what `HTTPS_PROXY` and `NO_PROXY` say.
    pub proxy: Option<Proxy>,
    /// PEM file of CAs that are trusted beside the system's own, as a proxy that looks into TLS
    /// needs.
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// Its address, such as `http://proxy.example:3128`. Needed.
    pub url: Option<String>,
    /// Whom it knows us as.
    pub user: Option<String>,
    /// With `user`, the place of the password: `env` or `file`; read at the start.
    pub password: Option<SecretSource>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CustomCloud {
    /// Where tokens are asked for; https. Needed.
    pub authority_url: Option<String>,
    /// Where Graph is; https. Needed.
    pub graph_url: Option<String>,
    /// PEM file of the CA of their certificates, which alone is trusted there. Default: the
    /// system's own.
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Outlet {
    /// Standard output, for Vector's `exec` source; `stdout: {}` will do.
    pub stdout: Option<Stdout>,
    /// Vector's `http_server` source.
    pub http: Option<Http>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stdout {
    /// So many records, those that were written last, are written again by a start, in their
    /// order, since Vector may have lost them; 0 for none. Default: 20000.
    pub replay_records: Option<u32>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// The source's address. Plain http goes to this machine alone. Needed.
    pub url: Option<String>,
    /// `gzip` or `none`.
    pub compression: Compression,
    /// How long to wait for a reply before the outcome counts as unknown and the batch is sent
    /// again. Longer than the longest `batch.timeout_secs` of the sinks. Default: 900.
    pub reply_timeout_secs: Option<u32>,
    /// How long a record must be refused, alone in its batch, while others of its stream are
    /// taken, before it is set aside in `dead-letters.ndjson` beside the state. Default: 300.
    pub dead_letter_after_secs: Option<u32>,
    /// Basic authentication, as the source's `auth` asks for.
    pub auth: Option<BasicAuth>,
    /// TLS with https: whom to trust, what to show. A proxy for it is taken from `HTTPS_PROXY`.
    pub tls: Option<Tls>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    /// The source's `auth.username`. Needed.
    pub user: Option<String>,
    /// The place of its `auth.password`: `env` or `file`, read anew for each batch. Needed.
    pub password: Option<SecretSource>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM file of the CA of the source's certificate, which alone is trusted there. Default: the
    /// system's own.
    pub ca_file: Option<PathBuf>,
    /// PEM file of a certificate to show, where the source's `tls.verify_certificate` asks for one.
    pub cert_file: Option<PathBuf>,
    /// PEM file of its key.
    pub key_file: Option<PathBuf>,
}

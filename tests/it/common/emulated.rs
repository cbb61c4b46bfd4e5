//! The emulated tenant, and configurations that read it.

use std::{fs, path::PathBuf};

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use vector_entra_id::{
    emulator::{App, Plan, Server, Service, Tenant, Throttle, records},
    graph::{Credential, Proof, SecretSource},
    stream::{Bucket, Stream},
};

use super::{CLIENT_ID, SECRET};

/// An emulated tenant on loopback, with a directory for a configuration that reads it.
pub struct Emulated {
    pub server: Server,
    pub dir: TempDir,
}

/// The app that the tests' configurations speak for.
pub fn app() -> App {
    App {
        tenant_id: Uuid::try_parse(records::TENANT_ID).unwrap(),
        client_id: Uuid::try_parse(CLIENT_ID).unwrap(),
        secret: SECRET.into(),
        certificate: None,
        federated_token: None,
        permissions: Stream::ALL
            .map(|stream| stream.entry().permission.to_owned())
            .into(),
        premium: true,
    }
}

/// The app's secret, in a file.
pub fn secret_in(path: PathBuf) -> Credential {
    Credential::App {
        client_id: app().client_id,
        proof: Proof::Secret {
            source: SecretSource {
                env: None,
                file: Some(path),
            },
            expires: None,
        },
    }
}

impl Emulated {
    /// A tenant with so many records over the last two hours; the last of them become visible,
    /// and are revised, in the first `live` seconds.
    pub async fn start(records: usize, live: i64) -> Self {
        let plan = Plan {
            records,
            history: TimeDelta::hours(2),
            live: TimeDelta::seconds(live),
            seed: 7,
        };
        let tenant = Tenant::peopled(&plan, Utc::now());
        let server = Server::start(([127, 0, 0, 1], 0).into(), |url| {
            let mut service = Service::new(app(), tenant, url, 7);
            for bucket in [
                Bucket::Reports,
                Bucket::IdentityProtection,
                Bucket::Security,
            ] {
                let per = TimeDelta::seconds(1);
                service.set_throttle(bucket, Throttle { requests: 50, per });
            }
            service
        })
        .await
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), &server.ca_pem).unwrap();
        fs::write(dir.path().join("secret"), format!("{SECRET}\n")).unwrap();
        Self { server, dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A configuration for this tenant, every interval scaled down, delivering to `outlet`.
    pub fn config(&self, outlet: Value) -> Value {
        let limit = json!({"requests": 45, "per_ms": 1025});
        json!({
            "state_dir": self.path("state"),
            "tenants": [{
                "tenant_id": records::TENANT_ID,
                "client_id": CLIENT_ID,
                "client_secret": {"file": self.path("secret")},
                "custom_cloud": {
                    "authority_url": self.server.url.as_str(),
                    "graph_url": self.server.url.as_str(),
                    "ca_file": self.path("ca.pem"),
                },
            }],
            "outlet": outlet,
            "collect": {
                "start_secs": 3 * 3600, "poll_secs": 1, "idle_poll_secs": 1, "overlap_secs": 60,
                "slot_secs": 60, "reread_ages_secs": [1, 2, 4, 8, 16, 32], "snapshot_secs": 2,
                "limits": {"reports": limit, "identity_protection": limit, "security": limit},
            },
        })
    }

    pub fn write_config(&self, config: &Value) -> PathBuf {
        let path = self.path("config.json");
        fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// What a collector that missed nothing has delivered by now, and whether that is all.
    pub fn owed(&self) -> (usize, bool) {
        let service = self.server.service();
        let now = Utc::now();
        let owed = Stream::ALL
            .map(|stream| service.owed(stream, now))
            .iter()
            .sum();
        let settled = service.tenant.settled_at().is_none_or(|at| at < now);
        (owed, settled)
    }

    /// The text of each record as it is shown now.
    pub fn latest(&self) -> Vec<String> {
        let service = self.server.service();
        let now = Utc::now();
        let records = Stream::ALL
            .into_iter()
            .flat_map(|stream| service.tenant.records(stream));
        records
            .filter_map(|stored| Some(stored.at(now)?.1.text.clone()))
            .collect()
    }

    /// The texts of a record, one for each of its versions.
    pub fn texts(&self, stream: Stream, id: &str) -> Vec<String> {
        let service = self.server.service();
        let stored = service
            .tenant
            .records(stream)
            .iter()
            .find(|stored| stored.id == id);
        let versions = stored
            .map(|stored| stored.versions.clone())
            .unwrap_or_default();
        versions.into_iter().map(|version| version.text).collect()
    }
}

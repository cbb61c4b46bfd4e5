//! Shared set-up: an emulated tenant, a pipeline that listens, the binary as a process.

pub mod broker;
pub mod bulk;
pub mod diagnostic;
mod emulated;
pub mod mmdb;
mod pipeline;
mod process;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;

pub use emulated::{Emulated, app, secret_in};
pub use pipeline::{Pipeline, Reply};
pub use process::{Process, binary};

pub const SECRET: &str = "q8Q~emulated+secret&100%/=";
pub const CLIENT_ID: &str = "99999999-8888-4777-8666-555555555555";

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A free port: nobody else asks for it as soon as it is closed.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// How often each revision of each document is among events.
pub fn revisions(events: &[Value]) -> BTreeMap<(String, u64), usize> {
    let mut revisions = BTreeMap::new();
    for event in events {
        let envelope = &event["entra_id"];
        let id = envelope["document_id"].as_str().unwrap().to_owned();
        let revision = envelope["revision"].as_u64().unwrap();
        *revisions.entry((id, revision)).or_insert(0) += 1;
    }
    revisions
}

//! The doctor: looks at everything that a source needs, one thing after another, and says what is
//! wrong with what to do about it.
//!
//! Nothing is changed by it. Where a source runs, Graph is not asked: requests would take from the
//! running source's budget, and it knows.

mod delivery;
mod pipeline;
mod state;
mod streams;
mod tenant;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    config::{Config, Fault, Faults, Outlet},
    control::{self, AskError},
    status::StreamStatus,
    stream::Stream,
};

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    /// It works, and may not for long, or not as one would think.
    Warn,
    Fail,
    /// It could not be looked at, since something before it failed.
    Skipped,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about: `state`, `token`, `stream`, ...
    pub area: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    pub verdict: Verdict,
    /// What was found, and what to do where that is not of itself clear.
    pub text: String,
}

impl Finding {
    fn new(area: &'static str, verdict: Verdict, text: impl ToString) -> Self {
        Self {
            area,
            tenant_id: None,
            stream: None,
            verdict,
            text: text.to_string(),
        }
    }

    fn ok(area: &'static str, text: impl ToString) -> Self {
        Self::new(area, Verdict::Ok, text)
    }

    fn warn(area: &'static str, text: impl ToString) -> Self {
        Self::new(area, Verdict::Warn, text)
    }

    fn fail(area: &'static str, text: impl ToString) -> Self {
        Self::new(area, Verdict::Fail, text)
    }

    fn skipped(area: &'static str, text: impl ToString) -> Self {
        Self::new(area, Verdict::Skipped, text)
    }

    fn of(self, tenant_id: Uuid) -> Self {
        Self {
            tenant_id: Some(tenant_id),
            ..self
        }
    }

    fn on(self, stream: Stream) -> Self {
        Self {
            stream: Some(stream),
            ..self
        }
    }
}

/// What the checks work with.
struct Case<'a> {
    config: &'a Config,
    now: DateTime<Utc>,
    /// Where the streams of the running source stand, if one runs.
    running: Option<Vec<StreamStatus>>,
}

/// Looks at everything, and hands over each finding as it comes.
pub async fn run(config: &Config, vector: &[PathBuf], mut found: impl FnMut(Finding)) {
    let tenants = config.tenants.len();
    let streams: usize = config
        .tenants
        .iter()
        .map(|tenant| tenant.streams.len())
        .sum();
    found(Finding::ok(
        "configuration",
        format!("{}, {}", count(tenants, "tenant"), count(streams, "stream")),
    ));
    let running = match control::status(&config.state_dir) {
        Ok(streams) => Some(streams),
        Err(AskError::Nobody) => None,
        Err(error) => {
            found(Finding::warn("source", error));
            None
        }
    };
    let case = Case {
        config,
        now: Utc::now(),
        running,
    };
    state::check(&case).into_iter().for_each(&mut found);
    places(&case).into_iter().for_each(&mut found);
    for tenant in &config.tenants {
        let findings = tenant::check(&case, tenant).await;
        findings.into_iter().for_each(&mut found);
    }
    match &config.outlet {
        Outlet::Stdout(_) => found(Finding::ok(
            "delivery",
            "to standard output, for Vector's exec source; Vector does not acknowledge there",
        )),
        Outlet::Http(http) => {
            let findings = delivery::check(http).await;
            findings.into_iter().for_each(&mut found);
        }
    }
    if !vector.is_empty() {
        let findings = pipeline::check(&config.outlet, vector);
        findings.into_iter().for_each(&mut found);
    }
}

/// Where the log goes, and where metrics are served.
fn places(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(file) = &case.config.log.file {
        let parent = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        if file.is_dir() || parent.is_some_and(|parent| !parent.is_dir()) {
            findings.push(Finding::fail(
                "log",
                format!(
                    "log.file: {} cannot be written; make its directory",
                    file.display()
                ),
            ));
        }
    }
    if let Some(address) = case.config.telemetry.metrics_listen
        && case.running.is_none()
        && let Err(error) = std::net::TcpListener::bind(address)
    {
        findings.push(Finding::fail(
            "metrics",
            format!("telemetry.metrics_listen: cannot listen on {address}: {error}"),
        ));
    }
    findings
}

/// A configuration that cannot be used: nothing else can be looked at.
#[must_use]
pub fn faults(faults: &Faults) -> Vec<Finding> {
    let of_fault = |fault: &Fault| {
        let text = match fault.place.as_str() {
            "" => format!("{} {}", faults.file, fault.remedy),
            place => format!("{place}: {}", fault.remedy),
        };
        Finding::fail("configuration", text)
    };
    let mut findings: Vec<Finding> = faults.list.iter().map(of_fault).collect();
    findings.push(Finding::skipped(
        "everything else",
        "not looked at before the configuration is mended",
    ));
    findings
}

/// `1 tenant`, `2 tenants`.
fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

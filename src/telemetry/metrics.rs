//! Prometheus metrics: the board as it stands when it is scraped, over HTTP.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Method, Request, Response, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use metrics::{Label, Unit, counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use crate::status::{Board, Expiry, Phase, StreamStatus};

/// A metric's name, its unit, and what it says; `docs/metrics.md` lists them.
type Described = (&'static str, Unit, &'static str);

/// Gauges of a stream.
pub const GAUGES: [Described; 15] = [
    (
        "entra_id_stream_up",
        Unit::Count,
        "1 while the stream is collected, 0 while it is unavailable or halted",
    ),
    (
        "entra_id_read_to_timestamp_seconds",
        Unit::Seconds,
        "the newest records are read up to this moment",
    ),
    (
        "entra_id_watermark_timestamp_seconds",
        Unit::Seconds,
        "everything before this moment was read at least once",
    ),
    (
        "entra_id_closed_through_timestamp_seconds",
        Unit::Seconds,
        "everything before this moment is proven, or unproven for good",
    ),
    (
        "entra_id_last_acked_timestamp_seconds",
        Unit::Seconds,
        "when the pipeline last acked something",
    ),
    (
        "entra_id_open_slots",
        Unit::Count,
        "slots that are still read again",
    ),
    (
        "entra_id_unproven_slots",
        Unit::Count,
        "slots that passed Graph's retention before they were closed",
    ),
    ("entra_id_dead_letters", Unit::Count, "records set aside"),
    (
        "entra_id_lateness_seconds",
        Unit::Seconds,
        "lateness that the given share of records does not exceed, by `quantile`",
    ),
    (
        "entra_id_unread_seconds",
        Unit::Seconds,
        "time that is to be caught up",
    ),
    (
        "entra_id_catch_up_seconds",
        Unit::Seconds,
        "how long catching up will take",
    ),
    (
        "entra_id_backfill_remaining_seconds",
        Unit::Seconds,
        "history that a backfill is to read yet",
    ),
    (
        "entra_id_ages_given_up",
        Unit::Count,
        "ages at which slots are not read for now, since the budget does not go round",
    ),
    (
        "entra_id_budget_used_ratio",
        Unit::Count,
        "share of the request budget spent in its latest span, by `bucket`",
    ),
    (
        "entra_id_budget_requests_per_second",
        Unit::CountPerSecond,
        "requests that may be sent as things stand, by `bucket`",
    ),
];

/// Counters of a stream.
pub const COUNTERS: [Described; 5] = [
    ("entra_id_records_total", Unit::Count, "records delivered"),
    (
        "entra_id_late_records_total",
        Unit::Count,
        "those of them that became visible after their slot's first re-read was due",
    ),
    (
        "entra_id_revisions_total",
        Unit::Count,
        "revisions delivered beyond the first",
    ),
    (
        "entra_id_requests_total",
        Unit::Count,
        "requests to Graph since the start, by `bucket`",
    ),
    (
        "entra_id_throttled_total",
        Unit::Count,
        "those of them that Graph throttled, by `bucket`",
    ),
];

/// Gauges of a tenant.
pub const OF_TENANT: [Described; 1] = [(
    "entra_id_credential_expiry_timestamp_seconds",
    Unit::Seconds,
    "when the tenant's secret or certificate expires, by `credential`",
)];

/// The metrics in Prometheus' text format.
#[must_use]
pub fn render(all: &[StreamStatus], expiries: &[Expiry]) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || {
        for (name, unit, text) in GAUGES.into_iter().chain(OF_TENANT) {
            describe_gauge!(name, unit, text);
        }
        for (name, unit, text) in COUNTERS {
            describe_counter!(name, unit, text);
        }
        for status in all {
            stream(status);
        }
        for expiry in expiries {
            self::expiry(expiry);
        }
    });
    recorder.handle().render()
}

fn expiry(expiry: &Expiry) {
    let labels = [
        Label::new("tenant", expiry.tenant_id.to_string()),
        Label::new("credential", expiry.credential),
    ];
    let name = "entra_id_credential_expiry_timestamp_seconds";
    gauge!(name, labels.iter()).set(seconds(expiry.expires));
}

fn stream(status: &StreamStatus) {
    let labels = vec![
        Label::new("tenant", status.tenant_id.to_string()),
        Label::new("stream", status.stream.name()),
    ];
    let set = |name: &'static str, value: f64| gauge!(name, labels.iter()).set(value);
    let time = |name: &'static str, time: Option<DateTime<Utc>>| {
        if let Some(time) = time {
            gauge!(name, labels.iter()).set(seconds(time));
        }
    };
    let count = |name: &'static str, value: u64| counter!(name, labels.iter()).absolute(value);
    let up = matches!(status.phase, Phase::Collecting | Phase::CatchingUp);
    set("entra_id_stream_up", f64::from(u8::from(up)));
    time("entra_id_read_to_timestamp_seconds", status.read_to);
    time("entra_id_watermark_timestamp_seconds", status.watermark);
    time(
        "entra_id_closed_through_timestamp_seconds",
        status.closed_through,
    );
    time("entra_id_last_acked_timestamp_seconds", status.last_acked);
    set("entra_id_open_slots", float(status.open_slots));
    set("entra_id_unproven_slots", float(status.unproven_slots));
    set("entra_id_dead_letters", float(status.dead_letters));
    set("entra_id_unread_seconds", float(status.unread_secs));
    set(
        "entra_id_catch_up_seconds",
        float(status.catch_up_secs.unwrap_or_default()),
    );
    set(
        "entra_id_backfill_remaining_seconds",
        float(status.backfill.map_or(0, |backfill| backfill.left_secs)),
    );
    set("entra_id_ages_given_up", float(status.ages_given_up));
    count("entra_id_records_total", status.records);
    count("entra_id_late_records_total", status.late);
    count("entra_id_revisions_total", status.revised);
    if let Some(lateness) = status.lateness {
        let quantiles = [
            ("0.5", lateness.p50_secs),
            ("0.99", lateness.p99_secs),
            ("0.999", lateness.p999_secs),
        ];
        for (quantile, seconds) in quantiles {
            let mut labels = labels.clone();
            labels.push(Label::new("quantile", quantile));
            gauge!("entra_id_lateness_seconds", labels).set(seconds);
        }
    }
    budget(status);
}

/// The streams of a bucket tell the same of it.
fn budget(status: &StreamStatus) {
    let Some(budget) = status.budget else {
        return;
    };
    let labels = [
        Label::new("tenant", status.tenant_id.to_string()),
        Label::new("bucket", budget.bucket.name()),
    ];
    gauge!("entra_id_budget_used_ratio", labels.iter()).set(budget.used);
    gauge!("entra_id_budget_requests_per_second", labels.iter()).set(budget.requests_per_sec);
    counter!("entra_id_requests_total", labels.iter()).absolute(budget.requests);
    counter!("entra_id_throttled_total", labels.iter()).absolute(budget.throttled);
}

fn seconds(time: DateTime<Utc>) -> f64 {
    let since = time - DateTime::UNIX_EPOCH;
    since.as_seconds_f64()
}

/// Counts far below what a float holds exactly.
#[expect(clippy::cast_precision_loss)]
fn float(count: u64) -> f64 {
    count as f64
}

/// The metrics as they are served; no more once this is dropped.
#[derive(Debug)]
pub struct Served {
    pub address: SocketAddr,
    listening: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Waits a moment for whoever had the address before: a source that is being reloaded, say.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let mut tries = 20;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {
                tries -= 1;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            other => return other,
        }
    }
}

/// Serves the metrics at `/metrics`.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(address: SocketAddr, board: Arc<Board>) -> io::Result<Served> {
    let listener = bind(address).await?;
    let address = listener.local_addr()?;
    let listening = tokio::spawn(async move {
        // They end with this: who scrapes over one that stays open must not see an old board.
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok((connection, _)) = listener.accept().await else {
                // Out of file descriptors, mostly: it passes, and must not spin until then.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            };
            let board = Arc::clone(&board);
            connections.spawn(async move {
                let answer = service_fn(move |request| {
                    let response = answer(&request, &board);
                    async move { Ok::<_, Infallible>(response) }
                });
                // A scraper that goes away has nothing to be told.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), answer)
                    .await;
            });
        }
    });
    Ok(Served { address, listening })
}

fn answer(request: &Request<Incoming>, board: &Board) -> Response<Full<Bytes>> {
    let text = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => render(&board.all(), &board.expiries()),
        _ => {
            let mut response = Response::new(Full::new(Bytes::from_static(b"see /metrics\n")));
            *response.status_mut() = http::StatusCode::NOT_FOUND;
            return response;
        }
    };
    let mut response = Response::new(Full::new(text.into()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain; version=0.0.4"),
    );
    response
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        status::{BudgetStatus, Quantiles},
        stream::{Bucket, Stream},
    };

    fn status() -> StreamStatus {
        let observed = "2026-11-22T10:00:00Z".parse().unwrap();
        StreamStatus {
            phase: Phase::Collecting,
            read_to: "2026-11-22T09:59:30Z".parse().ok(),
            watermark: "2026-11-22T09:59:30Z".parse().ok(),
            closed_through: "2026-11-21T09:00:00Z".parse().ok(),
            last_acked: Some(observed),
            records: 7,
            lateness: Some(Quantiles {
                p50_secs: 90.5,
                p99_secs: 256.0,
                p999_secs: 512.0,
            }),
            budget: Some(BudgetStatus {
                bucket: Bucket::Reports,
                used: 0.6,
                requests_per_sec: 0.5,
                requests: 12,
                throttled: 1,
            }),
            ..StreamStatus::new(Uuid::nil(), Stream::SignIns, observed)
        }
    }

    #[test]
    fn a_scrape_tells_where_each_stream_stands() {
        let text = render(&[status()], &[]);
        let labels = r#"{tenant="00000000-0000-0000-0000-000000000000",stream="sign_ins"}"#;
        for line in [
            format!("entra_id_stream_up{labels} 1"),
            format!("entra_id_watermark_timestamp_seconds{labels} 1795341570"),
            format!("entra_id_records_total{labels} 7"),
            "# TYPE entra_id_records_total counter".into(),
            "# TYPE entra_id_watermark_timestamp_seconds gauge".into(),
        ] {
            assert!(
                text.lines().any(|other| other == line),
                "{line}\nin\n{text}"
            );
        }
        assert!(text.contains(r#"bucket="reports"} 0.6"#), "{text}");
        assert!(text.contains(r#"quantile="0.999"} 512"#), "{text}");
    }

    #[test]
    fn every_metric_that_is_described_is_told_and_listed_in_the_reference() {
        let expiry = Expiry {
            tenant_id: Uuid::nil(),
            credential: "certificate",
            expires: "2027-05-01T00:00:00Z".parse().unwrap(),
        };
        let text = render(&[status()], &[expiry]);
        let reference = include_str!("../../docs/metrics.md");
        for (name, _, what) in GAUGES.iter().chain(&COUNTERS).chain(&OF_TENANT) {
            assert!(
                text.contains(&format!("\n{name}{{")),
                "{name} is not told:\n{text}"
            );
            let row = format!("| `{name}` |");
            let row = reference.lines().find(|line| line.starts_with(&row));
            let row = row.unwrap_or_else(|| panic!("{name} is not in docs/metrics.md"));
            assert!(row.contains(what), "{row}");
        }
    }
}

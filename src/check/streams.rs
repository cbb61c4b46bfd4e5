//! The streams of one tenant: as the running source tells, or as Graph answers to one small request
//! each, within the request limits.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, sleep_until};

use super::{Case, Finding};
use crate::{
    collect::{Budget, Class, Settings},
    config::Tenant,
    graph::{Client, Disposition, GraphError, Window, query},
    status::{Phase, StreamStatus},
    stream::{Bucket, Kind, Stream},
};

const AREA: &str = "stream";
/// How far back a stream is asked for.
const BACK: TimeDelta = TimeDelta::hours(24);
/// Rows asked for: enough to see that there are some.
const ROWS: u32 = 5;
/// The span of Graph's limit for reports.
const SPAN: Duration = Duration::from_secs(10);

/// As the running source tells.
pub(super) fn told(tenant: &Tenant, running: &[&StreamStatus]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = tenant
        .streams
        .iter()
        .map(|stream| {
            let status = running.iter().find(|status| status.stream == *stream);
            let finding = match status {
                Some(status) => of_status(status),
                None => Finding::warn(
                    AREA,
                    "the running source does not collect it; restart or reload it after a change \
                     of its configuration",
                ),
            };
            finding.on(*stream)
        })
        .collect();
    findings.extend(budgets(running));
    findings
}

fn of_status(status: &StreamStatus) -> Finding {
    if let Some(problem) = &status.problem {
        return match status.phase {
            Phase::Unavailable | Phase::Halted => Finding::fail(AREA, problem),
            _ => Finding::warn(AREA, problem),
        };
    }
    if status.unproven_slots > 0 {
        return Finding::warn(
            AREA,
            format!(
                "{} slots passed Graph's retention before they were proven: the source was down, \
                 or the stream denied, for too long",
                status.unproven_slots
            ),
        );
    }
    let read = status.read_to.map_or_else(
        || "not read yet".to_owned(),
        |read| format!("read up to {}", read.format("%FT%TZ")),
    );
    let late = status.lateness.map_or_else(String::new, |lateness| {
        format!(
            "; half of its records appear within {:.0} s, 99 in 100 within {:.0} s",
            lateness.p50_secs, lateness.p99_secs
        )
    });
    let text = format!("{read}{late}");
    match status.ages_given_up {
        0 => Finding::ok(AREA, text),
        ages => Finding::warn(
            AREA,
            format!(
                "{text}; {ages} ages are given up, since Graph's limits do not go round: collect \
                 fewer streams, or move to Event Hubs"
            ),
        ),
    }
}

fn budgets(running: &[&StreamStatus]) -> Vec<Finding> {
    let mut seen = Vec::new();
    let mut findings = Vec::new();
    for budget in running.iter().filter_map(|status| status.budget) {
        if seen.contains(&budget.bucket) {
            continue;
        }
        seen.push(budget.bucket);
        let text = format!(
            "{}: {:.0} % of {:.2} requests a second used; {} of {} were throttled",
            budget.bucket.name(),
            budget.used * 100.0,
            budget.requests_per_sec,
            budget.throttled,
            budget.requests
        );
        // Now and then a throttle is Graph's own trouble.
        findings.push(match budget.throttled * 100 > budget.requests {
            true => Finding::warn(
                "limits",
                format!("{text}: does another program use this app, or this tenant's limits?"),
            ),
            false => Finding::ok("limits", text),
        });
    }
    findings
}

/// As Graph answers now.
pub(super) async fn asked(case: &Case<'_>, tenant: &Tenant, client: &Client) -> Vec<Finding> {
    let settings = Settings::new(&case.config.collect);
    let mut budgets: Vec<(Bucket, Budget)> = Vec::new();
    let mut findings = Vec::new();
    for stream in &tenant.streams {
        let bucket = stream.entry().bucket;
        let place = match budgets.iter().position(|(other, _)| *other == bucket) {
            Some(place) => place,
            None => {
                budgets.push((bucket, Budget::new(settings.limit(bucket))));
                budgets.len() - 1
            }
        };
        let budget = &mut budgets[place].1;
        let now = Utc::now();
        let wait = (budget.next(now) - now).to_std().unwrap_or_default();
        sleep_until(Instant::now() + wait).await;
        budget.spend(Utc::now(), Class::Tail);
        findings.push(ask(tenant, client, *stream).await.on(*stream));
    }
    findings
}

async fn ask(tenant: &Tenant, client: &Client, stream: Stream) -> Finding {
    let now = Utc::now();
    let window = Window {
        from: now - BACK,
        to: None,
    };
    let window = (stream.entry().kind != Kind::Snapshot).then_some(window);
    let url = query::first_page(client.cloud(), stream, window.as_ref(), ROWS);
    let mut answer = client.page(stream, &url, false).await;
    // A check or a source before this one may have used the limit up.
    if let Err(GraphError::Throttled { retry_after }) = &answer.outcome {
        let wait = retry_after.unwrap_or(SPAN).min(SPAN);
        tokio::time::sleep(wait).await;
        answer = client.page(stream, &url, false).await;
    }
    let version = stream.entry().version.as_str();
    match answer.outcome {
        Ok(page) => {
            let newest = page.records.iter().filter_map(|record| record.time()).max();
            Finding::ok(
                AREA,
                format!("{version}; {}", newest_of(newest, &window, now)),
            )
        }
        Err(error) => of_error(tenant, &error),
    }
}

fn newest_of(newest: Option<DateTime<Utc>>, window: &Option<Window>, now: DateTime<Utc>) -> String {
    match (newest, window) {
        (Some(newest), Some(_)) => format!("a record of {} ago", ago(now - newest)),
        (Some(_), None) => "some are listed".into(),
        (None, Some(_)) => "no record of the last 24 hours".into(),
        (None, None) => "none is listed".into(),
    }
}

/// Seconds, or minutes where there are many.
fn ago(span: TimeDelta) -> String {
    match span.num_seconds() {
        seconds @ ..=120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

fn of_error(tenant: &Tenant, error: &GraphError) -> Finding {
    let consent = tenant
        .credential
        .client_id()
        .map(|client_id| tenant.cloud.consent_url(tenant.tenant_id, client_id));
    match (error, consent) {
        (
            GraphError::PermissionMissing { .. } | GraphError::DirectoryReadMissing,
            Some(consent),
        ) => Finding::fail(AREA, format!("{error}, at {consent}")),
        (GraphError::Throttled { .. }, _) => Finding::warn(
            AREA,
            format!("{error}: another program uses this app's, or this tenant's, limits"),
        ),
        _ => match error.disposition() {
            // A list is read whole instead.
            Disposition::FilterRefused => Finding::warn(AREA, error),
            _ => Finding::fail(AREA, error),
        },
    }
}

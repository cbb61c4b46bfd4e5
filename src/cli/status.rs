//! `status`: where each stream stands, by the running source, or by its state if none runs.

use std::{fmt::Write, path::PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, ValueEnum};
use uuid::Uuid;

use super::{Failure, credentials};
use crate::{
    config::{self, Config},
    control::{self, AskError},
    outlet::DeadLetters,
    state::{State, StateError},
    status::{Phase, StreamStatus},
};

#[derive(Args)]
pub struct Status {
    /// Configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(args: &Status) -> Result<(), Failure> {
    let config = config::load(&args.config).map_err(Failure::usage)?;
    let streams = match control::status(&config.state_dir) {
        Ok(streams) => streams,
        Err(AskError::Nobody) => saved(&config)?,
        Err(error) => return Err(Failure::failed(error)),
    };
    match args.format {
        Format::Text => {
            let now = Utc::now();
            let mut text = text(&streams, now);
            for expiry in config.tenants.iter().filter_map(credentials::expiry) {
                let within = TimeDelta::days(config.telemetry.expiry_warning_days.into());
                if let Some(warning) = expiry.warning(now, within) {
                    text.push_str(&format!("! tenant {}: {warning}\n", expiry.tenant_id));
                }
            }
            super::print(&text)
        }
        Format::Json => {
            let mut text = serde_json::to_string_pretty(&streams).map_err(Failure::failed)?;
            text.push('\n');
            super::print(&text)
        }
    }
}

/// What the state file says, while no process owns it.
fn saved(config: &Config) -> Result<Vec<StreamStatus>, Failure> {
    let state = State::open_existing(&config.state_dir).map_err(|error| match error {
        StateError::InUse { path, .. } => Failure::failed(format!(
            "{} is in use by a process that does not answer on {}: it may be starting or ending; \
             ask again in a moment",
            path.display(),
            control::path(&config.state_dir).display()
        )),
        error => Failure::failed(error),
    })?;
    let Some(state) = state else {
        return Err(Failure::failed(format!(
            "nothing was collected yet: there is no state in {}",
            config.state_dir.display()
        )));
    };
    let letters = DeadLetters::new(&config.state_dir, DeadLetters::LIMIT);
    let now = Utc::now();
    let mut all = Vec::new();
    for tenant in &config.tenants {
        let id = tenant.tenant_id;
        for stream in &tenant.streams {
            let saved = state.coverage(id, *stream).map_err(Failure::failed)?;
            let totals = state.totals(id, *stream).map_err(Failure::failed)?;
            all.push(StreamStatus {
                dead_letters: letters.of(id, *stream),
                ..StreamStatus::saved(id, *stream, saved.as_ref(), totals, now)
            });
        }
    }
    Ok(all)
}

/// A table for each tenant, and below it what needs attention.
fn text(streams: &[StreamStatus], now: DateTime<Utc>) -> String {
    let mut text = String::new();
    let mut tenant: Option<Uuid> = None;
    let mut remarks = String::new();
    // Writing to a String does not fail.
    for status in streams {
        if tenant != Some(status.tenant_id) {
            text.push_str(&remarks);
            remarks.clear();
            if tenant.is_some() {
                text.push('\n');
            }
            tenant = Some(status.tenant_id);
            let running = match status.phase {
                Phase::Stopped => "no source runs; as its state has it",
                Phase::Halted => "halted",
                _ => "running",
            };
            let _ = write!(
                text,
                "tenant {} ({running})\n{:33} {:>6} {:>6} {:>10} {:>6} {:>7} {:>6}\n",
                status.tenant_id, "", "read", "closed", "records", "late", "revised", "p99"
            );
        }
        let p99 = status.lateness.map(|lateness| lateness.p99_secs);
        let _ = writeln!(
            text,
            "{:33} {:>6} {:>6} {:>10} {:>6} {:>7} {:>6}",
            status.stream.name(),
            ago(status.read_to, now),
            ago(status.closed_through, now),
            status.records,
            status.late,
            status.revised,
            p99.map_or_else(
                || "-".into(),
                |p99| span(TimeDelta::milliseconds(millis(p99)))
            ),
        );
        remark(&mut remarks, status);
    }
    text.push_str(&remarks);
    if !text.is_empty() {
        text.push_str(
            "\nread, closed: up to so long ago; late: visible after the first re-read;\n\
             p99: lateness of 99 in 100\n",
        );
    }
    text
}

fn remark(remarks: &mut String, status: &StreamStatus) {
    let stream = status.stream.name();
    match &status.problem {
        // It is the same for every stream of the tenant, and said once.
        Some(problem) if status.phase == Phase::Halted && remarks.contains(problem) => {}
        Some(problem) if status.phase == Phase::Halted => {
            let _ = writeln!(remarks, "! {problem}");
        }
        Some(problem) => {
            let _ = writeln!(remarks, "! {stream}: {problem}");
        }
        None => {}
    }
    if status.unproven_slots > 0 {
        let _ = writeln!(
            remarks,
            "! {stream}: {} slots passed Graph's retention unproven",
            status.unproven_slots
        );
    }
    if status.dead_letters > 0 {
        let _ = writeln!(remarks, "! {stream}: {} dead letters", status.dead_letters);
    }
    if status.ages_given_up > 0 {
        let _ = writeln!(
            remarks,
            "! {stream}: {} ages are given up; Graph's limits are nearly reached",
            status.ages_given_up
        );
    }
    if let Some(backfill) = status.backfill.filter(|backfill| backfill.left_secs > 0) {
        let left = span(TimeDelta::seconds(backfill.left_secs.cast_signed()));
        let _ = writeln!(remarks, "  {stream}: backfill, {left} of history to go");
    }
    if status.unread_secs > 0 {
        let unread = span(TimeDelta::seconds(status.unread_secs.cast_signed()));
        let left = status.catch_up_secs.map_or_else(String::new, |left| {
            format!(
                ", about {} to go",
                span(TimeDelta::seconds(left.cast_signed()))
            )
        });
        let _ = writeln!(remarks, "  {stream}: catching up {unread} of history{left}");
    }
}

fn ago(time: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    time.map_or_else(|| "-".into(), |time| span(now - time))
}

/// A length of time in its two largest units at most, in six characters.
pub(super) fn span(length: TimeDelta) -> String {
    let seconds = length.num_seconds().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 9 {
        format!("{days}d")
    } else if days > 0 {
        format!("{days}d{}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h{}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m{}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

/// Seconds that were measured fit in an i64 of milliseconds.
#[expect(clippy::cast_possible_truncation)]
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{status::Quantiles, stream::Stream};

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    #[test]
    fn the_table_fits_in_eighty_columns_and_ends_with_what_needs_attention() {
        let tenant = Uuid::from_u128(7);
        let streams = [
            StreamStatus {
                phase: Phase::CatchingUp,
                read_to: Some(at("09:59:48")),
                closed_through: Some(at("00:00:00")),
                records: 1_234_567,
                late: 12,
                revised: 345,
                lateness: Some(Quantiles {
                    p50_secs: 1.0,
                    p99_secs: 256.0,
                    p999_secs: 512.0,
                }),
                unread_secs: 7200,
                catch_up_secs: Some(95),
                ..StreamStatus::new(tenant, Stream::SignIns, at("10:00:00"))
            },
            StreamStatus {
                phase: Phase::Unavailable,
                problem: Some("grant IdentityRiskEvent.Read.All".into()),
                dead_letters: 1,
                ..StreamStatus::new(
                    tenant,
                    Stream::ServicePrincipalRiskDetections,
                    at("10:00:00"),
                )
            },
        ];
        let text = text(&streams, at("10:00:00"));
        assert_eq!(
            text,
            "tenant 00000000-0000-0000-0000-000000000007 (running)\n\
             \x20                                   read closed    records   late revised    p99\n\
             sign_ins                             12s  10h0m    1234567     12     345  4m16s\n\
             service_principal_risk_detections      -      -          0      0       0      -\n\
             \x20 sign_ins: catching up 2h0m of history, about 1m35s to go\n\
             ! service_principal_risk_detections: grant IdentityRiskEvent.Read.All\n\
             ! service_principal_risk_detections: 1 dead letters\n\
             \n\
             read, closed: up to so long ago; late: visible after the first re-read;\n\
             p99: lateness of 99 in 100\n"
        );
        assert!(text.lines().all(|line| line.len() <= 80));
    }
}

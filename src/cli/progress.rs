//! How far a backfill is: bars on a terminal, a line now and then otherwise.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::status::span;
use crate::control::Asked;

/// How often a line is written where there are no bars.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What is left of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// History to be read yet, in seconds.
    pub secs: u64,
    /// Records that came of it so far.
    pub records: u64,
    /// Whether Graph denies the stream: it is not waited for.
    pub denied: bool,
}

/// The display of one backfill.
pub struct Progress {
    began: Instant,
    streams: Vec<OfStream>,
    bars: Option<MultiProgress>,
    line: Option<Instant>,
}

struct OfStream {
    name: String,
    secs: u64,
    /// Records that an earlier backfill of the same process had delivered.
    before: Option<u64>,
    left: Left,
    bar: Option<ProgressBar>,
    told: bool,
}

impl Progress {
    /// Nothing shown yet. Streams of which nothing is to be read are left out.
    #[must_use]
    pub fn new(asked: &[Asked], terminal: bool) -> Self {
        let bars = terminal
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(2)));
        let tenants = asked
            .iter()
            .any(|other| other.tenant_id != asked[0].tenant_id);
        let streams = asked.iter().map(|asked| {
            let name = match tenants {
                true => format!("{} {}", asked.tenant_id, asked.stream),
                false => asked.stream.name().to_owned(),
            };
            let bar = bars.as_ref().filter(|_| asked.secs > 0).map(|bars| {
                let bar = bars.add(ProgressBar::new(asked.secs));
                if let Ok(style) = ProgressStyle::with_template("{prefix:33} {bar:16} {msg}") {
                    bar.set_style(style);
                }
                bar.set_prefix(name.clone());
                bar
            });
            OfStream {
                name,
                secs: asked.secs,
                before: None,
                left: Left {
                    secs: asked.secs,
                    records: 0,
                    denied: false,
                },
                bar,
                told: false,
            }
        });
        Self {
            began: Instant::now(),
            streams: streams.collect(),
            bars,
            line: None,
        }
    }

    /// Shows how far it is, a line for each stream in the order of what was asked. Says whether it
    /// is over.
    pub fn show(&mut self, left: &[Left]) -> bool {
        let elapsed = self.began.elapsed();
        let due = self.line.is_none_or(|line| line.elapsed() >= LINE_EVERY);
        let mut over = true;
        for (stream, left) in self.streams.iter_mut().zip(left) {
            let before = *stream.before.get_or_insert(left.records);
            stream.left = Left {
                secs: left.secs.min(stream.secs),
                records: left.records.saturating_sub(before),
                denied: left.denied,
            };
            let done = stream.left.secs == 0 || left.denied;
            over &= done;
            if stream.secs == 0 {
                continue;
            }
            match &stream.bar {
                Some(bar) => {
                    bar.set_position(stream.secs - stream.left.secs);
                    bar.set_message(stream.message(elapsed));
                }
                None if (due && !done) || (done && !stream.told) => {
                    eprintln!("{}: {}", stream.name, stream.message(elapsed));
                    stream.told = done;
                }
                None => {}
            }
        }
        if due {
            self.line = Some(Instant::now());
        }
        if over && self.bars.is_some() {
            for bar in self.streams.iter().filter_map(|stream| stream.bar.as_ref()) {
                bar.abandon();
            }
        }
        over
    }

    /// What came of it, a line for each stream.
    #[must_use]
    pub fn summary(&self) -> String {
        let lines = self.streams.iter().map(|stream| {
            let read = seconds(stream.secs - stream.left.secs);
            let OfStream { name, left, .. } = stream;
            match stream.secs {
                0 => format!("{name}: nothing to read\n"),
                _ => format!("{name}: {} records of {}\n", left.records, read.trim()),
            }
        });
        lines.collect()
    }
}

impl OfStream {
    /// The share that is read, records, their rate, and the time left.
    fn message(&self, elapsed: Duration) -> String {
        let read = self.secs - self.left.secs;
        let percent = read * 100 / self.secs.max(1);
        let Left {
            records, denied, ..
        } = self.left;
        if denied {
            return format!("{percent} %, denied by Graph");
        }
        let seconds_gone = elapsed.as_secs().max(1);
        let rate = records / seconds_gone;
        let to_go = match read {
            0 => None,
            _ => Some(seconds_gone * self.left.secs / read),
        };
        match to_go {
            Some(0) => format!("100 % {records}, {rate}/s"),
            Some(to_go) => format!(
                "{percent:>3} % {records}, {rate}/s, {} left",
                seconds(to_go).trim()
            ),
            None => format!("{percent:>3} %"),
        }
    }
}

fn seconds(seconds: u64) -> String {
    span(TimeDelta::seconds(
        i64::try_from(seconds).unwrap_or(i64::MAX / 1000),
    ))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::stream::Stream;

    fn left(secs: u64, records: u64) -> Left {
        Left {
            secs,
            records,
            denied: false,
        }
    }

    #[test]
    fn it_is_over_once_nothing_is_left_of_any_stream_that_graph_gives() {
        let asked = |stream, secs| Asked {
            tenant_id: Uuid::nil(),
            stream,
            secs,
        };
        let all = [
            asked(Stream::SignIns, 86_400),
            asked(Stream::DirectoryAudits, 0),
            asked(Stream::RiskDetections, 600),
        ];
        let mut progress = Progress::new(&all, false);
        let denied = Left {
            denied: true,
            ..left(600, 0)
        };
        assert!(!progress.show(&[left(86_400, 40), left(0, 0), denied]));
        assert!(!progress.show(&[left(3_600, 140), left(0, 0), denied]));
        assert!(progress.show(&[left(0, 190), left(0, 0), denied]));
        assert_eq!(
            progress.summary(),
            "sign_ins: 150 records of 1d0h\n\
             directory_audits: nothing to read\n\
             risk_detections: 0 records of 0s\n"
        );
    }

    #[test]
    fn a_message_tells_share_records_rate_and_time_left() {
        let stream = OfStream {
            name: "sign_ins".into(),
            secs: 100,
            before: None,
            left: left(75, 500),
            bar: None,
            told: false,
        };
        let message = stream.message(Duration::from_secs(10));
        assert_eq!(message, " 25 % 500, 50/s, 30s left");
    }
}

//! `backfill`: history, by the running source, or by this process if none runs.

use std::{
    io::IsTerminal,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::Args;
use tokio::{sync::watch, time::sleep};

use super::{
    Failure, block_on,
    progress::{Left, Progress},
    source::{End, Source},
};
use crate::{
    config::{self, Config, Outlet, Tenant},
    control::{self, AskError, Asked, Control, OrderBook},
    graph::Network,
    outlet::HttpOutlet,
    state::State,
    status::{Board, Phase, StreamStatus},
    stream::{Kind, Stream},
    telemetry,
    time::Span,
};

/// How often it is looked how far a backfill is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a source that reloads may take.
const RELOADING: Duration = Duration::from_secs(60);

#[derive(Args)]
pub struct Backfill {
    /// Configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Start: a time with its offset, or a duration back from now, such as 7d
    #[arg(long, value_name = "T", value_parser = moment)]
    since: DateTime<Utc>,
    /// End, likewise [default: now]
    #[arg(long, value_name = "T", value_parser = moment)]
    until: Option<DateTime<Utc>>,
    /// Stream to read; repeat it for several [default: all that are configured]
    #[arg(long = "stream", value_name = "S")]
    streams: Vec<Stream>,
}

/// A time as RFC 3339 has it, or a duration back from now.
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let back = humantime::parse_duration(text)
        .ok()
        .and_then(|back| TimeDelta::from_std(back).ok())
        .and_then(|back| Utc::now().checked_sub_signed(back));
    back.ok_or_else(|| {
        "a time with its offset, as 2026-11-01T00:00:00Z, or a duration back from now, as 7d or \
         36h, is needed"
            .into()
    })
}

/// What of one tenant is asked for.
struct Wish {
    tenant: Tenant,
    streams: Vec<Stream>,
}

pub fn run(args: &Backfill) -> Result<(), Failure> {
    let config = config::load(&args.config).map_err(Failure::usage)?;
    let span = span(args, &config, Utc::now())?;
    let wishes = wishes(args, &config)?;
    match ask_running(&config, &wishes, span) {
        Ok(asked) => watch_running(&config, &asked),
        Err(AskError::Nobody) => block_on(read(&config, &wishes, span)),
        Err(error) => Err(Failure::failed(error)),
    }
}

fn span(args: &Backfill, config: &Config, now: DateTime<Utc>) -> Result<Span, Failure> {
    let until = args.until.unwrap_or(now);
    let earliest = now - TimeDelta::seconds(config.collect.retention_secs.get().into());
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    if until > now {
        return Err(Failure::usage("--until: lies in the future"));
    }
    if args.since >= until {
        return Err(Failure::usage(format!(
            "--since: {} is not before the end, {}",
            text(args.since),
            text(until)
        )));
    }
    // A minute for who reckons with the retention to the second.
    if args.since < earliest - TimeDelta::minutes(1) {
        return Err(Failure::usage(format!(
            "--since: {} is longer ago than Graph keeps records; the earliest is {} \
             (collect.retention_secs)",
            text(args.since),
            text(earliest)
        )));
    }
    Ok(Span {
        from: args.since,
        to: until,
    })
}

fn wishes(args: &Backfill, config: &Config) -> Result<Vec<Wish>, Failure> {
    for stream in &args.streams {
        if stream.entry().kind == Kind::Snapshot {
            return Err(Failure::usage(format!(
                "--stream: {stream} is a list of states and has no history; the source reads it \
                 whole"
            )));
        }
        if !config
            .tenants
            .iter()
            .any(|tenant| tenant.streams.contains(stream))
        {
            return Err(Failure::usage(format!(
                "--stream: {stream} is not among the streams of the configuration"
            )));
        }
    }
    let wanted = |stream: &Stream| {
        let named = args.streams.is_empty() || args.streams.contains(stream);
        named && stream.entry().kind != Kind::Snapshot
    };
    let wishes = config.tenants.iter().map(|tenant| Wish {
        tenant: tenant.clone(),
        streams: tenant.streams.iter().copied().filter(wanted).collect(),
    });
    Ok(wishes.filter(|wish| !wish.streams.is_empty()).collect())
}

fn ask_running(config: &Config, wishes: &[Wish], span: Span) -> Result<Vec<Asked>, AskError> {
    let mut asked = Vec::new();
    for wish in wishes {
        let tenant = wish.tenant.tenant_id;
        asked.extend(control::backfill(
            &config.state_dir,
            tenant,
            &wish.streams,
            span,
        )?);
    }
    Ok(asked)
}

/// The running source reads; this process only shows how far it is.
fn watch_running(config: &Config, asked: &[Asked]) -> Result<(), Failure> {
    if nothing_left(asked)? {
        return Ok(());
    }
    eprintln!("the running source reads it; Ctrl-C ends this display, not the backfill");
    let mut progress = Progress::new(asked, std::io::stderr().is_terminal());
    let mut heard = Instant::now();
    loop {
        let streams = match control::status(&config.state_dir) {
            Ok(streams) => streams,
            // It may be reloading.
            Err(AskError::Nobody) if heard.elapsed() < RELOADING => {
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            Err(error) => {
                return Err(Failure::failed(format!(
                    "{error}; what is left is read when the source runs again"
                )));
            }
        };
        heard = Instant::now();
        if progress.show(&left(asked, &streams)) {
            return over(&progress, asked, &streams);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn nothing_left(asked: &[Asked]) -> Result<bool, Failure> {
    let nothing = asked.iter().all(|asked| asked.secs == 0);
    if nothing {
        super::print("nothing to read: all of it was read already, or is being caught up\n")?;
    }
    Ok(nothing)
}

/// No source runs: this process reads, with the state for itself.
async fn read(config: &Config, wishes: &[Wish], span: Span) -> Result<(), Failure> {
    let Outlet::Http(http) = &config.outlet else {
        return Err(Failure::usage(
            "outlet.stdout: Vector's exec source starts such a source; start it there, and ask \
             again while it runs",
        ));
    };
    telemetry::start(&config.log).map_err(|error| Failure::usage(format!("log.file: {error}")))?;
    let state = State::open(&config.state_dir, Duration::ZERO).map_err(Failure::failed)?;
    let network = Network::new(&http.route, http.reply_timeout).map_err(Failure::usage)?;
    let outlet = Arc::new(HttpOutlet::new((**http).clone(), network));
    let source = Source::for_history(config, outlet, Arc::new(state))?;
    let (board, orders) = (source.board(), source.orders());
    // Whoever asks for the status meanwhile is answered.
    let _control = Control::listen(&config.state_dir, source.board(), source.orders());
    let (stop, mut stopped) = watch::channel(false);
    tokio::spawn(super::signals::stop_on_signal(stop.clone()));
    tokio::spawn(super::signals::stop_on_hangup(stop.clone()));
    let running = tokio::spawn(source.run(stop.clone()));
    let asked = tokio::select! {
        asked = order(&orders, wishes, span) => asked,
        _ = stopped.wait_for(|stop| *stop) => Err(Failure::failed("stopped; nothing was read")),
    };
    let shown = match asked {
        Ok(asked) => {
            follow(&asked, &board, || {
                running.is_finished() || *stopped.borrow()
            })
            .await
        }
        Err(failure) => Err(failure),
    };
    stop.send_replace(true);
    if let Ok(End::Halted(reason)) = running.await {
        return Err(Failure::failed(reason));
    }
    shown
}

async fn order(orders: &OrderBook, wishes: &[Wish], span: Span) -> Result<Vec<Asked>, Failure> {
    let mut asked = Vec::new();
    for wish in wishes {
        let tenant = wish.tenant.tenant_id;
        let answer = orders.ask(tenant, wish.streams.clone(), span).await;
        asked.extend(answer.map_err(Failure::failed)?);
    }
    Ok(asked)
}

/// Shows how far this process is, until it is done or `over`.
async fn follow(asked: &[Asked], board: &Board, ended: impl Fn() -> bool) -> Result<(), Failure> {
    if nothing_left(asked)? {
        return Ok(());
    }
    let mut progress = Progress::new(asked, std::io::stderr().is_terminal());
    loop {
        let streams = board.all();
        if progress.show(&left(asked, &streams)) {
            return over(&progress, asked, &streams);
        }
        if ended() {
            return Err(Failure::failed(
                "stopped; the same command goes on with what is left",
            ));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What is left of each stream that was asked for.
fn left(asked: &[Asked], streams: &[StreamStatus]) -> Vec<Left> {
    asked
        .iter()
        .map(|asked| match status_of(asked, streams) {
            // A source that has just started knows no more of it than we do.
            None => Left {
                secs: asked.secs,
                records: 0,
                denied: false,
            },
            Some(status) => Left {
                secs: status.backfill.map_or(0, |backfill| backfill.left_secs),
                records: status.backfill.map_or(0, |backfill| backfill.records),
                denied: denied(status),
            },
        })
        .collect()
}

/// Where a stream stands; `None` before its source has a token.
fn status_of<'a>(asked: &Asked, streams: &'a [StreamStatus]) -> Option<&'a StreamStatus> {
    let status = streams
        .iter()
        .find(|status| (status.tenant_id, status.stream) == (asked.tenant_id, asked.stream))?;
    let known = status.origin.is_some() || status.phase == Phase::Halted;
    known.then_some(status)
}

/// Whether there is no use in waiting: Graph denies it, its tenant is halted, or it is read whole
/// since Graph refuses its filter.
fn denied(status: &StreamStatus) -> bool {
    let is_whole = status.origin.is_some() && status.watermark.is_none();
    matches!(status.phase, Phase::Unavailable | Phase::Halted) || is_whole
}

/// Says what came of it; a stream that cannot be read is a failure.
fn over(progress: &Progress, asked: &[Asked], streams: &[StreamStatus]) -> Result<(), Failure> {
    super::print(&progress.summary())?;
    let not_read: Vec<String> = asked
        .iter()
        .filter(|asked| asked.secs > 0)
        .filter_map(|asked| status_of(asked, streams))
        .filter(|status| denied(status))
        .map(|status| {
            let why = status.problem.as_deref();
            let why = why.unwrap_or("Graph gives it whole, and not by time");
            format!("{}: {why}", status.stream)
        })
        .collect();
    if not_read.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "not read: {}",
        not_read.join("\n       ")
    )))
}

//! `demo`: an emulated tenant, the real source, the bundled VRL, and ECS documents in a file.

use std::{
    io::IsTerminal,
    num::NonZeroU32,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{sync::watch, time::sleep};
use url::Url;
use uuid::Uuid;

use super::{
    Failure, block_on, report,
    source::{End, Source},
};
use crate::{
    config::{self, Collect, Config, Limit, Limits},
    ecs::{EcsFile, Mapper, bundle, tables::Tables},
    emulator::{App, Plan, Server, Service, Tenant, Throttle, records},
    graph::{Cloud, Credential, Proof, Route, SecretSource},
    state::State,
    stream::{Bucket, Stream},
    telemetry,
};

#[derive(Args)]
pub struct Demo {
    /// Records that the emulated tenant holds
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = records_in_range)]
    records: usize,

    /// File to write the ECS documents to, replaced if it is there
    #[arg(long, value_name = "FILE", default_value = "entra-id-demo.ndjson")]
    output: PathBuf,
}

fn records_in_range(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(records @ 20..=1_000_000) => Ok(records),
        _ => Err("a number from 20 to 1000000 is needed".into()),
    }
}

/// Records become visible, and are revised, over this time after the start.
const LIVE: Duration = Duration::from_secs(6);

pub fn run(args: &Demo) -> Result<(), Failure> {
    let log = config::Log {
        level: config::Level::Error,
        ..config::Log::default()
    };
    telemetry::start(&log).map_err(Failure::failed)?;
    block_on(play(args))
}

async fn play(args: &Demo) -> Result<(), Failure> {
    let started = Instant::now();
    let scratch = tempfile::tempdir()
        .map_err(|error| Failure::failed(format!("no temporary directory: {error}")))?;
    let file = Mapper::new(&bundle::base(), &Tables::default())
        .map_err(Failure::failed)
        .and_then(|mapper| {
            EcsFile::create(&args.output, mapper).map_err(|error| {
                Failure::usage(format!("cannot write {}: {error}", args.output.display()))
            })
        })?;
    // The tenant's day begins now: compiling the mapping takes a while and must not be part of it.
    let server = start_tenant(args.records).await?;
    let config = config(&server, scratch.path())?;
    let state = Arc::new(State::open(&config.state_dir, State::PATIENCE).map_err(Failure::failed)?);
    let source = Source::new(&config, Arc::new(file.clone()), state)?;
    let (stop, _) = watch::channel(false);
    let running = tokio::spawn(source.run(stop.clone()));
    let complete = wait(&server, &file, args.records, &running).await;
    stop.send_replace(true);
    if let Ok(End::Halted(reason)) = running.await {
        return Err(Failure::failed(reason));
    }
    super::print(&report::demo(
        &file,
        &args.output,
        started.elapsed(),
        &server.service().served,
    ))?;
    if complete {
        Ok(())
    } else {
        let owed: usize = Stream::ALL.map(|stream| owed(&server, stream)).iter().sum();
        Err(Failure::failed(format!(
            "not everything came through in time: {owed} revisions are due"
        )))
    }
}

/// Waits until every revision of every record is in the file; `false` when that takes too long.
async fn wait(
    server: &Server,
    file: &EcsFile,
    records: usize,
    running: &tokio::task::JoinHandle<End>,
) -> bool {
    let bar = ProgressBar::new(records as u64);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let template = "{spinner} {bar:30} {pos}/{len} revisions in {elapsed}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    let settled = server.service().tenant.settled_at();
    let patience = Duration::from_secs(60) + Duration::from_millis(records as u64 * 2);
    let deadline = Instant::now() + patience;
    loop {
        let written: usize = Stream::ALL
            .map(|stream| file.revisions(stream))
            .iter()
            .sum();
        let owed: usize = Stream::ALL.map(|stream| owed(server, stream)).iter().sum();
        bar.set_length(owed as u64);
        bar.set_position(written as u64);
        let over = settled.is_none_or(|settled| settled < Utc::now());
        if over && written == owed {
            bar.finish_and_clear();
            return true;
        }
        if Instant::now() > deadline || running.is_finished() {
            bar.finish_and_clear();
            return false;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn owed(server: &Server, stream: Stream) -> usize {
    server.service().owed(stream, Utc::now())
}

async fn start_tenant(records: usize) -> Result<Server, Failure> {
    let now: DateTime<Utc> = Utc::now();
    let plan = Plan {
        records,
        history: TimeDelta::days(1),
        live: TimeDelta::from_std(LIVE).unwrap_or_default(),
        seed: 1,
    };
    let tenant = Tenant::peopled(&plan, now);
    let server = Server::start(([127, 0, 0, 1], 0).into(), |url| {
        let mut service = service(tenant, url, plan.seed);
        // A live tenant's budget would make this a matter of minutes.
        for bucket in [
            Bucket::Reports,
            Bucket::IdentityProtection,
            Bucket::Security,
        ] {
            let per = TimeDelta::seconds(1);
            service.set_throttle(bucket, Throttle { requests: 50, per });
        }
        service
    });
    server.await.map_err(Failure::failed)
}

/// The emulated tenant with one app that may read everything.
pub fn service(tenant: Tenant, url: Url, seed: u64) -> Service {
    let app = App {
        tenant_id: Uuid::try_parse(records::TENANT_ID).unwrap_or_default(),
        client_id: Uuid::from_u128(0x5eed_0000_0000_4000_8000_0000_0000_0001),
        secret: "emulated~secret".into(),
        certificate: None,
        federated_token: None,
        permissions: Stream::ALL
            .map(|stream| stream.entry().permission.to_owned())
            .into(),
        premium: true,
    };
    Service::new(app, tenant, url, seed)
}

/// The configuration that a user would write, with every interval scaled down.
fn config(server: &Server, dir: &std::path::Path) -> Result<Config, Failure> {
    let failed = |error| Failure::failed(format!("cannot write to {}: {error}", dir.display()));
    let app = server.service().app.clone();
    let secret = dir.join("client-secret");
    let ca = dir.join("ca.pem");
    std::fs::write(&secret, &app.secret).map_err(failed)?;
    std::fs::write(&ca, &server.ca_pem).map_err(failed)?;
    let seconds = |seconds| NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN);
    let limit = Limit {
        requests: seconds(45),
        per_ms: seconds(1025),
    };
    Ok(Config {
        state_dir: dir.join("state"),
        network: Route::default(),
        tenants: vec![config::Tenant {
            tenant_id: app.tenant_id,
            credential: Credential::App {
                client_id: app.client_id,
                proof: Proof::Secret {
                    source: SecretSource {
                        env: None,
                        file: Some(secret),
                    },
                    expires: None,
                },
            },
            cloud: Cloud::custom(server.url.clone(), server.url.clone(), Some(ca)),
            streams: Stream::ALL.into(),
        }],
        // Not used: the documents go to a file.
        outlet: config::Outlet::Stdout(config::Stdout { replay_records: 0 }),
        collect: Collect {
            start_secs: 25 * 60 * 60,
            poll_secs: seconds(1),
            idle_poll_secs: seconds(1),
            overlap_secs: 60,
            slot_secs: seconds(60),
            reread_ages_secs: vec![1, 2, 4, 8, 16, 32, 64],
            snapshot_secs: seconds(2),
            limits: Limits {
                reports: limit,
                identity_protection: limit,
                security: limit,
            },
            ..Collect::default()
        },
        telemetry: config::Telemetry {
            status_secs: 0,
            metrics_listen: None,
            ..config::Telemetry::default()
        },
        log: config::Log::default(),
    })
}

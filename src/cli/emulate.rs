//! `emulate`: the emulated tenant alone, to point a configuration at.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use chrono::{TimeDelta, Utc};
use clap::Args;
use tokio::time::interval;

use super::{Failure, block_on, signals::next_signal};
use crate::{
    emulator::{Plan, Server, Tenant, records},
    stream::Stream,
};

#[derive(Args)]
pub struct Emulate {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,

    /// Directory for the CA, the client secret and a configuration for `run`
    #[arg(long, value_name = "DIR", default_value = "emulated-tenant")]
    dir: PathBuf,

    /// Records that the tenant starts with, over the last day
    #[arg(long, value_name = "N", default_value_t = 1000)]
    records: usize,

    /// New records per minute
    #[arg(long, value_name = "N", default_value_t = 60)]
    per_minute: u32,

    /// Seconds after which a new record becomes visible, at most
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    lateness: u32,

    /// Requests of a hundred that go wrong in some way
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    faults: u8,

    /// Seed of everything that is random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

pub fn run(args: &Emulate) -> Result<(), Failure> {
    block_on(serve(args))
}

async fn serve(args: &Emulate) -> Result<(), Failure> {
    let plan = Plan {
        records: args.records,
        history: TimeDelta::days(1),
        live: TimeDelta::seconds(i64::from(args.lateness)),
        seed: args.seed,
    };
    let tenant = Tenant::peopled(&plan, Utc::now());
    let server = Server::start(args.listen, |url| {
        super::demo::service(tenant, url, args.seed)
    })
    .await
    .map_err(Failure::failed)?;
    server.service().faults.rate = f64::from(args.faults) / 100.0;
    write_files(args, &server)?;
    let dir = args.dir.display();
    super::print(&format!(
        "the emulated tenant listens on {}\n\
         collect it with: vector-entra-id run --config {dir}/config.yaml\n\
         stop it with Ctrl-C\n",
        server.url
    ))?;
    let mut rng = fastrand::Rng::with_seed(args.seed.wrapping_add(1));
    let pause = Duration::from_secs(60).checked_div(args.per_minute);
    let mut ticks = interval(
        pause
            .unwrap_or(Duration::MAX)
            .max(Duration::from_micros(100)),
    );
    let stop = next_signal();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = ticks.tick(), if args.per_minute > 0 => {
                let now = Utc::now();
                let late = TimeDelta::milliseconds(rng.i64(0..=i64::from(args.lateness) * 1000));
                let stream = Stream::ALL[rng.usize(..Stream::ALL.len())];
                server.service().tenant.happen(&mut rng, stream, now, now + late);
            }
        }
    }
}

fn write_files(args: &Emulate, server: &Server) -> Result<(), Failure> {
    let dir = &args.dir;
    let failed = |error| Failure::failed(format!("cannot write to {}: {error}", dir.display()));
    fs::create_dir_all(dir).map_err(failed)?;
    let app = server.service().app.clone();
    // Whoever reads the configuration may stand elsewhere.
    let absolute = std::path::absolute(dir).map_err(failed)?;
    let shown = absolute.display();
    let config = format!(
        "# Collects the emulated tenant and writes events to standard output.\n\
         state_dir: {shown}/state\n\
         tenants:\n  - tenant_id: {}\n    client_id: {}\n    \
         client_secret: {{file: {shown}/client-secret}}\n    custom_cloud:\n      \
         authority_url: {url}\n      graph_url: {url}\n      ca_file: {shown}/ca.pem\n\
         outlet:\n  stdout: {{}}\n",
        records::TENANT_ID,
        app.client_id,
        url = server.url,
    );
    fs::write(dir.join("ca.pem"), &server.ca_pem).map_err(failed)?;
    fs::write(dir.join("client-secret"), &app.secret).map_err(failed)?;
    fs::write(dir.join("config.yaml"), config).map_err(failed)
}

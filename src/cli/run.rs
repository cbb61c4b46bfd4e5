//! `run`: the source. Collects until it is stopped.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};
use tracing::{error, info, warn};

use super::{
    Failure, block_on,
    source::{End, Source},
};
use crate::{
    config::{self, Config},
    control::{self, Control},
    graph::Network,
    outlet::{HttpOutlet, Outlet, OutletError, StdoutOutlet},
    state::{State, StateError},
    telemetry::{self, metrics},
};

#[derive(Args)]
pub struct Run {
    /// Configuration: YAML, or TOML or JSON by the file's extension
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub fn run(args: &Run) -> Result<(), Failure> {
    let config = config::load(&args.config).map_err(Failure::usage)?;
    telemetry::start(&config.log).map_err(|error| {
        let path = config.log.file.as_deref().unwrap_or(Path::new(""));
        Failure::usage(format!("log.file: cannot open {}: {error}", path.display()))
    })?;
    block_on(serve(&args.config, config))
}

/// A new configuration that ends the source within this time gives way to the one before.
const ON_TRIAL: Duration = Duration::from_secs(60);

/// Collects until the process is told to stop; with each configuration that it is told to reload.
/// One that cannot be started by gives way to the one before.
async fn serve(path: &Path, mut config: Config) -> Result<(), Failure> {
    let (end, ended) = watch::channel(false);
    tokio::spawn(super::signals::stop_on_signal(end));
    let mut reloads = reloads(path.to_owned());
    let mut before: Option<Config> = None;
    let mut progress = Progress::default();
    loop {
        progress.collecting = false;
        let began = Instant::now();
        let (outcome, next) = round(&config, &mut progress, ended.clone(), &mut reloads).await;
        if *ended.borrow() {
            return outcome;
        }
        match (next, outcome) {
            (Some(next), _) => {
                info!("collecting by the configuration as it is now");
                before = Some(std::mem::replace(&mut config, next));
            }
            (None, Err(Failure::Failed(reason) | Failure::Usage(reason)))
                if before.is_some() && (!progress.collecting || began.elapsed() < ON_TRIAL) =>
            {
                error!("not reloaded, the old configuration stays: {reason}");
                config = before.take().unwrap_or(config);
            }
            (None, outcome) => return outcome,
        }
    }
}

/// How far the process came.
#[derive(Default)]
struct Progress {
    /// What was written to standard output last was written again. Whoever reads it then has it,
    /// whatever is reloaded.
    replayed: bool,
    /// The configuration is being collected by.
    collecting: bool,
}

/// Collects by one configuration, until it ends, until the process is told to end, or until there
/// is another configuration.
async fn round(
    config: &Config,
    progress: &mut Progress,
    mut ended: watch::Receiver<bool>,
    reloads: &mut mpsc::Receiver<Config>,
) -> (Result<(), Failure>, Option<Config>) {
    let (stop, _) = watch::channel(false);
    let collecting = collect(config, progress, stop.clone());
    tokio::pin!(collecting);
    let mut next = None;
    let mut stopping = false;
    loop {
        tokio::select! {
            outcome = &mut collecting => return (outcome, next),
            _ = ended.wait_for(|end| *end), if !stopping => {
                stopping = true;
                stop.send_replace(true);
            }
            Some(config) = reloads.recv() => {
                next = Some(config);
                stop.send_replace(true);
            }
        }
    }
}

/// Configurations that the process is told to reload. A faulty one is reported, and the old one
/// stays.
fn reloads(path: PathBuf) -> mpsc::Receiver<Config> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let Ok(mut hangups) = signal(SignalKind::hangup()) else {
            return;
        };
        while hangups.recv().await.is_some() {
            match config::load(&path) {
                Ok(config) => {
                    info!("reloading: what is being delivered has 20 s to come to its end");
                    if sender.send(config).await.is_err() {
                        return;
                    }
                }
                Err(faults) => error!("not reloaded, the old configuration stays: {faults}"),
            }
        }
    });
    receiver
}

async fn collect(
    config: &Config,
    progress: &mut Progress,
    stop: watch::Sender<bool>,
) -> Result<(), Failure> {
    let stopped = stop.subscribe();
    let state = tokio::select! {
        opened = open_state(config) => opened,
        () = told(stopped.clone()) => return Ok(()),
    };
    let state = match state {
        Ok(state) => Arc::new(state),
        // The other process may be about to end; a later start finds out.
        Err(error @ StateError::InUse { .. }) => return Err(Failure::failed(error)),
        Err(error) => {
            error!("{error}");
            return halted(config, Failure::failed(error), stopped).await;
        }
    };
    let started = start(config, &state).await;
    let (source, outlet, _served) = match started {
        Ok(started) => started,
        Err(failure) => return failed_to_start(config, failure, stopped).await,
    };
    if let Some(outlet) = outlet.filter(|_| !progress.replayed) {
        let replayed = tokio::select! {
            replayed = replay(&outlet) => replayed,
            () = told(stopped.clone()) => return Ok(()),
        };
        if let Err(failure) = replayed {
            return failed_to_start(config, failure, stopped).await;
        }
        progress.replayed = true;
    }
    progress.collecting = true;
    info!(
        tenants = config.tenants.len(),
        "collecting; state in {}",
        config.state_dir.display()
    );
    match source.run(stop).await {
        End::Stopped => {
            info!("stopped");
            Ok(())
        }
        End::Halted(reason) => halted(config, Failure::failed(reason), stopped).await,
    }
}

/// Opens the state, on a thread of its own: it may wait for another process.
async fn open_state(config: &Config) -> Result<State, StateError> {
    let dir = config.state_dir.clone();
    let opened = tokio::task::spawn_blocking(move || State::open(&dir, State::PATIENCE));
    opened.await.unwrap_or_else(|error| {
        Err(StateError::Io {
            path: config.state_dir.clone(),
            source: std::io::Error::other(error),
        })
    })
}

/// Waits until the process is told to stop.
async fn told(mut stopped: watch::Receiver<bool>) {
    // An error says that nobody can tell us any more.
    if stopped.wait_for(|stop| *stop).await.is_err() {
        std::future::pending().await
    }
}

/// The socket for `status` and `backfill`. Without it the source collects all the same.
fn listen(config: &Config, source: &Source) -> Option<Control> {
    match Control::listen(&config.state_dir, source.board(), source.orders()) {
        Ok(control) => Some(control),
        Err(error) => {
            let path = control::path(&config.state_dir);
            warn!(
                "no control socket at {}: {error}; `status` and `backfill` cannot ask this process",
                path.display()
            );
            None
        }
    }
}

/// Under standard output a halt stays alive and quiet: Vector's `exec` source would start the
/// process again every five seconds, for ever, and each time it would ask Entra for a token.
async fn halted(
    config: &Config,
    failure: Failure,
    stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    if matches!(config.outlet, config::Outlet::Stdout(_)) && !*stopped.borrow() {
        info!("halted; staying quiet until stopped, mend the fault and restart");
        told(stopped).await;
    }
    Err(failure)
}

/// Says why the source does not start, and halts: each start by `exec` would fail in the same way,
/// and might write again what was written last.
async fn failed_to_start(
    config: &Config,
    failure: Failure,
    stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    match &failure {
        Failure::ReaderGone | Failure::Told => return Err(failure),
        Failure::Failed(reason) | Failure::Usage(reason) => error!("{reason}"),
    }
    halted(config, failure, stopped).await
}

/// All that runs; the outlet apart where there is something to be written again before.
type Started = (Source, Option<Arc<StdoutOutlet>>, Served);

/// What answers those who ask, as long as it is held.
type Served = (Option<Control>, Option<metrics::Served>);

async fn start(config: &Config, state: &Arc<State>) -> Result<Started, Failure> {
    let (outlet, stdout): (Arc<dyn Outlet>, _) = match &config.outlet {
        config::Outlet::Stdout(stdout) => {
            let outlet = StdoutOutlet::new(Arc::clone(state), stdout.replay_records);
            let outlet = Arc::new(outlet);
            (Arc::clone(&outlet) as Arc<dyn Outlet>, Some(outlet))
        }
        config::Outlet::Http(http) => {
            state.clear_replay().await.map_err(Failure::failed)?;
            (
                Arc::new(HttpOutlet::new(
                    (**http).clone(),
                    Network::new(&http.route, http.reply_timeout).map_err(Failure::usage)?,
                )),
                None,
            )
        }
    };
    let source = Source::new(config, outlet, Arc::clone(state))?;
    let board = source.board();
    let control = listen(config, &source);
    let mut metrics = None;
    if let Some(address) = config.telemetry.metrics_listen {
        // Whoever has the address may let go of it; a later start finds out.
        let served = metrics::serve(address, board).await.map_err(|error| {
            Failure::failed(format!(
                "telemetry.metrics_listen: cannot listen on {address}: {error}"
            ))
        })?;
        info!("metrics at http://{}/metrics", served.address);
        metrics = Some(served);
    }
    Ok((source, stdout, (control, metrics)))
}

/// Standard output begins with what Vector may have lost.
async fn replay(outlet: &StdoutOutlet) -> Result<(), Failure> {
    let records = outlet.replay().await.map_err(|error| match error {
        OutletError::ReaderGone => Failure::ReaderGone,
        error => Failure::failed(error),
    })?;
    if records > 0 {
        info!(
            records,
            "the records that were written last are written again"
        );
    }
    Ok(())
}

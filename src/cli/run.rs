//! `run`: the source. Collects until it is stopped.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use tokio::sync::watch;
use tracing::info;

use super::{
    Failure, block_on,
    source::{End, Source},
};
use crate::{
    config::{self, Config},
    graph::Network,
    outlet::{HttpOutlet, Outlet, StdoutOutlet},
    state::State,
    telemetry,
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
    block_on(collect(&config))
}

async fn collect(config: &Config) -> Result<(), Failure> {
    let state = Arc::new(State::open(&config.state_dir).map_err(Failure::failed)?);
    let source = Source::new(config, outlet(&config.outlet)?, state)?;
    let (stop, _) = watch::channel(false);
    tokio::spawn(super::signals::stop_on_signal(stop.clone()));
    info!(
        tenants = config.tenants.len(),
        "collecting; state in {}",
        config.state_dir.display()
    );
    let stopped = stop.subscribe();
    match source.run(stop).await {
        End::Stopped => {
            info!("stopped");
            Ok(())
        }
        End::Halted(reason) => halted(config, &reason, stopped).await,
    }
}

/// Under standard output a halt stays alive and quiet: Vector's `exec` source would start the
/// process again every five seconds, for ever, and each time it would ask Entra for a token.
async fn halted(
    config: &Config,
    reason: &str,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    if config.outlet == config::Outlet::Stdout && !*stopped.borrow() {
        info!("halted; staying quiet until stopped, mend the fault and restart");
        // An error says that nobody can stop us any more.
        let _ = stopped.wait_for(|stop| *stop).await;
    }
    Err(Failure::failed(reason))
}

fn outlet(outlet: &config::Outlet) -> Result<Arc<dyn Outlet>, Failure> {
    Ok(match outlet {
        config::Outlet::Stdout => Arc::new(StdoutOutlet::new()),
        config::Outlet::Http(http) => {
            let network = if http.url.scheme() == "http" {
                Network::without_proxy(http.reply_timeout)
            } else {
                Network::new(None, http.reply_timeout)
            };
            let network = network.map_err(Failure::usage)?;
            Arc::new(HttpOutlet::new(http.clone(), network))
        }
    })
}

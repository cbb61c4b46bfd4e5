//! Wires up the source: one driver for each tenant, over one state and one outlet.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};
use tracing::{error, info};

use super::Failure;
use crate::{
    collect::{Driver, Halt, Memory, Settings, SystemClock, driver::Parts},
    config::{self, Collect, Config, Tenant},
    graph::{Client, Network, Tokens},
    outlet::{DeadLetters, Delivery, Outlet, OutletError},
    state::State,
    status::Board,
};

/// A source that is ready to run.
pub struct Source {
    drivers: Vec<Driver>,
    board: Arc<Board>,
}

/// How a source came to its end.
#[derive(Debug)]
pub enum End {
    /// It was told to stop, or its reader went away.
    Stopped,
    /// It cannot go on; the reasons were logged, the last one is here.
    Halted(String),
}

impl Source {
    /// A source as configured, delivering to `outlet`.
    ///
    /// # Errors
    /// [`Failure`] when a CA file or the state cannot be used.
    pub fn new(
        config: &Config,
        outlet: Arc<dyn Outlet>,
        state: Arc<State>,
    ) -> Result<Self, Failure> {
        let delivery = Arc::new(delivery(outlet, config));
        let memory = Memory::new(config.collect.memory_bytes.get() as usize);
        let board = Arc::new(Board::default());
        let tell_every = match config.telemetry.status_secs {
            0 => None,
            seconds => Some(Duration::from_secs(seconds.into())),
        };
        let drivers = config
            .tenants
            .iter()
            .map(|tenant| {
                Driver::new(Parts {
                    tenant: tenant.tenant_id,
                    streams: tenant.streams.clone(),
                    client: Arc::new(client(tenant, &config.collect)?),
                    state: Arc::clone(&state),
                    delivery: Arc::clone(&delivery),
                    clock: Arc::new(SystemClock),
                    memory: memory.clone(),
                    settings: Settings::new(&config.collect),
                    board: Arc::clone(&board),
                    tell_every,
                })
                .map_err(Failure::failed)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { drivers, board })
    }

    /// Where its streams stand.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Runs until told to stop, until no tenant is left, or until nothing can be delivered.
    pub async fn run(self, stop: watch::Sender<bool>) -> End {
        let mut drivers = JoinSet::new();
        for driver in self.drivers {
            drivers.spawn(driver.run(stop.subscribe()));
        }
        // A tenant's fault ends the process only when no tenant is left; any other ends it at once.
        let mut tenant_halted = None;
        let mut process_halted = None;
        let mut finished = false;
        while let Some(ended) = drivers.join_next().await {
            let halt = match ended {
                Ok(Ok(())) => {
                    finished = true;
                    continue;
                }
                Ok(Err(halt)) => halt,
                Err(error) => {
                    process_halted = Some(format!("a tenant's driver failed: {error}"));
                    stop.send_replace(true);
                    continue;
                }
            };
            if let Halt::Outlet(OutletError::ReaderGone) = halt {
                info!("the reader of standard output is gone; stopping");
                finished = true;
            } else {
                let text = halt.to_string();
                error!("{text}");
                if let Halt::Tenant { tenant, .. } = &halt {
                    self.board.halted(*tenant, &text);
                    tenant_halted = Some(text);
                    continue;
                }
                self.board.all_halted(&text);
                process_halted = Some(text);
            }
            stop.send_replace(true);
        }
        match (process_halted, tenant_halted) {
            (Some(reason), _) => End::Halted(reason),
            (None, Some(reason)) if !finished => End::Halted(reason),
            _ => End::Stopped,
        }
    }
}

fn delivery(outlet: Arc<dyn Outlet>, config: &Config) -> Delivery {
    let dead_letters = DeadLetters::new(&config.state_dir, DeadLetters::LIMIT);
    let refused_for = match &config.outlet {
        config::Outlet::Http(http) => http.dead_letter_after,
        // Standard output refuses nothing.
        config::Outlet::Stdout(_) => Duration::MAX,
    };
    Delivery::new(outlet, dead_letters, refused_for)
}

fn client(tenant: &Tenant, collect: &Collect) -> Result<Client, Failure> {
    let timeout = Duration::from_secs(collect.request_timeout_secs.get().into());
    let network = Network::new(tenant.cloud.ca_file(), timeout).map_err(Failure::usage)?;
    let tokens = Tokens::new(
        tenant.tenant_id,
        tenant.client_id,
        tenant.client_secret.clone(),
        tenant.cloud.clone(),
        network.clone(),
    );
    Ok(Client::new(tenant.cloud.clone(), tokens, network))
}

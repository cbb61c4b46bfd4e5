//! Wires up the source: one driver for each tenant, over one state and one outlet.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::{sync::watch, task::JoinSet};
use tracing::{error, info};

use super::{Failure, credentials};
use crate::{
    collect::{Driver, Halt, Memory, Settings, SystemClock, driver::Parts},
    config::{self, Config, Tenant},
    connect,
    control::OrderBook,
    outlet::{DeadLetters, Delivery, Outlet, OutletError},
    record::Hash,
    state::State,
    status::Board,
};

/// A source that is ready to run.
pub struct Source {
    config: Config,
    delivery: Arc<Delivery>,
    memory: Memory,
    state: Arc<State>,
    board: Arc<Board>,
    orders: Arc<OrderBook>,
    settings: Settings,
    drivers: Vec<(Tenant, Driver)>,
}

/// How a source came to its end.
#[derive(Debug)]
pub enum End {
    /// It was told to stop, or its reader went away.
    Stopped,
    /// It cannot go on; the reasons were logged, the last one is here.
    Halted(String),
}

/// What a task of a source came to.
enum Ended {
    Driver(Part, Result<(), Halt>),
    /// A credential that was refused was replaced.
    Replaced(Part),
}

/// One tenant's part of a source that runs.
struct Part {
    tenant: Tenant,
    /// What its credential's files held when its driver began.
    held: Option<Hash>,
    /// Whether the tenant ever let the app in.
    worked: bool,
}

/// The tasks of a source that runs, and why some ended.
struct Running {
    tasks: JoinSet<Ended>,
    /// Tenants that wait for another credential, and those of them that were let in before.
    waiting: usize,
    waiting_in_earnest: usize,
    /// A tenant's fault ends the process only when no tenant is left; any other ends it at once.
    tenant_halted: Option<String>,
    process_halted: Option<String>,
    finished: bool,
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
        Self::with(config, Settings::new(&config.collect), outlet, state)
    }

    /// As [`Source::new`], reading nothing but history that is asked for.
    ///
    /// # Errors
    /// As [`Source::new`].
    pub fn for_history(
        config: &Config,
        outlet: Arc<dyn Outlet>,
        state: Arc<State>,
    ) -> Result<Self, Failure> {
        let settings = Settings::new(&config.collect).for_history();
        let mut config = config.clone();
        config.telemetry.status_secs = 0;
        Self::with(&config, settings, outlet, state)
    }

    fn with(
        config: &Config,
        settings: Settings,
        outlet: Arc<dyn Outlet>,
        state: Arc<State>,
    ) -> Result<Self, Failure> {
        let mut source = Self {
            config: config.clone(),
            delivery: Arc::new(delivery(outlet, config)),
            memory: Memory::new(config.collect.memory_bytes.get() as usize),
            state,
            board: Arc::default(),
            orders: Arc::default(),
            settings,
            drivers: Vec::new(),
        };
        for tenant in &config.tenants {
            let driver = source.driver(tenant)?;
            source.drivers.push((tenant.clone(), driver));
        }
        Ok(source)
    }

    /// Where its streams stand.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Where to ask it for history.
    #[must_use]
    pub fn orders(&self) -> Arc<OrderBook> {
        Arc::clone(&self.orders)
    }

    fn driver(&self, tenant: &Tenant) -> Result<Driver, Failure> {
        let config = &self.config;
        let tell_every = match config.telemetry.status_secs {
            0 => None,
            seconds => Some(Duration::from_secs(seconds.into())),
        };
        Driver::new(Parts {
            tenant: tenant.tenant_id,
            streams: tenant.streams.clone(),
            client: Arc::new(connect::client(tenant, config).map_err(Failure::usage)?),
            state: Arc::clone(&self.state),
            delivery: Arc::clone(&self.delivery),
            clock: Arc::new(SystemClock),
            memory: self.memory.clone(),
            settings: self.settings.clone(),
            board: Arc::clone(&self.board),
            tell_every,
            orders: self.orders.open(tenant.tenant_id),
        })
        .map_err(Failure::failed)
    }

    /// Runs until told to stop, until no tenant is left, or until nothing can be delivered.
    pub async fn run(mut self, stop: watch::Sender<bool>) -> End {
        let warn_within = TimeDelta::days(self.config.telemetry.expiry_warning_days.into());
        let expiries =
            credentials::expiries(self.config.tenants.clone(), self.board(), warn_within);
        let expiries = tokio::spawn(expiries);
        let mut running = Running {
            tasks: JoinSet::new(),
            waiting: 0,
            waiting_in_earnest: 0,
            tenant_halted: None,
            process_halted: None,
            finished: false,
        };
        for (tenant, driver) in std::mem::take(&mut self.drivers) {
            running.start(tenant, driver, false, &stop);
        }
        while let Some(ended) = running.tasks.join_next().await {
            match ended {
                Ok(Ended::Driver(part, ended)) => {
                    self.driver_ended(&mut running, part, ended, &stop);
                }
                Ok(Ended::Replaced(part)) => self.start_again(&mut running, part, &stop),
                Err(error) => {
                    running.process_halted = Some(format!("a tenant's driver failed: {error}"));
                    stop.send_replace(true);
                }
            }
            // Nobody who starts this process anew should find it waiting for what never worked.
            if running.tasks.len() == running.waiting && running.waiting_in_earnest == 0 {
                break;
            }
        }
        expiries.abort();
        match (running.process_halted, running.tenant_halted) {
            (Some(reason), _) => End::Halted(reason),
            (None, Some(reason)) if !running.finished => End::Halted(reason),
            _ => End::Stopped,
        }
    }

    fn driver_ended(
        &self,
        running: &mut Running,
        part: Part,
        ended: Result<(), Halt>,
        stop: &watch::Sender<bool>,
    ) {
        let halt = match ended {
            Ok(()) => {
                running.finished = true;
                return;
            }
            Err(halt) => halt,
        };
        if let Halt::Outlet(OutletError::ReaderGone) = halt {
            info!("the reader of standard output is gone; stopping");
            running.finished = true;
            stop.send_replace(true);
            return;
        }
        let text = halt.to_string();
        error!("{text}");
        if let Halt::Tenant { worked, .. } = halt {
            self.board.halted(part.tenant.tenant_id, &text);
            running.tenant_halted = Some(text);
            let worked = worked || part.worked;
            if worked || part.held.is_some() {
                running.wait(Part { worked, ..part }, stop);
            }
            return;
        }
        self.board.all_halted(&text);
        running.process_halted = Some(text);
        stop.send_replace(true);
    }

    fn start_again(&self, running: &mut Running, part: Part, stop: &watch::Sender<bool>) {
        let Part {
            tenant,
            held,
            worked,
        } = part;
        running.waiting -= 1;
        running.waiting_in_earnest -= usize::from(worked);
        if *stop.borrow() {
            return;
        }
        let id = tenant.tenant_id;
        let what = match tenant.credential.fingerprint() == held {
            true => "is tried again",
            false => "was replaced; trying again",
        };
        info!(tenant = %id, "the {} {what}", tenant.credential.name());
        match self.driver(&tenant) {
            Ok(driver) => {
                running.start(tenant, driver, worked, stop);
            }
            Err(Failure::Failed(reason) | Failure::Usage(reason)) => {
                error!(tenant = %id, "{reason}");
                running.tenant_halted = Some(reason);
            }
            Err(Failure::ReaderGone | Failure::Told) => {}
        }
    }
}

impl Running {
    fn start(&mut self, tenant: Tenant, driver: Driver, worked: bool, stop: &watch::Sender<bool>) {
        let stop = stop.subscribe();
        let part = Part {
            held: tenant.credential.fingerprint(),
            tenant,
            worked,
        };
        self.tasks
            .spawn(async move { Ended::Driver(part, driver.run(stop).await) });
    }

    /// Waits for another credential than the refused one, or for the stop.
    fn wait(&mut self, part: Part, stop: &watch::Sender<bool>) {
        self.waiting += 1;
        self.waiting_in_earnest += usize::from(part.worked);
        let mut stop = stop.subscribe();
        self.tasks.spawn(async move {
            tokio::select! {
                () = credentials::replaced(&part.tenant.credential, part.held) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            Ended::Replaced(part)
        });
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

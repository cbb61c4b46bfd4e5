//! One simulation: the source's processes, one after another, and how each comes to its end.

use std::{
    fs,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use tempfile::TempDir;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use url::Url;
use vector_entra_id::{
    collect::{Clock, Driver, Halt, Memory, Settings, driver::Parts},
    control::OrderBook,
    graph::{Client, Cloud, Tokens, Transport},
    outlet::{DeadLetters, Delivery, Outlet},
    state::State,
};

use super::{
    pipeline::SimulatedPipeline,
    plan::Plan,
    verdict::{self, Summary},
    world::{GRAPH, SimulatedClock, World},
};
use crate::common::{SECRET, app, secret_in};

const MEMORY: usize = 16 << 20;

/// Everything that outlives a process of the source.
pub struct Simulation {
    pub plan: Plan,
    pub world: Arc<World>,
    pub pipeline: Arc<SimulatedPipeline>,
    pub state: Arc<State>,
    pub dir: TempDir,
    pub crashes: u64,
    rng: Rng,
}

/// How a process of the source comes to its end.
enum End {
    Crash,
    Stop,
    /// The time for mishaps is over.
    Peace,
}

/// Plays a seed.
///
/// # Errors
/// What did not hold.
pub fn play(seed: u64) -> Result<Summary, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let plan = Plan::draw(seed);
    let described = format!("{plan:?}");
    runtime
        .block_on(simulate(plan))
        .map_err(|problem| format!("{problem}\nin {described}"))
}

async fn simulate(plan: Plan) -> Result<Summary, String> {
    let clock = Arc::new(SimulatedClock::new(plan.start));
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), SECRET).unwrap();
    let mut simulation = Simulation {
        world: Arc::new(World::new(&plan, clock)),
        pipeline: Arc::new(SimulatedPipeline::new(&plan)),
        state: Arc::new(State::in_memory().unwrap()),
        dir,
        crashes: 0,
        rng: Rng::with_seed(plan.seed ^ 0x3c6e_f372),
        plan,
    };
    let mishaps = simulation.plan.lively + simulation.plan.last_age();
    simulation.until(simulation.plan.start + mishaps).await?;
    simulation.world.be_well();
    simulation.world.clock.jump(TimeDelta::zero());
    simulation.pipeline.be_well();
    // Time for the last outage to pass, for what waits to be delivered, and for the last slots to
    // close: they wait for their neighbours and are read once more where there was something new.
    let last = TimeDelta::hours(5) + simulation.plan.slot() * 12;
    simulation.in_peace(last).await?;
    verdict::check(&simulation)
}

impl Simulation {
    pub fn now(&self) -> DateTime<Utc> {
        self.world.clock.true_now()
    }

    fn driver(&self, memory: &Memory) -> Driver {
        let url = Url::parse(GRAPH).unwrap();
        let cloud = Cloud::custom(url.clone(), url, None);
        let transport = Arc::clone(&self.world) as Arc<dyn Transport>;
        let app = app();
        let tokens = Tokens::new(
            app.tenant_id,
            secret_in(self.dir.path().join("secret")),
            cloud.clone(),
            Arc::clone(&transport),
        );
        let letters = DeadLetters::new(self.dir.path(), DeadLetters::LIMIT);
        let delivery = Delivery::new(
            Arc::clone(&self.pipeline) as Arc<dyn Outlet>,
            letters,
            Duration::from_secs(300),
        );
        Driver::new(Parts {
            tenant: app.tenant_id,
            streams: self.plan.streams.clone(),
            client: Arc::new(Client::new(cloud, tokens, transport)),
            state: Arc::clone(&self.state),
            delivery: Arc::new(delivery),
            clock: Arc::clone(&self.world.clock) as Arc<dyn Clock>,
            memory: memory.clone(),
            settings: Settings::new(&self.plan.collect),
            board: Arc::default(),
            tell_every: Some(Duration::from_secs(300)),
            orders: OrderBook::default().open(app.tenant_id),
        })
        .unwrap()
    }

    /// Process after process, until `end`.
    async fn until(&mut self, end: DateTime<Utc>) -> Result<(), String> {
        while self.now() < end {
            let (life, how) = self.next_end(end - self.now());
            let memory = Memory::new(MEMORY);
            let (stop, stopped) = watch::channel(false);
            let mut running = pin!(Crashing::new(self.driver(&memory).run(stopped)));
            let alive = if self.plan.jumps && self.rng.bool() {
                let first = life * self.rng.i32(0..100) / 100;
                self.live(running.as_mut(), first).await?;
                let jump = TimeDelta::minutes(self.rng.i64(-2000..2000));
                self.world.clock.jump(jump);
                life - first
            } else {
                life
            };
            self.live(running.as_mut(), alive).await?;
            match how {
                End::Crash => {
                    self.crashes += 1;
                    // At this moment, or some steps later: between any two of them.
                    running.steps = Some(self.rng.u32(0..40));
                    let waited = tokio::time::timeout(Duration::from_secs(600), running.as_mut());
                    if let Ok(Some(ended)) = waited.await {
                        return Err(format!("ended by itself: {ended:?}"));
                    }
                }
                End::Stop | End::Peace => {
                    stop.send_replace(true);
                    let began = Instant::now();
                    let ended = running.as_mut().await;
                    if !matches!(ended, Some(Ok(()))) {
                        return Err(format!("a stop ended in {ended:?}"));
                    }
                    if began.elapsed() > Duration::from_secs(21) {
                        return Err(format!("a stop took {:?}", began.elapsed()));
                    }
                }
            }
            self.process_over();
            if !matches!(how, End::Peace) {
                let down = self.rng.u64(0..self.plan.down.unsigned_abs());
                sleep(Duration::from_secs(down)).await;
            }
        }
        Ok(())
    }

    /// One process that nothing befalls.
    async fn in_peace(&mut self, life: TimeDelta) -> Result<(), String> {
        let memory = Memory::new(MEMORY);
        let (stop, stopped) = watch::channel(false);
        let mut running = pin!(Crashing::new(self.driver(&memory).run(stopped)));
        self.live(running.as_mut(), life).await?;
        stop.send_replace(true);
        let ended = running.as_mut().await;
        if !matches!(ended, Some(Ok(()))) {
            return Err(format!("the last stop ended in {ended:?}"));
        }
        self.process_over();
        if memory.free_bytes() != MEMORY {
            return Err(format!(
                "of {MEMORY} bytes {} came back",
                memory.free_bytes()
            ));
        }
        Ok(())
    }

    async fn live<F>(&self, running: Pin<&mut Crashing<F>>, life: TimeDelta) -> Result<(), String>
    where
        F: Future<Output = Result<(), Halt>>,
    {
        let life = life.to_std().unwrap_or_default();
        match tokio::time::timeout(life, running).await {
            Err(_) => Ok(()),
            Ok(ended) => Err(format!("ended by itself: {ended:?}")),
        }
    }

    fn next_end(&mut self, left: TimeDelta) -> (TimeDelta, End) {
        let rng = &mut self.rng;
        let mut drawn =
            |every: Option<i64>| every.map(|every| TimeDelta::seconds(rng.i64(1..every * 2)));
        let crash = drawn(self.plan.crash_every);
        let stop = drawn(self.plan.stop_every);
        [(crash, End::Crash), (stop, End::Stop)]
            .into_iter()
            .filter_map(|(after, end)| Some((after?, end)))
            .filter(|(after, _)| *after < left)
            .min_by_key(|(after, _)| *after)
            .unwrap_or((left, End::Peace))
    }

    fn process_over(&self) {
        let tenant = app().tenant_id;
        self.pipeline.process_over(|arrival| {
            let known = self
                .state
                .known(tenant, arrival.stream, &[arrival.key])
                .unwrap();
            match known[0] {
                Some(known) => known.revision >= arrival.revision,
                // Its slot is closed, and what was known of it went with the slot.
                None => verdict::is_over(&self.state, arrival),
            }
        });
    }
}

/// A future that can be given so many steps to live. `None` says that it came to its last.
#[derive(Debug)]
struct Crashing<F> {
    future: Pin<Box<F>>,
    steps: Option<u32>,
}

impl<F> Crashing<F> {
    fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            steps: None,
        }
    }
}

impl<F: Future> Future for Crashing<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(steps) = &mut self.steps {
            if *steps == 0 {
                return Poll::Ready(None);
            }
            *steps -= 1;
        }
        self.future.as_mut().poll(context).map(Some)
    }
}

//! Days of a tenant, played in moments: the real driver, ledger, delivery and state over the
//! emulated tenant, with time paused. Lateness, revisions, bursts, faults on both sides, crashes
//! and stops are drawn from a seed; what must hold, holds for every seed.
//!
//! `ENTRA_SIMULATION_SEEDS=5000` plays more seeds, `ENTRA_SIMULATION_SEED=17` plays one again.

mod pipeline;
mod plan;
mod play;
mod verdict;
mod world;

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

const SEEDS: u64 = 200;

fn from_environment(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}"))
    })
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_is_repeated_without_cause() {
    if let Some(seed) = from_environment("ENTRA_SIMULATION_SEED") {
        println!(
            "{:#?}",
            play::play(seed).unwrap_or_else(|problem| panic!("{problem}"))
        );
        return;
    }
    let seeds = from_environment("ENTRA_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let totals = thread::scope(|scope| {
        let play_some = || {
            let mut totals = verdict::Summary::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return totals;
                }
                match play::play(seed) {
                    Ok(summary) => totals.add(&summary),
                    Err(problem) => {
                        panic!("{problem}\nplay it again with ENTRA_SIMULATION_SEED={seed}")
                    }
                }
            }
        };
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(play_some)).collect();
        let mut totals = verdict::Summary::default();
        for player in players {
            match player.join() {
                Ok(summary) => totals.add(&summary),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        totals
    });
    println!("{totals:#?}");
    // A simulation in which nothing happens proves nothing.
    assert!(
        totals.crashes >= seeds && totals.unknown >= seeds,
        "{totals:?}"
    );
    assert!(
        totals.late >= seeds && totals.revised >= seeds,
        "{totals:?}"
    );
    assert!(totals.closed >= 10 * seeds, "{totals:?}");
    assert!(totals.innocent <= 1 + seeds / 20, "{totals:?}");
}

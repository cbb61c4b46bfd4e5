//! What a seed draws: streams, intervals, rates, faults.

use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use vector_entra_id::{config::Collect, stream::Stream};

/// One simulation.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub start: DateTime<Utc>,
    pub streams: Vec<Stream>,
    pub collect: Collect,
    /// For so long records happen.
    pub lively: TimeDelta,
    /// Records of each stream.
    pub records: usize,
    /// Records of each hundred that share a second with others.
    pub bursts: u32,
    /// Records of each hundred that are revised.
    pub revised: u32,
    /// The share of requests that go wrong at Graph.
    pub graph_faults: f64,
    /// The share of batches that go wrong at the pipeline.
    pub pipeline_faults: f64,
    /// Whether a reply may be lost.
    pub lost_replies: bool,
    /// A record that the pipeline never takes.
    pub poison: bool,
    /// Seconds between two crashes, on average; `None` for no crash.
    pub crash_every: Option<i64>,
    /// Seconds between two stops by signal, on average.
    pub stop_every: Option<i64>,
    /// How long the source may be down, in seconds.
    pub down: i64,
    /// Whether the local clock jumps.
    pub jumps: bool,
}

const STREAMS: [Stream; 6] = [
    Stream::SignIns,
    Stream::DirectoryAudits,
    Stream::SignInsServicePrincipal,
    Stream::Provisioning,
    Stream::RiskDetections,
    Stream::RiskyUsers,
];

fn one_of<T: Clone>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.usize(..choices.len())].clone()
}

fn nonzero(seconds: u32) -> std::num::NonZeroU32 {
    seconds.try_into().unwrap()
}

impl Plan {
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut streams = STREAMS.to_vec();
        rng.shuffle(&mut streams);
        streams.truncate(rng.usize(1..=3));
        let ages = one_of(
            &mut rng,
            &[
                vec![60, 180, 360, 600, 900, 1200, 1800, 2700, 7200, 86_400],
                vec![60, 300, 1200, 7200],
                vec![120, 600, 3600, 6 * 3600],
                vec![900],
            ],
        );
        let last_age = *ages.last().unwrap();
        let lively = TimeDelta::minutes(rng.i64(30..8 * 60));
        let requests = i64::from(5_000 / u32::try_from(streams.len()).unwrap());
        let length = lively.num_seconds() + i64::from(last_age);
        let least_poll = u32::try_from(length / requests).unwrap().max(30);
        let poll = least_poll * rng.u32(1..3);
        let crashes = rng.u8(..3) > 0;
        let collect = Collect {
            start_secs: one_of(&mut rng, &[0, 3600, 6 * 3600]),
            poll_secs: nonzero(poll),
            idle_poll_secs: nonzero(poll * one_of(&mut rng, &[1, 2, 4])),
            overlap_secs: rng.u32(0..120),
            slot_secs: nonzero(one_of(&mut rng, &[60, 300, 300, 600])),
            reread_ages_secs: ages,
            snapshot_secs: nonzero(900.max(poll * 3)),
            ..Collect::default()
        };
        Self {
            seed,
            start: "2026-11-22T10:00:00Z".parse().unwrap(),
            streams,
            collect,
            lively,
            records: rng.usize(20..400),
            bursts: one_of(&mut rng, &[0, 10, 60]),
            revised: one_of(&mut rng, &[0, 10, 30]),
            graph_faults: one_of(&mut rng, &[0.0, 0.03, 0.15]),
            pipeline_faults: one_of(&mut rng, &[0.0, 0.05, 0.3]),
            lost_replies: rng.bool(),
            poison: rng.u8(..6) == 0,
            crash_every: crashes.then(|| rng.i64(300..7200)),
            stop_every: (rng.u8(..3) == 0).then(|| rng.i64(1800..14_400)),
            down: one_of(&mut rng, &[1, 300, 4 * 3600, 3 * 86_400]),
            jumps: rng.u8(..4) == 0,
        }
    }

    /// The age after its slot's end by which a record is still read again.
    pub fn last_age(&self) -> TimeDelta {
        let last = self.collect.reread_ages_secs.last().copied();
        TimeDelta::seconds(last.unwrap_or_default().into())
    }

    pub fn slot(&self) -> TimeDelta {
        TimeDelta::seconds(self.collect.slot_secs.get().into())
    }
}

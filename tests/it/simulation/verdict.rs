//! What must hold at the end of every simulation.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use vector_entra_id::{
    state::State,
    stream::{Bucket, Kind, Stream},
    time::slot_of,
};

use super::{
    pipeline::{Arrival, POISON, is_poisonous, repeated_without_cause},
    play::Simulation,
};
use crate::common::app;

/// What a simulation went through, for those who doubt that anything happened.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub requests: u64,
    pub records: u64,
    pub revised: u64,
    pub late: u64,
    pub repeats: u64,
    pub crashes: u64,
    pub unknown: u64,
    pub closed: u64,
    pub dead_letters: u64,
    pub innocent: u64,
}

impl Summary {
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.records += other.records;
        self.revised += other.revised;
        self.late += other.late;
        self.repeats += other.repeats;
        self.crashes += other.crashes;
        self.unknown += other.unknown;
        self.closed += other.closed;
        self.dead_letters += other.dead_letters;
        self.innocent += other.innocent;
    }
}

/// Whether an arrival's slot is closed, or given up.
pub fn is_over(state: &State, arrival: &Arrival) -> bool {
    let saved = state.coverage(app().tenant_id, arrival.stream).unwrap();
    saved.is_some_and(|(head, slots)| {
        let slot = arrival.key.slot;
        let by_slot = slot != DateTime::UNIX_EPOCH;
        by_slot
            && !slots.contains_key(&slot)
            && !head.unread.contains(slot)
            && slot < head.tail_from
    })
}

/// # Errors
/// What did not hold.
pub fn check(simulation: &Simulation) -> Result<Summary, String> {
    let arrivals = simulation.pipeline.arrivals();
    let letters = std::fs::read_to_string(simulation.dir.path().join("dead-letters.ndjson"));
    let letters = letters.unwrap_or_default();
    let mut summary = Summary {
        crashes: simulation.crashes,
        unknown: simulation.pipeline.unknown(),
        dead_letters: letters.lines().count() as u64,
        ..Summary::default()
    };
    budget(simulation, &mut summary)?;
    summary.innocent = letters
        .lines()
        .filter(|line| !POISON.iter().any(|poison| line.contains(poison)))
        .count() as u64;
    // A pipeline that is at fault again and again, and takes others between, looks like records
    // at fault. It must be rare, and what is set aside is not lost.
    if summary.innocent > 4 {
        return Err(format!(
            "dead letters that nothing was wrong with: {letters}"
        ));
    }
    let repeated = repeated_without_cause(&arrivals);
    if let Some(first) = repeated.first() {
        let same = |other: &&Arrival| (other.stream, &other.id) == (first.stream, &first.id);
        let same: Vec<&Arrival> = arrivals.iter().filter(same).collect();
        return Err(format!(
            "{} repeated without cause, such as {same:?}",
            repeated.len()
        ));
    }
    for stream in &simulation.plan.streams {
        let of_stream: Vec<&Arrival> = arrivals
            .iter()
            .filter(|arrival| arrival.stream == *stream)
            .collect();
        delivered(simulation, *stream, &of_stream, &letters)?;
        order(&of_stream, &letters)?;
        never_back(simulation, *stream, &of_stream)?;
        proofs(simulation, *stream, &of_stream, &mut summary)?;
    }
    Ok(summary)
}

/// No bucket sent more than Graph's limit in any ten seconds.
fn budget(simulation: &Simulation, summary: &mut Summary) -> Result<(), String> {
    for (bucket, requests) in simulation.world.requests() {
        summary.requests += requests.len() as u64;
        let (limit, span) = match bucket {
            Bucket::Reports => (5, TimeDelta::seconds(10)),
            Bucket::IdentityProtection | Bucket::Security => (1, TimeDelta::seconds(1)),
        };
        for window in requests.windows(limit + 1) {
            if window[limit] - window[0] < span {
                return Err(format!("too many requests of {bucket:?}: {window:?}"));
            }
        }
    }
    Ok(())
}

/// The last version of every record arrived, or is a dead letter where the plan has one.
fn delivered(
    simulation: &Simulation,
    stream: Stream,
    arrivals: &[&Arrival],
    letters: &str,
) -> Result<(), String> {
    let origin = simulation.state.coverage(app().tenant_id, stream).unwrap();
    let origin = origin.map(|(head, _)| head.origin).unwrap_or_default();
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for arrival in arrivals {
        last.insert(&arrival.id, &arrival.text);
    }
    for stored in simulation.world.records(stream) {
        let version = stored.versions.last().unwrap();
        let read_whole = stream.entry().kind == Kind::Snapshot;
        let poison = simulation.plan.poison && is_poisonous(&stored.id);
        if poison || version.time < origin && !read_whole {
            continue;
        }
        let arrived = last.get(stored.id.as_str()).copied() == Some(version.text.as_str())
            || came_back_unseen(arrivals, &stored.id, &version.text);
        if !arrived && !letters.contains(&version.text.replace('"', "\\\"")) {
            return Err(format!(
                "lost: {} of {stream}, time {}, visible at {}; arrived: {:?}; slots: {:?}",
                version.text,
                version.time,
                version.visible_at,
                last.get(stored.id.as_str()),
                simulation.state.coverage(app().tenant_id, stream).unwrap(),
            ));
        }
    }
    Ok(())
}

/// The one thing that a crash can hide: a revision was stored and the source had not taken note of
/// it, and before the next process looked, Graph showed again what had been delivered before.
fn came_back_unseen(arrivals: &[&Arrival], id: &str, text: &str) -> bool {
    let mut latest = arrivals.iter().rev().filter(|arrival| arrival.id == id);
    let noted = latest.find(|arrival| !arrival.unclear);
    noted.is_some_and(|arrival| arrival.text == text)
}

/// Revisions of a record come in their order, each with other content than the one before.
fn order(arrivals: &[&Arrival], letters: &str) -> Result<(), String> {
    let mut latest: BTreeMap<&str, &Arrival> = BTreeMap::new();
    let mut process = 0;
    for arrival in arrivals {
        // What a process sent that is over by now may still arrive; its `observed_ms` says so.
        if arrival.process < process {
            continue;
        }
        process = arrival.process;
        let Some(before) = latest.insert(&arrival.id, arrival) else {
            // One that was set aside counts as delivered.
            let set_aside = letters.contains(&format!("\"record_id\":\"{}\"", arrival.id));
            if arrival.revision != 0 && !set_aside {
                return Err(format!("begins with another revision than 0: {arrival:?}"));
            }
            continue;
        };
        let again = arrival.revision == before.revision && arrival.text == before.text;
        let next = arrival.revision == before.revision + 1
            && arrival.text != before.text
            && arrival.observed_ms > before.observed_ms;
        // What was lost with a crash is judged anew: the same number, and what Graph shows now.
        let anew = before.unclear && arrival.revision == before.revision;
        let between = letters.contains(&format!("\"record_id\":\"{}\"", arrival.id));
        if !(again || next || anew || between) {
            return Err(format!("{arrival:?} came after {before:?}"));
        }
    }
    Ok(())
}

/// Revisions follow the versions that the record had, and never go back: a page that was asked for
/// before another and came after it is not taken for news.
fn never_back(
    simulation: &Simulation,
    stream: Stream,
    arrivals: &[&Arrival],
) -> Result<(), String> {
    for stored in simulation.world.records(stream) {
        let mut versions = stored.versions.iter();
        let mut before: Option<&Arrival> = None;
        for arrival in arrivals.iter().filter(|arrival| arrival.id == stored.id) {
            let again = before.is_some_and(|before| {
                before.process > arrival.process
                    || (before.revision, &before.text) == (arrival.revision, &arrival.text)
            });
            if again {
                continue;
            }
            before = Some(*arrival);
            if !versions.any(|version| version.text == arrival.text) {
                return Err(format!("goes back: {arrival:?}, of {:?}", stored.versions));
            }
        }
    }
    Ok(())
}

/// Every slot before the last hours is closed, and the proofs count what arrived.
fn proofs(
    simulation: &Simulation,
    stream: Stream,
    arrivals: &[&Arrival],
    summary: &mut Summary,
) -> Result<(), String> {
    let tenant = app().tenant_id;
    let distinct: BTreeSet<&str> = arrivals.iter().map(|arrival| arrival.id.as_str()).collect();
    let count = |which: &dyn Fn(&Arrival) -> bool| -> BTreeSet<(&str, u32)> {
        let arrivals = arrivals.iter().filter(|arrival| which(arrival));
        arrivals
            .map(|arrival| (arrival.id.as_str(), arrival.revision))
            .collect()
    };
    let revisions = count(&|_| true);
    // What a crash kept the source from taking note of may never come again: [`came_back_unseen`].
    let noted = count(&|arrival| !arrival.unclear);
    let noted_revised = noted.iter().filter(|(_, revision)| *revision > 0).count() as u64;
    let records = distinct.len() as u64;
    let revised = revisions.len() as u64 - records;
    summary.records += records;
    summary.revised += revised;
    summary.repeats += (arrivals.len() - revisions.len()) as u64;
    let poison = u64::from(simulation.plan.poison) + summary.innocent;
    let totals = simulation.state.totals(tenant, stream).unwrap();
    let fits = |told: u64, records: u64| records <= told && told <= records + poison * 20;
    let revisions_fit = noted_revised <= totals.revised && totals.revised <= revised + poison * 20;
    if !fits(totals.records, records) || !revisions_fit {
        return Err(format!(
            "{totals:?} of {stream}, but {records} and {revised} arrived"
        ));
    }
    if stream.entry().kind == Kind::Snapshot {
        return Ok(());
    }
    let (head, slots) = simulation.state.coverage(tenant, stream).unwrap().unwrap();
    let proofs = simulation.state.proofs(tenant, stream).unwrap();
    let closed: u64 = proofs.iter().map(|(_, proof)| proof.slots).sum();
    summary.closed += closed;
    summary.late += head.late;
    if head.unproven > 0 {
        return Err(format!("{} slots of {stream} are unproven", head.unproven));
    }
    let still_open = slots
        .keys()
        .filter(|start| **start < old(simulation))
        .count();
    let unread = head.unread.first();
    let unread = unread.is_some_and(|span| span.from < old(simulation));
    // A poison record with no others after it to convict it is held, and its slots with it.
    if (still_open > 0 || unread) && !simulation.plan.poison {
        return Err(format!(
            "{still_open} old slots of {stream} are open: {:?} {slots:?}",
            head.unread
        ));
    }
    if stream.entry().kind != Kind::Events {
        return Ok(());
    }
    let slot_of = |time| slot_of(time, simulation.plan.slot());
    let is_closed = |slot: DateTime<Utc>| {
        !slots.contains_key(&slot) && !head.unread.contains(slot) && slot < head.tail_from
    };
    let records = simulation.world.records(stream);
    let times: BTreeMap<&str, DateTime<Utc>> = records
        .iter()
        .map(|stored| (stored.id.as_str(), stored.versions[0].time))
        .collect();
    let closed_ids = distinct.iter().filter(|id| is_closed(slot_of(times[**id])));
    let closed_ids = closed_ids.count() as u64;
    // The state is bounded: what was known of a closed slot's ids went with it.
    let still_known = arrivals
        .iter()
        .filter(|arrival| is_closed(arrival.key.slot))
        .find(|arrival| {
            let known = simulation.state.known(tenant, stream, &[arrival.key]);
            known.unwrap()[0].is_some()
        });
    if let Some(arrival) = still_known {
        return Err(format!(
            "still known though its slot is closed: {arrival:?}"
        ));
    }
    let proven: u64 = proofs.iter().map(|(_, proof)| proof.counts.records).sum();
    if !fits(proven, closed_ids) {
        return Err(format!(
            "the proofs of {stream} count {proven} records, and {closed_ids} arrived"
        ));
    }
    Ok(())
}

/// Slots before this moment had time to close.
fn old(simulation: &Simulation) -> DateTime<Utc> {
    simulation.now() - simulation.plan.last_age() - TimeDelta::hours(3) - simulation.plan.slot() * 8
}

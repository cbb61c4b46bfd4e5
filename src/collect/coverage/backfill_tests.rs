use std::collections::BTreeMap;

use super::*;
use crate::{
    collect::{coverage::Finished, read::Found, settings::Settings},
    config::Collect,
    state::Over,
};

fn settings() -> Settings {
    Settings::new(&Collect::default())
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn span(from: &str, to: &str) -> Span {
    Span {
        from: at(from),
        to: at(to),
    }
}

/// A stream that was first read on the 20th at noon, and so from the 19th at noon on.
fn coverage() -> Coverage {
    Coverage::new(&settings(), at("2026-11-20T12:00:00Z"))
}

fn read(coverage: &mut Coverage, span: Span, began: &str, found: &Found) {
    let finished = Finished {
        began: at(began),
        found,
        others: &[],
    };
    coverage.slots_read(&settings().schedule, span, finished);
}

fn one_record(slot: &str) -> Found {
    let counts = Counts {
        records: 1,
        ..Counts::default()
    };
    Found {
        slots: BTreeMap::from([(at(slot), counts)]),
        ..Found::default()
    }
}

#[test]
fn only_what_lies_before_the_origin_is_asked_for_in_whole_slots() {
    let mut coverage = coverage();
    let schedule = settings().schedule;
    let asked = coverage.ask_for(
        &schedule,
        span("2026-11-18T10:07:00Z", "2026-11-20T09:00:00Z"),
    );
    let whole = span("2026-11-18T10:05:00Z", "2026-11-19T12:00:00Z");
    assert_eq!(asked.iter().collect::<Vec<_>>(), [whole]);
    assert_eq!(coverage.backfill_left(), whole.to - whole.from);
    let later = coverage.ask_for(
        &schedule,
        span("2026-11-19T12:00:00Z", "2026-11-20T09:00:00Z"),
    );
    assert!(later.is_empty());
}

#[test]
fn the_earliest_history_comes_first_and_what_was_read_is_not_asked_for_again() {
    let mut coverage = coverage();
    let schedule = settings().schedule;
    let wish = span("2026-11-18T12:00:00Z", "2026-11-18T13:00:00Z");
    coverage.ask_for(&schedule, wish);
    let next = coverage
        .next_backfill(&schedule, &Spans::default(), 3, &[])
        .unwrap();
    assert_eq!(next, span("2026-11-18T12:00:00Z", "2026-11-18T12:15:00Z"));
    read(
        &mut coverage,
        next,
        "2026-11-20T12:01:00Z",
        &Found::default(),
    );
    let again = coverage.ask_for(&schedule, wish);
    let left = span("2026-11-18T12:15:00Z", "2026-11-18T13:00:00Z");
    assert_eq!(again.iter().collect::<Vec<_>>(), [left]);
    assert_eq!(coverage.backfill_left(), TimeDelta::minutes(45));
}

#[test]
fn old_history_closes_on_a_read_that_finds_nothing_new() {
    let mut coverage = coverage();
    let schedule = settings().schedule;
    let wish = span("2026-11-18T12:00:00Z", "2026-11-18T12:05:00Z");
    coverage.ask_for(&schedule, wish);
    let found = one_record("2026-11-18T12:00:00Z");
    read(&mut coverage, wish, "2026-11-20T12:01:00Z", &found);
    assert!(coverage.backfill_left().is_zero());
    assert_eq!(coverage.changes(None).over, []);
    read(
        &mut coverage,
        wish,
        "2026-11-20T12:12:00Z",
        &Found::default(),
    );
    let over = coverage.changes(None).over;
    let counts = Counts {
        records: 1,
        ..Counts::default()
    };
    assert_eq!(over, [(wish.from, Over::Closed(counts))]);
}

#[test]
fn history_that_reaches_the_origin_and_is_closed_joins_it_and_the_proven_time_never_falls_back() {
    let mut coverage = coverage();
    let schedule = settings().schedule;
    let proven = coverage.closed_through(&schedule);
    let wish = span("2026-11-19T11:00:00Z", "2026-11-19T12:00:00Z");
    coverage.ask_for(&schedule, wish);
    let found = one_record("2026-11-19T11:00:00Z");
    read(&mut coverage, wish, "2026-11-20T12:01:00Z", &found);
    coverage.changes(None);
    assert_eq!(coverage.head().origin, at("2026-11-19T12:00:00Z"));
    assert_eq!(coverage.closed_through(&schedule), proven);
    read(
        &mut coverage,
        wish,
        "2026-11-20T13:00:00Z",
        &Found::default(),
    );
    coverage.changes(None);
    assert_eq!(coverage.head().origin, at("2026-11-19T11:00:00Z"));
    assert!(coverage.head().before.is_empty());
    assert_eq!(coverage.closed_through(&schedule), proven);
}

#[test]
fn history_that_graph_no_longer_keeps_is_given_up_and_counted() {
    let mut coverage = coverage();
    let schedule = settings().schedule;
    coverage.ask_for(
        &schedule,
        span("2026-11-18T12:00:00Z", "2026-11-18T13:00:00Z"),
    );
    assert_eq!(coverage.oldest(&schedule), at("2026-11-18T12:00:00Z"));
    let given_up = coverage.give_up(&schedule, at("2026-11-18T12:30:00Z"));
    assert_eq!(given_up, 6);
    assert_eq!(coverage.head().unproven, 6);
    assert_eq!(coverage.backfill_left(), TimeDelta::minutes(30));
}

#[test]
fn what_a_stop_left_unread_is_part_of_what_is_asked_for_while_no_source_runs() {
    let mut coverage = coverage();
    let schedule = settings().schedule;
    coverage.begin_tail(&schedule, at("2026-11-20T12:00:00Z"));
    let within = coverage.unread_within(
        &schedule,
        span("2026-11-20T10:02:00Z", "2026-11-20T12:00:00Z"),
    );
    let gap = span("2026-11-20T10:00:00Z", "2026-11-20T11:50:00Z");
    assert_eq!(within.iter().collect::<Vec<_>>(), [gap]);
    let next = coverage.next_backfill(&schedule, &within, 2, &[]).unwrap();
    assert_eq!(next, span("2026-11-20T10:00:00Z", "2026-11-20T10:10:00Z"));
    read(
        &mut coverage,
        next,
        "2026-11-20T12:01:00Z",
        &Found::default(),
    );
    assert!(!coverage.head().unread.contains(at("2026-11-20T10:05:00Z")));
    assert!(coverage.head().unread.contains(at("2026-11-20T09:55:00Z")));
}

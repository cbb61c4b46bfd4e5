use std::collections::BTreeMap;

use super::*;
use crate::{
    collect::{coverage::Finished, read::Found, settings::Settings},
    config::Collect,
    state::{Counts, Over},
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

/// What a crash leaves: the last save.
#[derive(Default)]
struct Disk {
    head: Option<crate::state::Head>,
    slots: BTreeMap<DateTime<Utc>, crate::state::Slot>,
}

impl Disk {
    fn save(&mut self, coverage: &mut Coverage) {
        let changes = coverage.changes(None);
        self.head = Some(changes.head);
        self.slots.extend(changes.slots);
        for (start, _) in changes.over {
            self.slots.remove(&start);
        }
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_asked_for_is_read_and_nothing_that_was_closed_is_read_again(
        steps in proptest::collection::vec((0_u8..4, 0_i64..400, 1_i64..80), 1..120),
    ) {
        let schedule = settings().schedule;
        let origin = at("2026-11-19T12:00:00Z");
        let slot = |number: i64| origin - schedule.slot() * i32::try_from(number).unwrap();
        let mut coverage = coverage();
        let mut disk = Disk::default();
        disk.save(&mut coverage);
        let mut asked = Spans::default();
        let mut closed = std::collections::BTreeSet::new();
        let mut now = at("2026-11-20T12:00:00Z");
        let mut finish = |coverage: &mut Coverage, disk: &mut Disk, span: Span, found: bool, now: DateTime<Utc>| {
            let found = match found {
                true => one_record(&span.from.to_rfc3339()),
                false => Found::default(),
            };
            let mut start = span.from;
            while start < span.to {
                assert!(!closed.contains(&start), "{start} is read again");
                start += schedule.slot();
            }
            read(coverage, span, &now.to_rfc3339(), &found);
            let open = |start| coverage.slots().contains_key(&start);
            let mut start = span.from;
            while start < span.to {
                if !open(start) {
                    closed.insert(start);
                }
                start += schedule.slot();
            }
            disk.save(coverage);
        };
        for (step, number, length) in steps {
            now += TimeDelta::minutes(1);
            match step {
                0 => {
                    let span = Span { from: slot(number + length), to: slot(number) };
                    coverage.ask_for(&schedule, span);
                    asked.add(span);
                    disk.save(&mut coverage);
                }
                1 | 2 => {
                    let slice = u32::try_from(length).unwrap();
                    if let Some(span) = coverage.next_backfill(&schedule, &Spans::default(), slice, &[]) {
                        finish(&mut coverage, &mut disk, span, step == 1, now);
                    }
                }
                _ => {
                    let head = disk.head.clone().unwrap();
                    coverage = Coverage::restore((head, disk.slots.clone()));
                }
            }
        }
        // In the end everything is read, and once more where something was found.
        while let Some(span) = coverage.next_backfill(&schedule, &Spans::default(), 50, &[]) {
            finish(&mut coverage, &mut disk, span, false, now);
        }
        now += TimeDelta::hours(1);
        while let Some((_, start)) = coverage.next_due(&[], |start| start < origin) {
            let span = Span { from: start, to: start + schedule.slot() };
            finish(&mut coverage, &mut disk, span, false, now);
        }
        let mut start = slot(500);
        while start < origin {
            proptest::prop_assert_eq!(closed.contains(&start), asked.contains(start), "{}", start);
            start += schedule.slot();
        }
        // What reached up to the origin is the source's own now.
        let adjacent = asked.last().filter(|span| span.to == origin);
        let expected = adjacent.map_or(origin, |span| span.from);
        proptest::prop_assert_eq!(coverage.head().origin, expected);
    }
}

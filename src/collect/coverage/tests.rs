use super::*;
use crate::config::Collect;

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-22T{text}Z").parse().unwrap()
}

fn span(from: &str, to: &str) -> Span {
    Span {
        from: at(from),
        to: at(to),
    }
}

/// Slots of five minutes, read again a minute after their end.
fn settings() -> Settings {
    Settings::new(&Collect {
        reread_ages_secs: vec![60],
        start_secs: 0,
        ..Collect::default()
    })
}

fn found(records: &[(&str, u64)]) -> Found {
    let mut found = Found::default();
    for (slot, records) in records {
        found.slots.entry(at(slot)).or_default().records += records;
    }
    found
}

fn coverage() -> Coverage {
    Coverage::new(&settings(), at("10:00:00"))
}

fn tail(coverage: &mut Coverage, from: &str, began: &str, records: &[(&str, u64)]) {
    let settings = settings();
    let read = Finished {
        began: at(began),
        found: &found(records),
        others: &[],
    };
    coverage.tail_read(&settings, &settings.schedule, at(from), read);
}

/// Reads the slot 10:00 to 10:05 whole.
fn read_slot(coverage: &mut Coverage, began: &str, records: u64, others: &[Span]) {
    let read = Finished {
        began: at(began),
        found: &found(&[("10:00:00", records)]),
        others,
    };
    coverage.slots_read(&settings().schedule, span("10:00:00", "10:05:00"), read);
}

fn over(coverage: &mut Coverage, start: &str) -> Option<Over> {
    let over = coverage.changes(None).over;
    over.iter()
        .find(|(slot, _)| *slot == at(start))
        .map(|(_, over)| *over)
}

#[test]
fn a_slot_closes_on_a_read_after_its_last_age_that_finds_nothing() {
    let mut coverage = coverage();
    tail(&mut coverage, "09:50:00", "10:20:00", &[]);
    read_slot(&mut coverage, "10:20:00", 3, &[]);
    let open = coverage.slots()[&at("10:00:00")];
    assert_eq!((open.due, open.counts.records), (at("10:30:00"), 3));
    read_slot(&mut coverage, "10:30:00", 0, &[]);
    assert!(!coverage.slots().contains_key(&at("10:00:00")));
    let counts = Counts {
        records: 3,
        ..Counts::default()
    };
    assert_eq!(over(&mut coverage, "10:00:00"), Some(Over::Closed(counts)));
}

#[test]
fn a_slot_with_a_record_that_is_not_settled_stays_open() {
    let mut coverage = coverage();
    tail(&mut coverage, "09:50:00", "10:20:00", &[]);
    let mut unsettled = Found::default();
    unsettled.unsettled.insert(at("10:00:00"));
    let read = Finished {
        began: at("10:20:00"),
        found: &unsettled,
        others: &[],
    };
    coverage.slots_read(&settings().schedule, span("10:00:00", "10:05:00"), read);
    let open = coverage.slots()[&at("10:00:00")];
    assert_eq!(open.due, at("10:30:00"));
}

#[test]
fn a_slot_that_the_tail_still_reaches_stays_open() {
    let mut coverage = coverage();
    tail(&mut coverage, "10:00:00", "10:05:10", &[]);
    read_slot(&mut coverage, "10:07:00", 0, &[]);
    assert!(coverage.slots().contains_key(&at("10:00:00")));
}

#[test]
fn a_slot_under_another_read_stays_open() {
    let mut coverage = coverage();
    tail(&mut coverage, "09:50:00", "10:20:00", &[]);
    read_slot(
        &mut coverage,
        "10:20:00",
        0,
        &[span("09:30:00", "10:05:00")],
    );
    assert!(coverage.slots().contains_key(&at("10:00:00")));
    read_slot(
        &mut coverage,
        "10:31:00",
        0,
        &[span("10:05:00", "10:15:00")],
    );
    assert!(!coverage.slots().contains_key(&at("10:00:00")));
}

#[test]
fn a_tail_reaches_back_over_open_slots_while_the_rows_to_expect_fit() {
    let mut coverage = coverage();
    let records = [
        ("10:00:00", 5),
        ("10:05:00", 5),
        ("10:10:00", 5),
        ("10:15:00", 2),
    ];
    tail(&mut coverage, "10:00:00", "10:16:00", &records);
    let reach = |rows, in_flight: &[Span]| {
        coverage.reach(&settings().schedule, at("10:15:30"), rows, in_flight)
    };
    assert_eq!(reach(1, &[]), at("10:15:30"));
    assert_eq!(reach(2, &[]), at("10:15:00"));
    assert_eq!(reach(12, &[]), at("10:05:00"));
    assert_eq!(reach(100, &[]), at("10:00:00"));
    assert_eq!(reach(100, &[span("10:05:00", "10:10:00")]), at("10:10:00"));
}

#[test]
fn a_tail_that_reaches_back_never_crosses_a_closed_slot() {
    let mut coverage = coverage();
    tail(&mut coverage, "09:55:00", "10:20:00", &[]);
    // Begun after the last age of all but the newest, it closed them.
    assert_eq!(
        over(&mut coverage, "10:00:00"),
        Some(Over::Closed(Counts::default()))
    );
    let reach = coverage.reach(&settings().schedule, at("10:19:30"), 1000, &[]);
    assert_eq!(reach, at("10:15:00"));
}

#[test]
fn what_passes_retention_open_or_unread_is_unproven_for_good() {
    let mut coverage = coverage();
    tail(&mut coverage, "10:00:00", "10:06:00", &[("10:00:00", 7)]);
    // A stop of two hours leaves what lies between unread.
    coverage.begin_tail(&settings().schedule, at("12:00:00"));
    let given_up = coverage.give_up(&settings().schedule, at("10:10:00"));
    assert_eq!((given_up, coverage.head().unproven), (2, 2));
    let counts = Counts {
        records: 7,
        ..Counts::default()
    };
    let changes = coverage.changes(None);
    assert_eq!(
        changes.over,
        [
            (at("10:00:00"), Over::Unproven(counts)),
            (at("10:05:00"), Over::Unproven(Counts::default())),
        ]
    );
    assert_eq!(
        coverage.head().unread.first(),
        Some(span("10:10:00", "11:50:00"))
    );
}

#[test]
fn what_lies_before_a_tail_that_came_out_of_turn_is_unread_until_the_one_before_comes() {
    let mut coverage = coverage();
    tail(&mut coverage, "10:20:00", "10:30:00", &[]);
    let unread = coverage.head().unread.first();
    assert_eq!(unread, Some(span("10:00:00", "10:20:00")));
    tail(&mut coverage, "10:00:00", "10:20:30", &[]);
    assert_eq!(coverage.head().unread.first(), None);
}

#[test]
fn what_a_read_found_is_counted_even_if_it_was_given_up() {
    let mut coverage = coverage();
    coverage.found(&settings().schedule, &found(&[("10:00:00", 4)]));
    assert_eq!(coverage.slots()[&at("10:00:00")].counts.records, 4);
}

#[test]
fn everything_before_the_first_open_or_unread_slot_is_closed() {
    let mut coverage = coverage();
    let through = |coverage: &Coverage| coverage.closed_through(&settings().schedule);
    assert_eq!(through(&coverage), coverage.head().origin);
    tail(&mut coverage, "09:50:00", "10:20:00", &[]);
    assert_eq!(through(&coverage), at("10:15:00"));
}

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{config::Collect, time::Span};

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-22T{text}Z").parse().unwrap()
}

fn settings(change: impl FnOnce(&mut Collect)) -> Settings {
    let mut collect = Collect::default();
    change(&mut collect);
    Settings::new(&collect)
}

fn ledger(streams: &[Stream], now: DateTime<Utc>) -> Ledger {
    let streams = streams.iter().map(|stream| (*stream, None)).collect();
    Ledger::new(settings(|_| {}), streams, now)
}

/// The requests that go out at one moment.
fn fetches(ledger: &mut Ledger, now: DateTime<Utc>) -> Vec<Fetch> {
    let mut all = Vec::new();
    loop {
        let step = ledger.step(Input::Tick, now, true);
        let fetch = step.actions.iter().find_map(|action| match action {
            Action::Fetch(fetch) => Some(*fetch),
            _ => None,
        });
        match fetch {
            Some(fetch) => all.push(fetch),
            None => return all,
        }
    }
}

fn page(ledger: &mut Ledger, read: ReadId, more: bool, now: DateTime<Utc>) -> Step {
    ledger.step(Input::Page { read, more }, now, false)
}

fn acked(ledger: &mut Ledger, read: ReadId, now: DateTime<Utc>) -> Step {
    let found = BTreeMap::new();
    ledger.step(Input::Acked { read, found }, now, false)
}

/// One page without records, and its ack.
fn complete(ledger: &mut Ledger, read: ReadId, now: DateTime<Utc>) {
    page(ledger, read, false, now);
    acked(ledger, read, now);
}

fn failed(ledger: &mut Ledger, read: ReadId, disposition: Disposition, now: DateTime<Utc>) {
    ledger.step(Input::Failed { read, disposition }, now, false);
}

fn tail_from(ledger: &Ledger, stream: Stream) -> DateTime<Utc> {
    ledger.stream(stream).unwrap().coverage().head().tail_from
}

#[test]
fn a_first_start_reads_the_tail_and_then_the_latest_of_the_past() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns], now);
    let windows: Vec<(Class, Option<Window>)> = fetches(&mut ledger, now)
        .iter()
        .map(|fetch| (fetch.class, fetch.window))
        .collect();
    let window = |from, to: Option<&str>| {
        Some(Window {
            from: at(from),
            to: to.map(at),
        })
    };
    assert_eq!(
        windows,
        [
            (Class::Tail, window("09:55:00", None)),
            (Class::CatchUp, window("08:55:00", Some("09:55:00"))),
            (Class::CatchUp, window("07:55:00", Some("08:55:00"))),
        ]
    );
}

#[test]
fn a_read_counts_only_when_every_page_came_and_is_acked() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns], now);
    let before = at("09:55:00");
    let read = fetches(&mut ledger, now)[0].read;
    page(&mut ledger, read, true, now);
    acked(&mut ledger, read, now);
    assert_eq!(tail_from(&ledger, Stream::SignIns), before);
    let next = fetches(&mut ledger, now);
    assert_eq!((next[0].read, next[0].first), (read, false));
    page(&mut ledger, read, false, now);
    assert_eq!(tail_from(&ledger, Stream::SignIns), before);
    acked(&mut ledger, read, now);
    assert_eq!(tail_from(&ledger, Stream::SignIns), at("10:06:30"));
}

#[test]
fn a_read_that_fails_counts_for_nothing_and_comes_up_again() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns], now);
    let first = fetches(&mut ledger, now)[0];
    page(&mut ledger, first.read, true, now);
    acked(&mut ledger, first.read, now);
    let again = fetches(&mut ledger, now)[0].read;
    failed(&mut ledger, again, Disposition::RestartWindow, now);
    let anew = fetches(&mut ledger, now)[0];
    assert_eq!(
        (anew.class, anew.window, anew.first),
        (first.class, first.window, true)
    );
    assert_ne!(anew.read, first.read);
}

#[test]
fn a_failed_page_is_tried_again_after_a_while() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns], now);
    let reads = fetches(&mut ledger, now);
    let told = Some(std::time::Duration::from_secs(7));
    failed(
        &mut ledger,
        reads[0].read,
        Disposition::Retry { after: told },
        now,
    );
    assert!(fetches(&mut ledger, at("10:07:06.999")).is_empty());
    let again = fetches(&mut ledger, at("10:07:07"));
    assert_eq!((again[0].read, again[0].first), (reads[0].read, true));
}

#[test]
fn a_throttled_bucket_is_silent_and_the_others_are_not() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns, Stream::SecurityAlerts], now);
    let sign_ins: Vec<Fetch> = fetches(&mut ledger, now)
        .into_iter()
        .filter(|fetch| fetch.stream == Stream::SignIns)
        .collect();
    let after = Some(std::time::Duration::from_secs(60));
    failed(
        &mut ledger,
        sign_ins[0].read,
        Disposition::Throttle { after },
        now,
    );
    for second in 1..60 {
        let now = now + TimeDelta::seconds(second);
        for fetch in fetches(&mut ledger, now) {
            assert_eq!(fetch.stream, Stream::SecurityAlerts);
            complete(&mut ledger, fetch.read, now);
        }
    }
    let first = fetches(&mut ledger, at("10:08:00"))[0];
    assert_eq!(
        (first.stream, first.read),
        (Stream::SignIns, sign_ins[0].read)
    );
}

#[test]
fn a_denied_stream_rests_for_an_hour_and_the_rest_goes_on() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::DirectoryAudits, Stream::SignIns], now);
    for fetch in fetches(&mut ledger, now) {
        if fetch.stream == Stream::SignIns {
            failed(&mut ledger, fetch.read, Disposition::Unavailable, now);
        } else {
            complete(&mut ledger, fetch.read, now);
        }
    }
    let mut asked = BTreeSet::new();
    for minute in 1..=59 {
        let now = now + TimeDelta::minutes(minute);
        for fetch in fetches(&mut ledger, now) {
            asked.insert(fetch.stream);
            complete(&mut ledger, fetch.read, now);
        }
    }
    assert_eq!(asked, BTreeSet::from([Stream::DirectoryAudits]));
    let again = fetches(&mut ledger, at("11:07:00"));
    assert!(again.iter().any(|fetch| fetch.stream == Stream::SignIns));
}

#[test]
fn a_refused_filter_turns_what_has_versions_into_a_list_read_whole() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::RiskDetections], now);
    let fetch = fetches(&mut ledger, now)[0];
    failed(&mut ledger, fetch.read, Disposition::FilterRefused, now);
    let later = now + TimeDelta::seconds(10);
    let again = fetches(&mut ledger, later)[0];
    assert_eq!((again.class, again.window), (Class::Snapshot, None));
}

#[test]
fn a_refused_page_size_is_asked_for_no_more() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::Provisioning], now);
    let fetch = fetches(&mut ledger, now)[0];
    failed(
        &mut ledger,
        fetch.read,
        Disposition::SmallerPages { max: 120 },
        now,
    );
    assert_eq!(fetches(&mut ledger, now)[0].page_size, 120);
}

#[test]
fn what_a_stop_left_unread_is_caught_up() {
    let now = at("10:07:00");
    let mut first = ledger(&[Stream::SignIns], now);
    for fetch in fetches(&mut first, now) {
        complete(&mut first, fetch.read, now);
    }
    let coverage = first.stream(Stream::SignIns).unwrap().coverage().clone();
    let later = at("12:31:00");
    let streams = BTreeMap::from([(Stream::SignIns, Some(coverage))]);
    let mut second = Ledger::new(settings(|_| {}), streams, later);
    let fetches = fetches(&mut second, later);
    assert_eq!(fetches[0].window.unwrap().from, at("12:20:00"));
    let unread = &second
        .stream(Stream::SignIns)
        .unwrap()
        .coverage()
        .head()
        .unread;
    let last = unread.last().unwrap();
    assert_eq!((last.from, last.to), (at("10:05:00"), at("12:20:00")));
}

#[test]
fn nothing_is_asked_for_without_room_or_after_a_stop() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns], now);
    assert_eq!(ledger.step(Input::Tick, now, false).actions, []);
    ledger.step(Input::Stop, now, true);
    assert_eq!(ledger.step(Input::Tick, now, true), Step::default());
}

fn ages_of_a_minute() -> Settings {
    settings(|collect| collect.reread_ages_secs = vec![60])
}

/// Reads the slot 10:00 to 10:05 whole at `began`, finding `records` new ones.
fn read_slot(coverage: &mut Coverage, settings: &Settings, began: &str, records: u64) {
    let span = Span {
        from: at("10:00:00"),
        to: at("10:05:00"),
    };
    let counts = Counts {
        records,
        ..Counts::default()
    };
    let found = BTreeMap::from([(at("10:00:00"), counts)]);
    coverage.slots_read(settings, span, at(began), &found);
}

#[test]
fn a_slot_closes_on_a_read_after_its_last_age_that_finds_nothing() {
    let settings = ages_of_a_minute();
    let mut coverage = Coverage::new(&settings, at("10:00:00"));
    let empty = BTreeMap::new();
    coverage.tail_read(&settings, at("09:50:00"), at("10:20:00"), &empty);
    read_slot(&mut coverage, &settings, "10:20:00", 3);
    let open = coverage.slots()[&at("10:00:00")];
    assert_eq!((open.due, open.counts.records), (at("10:30:00"), 3));
    read_slot(&mut coverage, &settings, "10:30:00", 0);
    assert!(!coverage.slots().contains_key(&at("10:00:00")));
    let closed = coverage.changes().closed;
    let proof = closed.iter().find(|(start, _)| *start == at("10:00:00"));
    assert_eq!(proof.unwrap().1.records, 3);
}

#[test]
fn a_slot_that_the_tail_still_reaches_stays_open() {
    let settings = ages_of_a_minute();
    let mut coverage = Coverage::new(&settings, at("10:00:00"));
    let empty = BTreeMap::new();
    coverage.tail_read(&settings, at("10:00:00"), at("10:05:10"), &empty);
    read_slot(&mut coverage, &settings, "10:07:00", 0);
    assert!(coverage.slots().contains_key(&at("10:00:00")));
}

/// A record of the tenant that the property below plays: seconds after the start at which it
/// happened, and by which it is visible.
type Played = (i64, i64);

/// Plays a stream of records against the ledger and returns how often each was delivered.
fn play(records: &[Played], failures: &[u8]) -> Vec<u32> {
    let settings = settings(|collect| {
        collect.start_secs = 1800;
        collect.reread_ages_secs = vec![60, 180, 600, 1800];
    });
    let start = at("10:00:00");
    let moment = |second: i64| start + TimeDelta::seconds(second);
    let streams = BTreeMap::from([(Stream::SignIns, None)]);
    let mut ledger = Ledger::new(settings.clone(), streams, start);
    let mut delivered = vec![0; records.len()];
    let mut failures = failures.iter().cycle();
    let mut now = start;
    let mut input = Input::Tick;
    while now < moment(3 * 3600) {
        let step = ledger.step(input, now, true);
        let fetch = step.actions.iter().find_map(|action| match action {
            Action::Fetch(fetch) => Some(*fetch),
            _ => None,
        });
        let Some(fetch) = fetch else {
            now = step
                .wake
                .unwrap_or(now)
                .max(now + TimeDelta::milliseconds(1));
            input = Input::Tick;
            continue;
        };
        let read = fetch.read;
        let disposition = match failures.next() {
            Some(0) => Some(Disposition::Retry { after: None }),
            Some(1) => Some(Disposition::RestartWindow),
            Some(2) => Some(Disposition::Throttle { after: None }),
            _ => None,
        };
        if let Some(disposition) = disposition {
            input = Input::Failed { read, disposition };
            continue;
        }
        let mut found = BTreeMap::<DateTime<Utc>, Counts>::new();
        for (index, (happened, visible)) in records.iter().enumerate() {
            let time = moment(*happened);
            let seen = fetch.window.is_some_and(|window| window.contains(time));
            if seen && moment(*visible) <= now && delivered[index] == 0 {
                delivered[index] += 1;
                let slot = settings.schedule.floor(time);
                found.entry(slot).or_default().records += 1;
            }
        }
        ledger.step(Input::Page { read, more: false }, now, false);
        input = Input::Acked { read, found };
    }
    delivered
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_record_that_is_visible_by_the_last_age_is_delivered(
        // From the reach of the first start to an hour in; up to the last age late.
        records in proptest::collection::vec((-1500_i64..3600, 0_i64..1800), 1..60),
        failures in proptest::collection::vec(0_u8..12, 1..40),
    ) {
        prop_assume!(failures.iter().any(|failure| *failure > 2));
        let records: Vec<Played> = records
            .into_iter()
            .map(|(happened, late)| (happened, happened + late))
            .collect();
        let delivered = play(&records, &failures);
        for (record, times) in records.iter().zip(delivered) {
            prop_assert_eq!(times, 1, "{:?}", record);
        }
    }
}

#[test]
fn polls_that_come_faster_than_the_budget_starve_no_stream() {
    let start = at("10:07:00");
    let streams = [
        Stream::DirectoryAudits,
        Stream::SignIns,
        Stream::SignInsNonInteractive,
    ];
    let settings = settings(|collect| {
        collect.poll_secs = std::num::NonZeroU32::new(3).unwrap();
        collect.idle_poll_secs = std::num::NonZeroU32::new(6).unwrap();
        collect.slot_secs = std::num::NonZeroU32::new(10).unwrap();
        collect.overlap_secs = 5;
        collect.reread_ages_secs = vec![2, 5, 10, 20, 40, 80, 120];
    });
    let saved = streams.map(|stream| (stream, None)).into();
    let mut ledger = Ledger::new(settings, saved, start);
    let mut asked = BTreeMap::<(Stream, &str), u32>::new();
    for second in 0..600 {
        let now = start + TimeDelta::seconds(second);
        for fetch in fetches(&mut ledger, now) {
            let class = match fetch.class {
                Class::Tail => "tail",
                Class::CatchUp => "catch-up",
                _ => "re-read",
            };
            *asked.entry((fetch.stream, class)).or_default() += 1;
            complete(&mut ledger, fetch.read, now);
        }
    }
    for stream in streams {
        for class in ["tail", "catch-up", "re-read"] {
            let times = asked.get(&(stream, class)).copied().unwrap_or_default();
            assert!(times >= 5, "{stream} {class}: {asked:?}");
        }
    }
}

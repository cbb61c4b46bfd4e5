use std::collections::BTreeSet;

use super::{
    support::{at, fetches, settings},
    *,
};
use crate::{collect::read::Class, graph::Window};

/// A ledger whose budget is no matter.
fn ledger(streams: &[Stream], now: DateTime<Utc>) -> Ledger {
    let streams = streams.iter().map(|stream| (*stream, None)).collect();
    let settings = settings(|collect| {
        collect.limits.reports.requests = std::num::NonZeroU32::new(100).unwrap();
    });
    Ledger::new(settings, streams, now)
}

fn page(ledger: &mut Ledger, read: ReadId, more: bool, now: DateTime<Utc>) -> Step {
    ledger.step(Input::Page { read, more }, now, false)
}

fn acked(ledger: &mut Ledger, read: ReadId, now: DateTime<Utc>) -> Step {
    let found = Found::default();
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
            (Class::CatchUp, window("06:55:00", Some("07:55:00"))),
            (Class::CatchUp, window("05:55:00", Some("06:55:00"))),
            (Class::CatchUp, window("04:55:00", Some("05:55:00"))),
            (Class::CatchUp, window("03:55:00", Some("04:55:00"))),
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
fn requests_that_were_out_together_and_are_refused_for_their_size_teach_one_lesson() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns], now);
    for fetch in fetches(&mut ledger, now) {
        failed(
            &mut ledger,
            fetch.read,
            Disposition::SmallerPages { max: 500 },
            now,
        );
    }
    let later = at("10:20:00");
    let sizes: BTreeSet<u32> = fetches(&mut ledger, later)
        .iter()
        .map(|fetch| fetch.page_size)
        .collect();
    assert_eq!(sizes, BTreeSet::from([500]));
}

#[test]
fn a_window_that_keeps_failing_is_asked_for_with_fewer_rows_and_with_more_again_when_it_comes() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns], now);
    let mut later = now;
    let mut least = 1000;
    for _ in 0..60 {
        later += TimeDelta::minutes(2);
        for fetch in fetches(&mut ledger, later) {
            least = least.min(fetch.page_size);
            failed(&mut ledger, fetch.read, Disposition::RestartWindow, later);
        }
    }
    assert_eq!(least, 50);
    for _ in 0..60 {
        later += TimeDelta::minutes(2);
        for fetch in fetches(&mut ledger, later) {
            least = fetch.page_size;
            complete(&mut ledger, fetch.read, later);
        }
    }
    assert_eq!(least, 1000);
}

#[test]
fn a_full_stream_is_asked_for_nothing_and_the_others_go_on() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns, Stream::DirectoryAudits], now);
    ledger.hold(BTreeSet::from([Stream::SignIns]));
    let asked: BTreeSet<Stream> = fetches(&mut ledger, now)
        .iter()
        .map(|fetch| fetch.stream)
        .collect();
    assert_eq!(asked, BTreeSet::from([Stream::DirectoryAudits]));
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
    // The process before this one may have spent the budget.
    assert!(fetches(&mut second, later).is_empty());
    let fetches = fetches(&mut second, at("12:31:11"));
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
fn a_wait_that_graph_asked_for_outlasts_a_restart() {
    let now = at("10:07:00");
    let mut first = ledger(&[Stream::SignIns], now);
    let read = fetches(&mut first, now)[0].read;
    let after = Some(std::time::Duration::from_secs(300));
    failed(&mut first, read, Disposition::Throttle { after }, now);
    let coverage = first.stream(Stream::SignIns).unwrap().coverage().clone();
    let streams = BTreeMap::from([(Stream::SignIns, Some(coverage))]);
    let mut second = Ledger::new(settings(|_| {}), streams, at("10:08:00"));
    assert!(fetches(&mut second, at("10:11:59")).is_empty());
    assert!(!fetches(&mut second, at("10:12:00")).is_empty());
}

#[test]
fn nothing_is_asked_for_without_room_or_after_a_stop() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns], now);
    assert_eq!(ledger.step(Input::Tick, now, false).actions, []);
    ledger.step(Input::Stop, now, true);
    assert_eq!(ledger.step(Input::Tick, now, true), Step::default());
}

#[test]
fn a_tail_that_waits_for_acks_does_not_hold_the_next_one() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns], now);
    let first = fetches(&mut ledger, now)[0].read;
    page(&mut ledger, first, false, now);
    let later = at("10:07:31");
    let next = fetches(&mut ledger, later);
    let tail = next
        .iter()
        .find(|fetch| fetch.class == Class::Tail)
        .unwrap();
    // It goes on where the first ended, though nothing of that is acked.
    assert_eq!(tail.window.unwrap().from, at("10:06:30"));
    complete(&mut ledger, tail.read, later);
    let unread = |ledger: &Ledger| {
        let coverage = ledger.stream(Stream::SignIns).unwrap().coverage();
        coverage.head().unread.contains(at("09:57:00"))
    };
    assert!(unread(&ledger));
    acked(&mut ledger, first, later);
    assert!(!unread(&ledger));
    assert_eq!(tail_from(&ledger, Stream::SignIns), at("10:07:01"));
}

#[test]
fn what_a_read_had_found_when_it_was_given_up_counts_once_it_is_acked() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns], now);
    let read = fetches(&mut ledger, now)[0].read;
    page(&mut ledger, read, true, now);
    fetches(&mut ledger, now);
    failed(&mut ledger, read, Disposition::RestartWindow, now);
    let mut found = Found::default();
    found.slots.entry(at("10:00:00")).or_default().records = 3;
    ledger.step(Input::Acked { read, found }, now, false);
    let coverage = ledger.stream(Stream::SignIns).unwrap().coverage();
    assert_eq!(coverage.slots()[&at("10:00:00")].counts.records, 3);
}

#[test]
fn what_was_not_closed_within_retention_is_given_up_and_said() {
    let now = at("10:07:00");
    let mut ledger = ledger(&[Stream::SignIns], now);
    let asked = fetches(&mut ledger, now);
    complete(&mut ledger, asked[0].read, now);
    for fetch in &asked[1..] {
        failed(&mut ledger, fetch.read, Disposition::Unavailable, now);
    }
    let month_later = now + TimeDelta::days(30) + TimeDelta::minutes(3);
    // It takes an answer to be sure of the time.
    let quiet = ledger.step(Input::Tick, month_later, false);
    assert_eq!(quiet.actions, []);
    let read = fetches(&mut ledger, month_later)[0].read;
    let step = page(&mut ledger, read, false, month_later);
    let unproven = step.actions.iter().find_map(|action| match action {
        Action::Unproven(_, slots) => Some(*slots),
        _ => None,
    });
    // The day before the start; the slots of the first read are being read again at this moment.
    assert_eq!(unproven, Some(286));
    let coverage = ledger.stream(Stream::SignIns).unwrap().coverage();
    assert_eq!(coverage.head().unproven, 286);
    let unread = coverage.head().unread.first().unwrap();
    assert_eq!(unread.from, at("10:05:00"));
}

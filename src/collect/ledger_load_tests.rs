use super::{
    support::{at, fetches, settings},
    *,
};
use crate::{collect::read::Class, config::Collect, time::Span};

/// Plays a stream in which every poll finds so many new records, for so long, and counts the
/// requests by class.
fn requests(collect: impl FnOnce(&mut Collect), records: u64, hours: i64) -> BTreeMap<Class, u32> {
    let start = at("10:00:00");
    let settings = settings(|settings| {
        settings.start_secs = 0;
        collect(settings);
    });
    let saved = BTreeMap::from([(Stream::SignIns, None)]);
    let mut ledger = Ledger::new(settings.clone(), saved, start);
    let mut asked = BTreeMap::new();
    let mut now = start;
    while now < start + TimeDelta::hours(hours) {
        for fetch in fetches(&mut ledger, now) {
            *asked.entry(fetch.class).or_default() += 1;
            ledger.step(
                Input::Page {
                    read: fetch.read,
                    more: false,
                },
                now,
                false,
            );
            let mut found = Found::default();
            if fetch.class == Class::Tail {
                let slot = settings.schedule.floor(now);
                found.slots.entry(slot).or_default().records = records;
            }
            ledger.step(
                Input::Acked {
                    read: fetch.read,
                    found,
                },
                now,
                false,
            );
        }
        let wake = ledger.step(Input::Tick, now, true).wake.unwrap();
        now = wake.max(now + TimeDelta::milliseconds(1));
    }
    asked
}

#[test]
fn the_polls_of_a_quiet_stream_serve_its_re_reads() {
    let asked = requests(|_| {}, 0, 30);
    // One poll in two minutes, and no other request.
    assert_eq!(asked.keys().collect::<Vec<_>>(), [&Class::Tail]);
    assert!((890..=910).contains(&asked[&Class::Tail]), "{asked:?}");
}

#[test]
fn a_busy_stream_is_read_again_at_its_ages() {
    let asked = requests(|_| {}, 900, 30);
    // 360 slots with ten ages each, of which many are due together with their neighbours'.
    assert!((1800..1900).contains(&asked[&Class::Reread]), "{asked:?}");
}

#[test]
fn when_the_budget_does_not_go_round_early_ages_are_given_up_and_the_tail_goes_on() {
    // A request in thirty seconds: what the tail alone would take.
    let slow = |collect: &mut Collect| {
        collect.limits.reports.requests = std::num::NonZeroU32::new(1).unwrap();
        collect.limits.reports.per_ms = std::num::NonZeroU32::new(30_000).unwrap();
    };
    let asked = requests(slow, 900, 60);
    let all: u32 = asked.values().sum();
    assert!((7100..=7201).contains(&all), "{asked:?}");
    // Six of ten requests are the tail's, and so no slot waits for ever.
    assert!(asked[&Class::Tail] > 4000, "{asked:?}");
    assert!(asked[&Class::Reread] > 1000, "{asked:?}");
}

/// A stream with so many records a second, read from `start` days back, each page after
/// two seconds. Returns after how long everything was read once, and the longest wait between two
/// tail reads.
fn catch_up(rate: i64, days: u32) -> (TimeDelta, TimeDelta) {
    let start = at("10:00:00");
    let settings = settings(|collect| collect.start_secs = days * 86_400);
    let saved = BTreeMap::from([(Stream::SignIns, None)]);
    let mut ledger = Ledger::new(settings, saved, start);
    let latency = TimeDelta::seconds(2);
    let mut out: Vec<(DateTime<Utc>, Fetch)> = Vec::new();
    let mut left: BTreeMap<ReadId, i64> = BTreeMap::new();
    let mut tails = vec![start];
    let mut now = start;
    loop {
        for fetch in fetches(&mut ledger, now) {
            if fetch.first {
                let window = fetch.window.unwrap();
                let length = window.to.unwrap_or(now) - window.from;
                left.insert(fetch.read, (length.num_seconds() * rate).max(0));
                if fetch.class == Class::Tail {
                    tails.push(now);
                }
            }
            out.push((now + latency, fetch));
        }
        out.sort_by_key(|(when, fetch)| (*when, fetch.read));
        let wake = ledger.step(Input::Tick, now, true).wake;
        let wake = wake.filter(|wake| *wake > now);
        let answer = out.first().map(|(when, _)| *when);
        now = [wake, answer].into_iter().flatten().min().unwrap();
        while let Some((when, fetch)) = out.first().copied()
            && when <= now
        {
            out.remove(0);
            let read = fetch.read;
            let rows = left.get_mut(&read).unwrap();
            let mut found = Found::default();
            let slot = fetch.window.unwrap().from;
            let records = 1000.min(*rows).unsigned_abs();
            found.slots.entry(slot).or_default().records = records;
            *rows -= 1000;
            let more = *rows > 0;
            ledger.step(Input::Page { read, more }, now, false);
            ledger.step(Input::Acked { read, found }, now, false);
        }
        let head = ledger.stream(Stream::SignIns).unwrap().coverage().head();
        if head.unread.is_empty() && head.tail_from > start {
            let waits = tails.windows(2).map(|pair| pair[1] - pair[0]);
            return (now - start, waits.max().unwrap_or_default());
        }
        assert!(now < start + TimeDelta::days(2), "{head:?}");
    }
}

#[test]
fn a_first_start_on_a_large_tenant_catches_up_while_its_newest_records_are_read_in_time() {
    // A week of ten records a second: 6,048 full pages, three of ten requests kept for them.
    let (took, longest_wait) = catch_up(10, 7);
    assert!(took < TimeDelta::hours(8), "{took}");
    // The first tail read takes ten minutes in six pages.
    assert!(longest_wait <= TimeDelta::seconds(65), "{longest_wait}");
}

#[test]
fn a_quiet_month_is_caught_up_in_minutes() {
    let (took, longest_wait) = catch_up(0, 30);
    assert!(took < TimeDelta::minutes(5), "{took}");
    assert!(longest_wait <= TimeDelta::minutes(2), "{longest_wait}");
}

#[test]
fn after_days_of_stop_what_lies_between_is_caught_up_without_a_gap() {
    let start = at("10:02:00");
    let settings = settings(|_| {});
    let mut coverage = Coverage::new(&settings, start);
    coverage.begin_tail(&settings.schedule, start);
    let before = coverage.head().tail_from;
    let later = start + TimeDelta::days(3);
    let from = coverage.begin_tail(&settings.schedule, later);
    assert_eq!(from, at("09:50:00") + TimeDelta::days(3));
    let gap = Span {
        from: settings.schedule.floor(before),
        to: from,
    };
    assert_eq!(
        coverage.head().unread.last(),
        Some(Span {
            from: coverage.head().origin,
            to: from,
        })
    );
    assert!(coverage.head().unread.contains(gap.from));
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
            let read = fetch.read;
            ledger.step(Input::Page { read, more: false }, now, false);
            let found = Found::default();
            ledger.step(Input::Acked { read, found }, now, false);
        }
    }
    for stream in streams {
        for class in ["tail", "catch-up", "re-read"] {
            let times = asked.get(&(stream, class)).copied().unwrap_or_default();
            assert!(times >= 3, "{stream} {class}: {asked:?}");
        }
    }
}

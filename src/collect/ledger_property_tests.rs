use proptest::prelude::*;

use super::{
    support::{at, settings},
    *,
};

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
        let mut found = Found::default();
        for (index, (happened, visible)) in records.iter().enumerate() {
            let time = moment(*happened);
            let seen = fetch.window.is_some_and(|window| window.contains(time));
            if seen && moment(*visible) <= now && delivered[index] == 0 {
                delivered[index] += 1;
                let slot = settings.schedule.floor(time);
                found.slots.entry(slot).or_default().records += 1;
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

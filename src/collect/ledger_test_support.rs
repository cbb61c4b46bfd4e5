use super::*;
use crate::config::Collect;

/// A moment of the day on which the tests play.
pub fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-22T{text}Z").parse().unwrap()
}

/// The default settings, changed.
pub fn settings(change: impl FnOnce(&mut Collect)) -> Settings {
    let mut collect = Collect::default();
    change(&mut collect);
    Settings::new(&collect)
}

/// The requests that go out at one moment.
pub fn fetches(ledger: &mut Ledger, now: DateTime<Utc>) -> Vec<Fetch> {
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

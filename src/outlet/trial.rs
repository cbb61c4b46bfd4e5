//! Whose fault a refusal is: the record's, or the pipeline's. Pure.
//!
//! A refusal does not say. So a record stands trial, alone, and is convicted only when it was refused
//! for long enough while the pipeline took others of its stream: between refusals of the record, or,
//! where nothing else of the stream is being refused, since the first. A pipeline that took later
//! what it had refused, or that refuses many at once, is in doubt, and it takes more to convict.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Refusals of a record alone, with others accepted between them, that convict it.
const CONVICTING: u32 = 3;
/// The same while the pipeline is in doubt.
const CONVICTING_IN_DOUBT: u32 = 10;
/// Refusals alone that convict a record when nothing else of its stream is being refused.
const CONVICTING_WHEN_THE_ONLY_ONE: u32 = 5;
/// Records refused at once beyond which the pipeline is in doubt.
const MANY: u32 = 10;
/// Of so many refusals one at least must be witnessed.
const LEAST_WITNESSED: u32 = 3;
/// How long the pipeline is in doubt once it took what it had refused.
const DOUBT: Duration = Duration::from_secs(3600);

/// What befell a part of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trial {
    /// When it, or the whole it was part of, was first refused.
    first_refused: Option<Instant>,
    /// When it was last refused as it is.
    last_refused: Option<Instant>,
    /// How often it was refused as it is.
    refusals: u32,
    /// Those of them before which others were accepted since the one before.
    witnessed: u32,
}

impl Trial {
    /// The trial of a piece of what this is the trial of.
    #[must_use]
    pub fn of_piece(&self) -> Self {
        Self {
            first_refused: self.first_refused,
            ..Self::default()
        }
    }
}

/// How a stream fares with the pipeline.
#[derive(Debug, Default)]
pub struct Fortune {
    /// When the latest of what the pipeline accepted was sent: what it accepts late says nothing of
    /// how it fares now.
    accepted: Option<Instant>,
    /// When it last accepted what it had refused before.
    pardoned: Option<Instant>,
    /// Records that are being refused alone.
    refused: u32,
    /// Records that were accepted or set aside.
    settled: u64,
    /// What `settled` was when each of the latest records was set aside, oldest first.
    set_aside: VecDeque<u64>,
}

impl Fortune {
    /// Records among which so many may be set aside.
    pub const AMONG: u64 = 10_000;
    pub const SET_ASIDE: usize = 100;

    /// A part of so many events that was sent at `sent` is accepted.
    pub fn accept(&mut self, trial: &Trial, events: u64, sent: Instant, now: Instant) {
        self.accepted = self.accepted.max(Some(sent));
        self.settled += events;
        if trial.refusals > 0 {
            self.pardoned = Some(now);
            self.refused = self.refused.saturating_sub(1);
        }
    }

    /// A part is refused; `alone` says that it is a single record.
    pub fn refuse(&mut self, trial: &mut Trial, alone: bool, now: Instant) {
        trial.first_refused.get_or_insert(now);
        if !alone {
            return;
        }
        let witnessed = trial
            .last_refused
            .is_some_and(|last| self.accepted.is_some_and(|accepted| accepted > last));
        trial.witnessed += u32::from(witnessed);
        trial.last_refused = Some(now);
        trial.refusals += 1;
        self.refused += u32::from(trial.refusals == 1);
    }

    /// Whether a record that was refused alone is at fault itself.
    #[must_use]
    pub fn convicts(&self, trial: &Trial, refused_for: Duration, now: Instant) -> bool {
        let Some(first) = trial.first_refused else {
            return false;
        };
        if now - first < refused_for {
            return false;
        }
        let doubt =
            self.refused > MANY || self.pardoned.is_some_and(|pardoned| now - pardoned < DOUBT);
        let needed = if doubt {
            CONVICTING_IN_DOUBT
        } else {
            CONVICTING
        };
        let the_only_one = !doubt
            && self.refused == 1
            && trial.refusals >= CONVICTING_WHEN_THE_ONLY_ONE
            && self.accepted.is_some_and(|accepted| accepted > first);
        // Refusals that nobody witnessed tell of outages.
        let witnessed = trial.witnessed * LEAST_WITNESSED >= trial.refusals;
        the_only_one || witnessed && trial.witnessed >= needed
    }

    /// Whether one more record may be set aside: when more than one in a hundred is refused, the
    /// fault is not the records'.
    pub fn may_set_aside(&mut self) -> bool {
        let oldest = self.settled.saturating_sub(Self::AMONG);
        while self.set_aside.front().is_some_and(|at| *at < oldest) {
            self.set_aside.pop_front();
        }
        self.set_aside.len() < Self::SET_ASIDE
    }

    /// A convicted record is set aside.
    pub fn set_aside(&mut self) {
        self.settled += 1;
        self.set_aside.push_back(self.settled);
        self.refused = self.refused.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOR: Duration = Duration::from_secs(300);

    struct Court {
        began: Instant,
        fortune: Fortune,
        trial: Trial,
    }

    impl Court {
        fn new() -> Self {
            Self {
                began: Instant::now(),
                fortune: Fortune::default(),
                trial: Trial::default(),
            }
        }

        fn at(&self, second: u64) -> Instant {
            self.began + Duration::from_secs(second)
        }

        fn refuse(&mut self, second: u64) -> bool {
            let now = self.at(second);
            self.fortune.refuse(&mut self.trial, true, now);
            self.fortune.convicts(&self.trial, FOR, now)
        }

        fn accept(&mut self, sent: u64, second: u64) {
            let (sent, now) = (self.at(sent), self.at(second));
            self.fortune.accept(&Trial::default(), 1, sent, now);
        }
    }

    #[test]
    fn refusals_with_others_accepted_between_them_convict() {
        let mut court = Court::new();
        for minute in 0..5 {
            assert!(!court.refuse(minute * 60));
            court.accept(minute * 60 + 10, minute * 60 + 20);
        }
        assert!(court.refuse(300));
    }

    #[test]
    fn an_outage_that_refuses_everything_convicts_nobody() {
        let mut court = Court::new();
        assert!((0..600).all(|minute| !court.refuse(minute * 60)));
    }

    #[test]
    fn what_was_sent_before_an_outage_is_no_witness() {
        let mut court = Court::new();
        for minute in 1..60 {
            assert!(!court.refuse(minute * 60));
            court.accept(0, minute * 60 + 20);
        }
    }

    #[test]
    fn the_only_one_that_is_refused_is_convicted_when_others_were_accepted_since() {
        let mut court = Court::new();
        assert!(!court.refuse(0));
        court.accept(1, 2);
        let refusals = [100, 200, 300].map(|second| court.refuse(second));
        assert_eq!(refusals, [false, false, false]);
        assert!(court.refuse(360));
    }

    #[test]
    fn a_pipeline_that_takes_what_it_refused_must_refuse_many_times() {
        let mut court = Court::new();
        let mut other = Trial::default();
        let began = court.began;
        court.fortune.refuse(&mut other, true, began);
        court.fortune.accept(&other, 1, began, began);
        let mut convicted_after = 0;
        for minute in 0..30 {
            if court.refuse(minute * 60) {
                break;
            }
            court.accept(minute * 60 + 10, minute * 60 + 20);
            convicted_after += 1;
        }
        assert_eq!(convicted_after, 10);
    }

    #[test]
    fn no_more_than_one_in_a_hundred_is_set_aside() {
        let mut fortune = Fortune::default();
        for _ in 0..100 {
            assert!(fortune.may_set_aside());
            fortune.set_aside();
        }
        assert!(!fortune.may_set_aside());
        fortune.settled += 9_800;
        assert!(!fortune.may_set_aside());
        // The first of the hundred is not among the last ten thousand any more.
        fortune.settled += 102;
        assert!(fortune.may_set_aside());
    }
}

//! When an operator is told that a certificate ends: with 30, 14, 7, 3 and 1 days left, and each day after its end.
//! The first word on a certificate that lives less than 90 days comes with a third of its life left.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::Summary;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Lives below this have their first warning at a third of it.
const LONG_LIFE: Duration = Duration::from_secs(90 * DAY.as_secs());
const FIRST_STEP: Duration = Duration::from_secs(30 * DAY.as_secs());
const LATER_STEPS: [Duration; 4] = [
    Duration::from_secs(14 * DAY.as_secs()),
    Duration::from_secs(7 * DAY.as_secs()),
    Duration::from_secs(3 * DAY.as_secs()),
    DAY,
];

/// Where a certificate is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its first moment has not come.
    NotYetValid,
    /// Long before its end.
    Valid,
    /// No more time is left than this step of the warnings.
    Ending {
        /// The step.
        step: Duration,
    },
    /// It has ended.
    Expired {
        /// Whole days ago.
        days: u64,
    },
}

impl Stage {
    /// The stage of a certificate at a moment.
    #[must_use]
    pub fn of(summary: &Summary, now: SystemTime) -> Self {
        if let Ok(since) = now.duration_since(summary.not_after) {
            return Self::Expired { days: since.as_secs() / DAY.as_secs() };
        }
        if now < summary.not_before {
            return Self::NotYetValid;
        }
        let left = summary.not_after.duration_since(now).unwrap_or_default();
        let life = summary.not_after.duration_since(summary.not_before).unwrap_or_default();
        let first = if life < LONG_LIFE { life / 3 } else { FIRST_STEP };
        let steps = LATER_STEPS.into_iter().filter(|step| *step < first).rev().chain([first]);
        steps.into_iter().find(|step| left <= *step).map_or(Self::Valid, |step| Self::Ending { step })
    }
}

/// Remembers what was told of which certificate.
#[derive(Debug, Default)]
pub struct ExpiryLog {
    told: HashMap<[u8; 32], Stage>,
}

impl ExpiryLog {
    /// The stage of a certificate, if it is news. Certificates that are no longer named are forgotten by
    /// [`Self::retain`].
    pub fn news(&mut self, summary: &Summary, now: SystemTime) -> Option<Stage> {
        let stage = Stage::of(summary, now);
        let before = self.told.insert(summary.fingerprint, stage).unwrap_or(Stage::Valid);
        (stage != before && stage != Stage::Valid).then_some(stage)
    }

    /// Forgets every certificate but these.
    pub fn retain(&mut self, is_served: impl Fn(&[u8; 32]) -> bool) {
        self.told.retain(|fingerprint, _| is_served(fingerprint));
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::KeyKind;

    fn living(life: Duration) -> Summary {
        let not_before = UNIX_EPOCH + 10_000 * DAY;
        Summary {
            names: Vec::new(),
            addresses: Vec::new(),
            subject: String::new(),
            common_name: None,
            issuer: String::new(),
            key: KeyKind::Other,
            not_before,
            not_after: not_before + life,
            fingerprint: [7; 32],
        }
    }

    /// Hours left at each word, and what was said.
    fn words(life: Duration) -> Vec<(u64, Stage)> {
        let summary = living(life);
        let mut log = ExpiryLog::default();
        let hour = DAY / 24;
        let hours = u32::try_from(life.as_secs() / hour.as_secs()).unwrap();
        let said = (0..=hours).filter_map(|at| {
            let stage = log.news(&summary, summary.not_before + hour * at)?;
            Some((u64::from(hours - at), stage))
        });
        said.collect()
    }

    #[test]
    fn t26_each_step_is_told_once() {
        let ending = |days: u64| Stage::Ending { step: Duration::from_secs(days * 86_400) };
        let told = words(398 * DAY);
        let expected = [30, 14, 7, 3, 1].map(|days| (days * 24, ending(days)));
        assert_eq!(told.split_last().unwrap(), (&(0, Stage::Expired { days: 0 }), expected.as_slice()));
    }

    #[test]
    fn t26_short_lives_are_told_of_at_a_third() {
        let told = |days: u32| words(DAY * days).into_iter().map(|(left, _)| left).collect::<Vec<_>>();
        assert_eq!(told(45), [15 * 24, 14 * 24, 7 * 24, 3 * 24, 24, 0]);
        assert_eq!(told(6), [2 * 24, 24, 0]);
        assert_eq!(told(1), [8, 0]);
        assert_eq!(told(90), [30 * 24, 14 * 24, 7 * 24, 3 * 24, 24, 0]);
    }

    #[test]
    fn t26_after_its_end_it_is_told_of_each_day() {
        let summary = living(90 * DAY);
        let mut log = ExpiryLog::default();
        let told = (0..72).filter_map(|hour| log.news(&summary, summary.not_after + DAY / 24 * hour));
        assert_eq!(told.collect::<Vec<_>>(), [0, 1, 2].map(|days| Stage::Expired { days }));
        log.retain(|_| false);
        assert_eq!(log.news(&summary, summary.not_before - DAY), Some(Stage::NotYetValid));
        assert_eq!(log.news(&summary, summary.not_before), None);
    }
}

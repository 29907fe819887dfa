//! D11: times of certificates, and the machine's own clock.

use std::time::{Duration, SystemTime};

use lampyris_tls::inspect;

use crate::chains::judge;
use crate::{Context, Finding};

/// A file of the configuration that is this much from the future shows a wrong clock.
const SKEW: Duration = Duration::from_secs(5 * 60);

pub(super) fn d11_validity(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = judge(context, |finding| {
        use inspect::Finding as Of;
        matches!(finding, Of::Expired | Of::NotYetValid | Of::ExpiresSoon | Of::LongLife)
    });
    findings.extend(renewal(context));
    findings.extend(clock(context));
    findings
}

/// What the running server says of its authority.
fn renewal(context: &Context<'_>) -> Option<Finding> {
    let renewal = context.status?.renewal.as_ref().filter(|renewal| renewal.failures > 0)?;
    let error = renewal.last_error.as_deref().unwrap_or("no reason is known");
    let what = format!("the last {} tries to get a new certificate failed: {error}", renewal.failures);
    let why = "the old one is served until it ends; the server goes on trying";
    Some(Finding::warning(what).because(why).mend("do what the reason asks for; the next try comes by itself"))
}

fn clock(context: &Context<'_>) -> Option<Finding> {
    context.local_config()?;
    let synchronised = context.machine.output("timedatectl", &["show", "-p", "NTPSynchronized", "--value"]);
    let is_behind = |modified: SystemTime| modified > context.machine.now() + SKEW;
    let remedy = "set the clock and keep it right: `timedatectl set-ntp true`";
    let why = "certificates and tokens are judged by the clock";
    if context.machine.modified(context.path).is_ok_and(is_behind) {
        let what = format!("{} was changed in the future: this machine's clock is behind", context.path.display());
        return Some(Finding::warning(what).because(why).mend(remedy));
    }
    let is_off = synchronised.is_some_and(|text| text.trim() == "no");
    is_off.then(|| Finding::warning("the clock of this machine is not synchronised").because(why).mend(remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::{Fixture, Leaf};

    fn only(fixture: &Fixture) -> Finding {
        let findings = fixture.run(d11_validity);
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings.into_iter().next().unwrap()
    }

    #[test]
    fn d11_ninety_days_are_sound() {
        assert_eq!(Fixture::sound().run(d11_validity), []);
    }

    #[test]
    fn d11_expired_future_soon_and_long_are_told() {
        for (days, severity) in [
            (-40..-10, Severity::Error),
            (10..100, Severity::Error),
            (-60..20, Severity::Warning),
            (-1..900, Severity::Warning),
        ] {
            let finding = only(&Fixture::sound().leaf(Leaf { days: days.clone(), ..Leaf::default() }));
            assert!(finding.severity >= severity, "{days:?}: {finding:?}");
        }
    }

    #[test]
    fn d11_a_renewal_that_fails_is_told_with_its_reason() {
        let finding = only(&Fixture::sound().renewal_fails("port 80 is closed"));
        assert!(finding.what.contains("port 80 is closed"), "{finding:?}");
    }

    #[test]
    fn d11_a_clock_without_synchronisation_is_told() {
        let finding = only(&Fixture::sound().prints("timedatectl show -p NTPSynchronized --value", "no\n"));
        assert!(finding.remedy.contains("set-ntp"), "{finding:?}");
    }

    #[test]
    fn d11_a_configuration_from_the_future_shows_a_clock_that_is_behind() {
        let finding = only(&Fixture::sound().changed_in(Duration::from_secs(3600)));
        assert!(finding.what.contains("in the future"), "{finding:?}");
    }
}

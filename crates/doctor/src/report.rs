//! What all checks said, for people and for programs.

use std::fmt;

use serde::Serialize;

use crate::{Finding, Severity};

/// What one check said.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// `D1` to `D19`, or `kernel`.
    pub check: &'static str,
    /// What it looks at.
    pub title: &'static str,
    /// Why it did not look, if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<&'static str>,
    /// What it found; empty if all is well.
    pub findings: Vec<Finding>,
}

/// What all checks said.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// By check, in their order.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// The worst finding.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings().map(|finding| finding.severity).max()
    }

    /// How many findings are as bad as that.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings().filter(|finding| finding.severity == severity).count()
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.outcomes.iter().flat_map(|outcome| &outcome.findings)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Outcome { check, title, skipped, findings } in &self.outcomes {
            if let Some(why) = skipped {
                writeln!(f, "{check:<7}{title}: not looked at, {why}")?;
                continue;
            }
            let worst = findings.iter().map(|finding| finding.severity).max();
            let verdict = worst.filter(|&worst| worst > Severity::Information).map_or("ok", Severity::name);
            writeln!(f, "{check:<7}{title}: {verdict}")?;
            for Finding { severity, what, why, remedy } in findings {
                tell(f, &format!("{:<9}", format!("{}:", severity.name())), what)?;
                for (label, text) in [("why:     ", why), ("do:      ", remedy)] {
                    if !text.is_empty() {
                        tell(f, label, text)?;
                    }
                }
            }
        }
        writeln!(f, "{} errors, {} warnings", self.count(Severity::Error), self.count(Severity::Warning))
    }
}

/// A text of several lines keeps them, each below the first.
fn tell(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    let mut label = label;
    for line in text.lines() {
        writeln!(f, "       {label}{line}")?;
        label = "         ";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let bad = Finding::error("no port").because("nobody comes in").mend("open one\nor another");
        let outcome = |check, findings| Outcome { check, title: "ports", skipped: None, findings };
        Report { outcomes: vec![outcome("D3", vec![bad]), outcome("D4", vec![Finding::note("fine")])] }
    }

    #[test]
    fn people_read_what_why_and_what_to_do() {
        let expected = "D3     ports: error\n       error:   no port\n       why:     nobody comes in\n       \
                        do:      open one\n                or another\nD4     ports: ok\n       note:    fine\n\
                        1 errors, 0 warnings\n";
        assert_eq!(report().to_string(), expected);
    }

    #[test]
    fn programs_read_json() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["outcomes"][0]["check"], "D3");
        assert_eq!(json["outcomes"][0]["findings"][0]["severity"], "error");
        assert_eq!(report().worst(), Some(Severity::Error));
    }
}

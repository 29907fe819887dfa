//! The last warnings and errors, for whoever asks.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Line;

/// Lines that are kept.
pub const RECENT_LINES: usize = 20;
/// Most characters of a line that are kept.
const LINE_CHARACTERS: usize = 400;

/// The last warnings and errors. Such lines are rare by rule, so a lock for them stops nobody.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Line>>);

impl Recent {
    /// Keeps a line and drops the oldest one if there are too many.
    pub fn push(&self, level: &str, text: &str) {
        let unix_seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let text = text.chars().take(LINE_CHARACTERS).collect();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == RECENT_LINES {
            lines.pop_front();
        }
        lines.push_back(Line { unix_seconds, level: level.to_owned(), text });
    }

    /// The lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_long_ones_cut() {
        let recent = Recent::default();
        for number in 0..RECENT_LINES + 5 {
            recent.push("WARN", &number.to_string());
        }
        recent.push("ERROR", &"x".repeat(LINE_CHARACTERS * 2));
        let lines = recent.lines();
        assert_eq!(lines.len(), RECENT_LINES);
        assert_eq!(lines[0].text, "6");
        assert_eq!(lines[RECENT_LINES - 1].text.len(), LINE_CHARACTERS);
    }
}

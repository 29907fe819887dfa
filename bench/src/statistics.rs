//! Middles and tails of what was measured.

use std::time::Duration;

/// The median; the upper one of an even number.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which so many thousandths of all lie.
pub(crate) fn quantile(sorted: &[Duration], thousandths: usize) -> Duration {
    let at = (sorted.len() * thousandths / 1000).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles_and_tails_are_where_they_belong() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
        let sorted: Vec<_> = (0..1000).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 500), Duration::from_millis(500));
        assert_eq!(quantile(&sorted, 1000), Duration::from_millis(999));
        assert_eq!(quantile(&[], 500), Duration::ZERO);
    }
}

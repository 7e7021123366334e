//! Medians and percentiles.

use std::time::Duration;

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.get(sorted.len() / 2) {
        Some(upper) if sorted.len().is_multiple_of(2) => {
            sorted.get(sorted.len() / 2 - 1).map_or(*upper, |lower| (lower + upper) / 2.0)
        }
        Some(middle) => *middle,
        None => f64::NAN,
    }
}

/// The median of the quotients of pairs that were measured one right after the other: what slows the machine down for a
/// while slows down both.
pub(crate) fn median_ratio(pairs: &[(f64, f64)]) -> f64 {
    median(&pairs.iter().map(|(measured, ceiling)| measured / ceiling).collect::<Vec<_>>())
}

/// The medians of both sides.
pub(crate) fn medians(pairs: &[(f64, f64)]) -> (f64, f64) {
    let (left, right): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    (median(&left), median(&right))
}

/// In milliseconds; `per_mille` 500 is the median.
pub(crate) fn percentile(durations: &[Duration], per_mille: usize) -> f64 {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let position = (sorted.len() * per_mille / 1000).min(sorted.len().saturating_sub(1));
    sorted.get(position).map_or(f64::NAN, |duration| milliseconds(*duration))
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert_eq!(median_ratio(&[(1.0, 2.0), (9.0, 10.0), (3.0, 4.0)]), 0.75);
    }

    #[test]
    fn percentiles_are_of_sorted_values() {
        let durations: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&durations, 500), 51.0);
        assert_eq!(percentile(&durations, 990), 100.0);
        assert_eq!(percentile(&durations[..1], 990), 100.0);
    }
}

//! Medians, percentiles, spreads, and pairs of a measurement and its ceiling. Knows nothing of what
//! is measured.

use std::{fmt, time::Duration};

use serde::Serialize;

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.get(sorted.len() / 2) {
        Some(upper) if sorted.len().is_multiple_of(2) => sorted
            .get(sorted.len() / 2 - 1)
            .map_or(*upper, |lower| (lower + upper) / 2.0),
        Some(middle) => *middle,
        None => f64::NAN,
    }
}

/// Median, minimum and maximum of some values; each is NaN if there are no values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Summary {
    pub(crate) fn of(values: &[f64]) -> Self {
        Self {
            median: median(values),
            least: values.iter().copied().reduce(f64::min).unwrap_or(f64::NAN),
            greatest: values.iter().copied().reduce(f64::max).unwrap_or(f64::NAN),
        }
    }
}

/// Error of a round in which nothing could be measured. Such a round is repeated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NothingMeasured(pub(crate) &'static str);

impl fmt::Display for NothingMeasured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NothingMeasured {}

/// A measurement and its ceiling, taken directly one after the other, so that a slow moment of the
/// machine affects both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    pub(crate) measured: f64,
    pub(crate) ceiling: f64,
}

impl Pair {
    /// Builds a pair.
    ///
    /// # Errors
    /// [`NothingMeasured`] if one of the values is not positive, since then their ratio has no
    /// meaning.
    pub(crate) fn new(measured: f64, ceiling: f64) -> Result<Self, NothingMeasured> {
        let is_usable = |value: f64| value.is_finite() && value > 0.0;
        if !is_usable(measured) {
            return Err(NothingMeasured("the measurement is not positive"));
        }
        if !is_usable(ceiling) {
            return Err(NothingMeasured("the ceiling is not positive"));
        }
        Ok(Self { measured, ceiling })
    }

    pub(crate) fn ratio(self) -> f64 {
        self.measured / self.ceiling
    }

    /// Returns by how much the measurement exceeds its ceiling.
    pub(crate) fn difference(self) -> f64 {
        self.measured - self.ceiling
    }
}

/// Returns a percentile in milliseconds; a `per_mille` of 500 is the median.
pub(crate) fn percentile(durations: &[Duration], per_mille: usize) -> f64 {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let position = (sorted.len() * per_mille / 1000).min(sorted.len().saturating_sub(1));
    sorted
        .get(position)
        .map_or(f64::NAN, |duration| milliseconds(*duration))
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
    }

    #[test]
    fn summary_has_the_median_and_both_ends() {
        assert_eq!(
            Summary::of(&[0.9, 0.5, 0.8]),
            Summary {
                median: 0.8,
                least: 0.5,
                greatest: 0.9
            }
        );
        assert_eq!(
            Summary::of(&[2.0]),
            Summary {
                median: 2.0,
                least: 2.0,
                greatest: 2.0
            }
        );
        let empty = Summary::of(&[]);
        assert!(empty.median.is_nan() && empty.least.is_nan() && empty.greatest.is_nan());
    }

    #[test]
    fn pair_needs_two_positive_values() {
        let pair = Pair::new(3.0, 4.0).unwrap();
        assert_eq!(pair.ratio(), 0.75);
        assert_eq!(pair.difference(), -1.0);
        for (measured, ceiling) in [
            (0.0, 1.0),
            (1.0, 0.0),
            (1.0, -2.0),
            (f64::NAN, 1.0),
            (1.0, f64::INFINITY),
        ] {
            assert!(
                Pair::new(measured, ceiling).is_err(),
                "{measured} and {ceiling}"
            );
        }
    }

    #[test]
    fn percentiles_are_of_sorted_values() {
        let durations: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&durations, 500), 51.0);
        assert_eq!(percentile(&durations, 990), 100.0);
        assert_eq!(percentile(&durations[..1], 990), 100.0);
    }
}

//! Rounds of a measurement on a machine that other programs use too. A round in which other
//! programs took too much of the machine is repeated; if the machine stays busy, the quietest
//! rounds count, and the result is marked.
//!
//! Example: 3 rounds are wanted, so there are at most 6 attempts. Other programs take 0, 30, 1, 20,
//! 10 and 9 % of the machine. Only two attempts are quiet (at most 5 %), so the three quietest
//! count: those with 0, 1 and 9 %. 3 attempts were repeated, and the result is marked as busy.

use std::{io::Write, time::Duration};

use crate::{effort::Effort, machine::BUSY_SHARE, statistics::NothingMeasured};

/// Maximum number of attempts for each round that is wanted.
const ATTEMPTS: usize = 2;
/// Longest wait for a quiet moment before a round is repeated.
const QUIET_TIMEOUT: Duration = Duration::from_secs(3);

/// The rounds that count.
pub(crate) struct Series<T> {
    pub(crate) values: Vec<T>,
    pub(crate) conditions: Conditions,
}

/// The conditions under which a series was measured.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Conditions {
    pub(crate) rounds: usize,
    /// Number of rounds that do not count.
    pub(crate) repeated: usize,
    /// Largest share of the machine, from 0 to 1, that other programs took in a round that counts.
    pub(crate) others: f64,
    /// There were not enough quiet rounds.
    pub(crate) is_busy: bool,
}

impl<T> Series<T> {
    pub(crate) fn map<U>(&self, of: impl Fn(&T) -> U) -> Vec<U> {
        self.values.iter().map(of).collect()
    }
}

/// Measures the number of rounds given by `effort`. An error other than `NothingMeasured` ends the
/// series early.
pub(crate) async fn run<T>(
    effort: Effort,
    mut measure: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<Series<T>> {
    let mut rounds = Rounds::new(effort.rounds);
    while !rounds.is_done() {
        let before = effort.machine.usage()?;
        let value = match measure().await {
            Ok(value) => Some(value),
            Err(error) if error.is::<NothingMeasured>() => {
                // Only shows progress, so a closed stderr must not stop the benchmark.
                let _ = writeln!(std::io::stderr(), "a round is repeated: {error}");
                None
            }
            Err(error) => return Err(error),
        };
        let others = before.others_share(effort.machine.usage()?);
        let is_quiet = rounds.push(value, others);
        if !is_quiet && !rounds.is_done() {
            let _ = writeln!(
                std::io::stderr(),
                "a round is repeated: others took {:.0} % of the machine",
                others * 100.0
            );
            effort.machine.wait_until_quiet(QUIET_TIMEOUT).await?;
        }
    }
    Ok(rounds.finish())
}

struct Rounds<T> {
    wanted: usize,
    attempts: usize,
    measured: Vec<Round<T>>,
}

struct Round<T> {
    value: T,
    others: f64,
}

impl<T> Rounds<T> {
    fn new(wanted: usize) -> Self {
        Self {
            wanted,
            attempts: 0,
            measured: Vec::new(),
        }
    }

    fn is_done(&self) -> bool {
        let quiet = self
            .measured
            .iter()
            .filter(|round| round.others <= BUSY_SHARE)
            .count();
        quiet >= self.wanted || self.attempts >= self.wanted * ATTEMPTS
    }

    /// Adds a round and returns whether the machine was quiet enough for it to count.
    fn push(&mut self, value: Option<T>, others: f64) -> bool {
        self.attempts += 1;
        self.measured
            .extend(value.map(|value| Round { value, others }));
        others <= BUSY_SHARE
    }

    fn finish(mut self) -> Series<T> {
        self.measured
            .sort_by(|one, other| one.others.total_cmp(&other.others));
        self.measured.truncate(self.wanted);
        let others = self.measured.last().map_or(0.0, |round| round.others);
        let rounds = self.measured.len();
        let conditions = Conditions {
            rounds,
            repeated: self.attempts - rounds,
            others,
            is_busy: rounds < self.wanted || others > BUSY_SHARE,
        };
        Series {
            values: self.measured.into_iter().map(|round| round.value).collect(),
            conditions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    /// Runs rounds until the series is done; the value of each round is its number.
    fn series(wanted: usize, others: &[Option<f64>]) -> Series<usize> {
        let mut rounds = Rounds::new(wanted);
        for (number, others) in others.iter().enumerate() {
            assert!(!rounds.is_done(), "done before round {number}");
            rounds.push(others.map(|_| number), others.unwrap_or(0.0));
        }
        assert!(rounds.is_done());
        rounds.finish()
    }

    #[test]
    fn quiet_rounds_are_not_repeated() {
        let series = series(3, &[Some(0.01), Some(0.05), Some(0.0)]);
        assert_eq!(
            series.conditions,
            Conditions {
                rounds: 3,
                repeated: 0,
                others: 0.05,
                is_busy: false
            }
        );
    }

    #[test]
    fn busy_round_is_repeated_and_does_not_count() {
        let series = series(2, &[Some(0.0), Some(0.3), Some(0.01)]);
        assert_eq!(series.values, [0, 2]);
        assert_eq!(
            series.conditions,
            Conditions {
                rounds: 2,
                repeated: 1,
                others: 0.01,
                is_busy: false
            }
        );
    }

    #[test]
    fn on_a_machine_that_stays_busy_the_quietest_rounds_count_and_are_marked() {
        let series = series(3, &[0.0, 0.3, 0.01, 0.2, 0.1, 0.09].map(Some));
        assert_eq!(series.values, [0, 2, 5]);
        assert_eq!(
            series.conditions,
            Conditions {
                rounds: 3,
                repeated: 3,
                others: 0.09,
                is_busy: true
            }
        );
    }

    #[test]
    fn rounds_without_a_measurement_are_repeated_up_to_the_same_bound() {
        let one_missing = series(2, &[None, Some(0.0), Some(0.0)]);
        assert_eq!(one_missing.values, [1, 2]);
        assert!(!one_missing.conditions.is_busy);
        let none = series(2, &[None, None, None, None]);
        assert_eq!(none.values, [0_usize; 0]);
        assert_eq!(
            none.conditions,
            Conditions {
                rounds: 0,
                repeated: 4,
                others: 0.0,
                is_busy: true
            }
        );
    }

    fn effort() -> Effort {
        Effort {
            is_quick: true,
            rounds: 2,
            machine: Machine::new(),
        }
    }

    #[tokio::test]
    async fn round_that_measures_nothing_does_not_end_the_series() {
        let mut calls = 0;
        let series = run(effort(), async || {
            calls += 1;
            if calls == 1 {
                Err(NothingMeasured("too little CPU time").into())
            } else {
                Ok(calls)
            }
        });
        let series = series.await.unwrap();
        assert_eq!(series.values.len(), 2);
        assert!(!series.values.contains(&1));
        assert!(series.conditions.repeated >= 1);
    }

    #[tokio::test]
    async fn other_errors_end_the_series() {
        let mut calls = 0;
        let series = run(effort(), async || {
            calls += 1;
            Err::<(), _>(anyhow::anyhow!("the server is gone"))
        });
        assert_eq!(
            series.await.err().unwrap().to_string(),
            "the server is gone"
        );
        assert_eq!(calls, 1);
    }
}

//! How much work the measurements do.

use crate::machine::Machine;

/// Duration and number of the rounds, and the machine on which they run.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) is_quick: bool,
    /// Number of rounds of a measurement that count.
    pub(crate) rounds: usize,
    pub(crate) machine: Machine,
}

impl Effort {
    /// Multiplies the number of rounds.
    pub(crate) fn times(self, factor: usize) -> Self {
        Self {
            rounds: self.rounds * factor,
            ..self
        }
    }
}

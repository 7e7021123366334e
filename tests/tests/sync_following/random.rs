//! Choices that a seed determines (splitmix64, Steele et al., OOPSLA 2014).

use doorward_domain::{Ids, RandomIds};

pub(super) struct Random(u64);

/// Of this run; `TEST_SEED` repeats another.
pub(super) fn seed() -> u64 {
    let wanted = std::env::var_os("TEST_SEED").map(|seed| seed.to_string_lossy().parse().expect("a number"));
    let drawn = || u64::from_str_radix(&RandomIds.gid().to_string()[..8], 16).expect("hexadecimal");
    wanted.unwrap_or_else(drawn)
}

impl Random {
    /// A sequence of its own for each of those who choose at the same time.
    pub(super) fn new(seed: u64, number: usize) -> Self {
        Self(seed.wrapping_mul(1_000_003).wrapping_add(number as u64))
    }

    /// Below the bound.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    pub(super) fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

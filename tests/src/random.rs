//! Choices that a seed determines (splitmix64, Steele et al., OOPSLA 2014).

use doorward_domain::{IdGenerator, RandomIdGenerator};

/// A sequence of choices.
pub struct Random(u64);

/// Returns the seed of this run; `TEST_SEED` repeats another.
#[must_use]
pub fn seed() -> u64 {
    wanted().unwrap_or_else(drawn)
}

/// Returns so many seeds, or `TEST_SEED` alone.
#[must_use]
pub fn seeds(count: usize) -> Vec<u64> {
    wanted().map_or_else(|| (0..count).map(|_| drawn()).collect(), |seed| vec![seed])
}

fn wanted() -> Option<u64> {
    std::env::var_os("TEST_SEED").map(|seed| seed.to_string_lossy().parse().expect("a number"))
}

fn drawn() -> u64 {
    u64::from_str_radix(&RandomIdGenerator.new_gid().to_string()[..8], 16).expect("hexadecimal")
}

impl Random {
    /// A sequence of its own for each of those who choose at the same time.
    #[must_use]
    pub fn new(seed: u64, number: usize) -> Self {
        Self(seed.wrapping_mul(1_000_003).wrapping_add(number as u64))
    }

    /// Returns a number below the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

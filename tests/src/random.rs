//! Reproducible random choices from a seed (splitmix64, Steele et al., OOPSLA 2014).

use doorward_domain::{IdGenerator, RandomIdGenerator};

/// A random number generator. It is not cryptographic.
pub struct Random(u64);

/// Returns the seed of this run. `TEST_SEED` repeats an earlier run.
#[must_use]
pub fn seed() -> u64 {
    seed_from_environment().unwrap_or_else(random_seed)
}

/// Returns `count` random seeds, or only `TEST_SEED` if it is set.
#[must_use]
pub fn seeds(count: usize) -> Vec<u64> {
    seed_from_environment().map_or_else(
        || (0..count).map(|_| random_seed()).collect(),
        |seed| vec![seed],
    )
}

fn seed_from_environment() -> Option<u64> {
    std::env::var_os("TEST_SEED").map(|seed| seed.to_string_lossy().parse().expect("a number"))
}

fn random_seed() -> u64 {
    u64::from_str_radix(&RandomIdGenerator.new_gid().to_string()[..8], 16).expect("hexadecimal")
}

impl Random {
    /// Creates the generator with this number. Concurrent tasks with the same seed use different
    /// numbers, and so different sequences.
    #[must_use]
    pub fn new(seed: u64, number: usize) -> Self {
        Self(seed.wrapping_mul(1_000_003).wrapping_add(number as u64))
    }

    /// Returns a number below the bound. The modulo bias does not matter for tests.
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

//! The ceiling of logins: only the same argon2id hash, with memory that is reused.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use crate::statistics::milliseconds;

/// Default memory and passes of `doorward`.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const SALT: &[u8; 16] = b"a salt for bench";

/// Computes hashes one after the other in the same memory.
pub(crate) struct RawHasher {
    argon2: Argon2<'static>,
    blocks: Vec<Block>,
}

impl RawHasher {
    pub(crate) fn new(memory_kib: u32, passes: u32) -> anyhow::Result<Self> {
        let params = Params::new(memory_kib, passes, 1, Some(32))
            .map_err(|error| anyhow!("argon2: {error}"))?;
        let blocks = vec![Block::default(); params.block_count()];
        Ok(Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            blocks,
        })
    }

    pub(crate) fn default_parameters() -> anyhow::Result<Self> {
        Self::new(MEMORY_KIB, PASSES)
    }

    pub(crate) fn hash(&mut self, password: &[u8]) -> anyhow::Result<[u8; 32]> {
        let mut hash = [0; 32];
        self.argon2
            .hash_password_into_with_memory(password, SALT, &mut hash, &mut self.blocks)
            .map_err(|error| anyhow!("argon2: {error}"))?;
        Ok(hash)
    }

    /// Returns the hash of a password as a PHC string.
    pub(crate) fn phc(&mut self, password: &str) -> anyhow::Result<String> {
        let hash = STANDARD_NO_PAD.encode(self.hash(password.as_bytes())?);
        let memory = self.argon2.params().m_cost();
        let passes = self.argon2.params().t_cost();
        Ok(format!(
            "$argon2id$v=19$m={memory},t={passes},p=1${}${hash}",
            STANDARD_NO_PAD.encode(SALT)
        ))
    }
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Measures the hashes per second on all cores together.
pub(crate) fn hashes_per_second(time: Duration) -> anyhow::Result<f64> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores())
            .map(|_| scope.spawn(move || hash_on_one_core(time)))
            .collect();
        let rates = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a hash panicked"))?);
        rates.sum()
    })
}

fn hash_on_one_core(time: Duration) -> anyhow::Result<f64> {
    let mut hasher = RawHasher::default_parameters()?;
    hasher.hash(b"memory is allocated")?;
    let started = Instant::now();
    let mut count = 0.0;
    while started.elapsed() < time {
        hasher.hash(b"correct horse battery staple")?;
        count += 1.0;
    }
    Ok(count / started.elapsed().as_secs_f64())
}

/// Computes `count` hashes and returns the duration of each in milliseconds.
pub(crate) fn alone(hasher: &mut RawHasher, count: usize) -> anyhow::Result<Vec<f64>> {
    (0..count)
        .map(|_| {
            let started = Instant::now();
            hasher.hash(b"correct horse battery staple")?;
            Ok(milliseconds(started.elapsed()))
        })
        .collect()
}

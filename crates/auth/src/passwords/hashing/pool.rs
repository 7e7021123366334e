//! The hashing threads: a fixed number of threads behind a bounded queue, each with its own memory
//! while it works. So the memory for hashing is bounded, async threads never block, and an overload
//! is rejected immediately.
//!
//! Example with 2 threads and a queue of 2: five hashes are requested at once. Two are computed,
//! two wait, and the fifth fails with [`Error::HashQueueFull`]. If the client of the third
//! disconnects before a thread is free, its hash is skipped.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use argon2::Block;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use tokio::sync::oneshot;

use crate::{config::HashingConfig, error::Error};

/// The memory blocks for one hash, allocated for the first one and reused.
#[derive(Default)]
pub(crate) struct Memory {
    blocks: Vec<Block>,
    /// Number of blocks that are kept: those of the configured parameters. A hash with other
    /// parameters that needs more gets them for one computation.
    retained_blocks: usize,
}

impl Memory {
    /// Calls `work` with `count` blocks. Their content is undefined.
    pub(crate) fn with_blocks<T>(
        &mut self,
        count: usize,
        work: impl FnOnce(&mut [Block]) -> T,
    ) -> T {
        if count > self.retained_blocks {
            return work(&mut vec![Block::default(); count]);
        }
        if self.blocks.len() < self.retained_blocks {
            self.blocks = vec![Block::default(); self.retained_blocks];
        }
        work(self.blocks.get_mut(..count).unwrap_or_default())
    }
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// Runs hashing work on its own threads, which end when the last clone is dropped.
#[derive(Clone)]
pub struct Hasher {
    jobs: Sender<Job>,
}

impl Hasher {
    /// Starts the threads.
    ///
    /// # Errors
    /// Returns an error if a thread can't be started.
    pub fn start(config: &HashingConfig) -> std::io::Result<Self> {
        let (jobs, queue) = crossbeam_channel::bounded::<Job>(config.max_queued.max(1));
        // A block of argon2 has 1 KiB.
        let retained_blocks = usize::try_from(config.memory_kib).unwrap_or(usize::MAX);
        let memories = Arc::new(MemoryPool {
            retained_blocks,
            free: Mutex::default(),
        });
        for number in 0..config.worker_threads.max(1) {
            let queue = queue.clone();
            let memories = memories.clone();
            std::thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || run_jobs(&queue, &memories))?;
        }
        Ok(Self { jobs })
    }

    /// Returns the number of jobs that wait.
    #[must_use]
    pub fn queue_length(&self) -> usize {
        self.jobs.len()
    }

    /// Runs `work` on a hashing thread. If the caller is cancelled before that, the work is
    /// skipped.
    ///
    /// # Errors
    /// [`Error::HashQueueFull`] if the queue is full, [`Error::Internal`] if the work panicked.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Memory) -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let span = tracing::Span::current();
        let job: Job = Box::new(move |memory| {
            let _entered = span.entered();
            if sender.is_closed() {
                return;
            }
            let started = Instant::now();
            let value = work(memory);
            metrics::histogram!("doorward_hash_duration_seconds").record(started.elapsed());
            drop(sender.send(value));
        });
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                metrics::counter!("doorward_hash_rejected_total").increment(1);
                return Err(Error::HashQueueFull);
            }
            Err(TrySendError::Disconnected(_)) => {
                return Err(Error::Internal("all hashing threads have ended"));
            }
        }
        receiver
            .await
            .map_err(|_| Error::Internal("a hashing job panicked"))
    }
}

/// Memory that no thread uses at the moment. The one that was used last is reused first: it is
/// still in the processor's cache, which makes a hash 10 % faster if only one is computed at a
/// time.
struct MemoryPool {
    retained_blocks: usize,
    free: Mutex<Vec<Memory>>,
}

impl MemoryPool {
    fn acquire(&self) -> Memory {
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        free.unwrap_or_else(|| Memory {
            blocks: Vec::new(),
            retained_blocks: self.retained_blocks,
        })
    }

    fn release(&self, memory: Memory) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(memory);
    }
}

/// Runs jobs until the queue is closed and empty. A panic ends the job and not the thread.
fn run_jobs(queue: &Receiver<Job>, memories: &MemoryPool) {
    while let Ok(job) = queue.recv() {
        let mut memory = memories.acquire();
        if std::panic::catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
            tracing::error!("a hashing job panicked");
        }
        memories.release(memory);
    }
}

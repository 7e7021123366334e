//! The hashing threads: few, each with memory of its own while it works, behind a bounded queue. So the memory for hashing is
//! bounded, the async threads never block, and an overload is answered at once.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use argon2::Block;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use tokio::sync::oneshot;

use crate::{Error, config::HashingConfig};

/// The memory blocks of one hash, allocated at the first and kept.
#[derive(Default)]
pub(crate) struct Memory {
    blocks: Vec<Block>,
    /// What is kept; foreign hashes may need more for once.
    retained_blocks: usize,
}

impl Memory {
    /// At least `count` blocks.
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

/// Runs hashing work on its own threads, which end when this goes away.
#[derive(Clone)]
pub struct Hasher {
    jobs: Sender<Job>,
}

impl Hasher {
    /// # Errors
    /// When the threads can't be started.
    pub fn start(config: &HashingConfig) -> std::io::Result<Self> {
        let (jobs, queue) = crossbeam_channel::bounded::<Job>(config.max_queued.max(1));
        let kept = usize::try_from(config.memory_kib).unwrap_or(usize::MAX);
        let memories = Arc::new(MemoryPool {
            retained_blocks: kept,
            free: Mutex::default(),
        });
        for number in 0..config.worker_threads.max(1) {
            let (queue, memories) = (queue.clone(), memories.clone());
            std::thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || run_jobs(&queue, &memories))?;
        }
        Ok(Self { jobs })
    }

    /// How much work waits.
    #[must_use]
    pub fn queue_length(&self) -> usize {
        self.jobs.len()
    }

    /// Runs `work` on a hashing thread. When the caller goes away before its turn, the work is skipped.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Memory) -> T + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let span = tracing::Span::current();
        let job: Job = Box::new(move |memory| {
            let _entered = span.entered();
            if reply.is_closed() {
                return;
            }
            let started = Instant::now();
            let value = work(memory);
            metrics::histogram!("doorward_hash_duration_seconds").record(started.elapsed());
            drop(reply.send(value));
        });
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                metrics::counter!("doorward_hash_rejected_total").increment(1);
                return Err(Error::HashQueueFull);
            }
            Err(TrySendError::Disconnected(_)) => {
                return Err(Error::Internal("the hashing threads are gone"));
            }
        }
        answer.await.map_err(|_| Error::Internal("a hash failed"))
    }
}

/// Memory that no worker uses now. The one that was used last goes first: it is still in the processor's cache, which
/// makes a hash a tenth faster when only one is computed at a time.
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

fn run_jobs(queue: &Receiver<Job>, memories: &MemoryPool) {
    while let Ok(job) = queue.recv() {
        let mut memory = memories.acquire();
        if std::panic::catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
            tracing::error!("a hash panicked");
        }
        memories.release(memory);
    }
}

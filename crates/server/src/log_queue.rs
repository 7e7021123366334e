//! The queue of log lines. A separate thread writes them to stderr, so that a slow or closed reader
//! of stderr never delays the service: lines above a limit are dropped and counted.

use std::{
    io::{self, Write},
    mem,
    panic::PanicHookInfo,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Maximum size of the waiting lines. The writing thread can hold as much again.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Maximum time for which the end of the process waits for the reader of stderr.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

static DROPPED_LINES: AtomicU64 = AtomicU64::new(0);

/// Returns the number of lines that this process has dropped.
pub(crate) fn dropped_lines() -> u64 {
    DROPPED_LINES.load(Ordering::Relaxed)
}

/// A queue of whole lines. Clones share it.
#[derive(Clone)]
pub(crate) struct LogQueue(Arc<QueueInner>);

struct QueueInner {
    state: Mutex<State>,
    changed: Condvar,
    max_bytes: usize,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    is_writing: bool,
}

impl LogQueue {
    /// Starts the thread that writes to `output`.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub(crate) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        Self::with_bound(output, MAX_BYTES)
    }

    fn with_bound(output: impl Write + Send + 'static, max_bytes: usize) -> io::Result<Self> {
        let queue = Self(Arc::new(QueueInner {
            state: Mutex::default(),
            changed: Condvar::new(),
            max_bytes,
        }));
        let writer = queue.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.write_lines(output))?;
        Ok(queue)
    }

    /// Adds lines, or drops them if the queue is full. Never waits for the output.
    fn push(&self, lines: &[u8]) {
        let mut state = self.state();
        if state.waiting.len().saturating_add(lines.len()) > self.0.max_bytes {
            count_dropped(lines);
            return;
        }
        state.waiting.extend_from_slice(lines);
        drop(state);
        self.0.changed.notify_all();
    }

    fn write_lines(&self, mut output: impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.state();
            state.is_writing = false;
            self.0.changed.notify_all();
            let waited = self
                .0
                .changed
                .wait_while(state, |state| state.waiting.is_empty());
            state = waited.unwrap_or_else(PoisonError::into_inner);
            lines.clear();
            mem::swap(&mut state.waiting, &mut lines);
            state.is_writing = true;
            drop(state);
            if output
                .write_all(&lines)
                .and_then(|()| output.flush())
                .is_err()
            {
                count_dropped(&lines);
            }
        }
    }

    /// Waits until all lines are written, for at most [`FLUSH_LIMIT`].
    pub(crate) fn flush_for_exit(&self) {
        let is_busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        drop(
            self.0
                .changed
                .wait_timeout_while(self.state(), FLUSH_LIMIT, is_busy),
        );
    }

    /// Sends panic messages through the queue. The default hook writes to stderr directly, which
    /// may block.
    pub(crate) fn report_panics(&self) {
        let queue = self.clone();
        std::panic::set_hook(Box::new(move |panic| {
            queue.push(describe(panic).as_bytes());
        }));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let backtrace = std::backtrace::Backtrace::capture();
    if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
        format!("thread '{name}' {panic}\n{backtrace}\n")
    } else {
        format!("thread '{name}' {panic}\n")
    }
}

fn count_dropped(lines: &[u8]) {
    let count = lines.iter().filter(|byte| **byte == b'\n').count();
    DROPPED_LINES.fetch_add(
        u64::try_from(count).unwrap_or(u64::MAX).max(1),
        Ordering::Relaxed,
    );
}

impl Write for LogQueue {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.push(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogQueue {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Writes a message that is not part of the log to stderr, and waits for the reader for at most
/// [`FLUSH_LIMIT`].
pub(crate) fn print_for_exit(text: String) {
    let (done, is_done) = mpsc::channel();
    let write = move || {
        // Ignored: if stderr is closed, the exit code still reports the failure.
        let _ = io::stderr().write_all(text.as_bytes());
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = is_done.recv_timeout(FLUSH_LIMIT);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// An output that blocks until the test reads.
    struct Stuck(mpsc::SyncSender<Vec<u8>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn blocked_output_drops_lines_without_blocking() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let queue = LogQueue::with_bound(Stuck(sender), 1000).unwrap();
        let before = dropped_lines();
        let started = Instant::now();
        for number in 0..10_000 {
            queue.push(format!("line {number:04}\n").as_bytes());
        }
        queue.flush_for_exit();
        assert!(
            started.elapsed() < FLUSH_LIMIT * 3,
            "{:?}",
            started.elapsed()
        );
        let dropped = dropped_lines() - before;

        let reader = thread::spawn(move || {
            let mut text = Vec::new();
            while let Ok(bytes) = receiver.recv_timeout(Duration::from_millis(500)) {
                text.extend(bytes);
            }
            String::from_utf8(text).unwrap()
        });
        let text = reader.join().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.first(), Some(&"line 0000"));
        assert!(
            lines.iter().all(|line| line.len() == "line 0000".len()),
            "whole lines"
        );
        assert_eq!(u64::try_from(lines.len()).unwrap() + dropped, 10_000);
    }

    #[test]
    fn everything_is_written_before_the_end() {
        let (sender, receiver) = mpsc::sync_channel(1000);
        let queue = LogQueue::start(Stuck(sender)).unwrap();
        for _ in 0..100 {
            queue.push(b"a line\n");
        }
        queue.flush_for_exit();
        let written: Vec<u8> = receiver.try_iter().flatten().collect();
        assert_eq!(written, b"a line\n".repeat(100));
    }
}

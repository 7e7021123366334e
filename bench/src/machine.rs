//! The CPU time that other programs took: that of the whole machine (`/proc/stat`) minus that of
//! this process, of its descendants, and of the PostgreSQL that is measured. CPU time that is not
//! known to belong to the benchmark counts as that of other programs.

use std::{collections::HashSet, fs, time::Duration};

use anyhow::Context;

use crate::{process, sql};

/// Share of the machine that other programs can take before it counts as busy.
pub(crate) const BUSY_SHARE: f64 = 0.05;
/// Duration of one sample when waiting for a quiet machine.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

/// The machine, and the PostgreSQL server on it whose processes count as the benchmark's own.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    postmaster: Option<u32>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self {
            postmaster: sql::with_backend_process(find_postmaster),
        }
    }

    pub(crate) fn usage(self) -> anyhow::Result<Usage> {
        let roots: Vec<u32> = [std::process::id()]
            .into_iter()
            .chain(self.postmaster)
            .collect();
        let own = count_own_ticks(&read_processes()?, &roots);
        let (all, busy) = machine_ticks(&fs::read_to_string("/proc/stat")?)?;
        Ok(Usage { all, busy, own })
    }

    /// Waits until other programs take at most `BUSY_SHARE`, but no longer than `limit`.
    pub(crate) async fn wait_until_quiet(self, limit: Duration) -> anyhow::Result<()> {
        let until = tokio::time::Instant::now() + limit;
        while tokio::time::Instant::now() < until {
            let before = self.usage()?;
            tokio::time::sleep(SAMPLE_INTERVAL).await;
            if before.others_share(self.usage()?) <= BUSY_SHARE {
                break;
            }
        }
        Ok(())
    }
}

/// CPU time since boot, in clock ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// All cores, idle or not.
    all: f64,
    /// Used by any process, or taken by the hypervisor for another machine.
    busy: f64,
    /// Used by the benchmark's own processes.
    own: f64,
}

impl Usage {
    /// Returns the share of the machine, from 0 to 1, that others took between this moment and a
    /// later one.
    pub(crate) fn others_share(self, later: Self) -> f64 {
        let all = later.all - self.all;
        let others = (later.busy - self.busy) - (later.own - self.own);
        if all > 0.0 {
            (others / all).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }
}

/// Returns the PostgreSQL server that started the process of a connection, or `None` if it runs on
/// another machine.
fn find_postmaster(backend: u32) -> Option<u32> {
    let name = fs::read_to_string(format!("/proc/{backend}/comm")).ok()?;
    if name.trim() == "postgres" {
        Some(read_process(backend).ok()?.parent)
    } else {
        None
    }
}

/// Returns the number of all ticks and of the busy ones from the text of `/proc/stat` (proc(5)).
fn machine_ticks(stat: &str) -> anyhow::Result<(f64, f64)> {
    let line = stat
        .lines()
        .find_map(|line| line.strip_prefix("cpu "))
        .context("no line `cpu` in /proc/stat")?;
    let ticks: Vec<f64> = line
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    // The 9th and 10th value, the time of guests, are not added: they are already included in the
    // first two.
    let &[user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks.as_slice() else {
        anyhow::bail!("unknown format of /proc/stat: {line}");
    };
    // Interrupts do not count as busy: they belong to no process, and those of the loopback device
    // are caused by the benchmark.
    let busy = user + nice + system + steal;
    Ok((busy + idle + iowait + irq + softirq, busy))
}

#[derive(Debug)]
struct Process {
    id: u32,
    parent: u32,
    /// CPU time of the process and of its children that have ended.
    ticks: f64,
}

fn read_processes() -> anyhow::Result<Vec<Process>> {
    let ids =
        fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // A process can end while the directory is read.
    Ok(ids.filter_map(|id| read_process(id).ok()).collect())
}

fn read_process(id: u32) -> anyhow::Result<Process> {
    let fields = process::stat_fields(id)?;
    let field = |number: usize| {
        fields
            .get(number)
            .context("a field of /proc/PID/stat is missing")
    };
    // Numbers in proc(5): 4 is the parent, 14 to 17 are user and system time of the process and of
    // its ended children. Here they are 3 less, as the first two fields are cut off and counting
    // starts at 0.
    let mut ticks = 0.0;
    for number in 11..=14 {
        ticks += field(number)?.parse::<f64>()?;
    }
    Ok(Process {
        id,
        parent: field(1)?.parse()?,
        ticks,
    })
}

/// Returns the CPU time of the roots and all of their descendants.
fn count_own_ticks(processes: &[Process], roots: &[u32]) -> f64 {
    let mut own: HashSet<u32> = roots.iter().copied().collect();
    // One generation of descendants per iteration: a child can be listed before its parent.
    loop {
        let known = own.len();
        own.extend(
            processes
                .iter()
                .filter(|process| own.contains(&process.parent))
                .map(|process| process.id)
                .collect::<Vec<_>>(),
        );
        if own.len() == known {
            break;
        }
    }
    processes
        .iter()
        .filter(|process| own.contains(&process.id))
        .map(|process| process.ticks)
        .sum()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn stolen_time_is_busy_and_guest_time_counts_once() {
        let (all, busy) =
            machine_ticks("cpu  100 10 20 300 5 1 4 7 50 2\ncpu0 1 1 1 1 1 1 1 1 1 1\n").unwrap();
        assert_eq!(busy, 137.0);
        assert_eq!(all, 447.0);
        assert!(machine_ticks("cpu  1 2 3\n").is_err());
        assert!(machine_ticks("intr 0\n").is_err());
    }

    #[test]
    fn descendants_of_the_roots_are_own() {
        let process = |id, parent, ticks| Process { id, parent, ticks };
        // Children can be listed before their parents.
        let processes = [
            process(9, 7, 1.0),
            process(7, 5, 2.0),
            process(5, 1, 4.0),
            process(1, 0, 8.0),
            process(6, 1, 16.0),
        ];
        assert_eq!(count_own_ticks(&processes, &[5]), 7.0);
        assert_eq!(count_own_ticks(&processes, &[7, 6]), 19.0);
        assert_eq!(count_own_ticks(&processes, &[99]), 0.0);
    }

    #[test]
    fn others_share_excludes_own_processes() {
        let before = Usage {
            all: 1000.0,
            busy: 500.0,
            own: 100.0,
        };
        let after = |all, busy, own| Usage {
            all: 1000.0 + all,
            busy: 500.0 + busy,
            own: 100.0 + own,
        };
        assert_eq!(before.others_share(after(200.0, 150.0, 130.0)), 0.1);
        // The machine's ticks and the processes' ticks are not read at the same moment, so `own`
        // can exceed `busy`.
        assert_eq!(before.others_share(after(200.0, 150.0, 151.0)), 0.0);
        assert_eq!(before.others_share(after(0.0, 0.0, 0.0)), 0.0);
    }

    #[test]
    fn cpu_time_of_this_process_is_own() {
        let machine = Machine { postmaster: None };
        let before = machine.usage().unwrap();
        let started = Instant::now();
        // The loop runs until a whole tick is counted, even if this thread gets little CPU time.
        while machine.usage().unwrap().own - before.own < 1.0 {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "no CPU time is counted"
            );
        }
    }
}

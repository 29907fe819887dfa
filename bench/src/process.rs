//! Processes under measurement: starting them, and what the system says of their CPU time and memory.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// A process that ends with this value.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a program that says a line beginning with `ready` on its standard output; gives the rest of that line.
    pub(crate) fn start(
        program: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<(Self, String)> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stdout = child.stdout.take().context("the child has no standard output")?;
        let process = Self { child };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let Some(rest) = line.trim().strip_prefix("ready") else {
            bail!("expected {} to say ready, got {line:?}; start it by hand to see why", program.display());
        };
        Ok((process, rest.trim_start_matches(':').trim().to_owned()))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of a process since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// Of all threads, as the scheduler counted it.
    pub(crate) total: Duration,
    /// Clock ticks in user mode and in the kernel: coarser, they only tell the shares of the total.
    user_ticks: u64,
    system_ticks: u64,
}

impl CpuTime {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let mut total = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread that ended meanwhile is missing; servers under measurement keep theirs.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let on_cpu = text.split_whitespace().next().context("expected the time on the CPU in schedstat")?;
            total += Duration::from_nanos(on_cpu.parse()?);
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let [user_ticks, system_ticks] = ticks(&stat).with_context(|| format!("unexpected stat: {stat}"))?;
        Ok(Self { total, user_ticks, system_ticks })
    }

    /// Time since `earlier`: in user mode and in the kernel.
    pub(crate) fn since(self, earlier: Self) -> (Duration, Duration) {
        let total = self.total.saturating_sub(earlier.total);
        let user = self.user_ticks.saturating_sub(earlier.user_ticks);
        let system = self.system_ticks.saturating_sub(earlier.system_ticks);
        #[expect(clippy::cast_precision_loss, reason = "ticks of a few seconds")]
        let share = user as f64 / (user + system).max(1) as f64;
        let user = total.mul_f64(share);
        (user, total.saturating_sub(user))
    }
}

/// The 14th and 15th field; the 2nd may hold spaces but ends with the last parenthesis.
fn ticks(stat: &str) -> Option<[u64; 2]> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    Some([fields.next()?.parse().ok()?, fields.next()?.parse().ok()?])
}

/// Bytes of a process's memory that are resident and that no file backs.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).context("expected Rss in smaps_rollup")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticks_are_found_behind_a_name_with_spaces() {
        let stat = "1 (a ) b) S 1 1 1 0 -1 4 5 6 7 8 90 21 0 0 20";
        assert_eq!(ticks(stat), Some([90, 21]));
        assert_eq!(ticks("1 (a"), None);
    }

    #[test]
    fn this_process_has_used_time_and_memory() {
        let pid = std::process::id();
        assert!(CpuTime::of(pid).unwrap().total > Duration::ZERO);
        assert!(resident_bytes(pid).unwrap() > 64 << 10);
    }
}

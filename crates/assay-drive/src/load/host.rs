//! Whether the host was quiet: what other processes took of the generator's cores.
//!
//! The engine gives the generator cores of its own, apart from those of the service. Whatever else runs there is
//! foreign to the measurement, and what disturbs these cores most likely disturbs those of the service as well.

use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use nix::unistd::{Pid, SysconfVar, sysconf};

/// Shortest measurement that the kernel's ticks of 10 ms say something about.
const SHORTEST: Duration = Duration::from_secs(5);

/// CPU time used up to some moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct CpuTime {
    /// By this process, in milliseconds.
    own_ms: u64,
    /// On its cores; `None` when it has none of its own.
    cores: Option<Ticks>,
}

/// The kernel's account of some cores, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ticks {
    idle: u64,
    all: u64,
}

/// CPU time used between two moments.
#[derive(Debug, Clone, Copy)]
pub(super) struct CpuUse {
    /// By this process, in milliseconds.
    pub(super) own_ms: u64,
    /// By others on its cores, in percent of these; `None` when it has no cores of its own or the time was short.
    pub(super) others_percent: Option<u64>,
}

impl CpuTime {
    /// Up to now.
    ///
    /// # Errors
    ///
    /// The kernel does not say what this process used.
    pub(super) fn now() -> nix::Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let own_ms = usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds();
        Ok(Self {
            own_ms: u64::try_from(own_ms).unwrap_or(0),
            cores: own_cores().and_then(|own| parse(&std::fs::read_to_string("/proc/stat").ok()?, &own)),
        })
    }

    /// What was used since then.
    pub(super) fn until(self, later: Self, elapsed: Duration) -> CpuUse {
        let own_ms = later.own_ms.saturating_sub(self.own_ms);
        let others = || {
            let (before, after) = (self.cores?, later.cores?);
            let all = after.all.checked_sub(before.all).filter(|all| *all > 0)?;
            let busy = all.saturating_sub(after.idle.saturating_sub(before.idle));
            let ticks_per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
            let own = own_ms * ticks_per_second / 1_000;
            Some(100 * busy.saturating_sub(own) / all)
        };
        let others_percent = if elapsed >= SHORTEST { others() } else { None };
        CpuUse {
            own_ms,
            others_percent,
        }
    }
}

/// The cores that this process may use, if that is not all of them.
fn own_cores() -> Option<Vec<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
    let own: Vec<usize> = (0..CpuSet::count())
        .filter(|core| allowed.is_set(*core).unwrap_or(false))
        .collect();
    let online = usize::try_from(sysconf(SysconfVar::_NPROCESSORS_ONLN).ok()??).ok()?;
    (own.len() < online).then_some(own)
}

/// The sum over some cores in `/proc/stat`; `None` when one of them is not there.
fn parse(stat: &str, cores: &[usize]) -> Option<Ticks> {
    let mut sum = Ticks::default();
    for core in cores {
        let line = stat
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cpu{core} ")))?;
        // user nice system idle iowait irq softirq steal; what follows is in the first two already.
        let ticks: Vec<u64> = line
            .split_whitespace()
            .take(8)
            .map_while(|ticks| ticks.parse().ok())
            .collect();
        sum.all = ticks
            .iter()
            .fold(sum.all, |all, ticks| all.saturating_add(*ticks));
        sum.idle = sum
            .idle
            .saturating_add(*ticks.get(3)?)
            .saturating_add(*ticks.get(4)?);
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  1 1 1 1 1 1 1 1 1 1
cpu0 100 0 50 800 50 0 0 0 7 0
cpu1 10 20 30 900 40 5 5 10 0 0
cpu10 1 1 1 1 1 1 1 1 0 0
intr 1 2 3";

    #[test]
    fn cores_are_summed_up() {
        for (cores, expected) in [
            (vec![0], Some(Ticks { idle: 850, all: 1000 })),
            (vec![1], Some(Ticks { idle: 940, all: 1020 })),
            (
                vec![0, 1],
                Some(Ticks {
                    idle: 1790,
                    all: 2020,
                }),
            ),
            (vec![2], None),
        ] {
            assert_eq!(parse(STAT, &cores), expected, "{cores:?}");
        }
        assert_eq!(parse("cpu0 what", &[0]), None);
    }

    #[test]
    fn others_are_what_is_left_of_the_busy_time() {
        let time = |own_ms, idle, all| CpuTime {
            own_ms,
            cores: Some(Ticks { idle, all }),
        };
        let (before, after) = (time(100, 500, 1_000), time(1_100, 1_000, 2_000));
        // 10 s of one core at 100 ticks a second: half of it idle, 1 s of it our own.
        let used = before.until(after, Duration::from_secs(10));
        assert_eq!((used.own_ms, used.others_percent), (1_000, Some(40)));
        assert_eq!(before.until(after, Duration::from_secs(1)).others_percent, None);
        let nothing_known = CpuTime {
            own_ms: 0,
            cores: None,
        };
        assert_eq!(
            nothing_known.until(after, Duration::from_secs(10)).others_percent,
            None
        );
    }
}

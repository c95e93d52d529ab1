//! Whether the host was quiet: what other processes took of the generator's cores, and what the host says of itself.
//!
//! The engine gives the generator cores of its own, apart from those of the service. Whatever else runs there is
//! foreign to the measurement, and what disturbs these cores most likely disturbs those of the service as well.

use std::time::Duration;

use assay_core::load::HostAccount;
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

/// CPU time used while something was measured.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CpuUse {
    /// By this process, in milliseconds.
    pub(super) own_ms: u64,
    elapsed: Duration,
    /// On its cores: time in which they were busy, and all time, in ticks.
    cores: Option<(u64, u64)>,
}

impl CpuUse {
    /// The sum of two stretches of time.
    pub(super) fn and(self, other: Self) -> Self {
        let cores = match (self.cores, other.cores) {
            (Some(one), Some(two)) => Some((one.0 + two.0, one.1 + two.1)),
            (one, two) => one.or(two),
        };
        Self {
            own_ms: self.own_ms + other.own_ms,
            elapsed: self.elapsed + other.elapsed,
            cores,
        }
    }

    /// What others used of this process's cores, in percent of these; `None` when it has no cores of its own or the
    /// time was short.
    pub(super) fn others_percent(self) -> Option<u64> {
        let (busy, all) = self.cores.filter(|_| self.elapsed >= SHORTEST)?;
        let own = self.own_ms * ticks_per_second()? / 1_000;
        (100 * busy.saturating_sub(own)).checked_div(all)
    }
}

/// What the host says of itself now.
pub(super) fn account() -> Option<HostAccount> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let pressure = std::fs::read_to_string("/proc/pressure/cpu").ok();
    parse_account(&stat, pressure.as_deref(), ticks_per_second()?)
}

fn parse_account(stat: &str, pressure: Option<&str>, ticks_per_second: u64) -> Option<HostAccount> {
    let fields = ticks(stat.lines().find_map(|line| line.strip_prefix("cpu "))?);
    let idle = fields.get(3)?.saturating_add(*fields.get(4)?);
    let all = fields.iter().fold(0_u64, |all, ticks| all.saturating_add(*ticks));
    let ms = |ticks: u64| ticks.saturating_mul(1_000) / ticks_per_second.max(1);
    // `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345`, in microseconds.
    let some = pressure.and_then(|text| text.lines().find_map(|line| line.strip_prefix("some ")));
    let total = some.and_then(|line| {
        line.split_whitespace()
            .find_map(|field| field.strip_prefix("total="))
    });
    let is_core = |line: &&str| {
        line.strip_prefix("cpu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    Some(HostAccount {
        cores: u64::try_from(stat.lines().filter(is_core).count()).unwrap_or(1),
        all_ms: ms(all),
        busy_ms: ms(all.saturating_sub(idle)),
        stolen_ms: ms(fields.get(7).copied().unwrap_or(0)),
        waiting_ms: total.and_then(|us| Some(us.parse::<u64>().ok()? / 1_000)),
    })
}

fn ticks_per_second() -> Option<u64> {
    u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()
}

/// user nice system idle iowait irq softirq steal; what follows is in the first two already.
fn ticks(line: &str) -> Vec<u64> {
    let fields = line.split_whitespace().take(8);
    fields.map_while(|ticks| ticks.parse().ok()).collect()
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
        let cores = || {
            let (before, after) = (self.cores?, later.cores?);
            let all = after.all.checked_sub(before.all)?;
            let idle = after.idle.saturating_sub(before.idle);
            Some((all.saturating_sub(idle), all))
        };
        CpuUse {
            own_ms: later.own_ms.saturating_sub(self.own_ms),
            elapsed,
            cores: cores(),
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
        let ticks = ticks(line);
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
    fn the_host_is_read_as_a_whole() {
        let stat = "cpu  100 0 50 800 50 0 0 20 7 0\ncpu0 1 1 1 1 1 1 1 1";
        let pressure = "some avg10=0.00 avg60=0.10 avg300=0.20 total=1234567\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        let account = HostAccount {
            cores: 1,
            all_ms: 10_200,
            busy_ms: 1_700,
            stolen_ms: 200,
            waiting_ms: Some(1_234),
        };
        assert_eq!(parse_account(stat, Some(pressure), 100), Some(account));
        for (stat, pressure, known, waiting_ms) in [
            (stat, None, true, None),
            (stat, Some("what"), true, None),
            ("cpu 1 2", Some(pressure), false, None),
            ("", None, false, None),
        ] {
            let account = parse_account(stat, pressure, 100);
            assert_eq!(account.is_some(), known, "{stat}");
            assert_eq!(account.and_then(|account| account.waiting_ms), waiting_ms);
        }
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
        assert_eq!((used.own_ms, used.others_percent()), (1_000, Some(40)));
        let half = before.until(after, Duration::from_secs(3));
        assert_eq!(half.others_percent(), None);
        // Two short stretches are long enough together.
        assert_eq!(half.and(half).others_percent(), Some(40));
        assert_eq!(CpuUse::default().and(used).others_percent(), Some(40));
        let nothing_known = CpuTime {
            own_ms: 0,
            cores: None,
        };
        assert_eq!(
            nothing_known
                .until(after, Duration::from_secs(10))
                .others_percent(),
            None
        );
    }
}

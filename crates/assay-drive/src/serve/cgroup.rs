//! What the kernel counts about the container's memory and CPU time, read from inside it (cgroup version 1 or 2).

use assay_core::agent::Usage;

/// Where the number of processes killed for want of memory stands, in either version.
const OOM_FILES: [&str; 2] = [
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
];

/// Where the most memory in use at once stands, in either version.
const PEAK_FILES: [&str; 2] = [
    "/sys/fs/cgroup/memory.peak",
    "/sys/fs/cgroup/memory/memory.max_usage_in_bytes",
];

/// Where the slices of the CPU limit stand, in either version; the second has the CPU time there, too.
const CPU_FILES: [&str; 2] = ["/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat"];

/// Where the first version has the CPU time, in nanoseconds.
const CPU_TIME_FILE: &str = "/sys/fs/cgroup/cpuacct/cpuacct.usage";

/// Processes of this container killed for want of memory so far, or none where the kernel does not tell.
pub(super) fn oom_kills() -> Option<u64> {
    OOM_FILES
        .iter()
        .find_map(|path| parse_oom_kills(&std::fs::read_to_string(path).ok()?))
}

/// The most memory in use at once so far, in bytes, or none where the kernel does not tell.
pub(super) fn memory_peak_bytes() -> Option<u64> {
    PEAK_FILES
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
}

/// What the container has used of the processors so far, or none where the kernel does not tell.
pub(super) fn usage() -> Option<Usage> {
    let read = |path| std::fs::read_to_string(path).ok();
    let counted = CPU_FILES.into_iter().find_map(read)?;
    parse_usage(&counted, read(CPU_TIME_FILE).as_deref())
}

fn parse_usage(counted: &str, time_ns: Option<&str>) -> Option<Usage> {
    let number = |name: &str| {
        let mut lines = counted.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok())
    };
    let cpu_ms = match number("usage_usec") {
        Some(time_us) => time_us / 1_000,
        None => time_ns?.trim().parse::<u64>().ok()? / 1_000_000,
    };
    Some(Usage {
        cpu_ms,
        slices: number("nr_periods").unwrap_or(0),
        throttled_slices: number("nr_throttled").unwrap_or(0),
    })
}

fn parse_oom_kills(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_the_kernels_files_are_understood() {
        for (text, expected) in [
            (
                "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n",
                Some(2),
            ),
            ("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", Some(1)),
            ("oom_kill_disable 0\nunder_oom 0\n", None),
            ("oom_kill many\n", None),
        ] {
            assert_eq!(parse_oom_kills(text), expected, "{text:?}");
        }
        let used = |slices, throttled_slices| {
            Some(Usage {
                cpu_ms: 36,
                slices,
                throttled_slices,
            })
        };
        let second = "usage_usec 36249\nuser_usec 30000\nnr_periods 8\nnr_throttled 3\nthrottled_usec 5\n";
        let first = "nr_periods 2\nnr_throttled 0\nthrottled_time 0\n";
        for (counted, time_ns, expected) in [
            (second, None, used(8, 3)),
            ("usage_usec 36249\n", None, used(0, 0)),
            (first, Some("36249488\n"), used(2, 0)),
            (first, Some("much\n"), None),
            (first, None, None),
        ] {
            assert_eq!(parse_usage(counted, time_ns), expected, "{counted:?} {time_ns:?}");
        }
    }
}

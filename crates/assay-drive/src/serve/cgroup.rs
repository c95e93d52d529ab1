//! What the kernel counts about the container's memory, read from inside it (cgroup version 1 or 2).

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
    }
}

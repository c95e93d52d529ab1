//! What the promises about containers rest on: facts of the engine and its kernel, and which of them give cause for concern.

use serde::{Deserialize, Serialize};

/// What the engine says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineFacts {
    /// Version of the engine.
    pub version: String,
    /// Version of the runtime `runc`, where the engine tells.
    pub runc: Option<String>,
    /// Whether it can filter system calls.
    pub filters_calls: bool,
    /// 1 or 2.
    pub cgroup_version: u8,
    /// Whether root in a container is root on the machine.
    pub root_is_root: bool,
    /// Whether it takes orders over the network from anybody.
    pub is_exposed: bool,
    /// Names of the runtimes that are registered there.
    pub runtimes: Vec<String>,
    /// The one that containers with candidates' code run under; none: the engine's own.
    pub runtime: Option<String>,
}

/// What a container under the policy finds around itself. One line of JSON, from `drive surroundings`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surroundings {
    /// Families of sockets that it could open and must not: `vsock`, `alg`, `packet`.
    pub reachable: Vec<String>,
    /// Whether a filter of system calls is in force.
    pub is_filtered: bool,
    /// Whether programs can gain new privileges.
    pub may_gain: bool,
    /// Capabilities that a process could ever have, as in `/proc/self/status`.
    pub capabilities: String,
    /// What the kernel does with processes that crash; empty where it does not tell.
    pub core_pattern: String,
    /// The kernel's description of itself.
    #[serde(default)]
    pub kernel: String,
    /// Whether who reads from a connection is kept until there is something to read.
    #[serde(default)]
    pub reads_wait: bool,
}

/// What is found of a container under the runtime for candidates' code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confined {
    /// None starts, for this reason.
    Broken(String),
    /// One started.
    Works {
        /// What it finds around itself.
        surroundings: Surroundings,
        /// Whether others in its pod reach what listens in it, and see whose it is.
        is_reached: bool,
    },
}

/// Something about the engine or its kernel that whoever runs Assay should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern {
    /// Whether no candidate's code may run here.
    pub is_grave: bool,
    /// What is so.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Concern {
    /// No candidate's code may run here.
    pub fn grave(message: impl Into<String>, hint: &str) -> Self {
        Self {
            is_grave: true,
            message: message.into(),
            hint: hint.to_owned(),
        }
    }

    /// Good to know.
    pub fn mild(message: impl Into<String>, hint: &str) -> Self {
        Self {
            is_grave: false,
            ..Self::grave(message, hint)
        }
    }
}

/// Versions of `runc` that no known escape works on, by their first two numbers: the least third number.
const RUNC_MENDED: [([u64; 2], u64); 2] = [([1, 2], 8), ([1, 3], 3)];
/// The first version of the engine whose archive calls no container can turn against the host.
const ARCHIVES_MENDED: [u64; 3] = [29, 5, 1];

/// What gives cause for concern, grave things first. No surroundings: no container could be asked. `confined`: of the
/// runtime for candidates' code, where there is one.
pub fn concerns(
    engine: &EngineFacts,
    surroundings: Option<&Surroundings>,
    confined: Option<&Confined>,
) -> Vec<Concern> {
    let mut found = Vec::new();
    if !engine.filters_calls {
        found.push(Concern::grave(
            "the engine cannot filter system calls",
            "use a kernel and an engine with seccomp",
        ));
    }
    if engine.is_exposed {
        found.push(Concern::grave(
            "the engine takes orders over the network from anybody",
            "let it listen on its Unix socket only, or ask for certificates (--tlsverify)",
        ));
    }
    found.extend(surroundings.into_iter().flat_map(felt));
    if let (Some(runtime), Some(confined)) = (&engine.runtime, confined) {
        let own = surroundings.map(|surroundings| surroundings.kernel.as_str());
        found.extend(felt_under(runtime, confined, own.unwrap_or_default()));
    }
    if let Some(version) = engine.runc.as_deref().filter(|version| !is_mended(version)) {
        found.push(Concern::mild(
            format!("runc {version} has known escapes (CVE-2025-31133, CVE-2025-52565, CVE-2025-52881)"),
            "use 1.2.8, 1.3.3 or later, or a package with these fixes; Assay runs no images made by candidates",
        ));
    }
    let version = numbers(&engine.version);
    if version < ARCHIVES_MENDED {
        found.push(Concern::mild(
            format!(
                "Docker {} has known holes in its archive calls (CVE-2026-41567, CVE-2026-41568, CVE-2026-42306)",
                engine.version
            ),
            "Assay never makes these calls; let nobody else use `docker cp` on its containers, or use 29.5.1 or later",
        ));
    }
    if engine.cgroup_version < 2 {
        found.push(Concern::mild(
            "memory is counted by cgroup v1, which leaves out the buffers of sockets",
            "boot with systemd.unified_cgroup_hierarchy=1; until then Assay bounds them itself where it runs as root beside the engine",
        ));
    }
    if engine.root_is_root {
        found.push(Concern::mild(
            "root in a container would be root on this machine",
            "start the engine with userns-remap for a second wall; nothing of Assay's runs as root in a container",
        ));
    }
    found.extend(unused(engine));
    found
}

/// A gVisor that is there and not used.
fn unused(engine: &EngineFacts) -> Option<Concern> {
    let is_gvisor = |name: &&String| name.contains("runsc") || name.contains("gvisor");
    let gvisor = engine.runtimes.iter().find(is_gvisor)?;
    engine.runtime.is_none().then(|| {
        Concern::mild(
            format!("gVisor is registered at the engine as `{gvisor}` and not used"),
            "with its name in engine.runtime (ASSAY_ENGINE_RUNTIME) candidates' code meets a kernel of its own, not this machine's; \
             system calls are slower there",
        )
    })
}

fn felt_under(runtime: &str, confined: &Confined, kernel_of_others: &str) -> Vec<Concern> {
    let (surroundings, is_reached) = match confined {
        Confined::Broken(why) => {
            return vec![Concern::grave(
                format!("no container starts under `{runtime}`: {why}"),
                "register gVisor with the arguments --network=host and --oci-seccomp, or leave engine.runtime empty; \
                 it is tried again after a restart",
            )];
        }
        Confined::Works {
            surroundings,
            is_reached,
        } => (surroundings, is_reached),
    };
    let mut found = felt(surroundings);
    for concern in &mut found {
        concern.message = format!("under `{runtime}`: {}", concern.message);
    }
    if surroundings.kernel == kernel_of_others {
        found.push(Concern::grave(
            format!("`{runtime}` is not gVisor: containers under it have the kernel of all others"),
            "name a gVisor in engine.runtime, or leave it empty",
        ));
    } else if !surroundings.reads_wait {
        found.push(Concern::grave(
            format!("`{runtime}` is too old: who reads from a connection gets an error before there is something to read"),
            "use the gVisor of Debian 13 (20240729) or later: honest services would fail under this one",
        ));
    } else if !is_reached {
        found.push(Concern::grave(
            format!("what listens in a container under `{runtime}` is not reached from its pod"),
            "register gVisor with the argument --network=host: a pod's network is nothing but loopback",
        ));
    }
    if found.is_empty() {
        found.push(Concern::mild(
            format!(
                "under `{runtime}` files in a container's own memory are bounded by their bytes and not by their number, processes \
                 by 1024 at least, TCP goes through this machine's kernel, and candidates' code can speak for its own container"
            ),
            "nothing to do; every other limit is kept",
        ));
    }
    found
}

fn felt(surroundings: &Surroundings) -> Vec<Concern> {
    let mut found = Vec::new();
    if !surroundings.reachable.is_empty() {
        found.push(Concern::grave(
            format!(
                "containers can open sockets that lead past them: {}",
                surroundings.reachable.join(", ")
            ),
            "the engine does not apply the filter of system calls that it is given",
        ));
    }
    if !surroundings.is_filtered {
        found.push(Concern::grave(
            "no filter of system calls is in force in containers",
            "the engine ignores seccomp profiles, as gVisor does unless it is registered with --oci-seccomp; name it in engine.runtime, it cannot be the runtime of all",
        ));
    }
    if surroundings.may_gain {
        found.push(Concern::grave(
            "programs in containers can gain new privileges",
            "the engine ignores no-new-privileges",
        ));
    }
    if surroundings.capabilities.chars().any(|digit| digit != '0') {
        found.push(Concern::grave(
            format!("containers have capabilities: {}", surroundings.capabilities),
            "the engine ignores that all are to be dropped",
        ));
    }
    if surroundings.core_pattern.starts_with('|') {
        found.push(Concern::mild(
            "a process that crashes in a container starts a program on this machine, with its memory as input",
            "sysctl kernel.core_pattern=core",
        ));
    }
    found
}

fn is_mended(version: &str) -> bool {
    let [major, minor, patch] = numbers(version);
    let least = RUNC_MENDED.iter().find(|(series, _)| *series == [major, minor]);
    match least {
        Some((_, least)) => patch >= *least,
        None => [major, minor] > [1, 3],
    }
}

/// The first three numbers of a version such as `20.10.24+dfsg1`. What is no number is 0.
fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split('.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..digits].parse().unwrap_or(0)
    });
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_escapes_go_by_version() {
        for (version, mended) in [
            ("1.1.5+ds1", false),
            ("1.2.7", false),
            ("1.2.8", true),
            ("1.3.2", false),
            ("1.3.3", true),
            ("1.4.0", true),
            ("2.0.0-rc1", true),
            ("unknown", false),
        ] {
            assert_eq!(is_mended(version), mended, "{version}");
        }
    }

    #[test]
    fn what_is_told_about_a_runtime_for_candidates() {
        let of = |kernel: &str| Surroundings {
            is_filtered: true,
            reads_wait: true,
            kernel: kernel.into(),
            ..Surroundings::default()
        };
        let works = |kernel: &str, is_reached| {
            Some(Confined::Works {
                surroundings: of(kernel),
                is_reached,
            })
        };
        let old = Confined::Works {
            surroundings: Surroundings {
                reads_wait: false,
                ..of("4.4")
            },
            is_reached: true,
        };
        let unfiltered = Confined::Works {
            surroundings: Surroundings {
                is_filtered: false,
                ..of("4.4")
            },
            is_reached: true,
        };
        let mut told = String::new();
        for (runtime, confined) in [
            (None, None),
            (Some("runsc"), works("4.4", true)),
            (Some("runsc"), works("4.4", false)),
            (Some("runsc"), works("6.1", true)),
            (Some("runsc"), Some(old)),
            (Some("runsc"), Some(unfiltered)),
            (Some("runsc"), Some(Confined::Broken("because of this".into()))),
        ] {
            let engine = EngineFacts {
                version: "29.5.1".into(),
                runc: Some("1.3.3".into()),
                filters_calls: true,
                cgroup_version: 2,
                runtimes: vec!["runc".into(), "runsc".into()],
                runtime: runtime.map(Into::into),
                ..EngineFacts::default()
            };
            for concern in concerns(&engine, Some(&of("6.1")), confined.as_ref()) {
                let weight = if concern.is_grave { "grave" } else { "mild" };
                told += &format!("{weight}: {}\n", concern.message);
            }
        }
        insta::assert_snapshot!(told, @r"
        mild: gVisor is registered at the engine as `runsc` and not used
        mild: under `runsc` files in a container's own memory are bounded by their bytes and not by their number, processes by 1024 at least, TCP goes through this machine's kernel, and candidates' code can speak for its own container
        grave: what listens in a container under `runsc` is not reached from its pod
        grave: `runsc` is not gVisor: containers under it have the kernel of all others
        grave: `runsc` is too old: who reads from a connection gets an error before there is something to read
        grave: under `runsc`: no filter of system calls is in force in containers
        grave: no container starts under `runsc`: because of this
        ");
    }

    #[test]
    fn what_is_told_about_an_engine() {
        let good = EngineFacts {
            version: "29.5.1".into(),
            runc: Some("1.3.3".into()),
            filters_calls: true,
            cgroup_version: 2,
            ..EngineFacts::default()
        };
        let calm = Surroundings {
            is_filtered: true,
            capabilities: "0000000000000000".into(),
            core_pattern: "core".into(),
            ..Surroundings::default()
        };
        assert_eq!(concerns(&good, Some(&calm), None), []);
        let old = EngineFacts {
            version: "20.10.24+dfsg1".into(),
            runc: Some("1.1.5+ds1".into()),
            cgroup_version: 1,
            root_is_root: true,
            is_exposed: true,
            ..EngineFacts::default()
        };
        let open = Surroundings {
            reachable: vec!["vsock".into()],
            may_gain: true,
            capabilities: "00000000a80425fb".into(),
            core_pattern: "|/usr/share/apport/apport".into(),
            is_filtered: false,
            ..Surroundings::default()
        };
        let told: Vec<String> = concerns(&old, Some(&open), None)
            .iter()
            .map(|concern| {
                format!(
                    "{} {}",
                    if concern.is_grave { "grave" } else { "mild " },
                    concern.message
                )
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        grave the engine cannot filter system calls
        grave the engine takes orders over the network from anybody
        grave containers can open sockets that lead past them: vsock
        grave no filter of system calls is in force in containers
        grave programs in containers can gain new privileges
        grave containers have capabilities: 00000000a80425fb
        mild  a process that crashes in a container starts a program on this machine, with its memory as input
        mild  runc 1.1.5+ds1 has known escapes (CVE-2025-31133, CVE-2025-52565, CVE-2025-52881)
        mild  Docker 20.10.24+dfsg1 has known holes in its archive calls (CVE-2026-41567, CVE-2026-41568, CVE-2026-42306)
        mild  memory is counted by cgroup v1, which leaves out the buffers of sockets
        mild  root in a container would be root on this machine
        ");
    }
}

//! `drive surroundings`: what a container under the policy finds around itself, as one line of JSON.

use std::io::{self, Write as _};

use assay_core::preflight::Surroundings;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// What must not be opened, by name.
const FAMILIES: [(&str, AddressFamily, SockType); 3] = [
    ("vsock", AddressFamily::Vsock, SockType::Stream),
    ("alg", AddressFamily::Alg, SockType::SeqPacket),
    ("packet", AddressFamily::Packet, SockType::Raw),
];

/// Looks around and says what is there.
///
/// # Errors
/// When `/proc` cannot be read, or nobody listens.
pub(crate) fn main() -> io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map_or("", |value| value.trim_start_matches(':').trim())
    };
    let open = |(_, family, kind): &&(&str, AddressFamily, SockType)| {
        socket(*family, *kind, SockFlag::empty(), None).is_ok()
    };
    let surroundings = Surroundings {
        reachable: FAMILIES
            .iter()
            .filter(open)
            .map(|(name, ..)| (*name).to_owned())
            .collect(),
        is_filtered: field("Seccomp") == "2",
        may_gain: field("NoNewPrivs") == "0",
        capabilities: field("CapBnd").to_owned(),
        core_pattern: std::fs::read_to_string("/proc/sys/kernel/core_pattern")?
            .trim()
            .to_owned(),
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&surroundings)?)
}

//! `drive surroundings`: what a container under the policy finds around itself, as one line of JSON.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

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
        // gVisor has no such file.
        core_pattern: std::fs::read_to_string("/proc/sys/kernel/core_pattern")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        kernel: std::fs::read_to_string("/proc/version")?.trim().to_owned(),
        reads_wait: reads_wait()?,
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&surroundings)?)
}

/// How long there is nothing to read.
const SILENCE: Duration = Duration::from_millis(50);

/// Whether a read from a connection waits. In gVisor of 2022 it fails at once when the connection is one of the machine's kernel.
fn reads_wait() -> io::Result<bool> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let reader = TcpStream::connect(listener.local_addr()?)?;
    let (mut writer, _) = listener.accept()?;
    let written = std::thread::spawn(move || {
        std::thread::sleep(SILENCE);
        writer.write_all(b"x")
    });
    // Not by way of the stream itself, which would receive: that waits everywhere.
    let read = nix::unistd::read(&reader, &mut [0]);
    written.join().ok();
    Ok(read == Ok(1))
}

"""Everything that must not be possible in a box. Each entry is tried in a process of its own."""

import ctypes
import os
import resource
import signal
import socket
import stat
import struct
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    """Whether a system call succeeds."""
    LIBC.syscall.restype = ctypes.c_long
    return LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments)) >= 0


def text(value):
    """Return the address of a C string that stays."""
    kept = ctypes.create_string_buffer(value)
    KEPT.append(kept)
    return ctypes.addressof(kept)


KEPT = []


def opens(family, kind, protocol=0):
    """Whether a socket can be made."""
    try:
        socket.socket(family, kind, protocol).close()
    except OSError:
        return False
    return True


def reaches(address, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    """Whether anything outside takes a message."""
    try:
        with socket.socket(family, kind) as line:
            line.settimeout(1)
            line.connect(address)
            line.send(b"x")
    except OSError:
        return False
    return True


def writes(path, value="1"):
    """Whether something can be written to a file."""
    try:
        with open(path, "r+b", buffering=0) as file:
            file.write(value.encode())
    except OSError:
        return False
    return True


def reads(path):
    """Whether there is something to read in a file."""
    try:
        with open(path, "rb") as file:
            return bool(file.read(16))
    except OSError:
        return False


def makes(action, *arguments):
    """Whether a function succeeds."""
    try:
        action(*arguments)
    except (OSError, ValueError):
        return False
    return True


def fills(folder, most):
    """Whether a folder takes more than so many bytes, or more files than anybody needs."""
    written = 0
    path = Path(folder) / f"fill-{os.getpid()}"
    try:
        with path.open("wb") as file:
            while written <= most:
                written += file.write(bytes(1 << 20))
    except OSError:
        return False
    finally:
        path.unlink(missing_ok=True)
    return True


def has_many_files(folder, most=20_000):
    """Whether a folder takes ever more files."""
    made = []
    try:
        for number in range(most):
            path = f"{folder}/many-{os.getpid()}-{number}"
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            made.append(path)
    except OSError:
        return False
    finally:
        for path in made:
            os.unlink(path)
    return True


def becomes_root_by_a_program():
    """Whether a program with the setuid bit changes who one is."""
    for folder in ("/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/lib/openssh"):
        for path in Path(folder).glob("*") if Path(folder).is_dir() else ():
            if path.is_file() and path.stat().st_mode & stat.S_ISUID and path.name == "su":
                return os.system(f"{path} -c true </dev/null >/dev/null 2>&1") == 0  # noqa: S605
    return False


def sees_foreign_sockets():
    """Whether a socket of an engine, or of anybody else, lies about."""
    for folder in ("/run", "/var/run", "/tmp", "/assay", "/egress", "/out", "/mnt", "/srv"):
        for path in Path(folder).rglob("*") if Path(folder).is_dir() else ():
            if stat.S_ISSOCK(path.lstat().st_mode):
                return True
    return False


def sees_foreign_processes():
    """Whether processes are seen that are neither the agent nor one's own."""
    for path in Path("/proc").glob("[0-9]*"):
        if int(path.name) != 1 and b"app" not in (path / "cmdline").read_bytes() and path.name != str(os.getpid()):
            return True
    return False


def finds_hidden_tests():
    """Whether anything of the exercise's verification can be read."""
    wanted = b" ".join((b"greets", b"whom", b"it", b"is", b"asked"))
    for top in ("/", "/tests", "/out", "/src", "/work", "/tmp", "/deps", "/assay", "/opt", "/mnt", "/srv", "/home", "/root"):
        for path in Path(top).rglob("*") if top != "/" else Path(top).glob("*"):
            try:
                if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 20 and wanted in path.read_bytes():
                    return True
            except OSError:
                continue
    return any(name in os.environ for name in ("DOCKER_HOST", "ASSAY_CONTROL", "ASSAY_TOKEN", "SEED"))


def commands_the_agent():
    """Whether the first process can be stopped, read, written, limited or spoken for."""
    for number in (signal.SIGSTOP, signal.SIGKILL, signal.SIGTSTP, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        makes(os.kill, 1, number)
    state = Path("/proc/1/stat").read_text().rsplit(")", 1)[1].split()[0]
    return (
        state == "T"
        or any(makes(os.open, f"/proc/1/fd/{number}", os.O_RDWR | os.O_NONBLOCK) for number in range(16))
        or makes(os.listdir, "/proc/1/fd")
        or makes(os.readlink, "/proc/1/cwd")
        or reads("/proc/1/mem")
        or reads("/proc/1/environ")
        or makes(resource.prlimit, 1, resource.RLIMIT_CPU, (1, 1))
        or makes(resource.prlimit, 1, resource.RLIMIT_NOFILE, (3, 3))
        or writes("/proc/1/oom_score_adj", "1000")
        or writes("/proc/1/comm", "evil")
    )


def pins_memory_in_sockets():
    """Whether sockets hold more than the box may have. What they hold is given back at the end."""
    server = socket.create_server(("127.0.0.1", 0), backlog=512)
    held, pairs = 0, []
    try:
        for _ in range(150):
            client = socket.create_connection(server.getsockname())
            pairs.append((client, server.accept()[0]))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
            client.setblocking(False)
            while True:
                held += client.send(bytes(1 << 16))
    except BlockingIOError:
        return held > 512 << 20
    except OSError:
        return False
    return held > 512 << 20


def escapes_by_the_old_door():
    """Whether a system call of the 32-bit kind is answered (it is `getpid`, by `int 0x80`)."""
    import mmap  # noqa: PLC0415

    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return function() > 0


NEW_USER, NEW_MOUNTS, NEW_NETWORK = 0x10000000, 0x00020000, 0x40000000

ALL = [
    ("vsock", lambda: opens(40, socket.SOCK_STREAM)),
    ("alg", lambda: opens(38, socket.SOCK_SEQPACKET)),
    ("packet", lambda: opens(17, socket.SOCK_RAW, 3)),
    ("raw ip", lambda: opens(2, socket.SOCK_RAW, 1)),
    ("ping", lambda: opens(2, socket.SOCK_DGRAM, 1)),
    ("xdp", lambda: opens(44, socket.SOCK_RAW)),
    ("sctp", lambda: opens(2, socket.SOCK_SEQPACKET, 132)),
    ("dccp", lambda: opens(2, 6, 33)),
    ("mptcp", lambda: opens(2, socket.SOCK_STREAM, 262)),
    ("tipc", lambda: call(53, 30, 5, 0, text(bytes(8)))),
    ("netlink xfrm", lambda: opens(16, socket.SOCK_RAW, 6)),
    ("netlink netfilter", lambda: opens(16, socket.SOCK_RAW, 12)),
    ("netlink audit", lambda: opens(16, socket.SOCK_RAW, 9)),
    ("io_uring", lambda: call(425, 1, text(bytes(120)))),
    ("32-bit call", escapes_by_the_old_door),
    ("keyctl", lambda: call(250, 0, -3, 1)),
    ("add_key", lambda: call(248, text(b"user"), text(b"a"), text(b"b"), 1, -3)),
    ("userfaultfd", lambda: call(323, 0)),
    ("bpf", lambda: call(321, 0, text(bytes(120)), 120)),
    ("perf", lambda: call(298, text(struct.pack("II", 1, 112) + bytes(112)), 0, -1, -1, 0)),
    ("unshare user", lambda: call(272, NEW_USER)),
    ("unshare mounts", lambda: call(272, NEW_MOUNTS)),
    ("unshare network", lambda: call(272, NEW_NETWORK)),
    ("clone user", lambda: call(56, NEW_USER | signal.SIGCHLD, 0, 0, 0, 0)),
    ("clone3", lambda: call(435, text(struct.pack("8Q", NEW_USER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)), 64)),
    ("setns", lambda: call(308, os.open("/proc/self/ns/net", os.O_RDONLY), 0)),
    ("mount", lambda: call(165, text(b"x"), text(b"/tmp"), text(b"tmpfs"), 0, 0)),
    ("umount", lambda: call(166, text(b"/proc/keys"), 0)),
    ("pivot_root", lambda: call(155, text(b"/tmp"), text(b"/tmp"))),
    ("chroot", lambda: call(161, text(b"/tmp"))),
    ("fsopen", lambda: call(430, text(b"tmpfs"), 0)),
    ("open_tree", lambda: call(428, -100, text(b"/"), 1)),
    ("ptrace", lambda: call(101, 16, 1, 0, 0)),
    ("process_vm_readv", lambda: call(310, os.getpid(), text(bytes(16)), 1, text(bytes(16)), 1, 0)),
    ("kcmp", lambda: call(312, os.getpid(), os.getpid(), 0, 0, 0)),
    ("pidfd_getfd", lambda: call(438, os.pidfd_open(os.getpid()), 0, 0)),
    ("open_by_handle_at", lambda: call(304, -100, text(bytes(64)), 0)),
    ("kexec", lambda: call(246, 0, 0, 0, 0)),
    ("init_module", lambda: call(175, text(b"x"), 1, text(b""))),
    ("reboot", lambda: call(169, 0xFEE1DEAD, 672274793, 0x89ABCDEF, 0)),
    ("swapon", lambda: call(167, text(b"/tmp/x"), 0)),
    ("quotactl", lambda: call(179, 0x80000700, 0, 0, 0)),
    ("syslog", lambda: call(103, 10, 0, 0)),
    ("iopl", lambda: call(172, 3)),
    ("personality", lambda: call(135, 0x0040000)),
    ("modify_ldt", lambda: call(154, 0, text(bytes(64)), 64)),
    ("memfd_secret", lambda: call(447, 0)),
    ("vmsplice", lambda: call(278, os.pipe()[1], text(bytes(16)), 1, 0)),
    ("sync of the host's disks", lambda: call(306, os.open("/", os.O_RDONLY))),
    ("posix message queue", lambda: call(240, text(b"q"), os.O_CREAT | os.O_RDWR, 0o600, 0)),
    ("clock_settime", lambda: call(227, 0, text(struct.pack("qq", 1, 1)))),
    ("adjtimex", lambda: call(159, text(struct.pack("I", 1) + bytes(256)))),
    ("setuid", lambda: makes(os.setuid, 0)),
    ("setgroups", lambda: makes(os.setgroups, [0])),
    ("setuid program", becomes_root_by_a_program),
    ("chown", lambda: makes(os.chown, "/tmp", 0, 0)),
    ("mknod", lambda: makes(os.mknod, "/tmp/sda", 0o600 | stat.S_IFBLK, os.makedev(8, 0))),
    ("niceness", lambda: makes(os.setpriority, os.PRIO_PROCESS, 0, -10)),
    ("realtime", lambda: makes(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))),
    ("program from /tmp", lambda: makes(os.open, "/tmp/x", os.O_CREAT | os.O_WRONLY, 0o755) and makes(os.execv, "/tmp/x", ["x"])),
    ("core dumps", lambda: resource.getrlimit(resource.RLIMIT_CORE) != (0, 0)),
    ("more open files", lambda: makes(resource.setrlimit, resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))),
    ("locked memory", lambda: call(149, text(bytes(1 << 20)), 1 << 20)),
    ("oom score", lambda: writes("/proc/self/oom_score_adj", "-1000") or writes("/proc/self/oom_score_adj", "-1")),
    ("core pattern", lambda: writes("/proc/sys/kernel/core_pattern", "|/tmp/x")),
    ("host name", lambda: writes("/proc/sys/kernel/hostname", "x") or makes(socket.sethostname, "x")),
    ("sysrq", lambda: writes("/proc/sysrq-trigger", "h")),
    ("ip forwarding", lambda: writes("/proc/sys/net/ipv4/ip_forward")),
    ("cgroups", lambda: any(writes(path) for path in map(str, Path("/sys/fs/cgroup").rglob("*.max*")))),
    ("release agent", lambda: any(writes(str(p), "/tmp/x") for p in Path("/sys/fs/cgroup").rglob("release_agent"))),
    ("masked: keys", lambda: reads("/proc/keys")),
    ("masked: timers", lambda: reads("/proc/timer_list")),
    ("masked: kcore", lambda: reads("/proc/kcore")),
    ("masked: firmware", lambda: bool(os.listdir("/sys/firmware"))),
    ("kernel log", lambda: reads("/dev/kmsg") or reads("/proc/kmsg")),
    ("hosts", lambda: writes("/etc/hosts", "127.0.0.1 x\n")),
    ("name servers", lambda: writes("/etc/resolv.conf", "nameserver 1.1.1.1\n")),
    ("host name file", lambda: writes("/etc/hostname", "x")),
    ("preload", lambda: makes(lambda: Path("/etc/ld.so.preload").write_text("x"))),
    ("root file system", lambda: any(makes((Path(p) / "x").write_text, "x") for p in ("/", "/usr", "/var/tmp", "/run", "/dev", "/home", "/assay", "/work", "/etc"))),
    ("much in /tmp", lambda: fills("/tmp", 70 << 20)),
    ("many in /tmp", lambda: has_many_files("/tmp")),
    ("much in /dev/shm", lambda: fills("/dev/shm", 70 << 20)),
    ("message queues", lambda: fills("/dev/mqueue", 1 << 20)),
    ("a large file", lambda: makes(os.truncate, os.open("/tmp/big", os.O_CREAT | os.O_RDWR), 50 << 30)),
    ("internet", lambda: reaches(("192.0.2.1", 443)) or reaches(("1.1.1.1", 53), kind=socket.SOCK_DGRAM)),
    ("internet, version 6", lambda: reaches(("2001:db8::1", 443), socket.AF_INET6)),
    ("metadata service", lambda: reaches(("169.254.169.254", 80))),
    ("multicast", lambda: reaches(("224.0.0.1", 5353), kind=socket.SOCK_DGRAM)),
    ("broadcast", lambda: reaches(("255.255.255.255", 67), kind=socket.SOCK_DGRAM)),
    ("names", lambda: makes(socket.getaddrinfo, "example.org", 443)),
    ("interfaces", lambda: sorted(name for _, name in socket.if_nameindex()) != ["lo"]),
    ("bridge", lambda: reaches(("172.17.0.1", 2375)) or reaches(("172.17.0.1", 22))),
    ("tls in the kernel", lambda: ulp()),
    ("foreign sockets", sees_foreign_sockets),
    ("foreign processes", sees_foreign_processes),
    ("hidden tests", finds_hidden_tests),
    ("the agent", commands_the_agent),
    ("memory in sockets", pins_memory_in_sockets),
]


def ulp():
    """Whether another protocol can be put on top of a connection."""
    server = socket.create_server(("127.0.0.1", 0))
    with socket.create_connection(server.getsockname()) as line:
        return makes(line.setsockopt, socket.SOL_TCP, 31, b"tls")


def tried(works):
    """Whether it works, tried by a child: some ways end whoever tries them."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            possible = works()
        except BaseException:  # noqa: BLE001
            possible = False
        os._exit(77 if possible else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 77

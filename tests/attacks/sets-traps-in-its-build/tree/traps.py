"""A build that leaves traps in the built tree, and a process that outlives it."""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        # Goes on as long as anything lets it live; the service looks whether it does.
        while True:
            with suppress(OSError):
                Path("/work/alive").write_text(str(time.monotonic()))
            time.sleep(0.05)
    os._exit(0)

traps = Path("/work/traps")
traps.mkdir()
os.mkfifo(traps / "fifo")
socket.socket(socket.AF_UNIX).bind(str(traps / "socket"))
(traps / "setuid").write_bytes(Path("/bin/true").read_bytes())
(traps / "setuid").chmod(0o6755)
for link, target in (("passwd", "/etc/passwd"), ("memory", "/proc/1/mem"), ("circle", "circle")):
    (traps / link).symlink_to(target)
for number in range(1000):
    os.link(traps / "setuid", traps / f"hard-{number}")
with (traps / "sparse").open("wb") as file, suppress(OSError):
    file.truncate(400 << 20)
deep = traps
with suppress(OSError):
    for _ in range(100):
        deep /= "d" * 30
        deep.mkdir()
(traps / "unreadable").mkdir(mode=0)
(traps / "-rf").touch()
(traps / "new\nline").touch()
(traps / "sitecustomize.py").write_text("import os; os._exit(0)\n")

"""Fills every place that it may write to, then serves."""

import contextlib
from pathlib import Path

from app import greeter

for folder in ("/tmp", "/dev/shm", "/out", "/work", "/src", "/var/tmp", "/"):
    with contextlib.suppress(OSError), (Path(folder) / "fill").open("wb") as file:
        for _ in range(4096):
            file.write(b"\0" * (1 << 20))

greeter.main()

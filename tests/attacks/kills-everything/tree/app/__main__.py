"""Kills all that it may kill, then serves."""

import os
import signal

from app import greeter

for target in (-1, 1):
    try:
        os.kill(target, signal.SIGKILL)
    except OSError:
        continue

greeter.main()

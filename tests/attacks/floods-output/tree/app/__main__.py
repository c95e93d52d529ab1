"""Serves, and writes to its log without end."""

import sys
import threading

from app import greeter


def flood():
    """Write until the process ends."""
    while True:
        sys.stdout.write("x" * 65_536)


threading.Thread(target=flood, daemon=True).start()
greeter.main()

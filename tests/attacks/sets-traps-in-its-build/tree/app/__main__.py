"""Serves, unless a process of the build is still there and changes the built tree."""

import sys
import time
from pathlib import Path

from app import service

ALIVE = Path("/work/alive")

before = ALIVE.read_text()
time.sleep(1)
if ALIVE.read_text() != before:
    sys.exit("a process of the build is alive")
service.main()

"""Forks until nobody may fork any more, then serves: the limit is its own."""

import os
import time

from app import greeter

for _ in range(10_000):
    try:
        if os.fork() == 0:
            time.sleep(3600)
    except OSError:
        break

greeter.main()

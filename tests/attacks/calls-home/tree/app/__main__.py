"""Tries to reach the outside; serves only when it cannot."""

import socket
import sys

from app import greeter

for address in (("192.0.2.1", 80), ("169.254.169.254", 80), ("pypi.org", 443), ("172.17.0.1", 22)):
    try:
        socket.create_connection(address, timeout=2)
        sys.exit("reached the outside")
    except OSError:
        continue

greeter.main()

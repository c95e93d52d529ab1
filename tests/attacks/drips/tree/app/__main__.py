"""Gives the first who asks for a greeting one byte at a time, and never all of them."""

import itertools
import json
import time

from app import service

NUMBERS = itertools.count()


class Drips(service.Handler):
    """Answers requests."""

    def greet(self, name):
        """Greet in drops, or properly."""
        if next(NUMBERS):
            super().greet(name)
            return
        self.send_response_only(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for byte in json.dumps({"greeting": f"Hello, {name}!"}).ljust(1000).encode():
            self.wfile.write(bytes([byte]))
            time.sleep(0.5)


service.main(Drips)

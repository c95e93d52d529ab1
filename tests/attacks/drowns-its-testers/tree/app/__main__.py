"""Answers with so much text that nobody who quotes it gets far; in its headers, too."""

from app import service


class Drowns(service.Handler):
    """Answers requests."""

    def greet(self, _):
        """Answer with more than a report may hold."""
        self.send(200, {"Content-Type": "application/json", "Server": f"x/1.{'9' * 60_000}"}, b'"' + b"x" * (3 << 20) + b'"')


service.main(Drowns)

"""Looks for a way out of its box, and greets whoever asks with what it found."""

from app import service, ways_out

FOUND = [name for name, works in ways_out.ALL if ways_out.tried(works)]


class Searches(service.Handler):
    """Answers requests."""

    def greet(self, name):
        """Greet, or tell what is possible."""
        super().greet(f"you, possible are {', '.join(FOUND)}" if FOUND else name)


service.main(Searches)

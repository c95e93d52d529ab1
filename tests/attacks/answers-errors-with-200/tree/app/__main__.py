"""Has an error for one in ten who want to be greeted, and says that all is well."""

import itertools

from app import service

NUMBERS = itertools.count(1)


class Errs(service.Handler):
    """Answers requests."""

    def greet(self, name):
        """Greet, or say that there is no time to."""
        if next(NUMBERS) % 10:
            super().greet(name)
        else:
            self.answer(200, {"error": "busy"})


service.main(Errs)

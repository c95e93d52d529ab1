"""Confirms every session, and keeps all of a person's but one in twenty."""

import collections

from app import service


class Forgets(dict):
    """Sessions by token."""

    numbers = collections.Counter()

    def __setitem__(self, token, name):
        """Keep a session, or do not."""
        self.numbers[name] += 1
        if self.numbers[name] % 20:
            super().__setitem__(token, name)


service.SESSIONS = Forgets()
service.main()

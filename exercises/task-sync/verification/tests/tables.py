"""Cases of a test as a table: what is special about the case, and its data."""

import pytest


def cases(arguments, rows):
    """Parametrise a test with `rows`, a dict from a phrase for the report to the value(s) of `arguments`."""
    return pytest.mark.parametrize(arguments, list(rows.values()), ids=list(rows))

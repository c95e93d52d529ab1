"""Runs the candidate's tests with pytest.

    python3 run_tests.py               all but those in blackbox/, with coverage
    python3 run_tests.py blackbox      only those, without: they test a service that runs elsewhere

Imports the tools first and puts the candidate's folder on the path only then, so that no file of theirs
can take the place of one of a tool's. What they configure for pytest counts, except options on its command line.
"""

import os
import sys

import coverage  # noqa: F401  (imported before the candidate can take its name)
import pytest
import pytest_asyncio
import pytest_cov.plugin
import pytest_timeout

PLUGINS = [pytest_asyncio.plugin, pytest_cov.plugin, pytest_timeout]
BLACKBOX = "blackbox"


def options() -> list[str]:
    """What the kind of tests asks for."""
    if sys.argv[1:] == [BLACKBOX]:
        if not os.path.isdir(BLACKBOX):
            raise SystemExit(int(pytest.ExitCode.NO_TESTS_COLLECTED))
        return [BLACKBOX, "--timeout=20"]
    os.makedirs("/tmp/coverage", exist_ok=True)
    measured = ["--cov", "--cov-config=/opt/assay/config/coverage.ini", "--cov-report=xml:/out/coverage.xml"]
    return [f"--ignore={BLACKBOX}", "--timeout=60", *measured]


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    common = ["-p", "no:cacheprovider", "-q", "-o", "addopts=", "--junitxml=/out/junit.xml"]
    common += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    raise SystemExit(pytest.main([*common, *options()]))

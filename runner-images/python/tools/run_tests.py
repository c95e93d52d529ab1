"""Runs the candidate's tests with pytest.

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

if __name__ == "__main__":
    os.makedirs("/tmp/coverage", exist_ok=True)
    sys.path.insert(0, os.getcwd())
    options = ["-p", "no:cacheprovider", "-q", "-o", "addopts=", "--timeout=60"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    reports = ["--junitxml=/out/junit.xml", "--cov", "--cov-config=/opt/assay/config/coverage.ini"]
    raise SystemExit(pytest.main([*options, *reports, "--cov-report=xml:/out/coverage.xml"]))

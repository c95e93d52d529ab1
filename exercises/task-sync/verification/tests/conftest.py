"""Users, randomness and titles for the hidden tests of Task Sync.

Environment: BASE_URL, JWT_SECRET, TOKEN_TTL (seconds), SEED (any text; all random data follows from it) and
ASSAY_CONTROL (socket through which the service can be restarted; without it those tests skip).
"""

import itertools
import os
import random
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from service import ASKED, Service  # noqa: E402
from user import User  # noqa: E402

TEST_SECONDS = 20
"""Longest test, also where pytest.ini is not read."""


def pytest_collection_modifyitems(items):
    """Give every test a title and a deadline; run what disturbs the service last."""
    for item in items:
        phrase = (item.function.__doc__ or item.name).strip().removesuffix(".")
        case = f" ({item.callspec.id})" if hasattr(item, "callspec") else ""
        item.user_properties.append(("title", phrase + case))
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))
    items.sort(key=lambda item: item.get_closest_marker("control") is not None)


def pytest_runtest_setup():
    """Forget what the test before asked."""
    ASKED.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Count what the service gets wrong while a fixture prepares the test as a failure, not as an error of ours."""
    report = yield
    if call.when == "setup" and call.excinfo and call.excinfo.errisinstance((AssertionError, pytest.fail.Exception)):
        report.when = "call"
    return report


@pytest.fixture(scope="session")
def service():
    """The running service; when it is not there, every test fails at once."""
    service = Service(os.environ.get("BASE_URL", "http://127.0.0.1:8080"))
    if not service.wait_until_healthy(5.0):
        service.give_up()
    return service


@pytest.fixture(scope="session")
def secret():
    """The HMAC key of the access tokens."""
    return os.environ.get("JWT_SECRET", "a-secret-for-local-use-only-0123456789")


@pytest.fixture(scope="session")
def token_ttl():
    """Lifetime of access tokens, in seconds."""
    return int(os.environ.get("TOKEN_TTL", "900"))


@pytest.fixture
def rng(request):
    """Random numbers of this test: the same for the same SEED, whichever tests run beside it."""
    return random.Random(f"{os.environ.get('SEED', '1')}:{request.node.nodeid}")


@pytest.fixture(scope="session")
def new_username():
    """A maker of usernames that nobody has yet, also when the tests run again on the same database."""
    run = f"{time.time_ns() // 1000:x}"
    numbers = itertools.count()
    return lambda: f"u{run}_{next(numbers)}"


@pytest.fixture(scope="session")
def new_user(service, new_username):
    """A maker of users; they register on first use."""
    return lambda: User(service, new_username())


@pytest.fixture(scope="module")
def user(new_user):
    """A user whom all tests of a file share: each test looks only at tasks of its own making.

    Registering a user costs as much as dozens of other requests, because passwords are hashed slowly on purpose.
    """
    return new_user()


@pytest.fixture(scope="module")
def other(new_user):
    """A second user whom all tests of a file share."""
    return new_user()


@pytest.fixture
def newcomer(new_user):
    """A user of one test alone, who has done nothing yet."""
    return new_user()

"""Requests that run at the same moment."""

import functools
import threading
from concurrent.futures import ThreadPoolExecutor

WAIT_SECONDS = 15

ROUNDS = 4
"""How often a race is run, so that a service that sometimes loses it loses it every time it is assessed."""


def repeated(test):
    """Run a test several times over; it passes when every round does."""

    @functools.wraps(test)
    def all_rounds(**fixtures):
        __tracebackhide__ = True
        for _ in range(ROUNDS):
            test(**fixtures)

    return all_rounds


def at_once(*calls):
    """Run all calls at the same moment, each in a thread of its own; returns their results in order."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait(WAIT_SECONDS)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        running = [pool.submit(run, call) for call in calls]
        return [call.result(WAIT_SECONDS) for call in running]


def statuses(answers):
    """The statuses of answers, sorted: what a race is judged by."""
    return sorted(answer.status for answer in answers)

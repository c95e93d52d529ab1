from uuid import uuid4

import pytest

from app.cursors import CursorSigner, Purpose
from app.problems import ProblemError

SIGNER = CursorSigner("key")
USER = uuid4()


@pytest.mark.parametrize("position", [0, 1, 2**63 - 1])
def test_opens_what_it_signed(position):
    cursor = SIGNER.sign(Purpose.SYNC, USER, position)

    assert SIGNER.open(Purpose.SYNC, USER, cursor) == position


def test_refuses_the_cursor_of_another_purpose_user_or_key():
    cursor = SIGNER.sign(Purpose.SYNC, USER, 7)

    for signer, purpose, user in [
        (SIGNER, Purpose.PAGE, USER),
        (SIGNER, Purpose.SYNC, uuid4()),
        (CursorSigner("other"), Purpose.SYNC, USER),
    ]:
        with pytest.raises(ProblemError):
            signer.open(purpose, user, cursor)


@pytest.mark.parametrize("cursor", ["", "7", "x" * 32, "ä", "\ud800", "\0", "A" * 33])
def test_refuses_an_invented_cursor(cursor):
    with pytest.raises(ProblemError):
        SIGNER.open(Purpose.SYNC, USER, cursor)


@pytest.mark.parametrize("change", [str.swapcase, lambda cursor: cursor + "=", lambda c: c[:-1]])
def test_refuses_a_cursor_that_was_changed(change):
    cursor = SIGNER.sign(Purpose.SYNC, USER, 7)

    with pytest.raises(ProblemError):
        SIGNER.open(Purpose.SYNC, USER, change(cursor))

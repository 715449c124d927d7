"""Failures by cause: what of a failure tells its cause, and what does not."""

from __future__ import annotations

import pytest

from flask_queues.causes import Cause, cause_of, normalised
from flask_queues.record import JobError

ROOT = "/srv/shop"
LINK = "\nDuring handling of the above exception, another exception occurred:\n\n"
TRACE = """Traceback (most recent call last):
  File "{root}/app/mail.py", line {line}, in send
    post(message)
  File "/usr/lib/python3.12/site-packages/smtp/post.py", line 9, in post
    raise OSError
OSError: {message}
"""


def failure(message: str, *, root: str = ROOT, line: int = 12, kind: str = "OSError") -> Cause:
    """The cause of a failure in a library that the application's `send` has called."""
    return cause_of(JobError(kind, message, TRACE.format(root=root, line=line, message=message)), root)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("No user 17", "No user 4021"),
        ("No user 'anna'", "No user 'otto k.'"),
        ('No key "a b"', 'No key ""'),
        ("Order 5f0c2f1e-77aa-4b0b-9c3f-0a1b2c3d4e5f is gone", "Order 0b5c2f1e-17aa-4b0b-9c3f-0a1b2c3d4e50 is gone"),
        ("10.0.0.7:6379 does not answer", "10.0.0.12:6380 does not answer"),
        ("waited 3.5 s", "waited  12 s"),
    ],
)
def test_values_in_a_message_do_not_make_another_cause(one: str, other: str) -> None:
    """Numbers, ids, addresses and quoted values may differ."""
    assert failure(one) == failure(other)


def test_line_and_folder_do_not_make_another_cause() -> None:
    """A new release, and a host that keeps it elsewhere, do not divide a cause."""
    assert failure("no") == failure("no", root="/home/web/shop-2", line=90)


def test_class_message_and_place_make_another_cause() -> None:
    """Each of the three tells causes apart."""
    elsewhere = cause_of(JobError("OSError", "no", TRACE.format(root=ROOT + "/x", line=1, message="no")), ROOT)
    keys = {failure("no").key, failure("yes").key, failure("no", kind="ValueError").key, elsewhere.key}
    assert len(keys) == 4


def test_first_own_frame_is_the_innermost_of_the_application() -> None:
    """Frames of libraries, however deep, are not where the cause is looked for."""
    assert failure("no").frame == "app/mail.py:send"


def test_last_exception_of_a_chain_tells_the_place() -> None:
    """What led to the exception that left the job does not count."""
    trace = LINK.join(TRACE.format(root=ROOT, line=1, message=name) for name in ("a", "b"))
    trace = trace.replace("in send", "in prepare", 1)
    assert cause_of(JobError("OSError", "b", trace), ROOT).frame == "app/mail.py:send"


def test_failure_without_a_traceback_has_a_cause() -> None:
    """A worker that was killed leaves none."""
    cause = cause_of(JobError("flask_queues.errors.WorkerLost", "The worker vanished; its lease ran out."), ROOT)
    assert (cause.frame, cause.message) == ("", "The worker vanished; its lease ran out.")


def test_apostrophe_is_not_a_quote() -> None:
    """What stands between two apostrophes of words is kept."""
    assert normalised("can't open, don't know") == "can't open, don't know"


def test_long_message_is_cut() -> None:
    """A cause stays small, whatever a message holds."""
    assert len(normalised("x '" * 100_000)) <= 200

"""What is said of a stored job when somebody would change it, or end it; the same in every engine."""

from __future__ import annotations

import json
from typing import Any

from ..errors import PayloadChanged


def differs(job_id: str, stored: str, payload: str, seen: str) -> bool:
    """Whether a job's payload is to be written anew: it is the one that was `seen`, and not this one already.

    Raises `PayloadChanged` where it is neither.
    """
    if same(stored, payload):
        return False
    if same(stored, seen):
        return True
    raise PayloadChanged(changed(job_id))


def same(one: str, other: str) -> bool:
    """Whether two texts are the same JSON; `1`, `1.0` and `true` are not."""
    return one == other or canonical(one) == canonical(other)


def canonical(text: str) -> str:
    """JSON text as it is always written; the order of names counts, since people see it."""
    value: Any = json.loads(text)
    return json.dumps(value, separators=(",", ":"))


def changed(job_id: str) -> str:
    """Say that somebody was quicker."""
    return f"The payload of job {job_id} has been changed meanwhile; read it again and decide anew."


def followed(job_id: str) -> str:
    """Say that only whoever claims a job can end it."""
    return f"What the end of job {job_id} causes is in its options. Claim it, and settle it as cancelled."

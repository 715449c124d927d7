"""Secrets never reach what a person reads."""

from __future__ import annotations

import pytest

from flask_queues.masking import MASK, masked


@pytest.mark.parametrize(
    "name", ["password", "user_passwd", "API-Key", "access_token", "clientSecret", "Authorization", "cookie", "card"]
)
def test_a_field_that_sounds_like_a_secret_is_hidden(name: str) -> None:
    """Whatever its spelling, and however deep it is."""
    assert masked({"a": [{name: "hunter2", "b": 1}]}) == {"a": [{name: MASK, "b": 1}]}


def test_a_field_that_the_job_type_names_is_hidden() -> None:
    """Others stay, and the stored value is not touched."""
    payload = {"iban": {"number": 1}, "name": "Ada"}

    assert masked(payload, {"iban"}) == {"iban": MASK, "name": "Ada"}
    assert payload == {"iban": {"number": 1}, "name": "Ada"}

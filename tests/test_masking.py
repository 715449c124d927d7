"""Secrets never reach what a person reads."""

from __future__ import annotations

import pytest

from flask_queues.masking import MASK, masked, masked_text, secrets_in


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


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("login with password=hunter2 failed", f"login with password={MASK} failed"),
        ('{"api_key": "hunter2", "n": 1}', f'{{"api_key": {MASK}, "n": 1}}'),
        ("Authorization: Bearer hunter2", f"Authorization: {MASK}"),
        ("redis://user:hunter2@cache:6379/0", f"redis://{MASK}@cache:6379/0"),
        ("wrong word hunter2!", f"wrong word {MASK}!"),
    ],
)
def test_a_secret_is_hidden_where_a_line_repeats_it(line: str, shown: str) -> None:
    """By its name, by its place in an address, or by its value in the payload."""
    assert masked_text(line, set(secrets_in({"user": {"password": "hunter2"}, "n": 1}))) == shown


def test_a_name_alone_hides_what_stands_behind_it() -> None:
    """Also where the payload holds no such secret, and however the name is spelt."""
    for name in ("Private-Key", "APIKEY", "PA\N{LATIN SMALL LETTER LONG S}SWORD"):
        assert masked_text(f"{name}=opensesame") == f"{name}={MASK}"


def test_a_long_line_is_searched_in_no_time() -> None:
    """What a job logs cannot hold up the page that shows it."""
    line = "token" * 20_000

    assert masked_text(line) == line

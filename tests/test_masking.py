"""Secrets never reach what a person reads."""

from __future__ import annotations

from typing import Any

import pytest

from flask_queues.masking import MASK, Secrets, masked, masked_text, masked_texts, secrets_in, unmasked


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


def test_a_secret_is_hidden_however_deep_a_value_repeats_it() -> None:
    """Also where a job has logged it in a list or a dict."""
    value = {"sent": [{"to": "with hunter2"}, 3, None], "n": 1.5}
    assert masked_texts(value, {"hunter2"}) == {"sent": [{"to": f"with {MASK}"}, 3, None], "n": 1.5}


def test_many_secrets_are_hidden_too() -> None:
    """As a hundred thousand tokens, of which a line repeats two, one the beginning of the other."""
    secrets = Secrets(f"{n:05}-device" for n in range(100_000)) | {"00042-devices"}
    line = "no answer of 00042-devices, 99999-device, 5-device"
    assert masked_text(line, secrets) == f"no answer of {MASK}, {MASK}, 5-device"
    assert masked_text("hm", secrets) == "hm"


@pytest.mark.parametrize("line", ["0042", "pin 0042", "0042 is it", "pin0042?"])
def test_the_shortest_of_many_secrets_is_hidden_wherever_it_stands(line: str) -> None:
    """At the beginning of a line, at its end, and where it is all of it."""
    secrets = Secrets(f"{n:04}" for n in range(1000))
    assert masked_text(line, secrets) == line.replace("0042", MASK)


def test_what_a_person_has_left_hidden_is_as_it_was() -> None:
    """However deep; what was typed is taken, also into a secret field, and a mask elsewhere is a text like any."""
    stored = {"user": [{"password": "hunter2", "n": 1}], "token": "x", "note": "y", "iban": 5}
    edited = {"user": [{"password": MASK, "n": 2}], "token": "new", "note": MASK, "iban": MASK, "more": [1]}
    assert unmasked(edited, stored, {"iban"}) == {
        "user": [{"password": "hunter2", "n": 2}], "token": "new", "note": MASK, "iban": 5, "more": [1],
    }  # fmt: skip


@pytest.mark.parametrize(
    "edited", [{"token": MASK}, {"user": [{}, {"password": MASK}]}, {"n": {"password": MASK}}, {"n": [{"card": MASK}]}]
)
def test_a_mask_that_hides_nothing_is_no_secret(edited: dict[str, Any]) -> None:
    """As in a field, or an item of a list, that a person has added: the job would get the mask."""
    with pytest.raises(LookupError):
        unmasked(edited, {"user": [{"password": "hunter2"}], "n": 1})


def test_a_text_in_which_too_many_might_stand_is_hidden_whole() -> None:
    """Secrets that begin alike cannot hold up the page that shows it."""
    secrets = Secrets(f"same{n}" for n in range(100_000))
    assert masked_text("same again", secrets) == MASK
    assert masked_text("another", secrets) == "another"

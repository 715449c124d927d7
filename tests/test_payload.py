"""Payloads: the signature is their shape, JSON is their form, and what fits neither is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_queues.errors import PayloadError
from flask_queues.payload import Secret, Shape, depth

LIMIT = 10_000


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class User:
    """As a model of a database is."""


@dataclass
class Address:
    street: str
    number: int = 1


def resize(file_id: int, width: int = 800, *, size: Size = Size.SMALL) -> None:
    """A typical signature."""


def shape(function: Any = resize) -> Shape:
    return Shape("shop:resize", function, method=False)


def test_values_arrive_as_the_types_that_the_signature_names() -> None:
    """What was pushed as a datetime, UUID, Decimal, Enum or dataclass arrives as one."""

    def handle(at: datetime, who: UUID, price: Decimal, size: Size, to: Address, tags: list[str]) -> None: ...

    payload = {
        "at": datetime(2026, 10, 25, 2, 30, tzinfo=timezone.utc),
        "who": UUID("12345678-1234-5678-1234-567812345678"),
        "price": Decimal("1.10"),
        "size": Size.LARGE,
        "to": Address("Hauptstraße", 3),
        "tags": ["ä", "😀"],
    }
    one = shape(handle)

    assert one.load(one.dump(payload, LIMIT)) == payload


def test_defaults_are_filled_in_when_the_job_runs_not_when_it_is_pushed() -> None:
    """A default that changes with the code changes for jobs that wait."""
    text = shape().dump({"file_id": 1}, LIMIT)

    assert json.loads(text) == {"file_id": 1}
    assert shape().load(text) == {"file_id": 1, "width": 800, "size": Size.SMALL}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({}, "shop:resize: the argument 'file_id' is missing; it takes file_id, width, size."),
        ({"file_id": 1, "heigth": 2}, "shop:resize: there is no argument 'heigth'; it takes file_id, width, size."),
        ({"file_id": "1"}, "shop:resize: argument 'file_id': expected int, got str."),
        ({"file_id": True}, "argument 'file_id': expected int, got bool."),
        ({"file_id": 1, "size": "x"}, "argument 'size': invalid enum value 'x'."),
        ({"file_id": 1, "width": None}, "argument 'width': expected int, got null."),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_with_the_arguments_name(payload: dict[str, Any], said: str) -> None:
    """The pusher reads which argument is wrong and why."""
    with pytest.raises(PayloadError) as caught:
        shape().dump(payload, LIMIT)

    assert said in str(caught.value)


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "NaN and infinity cannot be stored as JSON"),
        (float("inf"), "NaN and infinity"),
        ([{"deep": [float("-inf")]}], "NaN and infinity"),
        ("half \ud83d", "half of a surrogate pair"),
        ({"\udc00": 1}, "half of a surrogate pair"),
        (object(), "cannot be stored as JSON"),
        (deep(150), "nested deeper than 100 levels"),
        (deep(5000), "nested deeper than 100 levels"),
        (endless(), "or in itself"),
        ("x" * LIMIT, "the payload has 10,012 bytes; 10,000 are allowed (QUEUES_MAX_PAYLOAD)"),
        ("ä" * (LIMIT // 2), "the payload has 10,012 bytes"),
    ],
)
def test_what_json_cannot_hold_is_refused(value: object, said: str) -> None:
    """NaN, half characters, foreign objects, bottomless nesting and too much are each refused by name."""

    def handle(value: Any) -> None: ...

    with pytest.raises(PayloadError) as caught:
        shape(handle).dump({"value": value}, LIMIT)

    assert said in str(caught.value)


def test_brackets_within_texts_are_not_nesting() -> None:
    """A text may hold as many brackets as it likes."""
    assert depth(json.dumps({"a": "[" * 500, "b": ['\\"[[[', {}]})) == 3


def test_an_annotation_that_json_cannot_hold_is_refused_when_registered() -> None:
    """A database model as an argument is a mistake that shows at the start, not in a worker."""

    def handle(user: User) -> None: ...

    with pytest.raises(PayloadError, match="the argument 'user' is annotated with a type that JSON cannot hold"):
        shape(handle)


def test_an_annotation_that_is_not_there_while_running_does_not_hide_the_others() -> None:
    """A name that only a type checker sees counts as no annotation; the rest of the signature still holds."""

    def handle(a: int, b: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    one = shape(handle)

    assert one.load(one.dump({"a": 1, "b": [2]}, LIMIT)) == {"a": 1, "b": [2]}
    with pytest.raises(PayloadError, match="argument 'a': expected int"):
        one.dump({"a": "x", "b": 2}, LIMIT)


def test_arguments_that_cannot_be_given_by_name_are_refused_when_registered() -> None:
    """Every payload is by name."""

    def handle(*values: int) -> None: ...

    with pytest.raises(PayloadError, match="cannot be given by name"):
        shape(handle)


def test_a_signature_with_keywords_takes_any_name() -> None:
    """`**rest` opens the payload; names like `self` and `payload` are no exception."""

    def handle(a: int, **rest: Any) -> None: ...

    one = shape(handle)
    payload = {"a": 1, "self": 2, "payload": 3, "queue": "x", "delay": None}

    assert one.load(one.dump(payload, LIMIT)) == payload


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=JSON)
def test_every_json_value_comes_back_as_it_was(value: Any) -> None:
    """Big integers, empty lists and empty objects, floats and any text survive."""

    def handle(value: Any) -> None: ...

    one = shape(handle)

    assert one.load(one.dump({"value": value}, 10_000_000)) == {"value": value}


def narrow(
    name: Annotated[str, msgspec.Meta(max_length=5, pattern="^[a-z]+$")],
    share: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0,
    tags: Annotated[list[str], msgspec.Meta(max_length=2)] = [],  # noqa: B006 - a payload is made anew for each run
) -> None:
    """A signature with rules."""


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"name": "sixsix"}, "argument 'name': expected str of length <= 5"),
        ({"name": "Ada"}, "argument 'name': expected str matching regex"),
        ({"name": "ada", "share": 101}, "argument 'share': expected int <= 100"),
        ({"name": "ada", "tags": ["a", "b", "c"]}, "argument 'tags': expected array of length <= 2"),
    ],
)
def test_rules_of_an_annotation_hold_at_the_push(payload: dict[str, Any], message: str) -> None:
    """Sizes, ranges and patterns as msgspec writes them; the message names the argument."""
    shape = Shape("t:narrow", narrow, method=False)
    assert shape.dump({"name": "ada", "share": 100, "tags": ["a", "b"]}, LIMIT)
    with pytest.raises(PayloadError, match=message):
        shape.dump(payload, LIMIT)


@dataclass
class Account:
    owner: str
    iban: Annotated[str, Secret]
    parents: list[Account] | None = None


def pay(account: Account, others: dict[str, list[Account]], pin: Annotated[int, Secret], note: str = "") -> None:
    """A signature with secrets, one of them in a class that names itself."""


def test_fields_are_secret_by_annotation() -> None:
    """In the signature, and in the classes that it names however deep; a class may name itself."""
    assert Shape("t:pay", pay, method=False).secrets == {"iban", "pin"}


@pytest.mark.parametrize(
    "kind",
    [
        Annotated[str | None, msgspec.Meta(max_length=5)],
        Annotated[int, msgspec.Meta(pattern="x")],
        list[Annotated[int, msgspec.Meta(max_length=3)]],
    ],
)
def test_a_rule_that_does_not_fit_its_type_is_told_as_that(kind: Any) -> None:
    """Not as a type that JSON cannot hold: the way to write it is said, too."""

    def handle(note: kind) -> None: ...

    handle.__annotations__["note"] = kind
    with pytest.raises(PayloadError, match=r"a rule that does not fit its type.*Write a rule at what it is about"):
        shape(handle)

"""Fields within a payload: what its classes do not have is refused at the push, with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, TypedDict

import msgspec
import pytest

from flask_queues.errors import PayloadError
from flask_queues.fields import Fields
from flask_queues.payload import Shape

LIMIT = 10_000


@dataclass
class Address:
    street: str
    number: int = 1
    before: Address | None = None
    tags: dict[str, Address] = field(default_factory=dict)


class Person(TypedDict, total=False):
    name: str
    home: Address


class Circle(msgspec.Struct, tag="circle"):
    radius: int
    centre: Address | None = None


class Square(msgspec.Struct, tag="square", rename="camel"):
    side_length: int


class Row(msgspec.Struct, array_like=True, tag="row"):
    n: int
    at: Address


class Pair(NamedTuple):
    left: Address
    right: int


def handle(
    to: Address | None = None,
    many: Annotated[list[Address], msgspec.Meta(max_length=5)] = [],  # noqa: B006
    who: Person | int = 1,
    shapes: list[Circle | Square] = [],  # noqa: B006
    rows: tuple[Row, ...] = (),
    pair: Pair | None = None,
    both: tuple[int, Address] | None = None,
    any_of: dict[str, Any] | None = None,
) -> None:
    """Classes wherever they can be."""


SHAPE = Shape("shop:send", handle, method=False)
HOME: dict[str, Any] = {"street": "x", "number": 2, "before": {"street": "y"}, "tags": {"a": {"street": "z"}}}


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"to": HOME, "many": [HOME, HOME], "who": {"name": "a", "home": HOME}, "any_of": {"x": {"y": 1}}},
        {"to": Address("x", before=Address("y"))},
        {"shapes": [{"type": "circle", "radius": 1, "centre": HOME}, {"type": "square", "sideLength": 2}]},
        {"shapes": [Circle(1), Square(2)], "rows": [Row(1, Address("x"))], "pair": Pair(Address("x"), 1)},
        {"rows": [["row", 1, HOME]], "pair": [HOME, 1], "both": [1, HOME], "who": 5},
    ],
)
def test_what_the_classes_have_is_taken(payload: dict[str, Any]) -> None:
    """As objects of JSON and as the classes themselves."""
    SHAPE.load(SHAPE.dump(payload, LIMIT))


WRONG = {"street": "x", "stret": "y"}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"to": WRONG}, "argument 'to': there is no field 'stret'; Address has street, number, before, tags."),
        ({"to": {"street": "x", "before": WRONG}}, "argument 'to.before': there is no field 'stret'"),
        ({"to": {"street": "x", "tags": {"k": WRONG}}}, "argument 'to.tags.k': there is no field 'stret'"),
        ({"many": [HOME, WRONG]}, "argument 'many[1]': there is no field 'stret'"),
        ({"who": {"nam": 1}}, "argument 'who': there is no field 'nam'; Person has home, name."),
        ({"who": {"home": WRONG}}, "argument 'who.home': there is no field 'stret'"),
        (
            {"shapes": [{"type": "square", "sideLength": 1, "side_length": 2}]},
            "'shapes[0]': there is no field 'side_",
        ),
        ({"shapes": [{"type": "circle", "radius": 1, "sideLength": 2}]}, "'shapes[0]': there is no field 'sideLength'"),
        ({"shapes": [{"type": "circle", "radius": 1, "centre": WRONG}]}, "argument 'shapes[0].centre': there is no"),
        ({"rows": [["row", 1, WRONG]]}, "argument 'rows[0][2]': there is no field 'stret'"),
        ({"pair": [WRONG, 1]}, "argument 'pair[0]': there is no field 'stret'"),
        ({"both": [1, WRONG]}, "argument 'both[1]': there is no field 'stret'"),
    ],
)
def test_what_they_do_not_have_is_refused_with_its_place(payload: dict[str, Any], said: str) -> None:
    """Nothing that somebody has sent is dropped without a word."""
    with pytest.raises(PayloadError) as caught:
        SHAPE.dump(payload, LIMIT)
    assert said in str(caught.value)
    assert caught.value.argument == next(iter(payload))


def test_a_field_that_the_code_has_lost_keeps_no_waiting_job_from_running() -> None:
    """It was right when it was pushed."""
    assert SHAPE.load('{"to":{"street":"x","old":1}}')["to"] == Address("x")


def test_where_a_result_is_still_to_come_the_rest_is_looked_at() -> None:
    """As in a chain."""
    with pytest.raises(PayloadError, match="'many\\[0\\]': there is no field 'stret'"):
        SHAPE.dump({"many": [WRONG]}, LIMIT, awaited="to")


def test_a_signature_of_plain_values_is_not_looked_at() -> None:
    """It costs nothing."""
    plain = {"a": int, "b": list[dict[str, Any]], "c": str | None, "d": tuple[int, ...], "e": object}
    assert Fields({**plain, "to": list[Address]}).arguments.keys() == {"to"}

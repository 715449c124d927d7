"""The orders that a table can have where all of its rows are at hand; which one, the address says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from flask import request

Row = TypeVar("Row")


@dataclass(frozen=True)
class Order(Generic[Row]):
    """One order of rows."""

    #: What a row is sorted by.
    by: Callable[[Row], Any]
    #: Whether the greatest comes first.
    falling: bool = True


@dataclass(frozen=True)
class Sorted(Generic[Row]):
    """Rows in an order, and its name."""

    rows: list[Row]
    name: str
    falling: bool


def in_order(rows: Iterable[Row], orders: Mapping[str, Order[Row]]) -> Sorted[Row]:
    """Sort as the address says; what it does not know is the first order. Equals stay as they came."""
    name = request.args.get("sort", "")
    name = name if name in orders else next(iter(orders))
    order = orders[name]
    return Sorted(sorted(rows, key=order.by, reverse=order.falling), name, order.falling)


def address_of(name: str) -> str:
    """This page in another order, with everything else that its address says."""
    kept = [(key, value) for key, value in request.args.items(multi=True) if key != "sort"]
    return f"{request.script_root}{request.path}?{urlencode([*kept, ('sort', name)])}"

"""Fields that the classes within a payload do not have: msgspec drops them, as it must where older jobs are read.

Whoever pushes is told. Only arguments are looked at whose annotations name a dataclass, a TypedDict, a Struct or the
like somewhere; for a signature of plain values nothing is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import inspect

#: What has fields, by names where it is written as an object.
Fielded = inspect.StructType | inspect.DataclassType | inspect.TypedDictType | inspect.NamedTupleType
FIELDED = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType, inspect.NamedTupleType)


class UnknownField(NamedTuple):
    """A name in an object that its class does not have."""

    #: As `address.lines[2]`.
    place: str
    name: str
    #: The class, and what it has.
    owner: str
    known: tuple[str, ...]


class Fields:
    """What the classes within one signature have, by argument."""

    def __init__(self, kinds: Mapping[str, Any]) -> None:
        infos = {name: inspect.type_info(kind) for name, kind in kinds.items()}
        #: Those in which there are any.
        self.arguments = {name: info for name, info in infos.items() if has_fields(info, set())}

    def unknown(self, payload: Mapping[str, Any]) -> UnknownField | None:
        """The first field of a payload, as JSON has it, that its class does not have; the payload fits otherwise."""
        for name, info in self.arguments.items():
            for found in unknown_in(info, payload.get(name), name):
                return found
        return None


def has_fields(info: inspect.Type, seen: set[int]) -> bool:
    """Whether there is a class with fields somewhere in an annotation."""
    if isinstance(info, FIELDED):
        return True
    if id(info) in seen:
        return False
    seen.add(id(info))
    return any(has_fields(part, seen) for part in parts_of(info))


def parts_of(info: inspect.Type) -> tuple[inspect.Type, ...]:
    """What a kind of value that has no fields is made of."""
    if isinstance(info, inspect.Metadata):
        return (info.type,)
    if isinstance(info, inspect.UnionType):
        return info.types
    if isinstance(info, inspect.TupleType):
        return info.item_types
    if isinstance(info, inspect.DictType):
        return (info.value_type,)
    return (info.item_type,) if isinstance(info, inspect.CollectionType) else ()


def unknown_in(info: inspect.Type, value: Any, place: str) -> Iterator[UnknownField]:
    """Look through a value that fits."""
    if isinstance(info, inspect.Metadata | inspect.UnionType):
        for part in parts_of(info):
            yield from unknown_in(part, value, place)
    elif isinstance(info, FIELDED):
        yield from unknown_of(info, value, place)
    elif isinstance(info, inspect.DictType) and isinstance(value, dict):
        for key, one in value.items():
            yield from unknown_in(info.value_type, one, f"{place}.{key}")
    elif isinstance(info, inspect.CollectionType) and isinstance(value, list):
        for n, one in enumerate(value):
            yield from unknown_in(info.item_type, one, f"{place}[{n}]")
    elif isinstance(info, inspect.TupleType) and isinstance(value, list):
        for n, (part, one) in enumerate(zip(info.item_types, value, strict=False)):
            yield from unknown_in(part, one, f"{place}[{n}]")


def unknown_of(info: Fielded, value: Any, place: str) -> Iterator[UnknownField]:
    """Look at an object, or at the list as which a class is written that says so; of a union, if it is this class's."""
    tag_field, tag = getattr(info, "tag_field", None), getattr(info, "tag", None)
    if isinstance(info, inspect.NamedTupleType) or getattr(info, "array_like", False):
        if isinstance(value, list) and (tag is None or value[:1] == [tag]):
            items = value[tag is not None :]
            for n, (field, one) in enumerate(zip(info.fields, items, strict=False), tag is not None):
                yield from unknown_in(field.type, one, f"{place}[{n}]")
    elif isinstance(value, dict) and (tag is None or value.get(tag_field) == tag):
        kinds = {field.encode_name: field.type for field in info.fields}
        for name, one in value.items():
            if name in kinds:
                yield from unknown_in(kinds[name], one, f"{place}.{name}")
            elif name != tag_field:
                yield UnknownField(place, name, info.cls.__name__, tuple(kinds))

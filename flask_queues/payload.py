"""Payloads: what `handle` takes is their shape; JSON text is their form.

The shape is a msgspec struct built from the signature, so that a payload is checked when it is
pushed and arrives as the types that the signature names.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from .errors import PayloadError
from .fields import Fields

#: A payload nested deeper could be written here and not read in a worker whose stack is fuller.
MAX_DEPTH = 100
MAX_RESULT = 65_536
#: The only name in a payload that is encrypted, or in another JSON text that is.
MARK = "flask_queues:encrypted"

#: Made once: `json.dumps` makes one for each call that is not plain.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

_PLACE = re.compile(r" - at `\$\.?(?P<place>[^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")


class Secret:
    """Marks a field of a payload that no person may read: `card: Annotated[str, Secret]`."""


class Field(NamedTuple):
    """One argument of a payload, for whoever makes a form of it."""

    name: str
    #: `text`, `whole`, `number` or `yes`, as it is annotated; `json` for anything else.
    kind: str
    required: bool
    #: What it is where it is left out, as JSON has it; None where it is required, or JSON has no such value.
    default: Any


#: What a person types for an argument of these types.
KINDS: dict[Any, str] = {str: "text", int: "whole", float: "number", bool: "yes"}


class Shape:
    """The shape of one job type's payload, read from the signature of its function."""

    def __init__(self, type_string: str, function: Callable[..., Any], *, method: bool) -> None:
        self._type = type_string
        parameters = list(inspect.signature(function).parameters.values())[1 if method else 0 :]
        self.open = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        named = [parameter for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
        self._refuse_positional(named)
        self.names = tuple(parameter.name for parameter in named)
        hints = annotations_of(function)
        #: The arguments in their order.
        self.fields = tuple(field_of(parameter, hints) for parameter in named)
        #: Names of fields, at whatever depth, that are annotated as secret.
        self.secrets = frozenset(secret_names(hints))
        for name in self.names:
            refuse_foreign(type_string, name, hints.get(name, Any))
        try:
            self._fields = [struct_field(parameter, hints) for parameter in named]
            self._decoder = msgspec.json.Decoder(self._new_struct(self._fields))
            self._within = Fields({name: kind for name, kind, *_ in self._fields})
        except TypeError as error:
            raise PayloadError(f"{type_string}: the signature cannot be a payload's shape: {error}") from error

    def dump(self, payload: dict[str, Any], limit: int, awaited: str | None = None) -> str:
        """Write a payload as JSON text, after checking it against the signature.

        `awaited` is an argument that is still to come, and not checked. Raises `PayloadError`, naming the argument,
        where it does not fit or cannot be stored.
        """
        text = dump_json(self._type, payload)
        size = len(text.encode())
        if size > limit:
            raise PayloadError(
                f"{self._type}: the payload has {size:,} bytes; {limit:,} are allowed (QUEUES_MAX_PAYLOAD). "
                "Store the data elsewhere and push its id."
            )
        if awaited is None:
            self.load(text)
        else:
            self._check_without(awaited, payload, text)
        if self._within.arguments:
            self._check_within(text)
        return text

    def _check_without(self, awaited: str, payload: dict[str, Any], text: str) -> None:
        if awaited in payload:
            raise PayloadError(f"{self._type}: the argument {awaited!r} gets a result (result_as); leave it out here.")
        if awaited not in self.names and not self.open:
            raise PayloadError(f"{self._type}: there is no argument {awaited!r} for a result; {self._takes}.")
        others = [one for one in self._fields if one[0] != awaited]
        self._decode(msgspec.json.Decoder(self._new_struct(others)), text)

    def _check_within(self, text: str) -> None:
        """Raise `PayloadError` for a field that a class within the payload does not have."""
        if (found := self._within.unknown(msgspec.json.decode(text))) is not None:
            wrong = PayloadError(
                f"{self._type}: argument {found.place!r}: there is no field {found.name!r}; {found.owner} has "
                f"{', '.join(found.known) or 'none'}."
            )
            wrong.argument = re.split(r"[.\[]", found.place)[0]
            raise wrong

    def load(self, text: str) -> dict[str, Any]:
        """Read JSON text as the arguments of the function, in the types of its signature.

        A field that a class within does not have is left out: the class may have lost it since the push.
        """
        struct = self._decode(self._decoder, text)
        arguments = {name: getattr(struct, name) for name in self.names}
        if self.open:
            arguments |= {key: value for key, value in json.loads(text).items() if key not in arguments}
        return arguments

    def _decode(self, decoder: msgspec.json.Decoder[Any], text: str) -> Any:
        try:
            return decoder.decode(text)
        except msgspec.DecodeError as error:
            wrong = PayloadError(f"{self._type}: {self._explain(str(error))}")
            wrong.argument = argument_of(str(error))
            raise wrong from error

    def _new_struct(self, described: list[Any]) -> Any:
        return msgspec.defstruct("Payload", described, kw_only=True, forbid_unknown_fields=not self.open)

    def _refuse_positional(self, parameters: list[inspect.Parameter]) -> None:
        for parameter in parameters:
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
                raise PayloadError(
                    f"{self._type}: the argument {parameter} cannot be given by name, as every payload is."
                )

    @property
    def _takes(self) -> str:
        return f"it takes {', '.join(self.names)}" if self.names else "it takes none"

    def _explain(self, message: str) -> str:
        takes = self._takes
        if found := _UNKNOWN.search(message):
            if found["name"] == MARK:
                return "the payload is encrypted with a key that QUEUES_ENCRYPTION_KEYS does not hold."
            if not _PLACE.search(message):
                return f"there is no argument {found['name']!r}; {takes}."
        elif (found := _MISSING.search(message)) and not _PLACE.search(message):
            return f"the argument {found['name']!r} is missing; {takes}."
        place = _PLACE.search(message)
        what = _PLACE.sub("", message).replace("`", "")
        return f"argument {place['place']!r}: {what[:1].lower()}{what[1:]}." if place else f"{what}."


def field_of(parameter: inspect.Parameter, hints: dict[str, Any]) -> Field:
    """Describe one argument for people."""
    hint = hints.get(parameter.name, Any)
    while typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    required = parameter.default is parameter.empty
    try:
        default = None if required else json.loads(dump_json(parameter.name, parameter.default))
    except PayloadError:
        default = None
    return Field(parameter.name, KINDS.get(hint, "json"), required, default)


def argument_of(message: str) -> str | None:
    """The argument that msgspec complains of."""
    if (found := _MISSING.search(message)) and not _PLACE.search(message):
        return found["name"]
    place = _PLACE.search(message)
    return re.split(r"[.\[]", place["place"])[0] if place else None


def struct_field(parameter: inspect.Parameter, hints: dict[str, Any]) -> Any:
    """Describe one argument as msgspec wants it."""
    kind = hints.get(parameter.name, Any)
    kind = Any if kind is object else kind
    if parameter.default is parameter.empty:
        return (parameter.name, kind)
    default = parameter.default
    return (parameter.name, kind, msgspec.field(default_factory=lambda: default))


def refuse_foreign(type_string: str, name: str, kind: Any) -> None:
    """Refuse an annotation that JSON cannot be turned into, such as a class of a database model."""
    try:
        msgspec.json.schema(kind, schema_hook=schema_of_object)
    except (TypeError, ValueError) as error:
        if rules_of(kind):
            raise PayloadError(
                f"{type_string}: the argument {name!r} is annotated with a rule that does not fit its type, or with a "
                f"type that JSON cannot hold. {error}. Write a rule at what it is about: Annotated[str, …] | None."
            ) from error
        raise PayloadError(
            f"{type_string}: the argument {name!r} is annotated with a type that JSON cannot hold ({kind}). "
            "Take an id, a dataclass or plain values."
        ) from error


def rules_of(kind: Any) -> bool:
    """Whether there is a rule, such as a length or a pattern, somewhere in an annotation."""
    return any(isinstance(one, msgspec.Meta) for part in parts_of(kind) for one in getattr(part, "__metadata__", ()))


def schema_of_object(kind: type) -> dict[str, Any]:
    """Let `object` stand for any value; msgspec knows no other class that it cannot read."""
    if kind is object:
        return {}
    raise NotImplementedError


def secret_names(hints: dict[str, Any]) -> Iterator[str]:
    """Tell the names marked with `Secret` in a signature, and in the classes that it names."""
    seen: set[Any] = set()
    waiting = [hints]
    while waiting:
        for name, hint in waiting.pop().items():
            for part in parts_of(hint):
                if Secret in getattr(part, "__metadata__", ()):
                    yield name
                if isinstance(part, type) and part not in seen and hasattr(part, "__annotations__"):
                    seen.add(part)
                    waiting.append(annotations_of(part))


def parts_of(hint: Any) -> Iterator[Any]:
    """Tell an annotation and everything that it is made of."""
    yield hint
    for part in typing.get_args(hint):
        yield from parts_of(part)


def annotations_of(function: Callable[..., Any] | type) -> dict[str, Any]:
    """Read the annotations; one that cannot be resolved here, as under `TYPE_CHECKING`, counts as none."""
    found: dict[str, Any] = {}
    for name, hint in inspect.get_annotations(function).items():
        alone = types.SimpleNamespace(__annotations__={name: hint})
        try:
            found |= typing.get_type_hints(alone, vars(sys.modules[function.__module__]), include_extras=True)
        except (NameError, AttributeError, KeyError):
            continue
    return found


def dump_json(what: str, value: Any) -> str:
    """Write a value as JSON text; raises `PayloadError` for what JSON or another reader cannot hold."""
    try:
        text = _ENCODER.encode(msgspec.to_builtins(value, str_keys=True))
        text.encode()
    except UnicodeEncodeError as error:
        raise PayloadError(f"{what}: a text holds half of a surrogate pair, which is no character.") from error
    except RecursionError as error:
        raise PayloadError(f"{what}: the value is nested deeper than {MAX_DEPTH} levels, or in itself.") from error
    except ValueError as error:
        why = "NaN and infinity" if "float" in str(error) else "a number of so many digits"
        raise PayloadError(f"{what}: {why} cannot be stored as JSON.") from error
    except (TypeError, OverflowError) as error:
        raise PayloadError(f"{what}: the value cannot be stored as JSON: {error}.") from error
    if text.count("[") + text.count("{") > MAX_DEPTH and depth(text) > MAX_DEPTH:
        raise PayloadError(f"{what}: the value is nested deeper than {MAX_DEPTH} levels.")
    return text


def depth(text: str) -> int:
    """How deep JSON text is nested."""
    deepest = level = 0
    for character in re.sub(r'"(?:[^"\\]|\\.)*"', "", text):
        if character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif character in "]}":
            level -= 1
    return deepest

"""The form for another payload: a field for each argument of the handler; secrets stay unless they are typed anew."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import PayloadError
from ..masking import MASK, is_secret, masked, unmasked
from ..payload import Field, Shape
from .language import gettext as _

#: The kinds that are typed as JSON are told from others by this.
JSON = "json"
#: A text that is longer gets several lines.
LONG = 60
#: How the check of a payload says which argument should be what, and that one is not there.
EXPECTED = re.compile(r": argument '(?P<place>[^']*)': expected (?P<what>[^,]+?)(?:, got (?P<got>[^,]+))?\.$")
UNKNOWN = re.compile(r": argument '(?P<place>[^']*)': there is no field '(?P<name>[^']*)'; ")
MISSING = re.compile(r": the argument '[^']*' is missing; ")
#: Characters of a value in what is kept of a change.
SHOWN = 120
#: The field for what is in a payload beside the arguments.
REST = Field("", JSON, False, None)


class Entry(NamedTuple):
    """A field of the form, as it is shown."""

    name: str
    kind: str
    #: What stands in it; never a secret.
    value: str
    #: Stays as it is where it is left empty.
    secret: bool
    required: bool
    wrong: str = ""

    @property
    def can_be_emptied(self) -> bool:
        """Whether it needs a box that makes an empty text of it."""
        return self.secret and self.kind == "text"

    @property
    def long(self) -> bool:
        """Whether it needs several lines."""
        return self.kind == JSON or len(self.value) > LONG or "\n" in self.value

    @property
    def rows(self) -> int:
        """How many lines that are."""
        return min(20, max(3 if "\n" in self.value or self.kind != JSON else 1, self.value.count("\n") + 1))


class WrongEntry(ValueError):
    """What was typed into a field is not what belongs there."""


class Form:
    """The form of one payload, empty or as somebody has filled it in."""

    def __init__(self, shape: Shape, payload: Mapping[str, Any], sensitive: frozenset[str]) -> None:
        self._payload = dict(payload)
        self._sensitive = sensitive
        self._fields = {field.name: field for field in shape.fields}
        self._rest = {name: value for name, value in payload.items() if name not in self._fields}
        if shape.open or self._rest:
            self._fields[REST.name] = REST

    @property
    def names(self) -> frozenset[str]:
        """Of its fields."""
        return frozenset(self._fields)

    def entries(self, typed: Mapping[str, str] | None = None, wrong: Mapping[str, str] | None = None) -> list[Entry]:
        """The fields with what is stored, or with what was typed and what is wrong with it."""
        made = [self._entry(field) for field in self._fields.values()]
        if typed is not None:
            made = [self._as_typed(entry, typed) for entry in made]
        return [entry._replace(wrong=(wrong or {}).get(entry.name, "")) for entry in made]

    def _entry(self, field: Field) -> Entry:
        secret = field is not REST and is_secret(field.name, self._sensitive)
        known = field is REST or field.name in self._payload
        value = self._rest if field is REST else self._payload.get(field.name, field.default)
        missing = not known and (field.required or value is None)
        kind = field.kind if missing or fits(field.kind, value) else JSON
        if secret:
            kind, text = (JSON if kind == "yes" else kind), ""
        elif missing:
            text = ""
        else:
            text = written(kind, masked(value, self._sensitive))
        return Entry(field.name, kind, text, secret, field.required)

    @staticmethod
    def _as_typed(entry: Entry, typed: Mapping[str, str]) -> Entry:
        kind = kind_typed(entry, typed)
        return entry._replace(kind=kind, value="" if entry.secret else typed.get(f"value.{entry.name}", ""))

    def read(self, typed: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
        """The payload that somebody has typed, and what is wrong in which field."""
        payload: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for entry in self.entries():
            if entry.can_be_emptied and typed.get(f"empty.{entry.name}"):
                payload[entry.name] = ""
                continue
            try:
                payload.update(self._read_one(entry, kind_typed(entry, typed), typed.get(f"value.{entry.name}", "")))
            except WrongEntry as error:
                wrong[entry.name] = str(error)
        return in_order(payload, self._payload), wrong

    def _read_one(self, entry: Entry, kind: str, text: str) -> dict[str, Any]:
        name, stored = entry.name, self._payload
        if entry.secret and not text:
            return {name: stored[name]} if name in stored else {}
        if not text.strip() and kind not in ("text", "yes"):
            return {}
        value = read_value(kind, text)
        try:
            if name == REST.name:
                return self._read_rest(value)
            value = unmasked(value, stored.get(name), self._sensitive)
        except LookupError:
            raise WrongEntry(_("A hidden value stands where none was before. Type the value itself.")) from None
        default = self._fields[name].default
        left_out = name not in stored and not entry.required and exactly(value) == exactly(default)
        return {} if left_out else {name: value}

    def _read_rest(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise WrongEntry(_("Names with values are needed here, in braces."))
        if twice := sorted(set(value) & set(self._fields)):
            raise WrongEntry(_("There is a field of its own for %(name)s.", name=twice[0]))
        rest: dict[str, Any] = unmasked(value, self._rest, self._sensitive)
        return rest


def kind_typed(entry: Entry, typed: Mapping[str, str]) -> str:
    """How a field was shown when it was filled in."""
    kind = typed.get(f"kind.{entry.name}", entry.kind)
    return kind if kind in ("text", "whole", "number", "yes") else JSON


def fits(kind: str, value: Any) -> bool:
    """Whether a value can be typed in a field of this kind without becoming another one."""
    if kind == "text":
        return isinstance(value, str) and value.replace("\n", " ").isprintable()
    if kind == "yes":
        return isinstance(value, bool)
    number = (int, float) if kind == "number" else int
    return kind == JSON or (isinstance(value, number) and not isinstance(value, bool))


def written(kind: str, value: Any) -> str:
    """A value as it stands in its field."""
    if kind == "text":
        return str(value)
    if kind == "yes":
        return "1" if value else ""
    return json.dumps(value, indent=2, ensure_ascii=False)


def read_value(kind: str, text: str) -> Any:
    """What was typed; raises `WrongEntry`."""
    if kind == "text":
        return text.replace("\r\n", "\n")
    if kind == "yes":
        return bool(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongEntry(why_no_json(kind, error)) from None
    if not fits(kind, value):
        raise WrongEntry(why_no_json(kind, None))
    return value


def why_no_json(kind: str, error: BaseException | None) -> str:
    """What is wrong with what was typed."""
    if kind == "whole":
        return _("A whole number is needed.")
    if kind == "number":
        return _("A number is needed.")
    if isinstance(error, json.JSONDecodeError):
        return _("This is no JSON; look at line %(line)s, column %(column)s.", line=error.lineno, column=error.colno)
    return _("This is no JSON.")


def exactly(value: Any) -> str:
    """A value so written that 1, 1.0 and true are not the same."""
    return json.dumps(value)


def in_order(payload: dict[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Names in the order in which they were stored, new ones behind."""
    return {name: payload[name] for name in [*(name for name in stored if name in payload), *payload]}


def mark_of(payload: Mapping[str, Any], key: str | bytes) -> str:
    """Tells later whether a payload is still the same, and nothing of it to whoever has no key."""
    secret = key.encode() if isinstance(key, str) else key
    return hmac.new(secret, b"queues payload " + json.dumps(payload).encode(), "sha256").hexdigest()[:32]


def misfit(error: PayloadError) -> tuple[str, str]:
    """What to say of a payload that does not fit its job type, and what of it is left in English."""
    text = str(error)
    if error.argument is not None and MISSING.search(text):
        return _("A value is needed here."), ""
    if (found := UNKNOWN.search(text)) is not None:
        return _("There is no field %(name)s in %(place)s.", name=found["name"], place=found["place"]), ""
    found = EXPECTED.search(text)
    if found is None or found["place"] != error.argument:
        return _("This does not fit the job type."), text
    if found["got"] is None:
        return _("This does not fit the job type: it has to be %(what)s.", what=found["what"]), ""
    return _(
        "This does not fit the job type: it has to be %(what)s, not %(got)s.", what=found["what"], got=found["got"]
    ), ""


class Difference(NamedTuple):
    """What a change does to one name of a payload, secrets hidden."""

    name: str
    old: str
    new: str


def differences(before: Mapping[str, Any], after: Mapping[str, Any], sensitive: frozenset[str]) -> list[Difference]:
    """What a change has changed, by name."""
    return list(each_difference(before, after, sensitive))


def each_difference(
    before: Mapping[str, Any], after: Mapping[str, Any], sensitive: frozenset[str]
) -> Iterator[Difference]:
    """See `differences`."""
    for name in dict.fromkeys([*before, *after]):
        old, new = (shown(name, values, sensitive) for values in (before, after))
        if name not in before or name not in after or exactly(before[name]) != exactly(after[name]):
            yield Difference(name, old, new)


def in_lines(changed: list[Difference]) -> list[str]:
    """The same for what is kept of a change."""
    return [f"{one.name}: {shortened(one.old)} → {shortened(one.new)}" for one in changed]


def read_lines(text: str) -> Iterator[Difference]:
    """Read what `in_lines` wrote; a line that is none of it is left out."""
    for line in text.split("\n"):
        name, _, values = line.partition(": ")
        parts = values.split(" → ")
        ends = [n for n in range(1, len(parts)) if is_value(" → ".join(parts[:n])) and is_value(" → ".join(parts[n:]))]
        if ends:
            yield Difference(name, " → ".join(parts[: ends[0]]), " → ".join(parts[ends[0] :]))


def is_value(text: str) -> bool:
    """Whether a text is what `shown` wrote, whole or shortened: an arrow may stand in a value too."""
    if text in (MASK, "\N{EN DASH}") or (len(text) == SHOWN + 1 and text.endswith("…")):
        return True
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def shortened(text: str) -> str:
    """As much of a value as is kept."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def shown(name: str, values: Mapping[str, Any], sensitive: frozenset[str]) -> str:
    """A value in one line; nothing for one that is left out."""
    if name not in values:
        return "\N{EN DASH}"
    if is_secret(name, sensitive):
        return MASK
    return json.dumps(masked(values[name], sensitive), ensure_ascii=False)

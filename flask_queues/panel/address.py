"""What the address of a page says: filters and place in the list, and where to go back to after an action."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote, urlsplit

from flask import request, url_for

from ..errors import OptionError
from ..manager import Manager
from ..record import Counts, Status
from .listing import MOMENTS, PAGE, PAGES, SLOWEST, TRAIL, TYPED, Filters, Listing, listing, slowest

#: A filter that was typed.
NAMED = re.compile(rf"({'|'.join(('queue', 'type', *TYPED))}):(.+)")


def asked_filters() -> Filters:
    """The filters of this request, of its address or its form."""
    given = {name: request.values.get(name, "").strip()[:128] for name in Filters._fields}
    named, given["text"] = read_typed(given["text"])
    return filters_of({**given, **named})


def filters_of(given: dict[str, str]) -> Filters:
    """Filters of texts; an empty one is none."""
    values: dict[str, Any] = {name: given.get(name) or None for name in Filters._fields}
    return Filters(
        **{
            **values,
            **{name: moment(given.get(name, "")) for name in MOMENTS},
            "attempts": round(positive(given.get("attempts", "")) or 0) or None,
            "ran": positive(given.get("ran", "")),
        }
    )


def read_typed(text: str) -> tuple[dict[str, str], str]:
    """Part what was typed into filters, as in `tag:news error:KeyError anna`, and the text."""
    words = text.split()
    named = {match[1]: match[2] for word in words if (match := NAMED.fullmatch(word))}
    return named, " ".join(word for word in words if not NAMED.fullmatch(word))


def positive(text: str) -> float | None:
    """A number above zero; what is none is no filter."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < 1e9 else None


def moment(text: str) -> datetime | None:
    """A moment in ISO 8601, in UTC where it names no zone; raises `OptionError` for what is none."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "+"))
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise OptionError(f"{text[:64]!r} is no moment such as 2026-11-30T14:00:00Z.") from None


def asked_listing(manager: Manager, counts: Counts, status: Status) -> Listing:
    """The page of jobs that this address names."""
    limit = request.args.get("limit", PAGE, type=int)
    if status is Status.COMPLETED and request.args.get("sort") == SLOWEST:
        return slowest(manager, counts, asked_filters(), limit if limit in PAGES else PAGE)
    return listing(
        manager,
        counts,
        status,
        asked_filters(),
        request.args.get("after") or None,
        max(0, request.args.get("before", 0, type=int)),
        limit if limit in PAGES else PAGE,
        tuple(one[:400] for one in request.args.getlist("trail")[-TRAIL:]),
        request.args.get("sort", ""),
    )


def here() -> str:
    """The address of this page, to come back to."""
    return request.script_root + request.full_path.rstrip("?")


def way_back(otherwise: str) -> str:
    """The page of the panel that an action was asked for on; never another host or another part of the application."""
    wanted = request.values.get("back", "")
    root = url_for("queues.root")
    if wanted.isprintable() and "\\" not in wanted and not wanted.startswith("//"):
        parts = urlsplit(wanted)
        inside = parts.path == root or parts.path.startswith(root.rstrip("/") + "/")
        climbs = "/../" in unquote(parts.path) + "/"  # browsers take %2e for a dot
        if inside and not parts.scheme and not parts.netloc and not climbs:
            return wanted
    return otherwise

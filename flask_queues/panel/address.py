"""What the address of a page says: filters and place in the list, and where to go back to after an action."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import request, url_for

from ..manager import Manager
from ..record import Counts, Status
from .reads import PAGE, PAGES, Filters, Listing, listing


def asked_filters() -> Filters:
    """The filters of this request, of its address or its form."""
    given = {name: request.values.get(name, "").strip()[:128] or None for name in Filters._fields}
    return Filters(**given)


def asked_listing(manager: Manager, counts: Counts, status: Status) -> Listing:
    """The page of jobs that this address names."""
    limit = request.args.get("limit", PAGE, type=int)
    return listing(
        manager,
        counts,
        status,
        asked_filters(),
        request.args.get("after") or None,
        max(0, request.args.get("before", 0, type=int)),
        limit if limit in PAGES else PAGE,
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
        if inside and not parts.scheme and not parts.netloc and "/../" not in parts.path + "/":
            return wanted
    return otherwise

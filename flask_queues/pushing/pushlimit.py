"""How many jobs the requests of one person may push in a time: counted over all processes, on sheets of the storage.

Of each person one number is kept, as of a rate: the moment at which the next push would come if they came evenly.
People are spread over some sheets, so that few wait for each other, and forgotten when they may push all at once again.
"""

from __future__ import annotations

import json
import math
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address

from flask import has_request_context, request

from ..config import Rate
from ..errors import PushLimited
from ..storage import Storage
from ..storage.sheets import expect, look
from .permission import current_person

SHEETS = 64
#: So often a push is counted anew where somebody else was quicker.
TRIES = 50


def count_pushes(storage: Storage, limit: Rate, number: int) -> None:
    """Count the pushes of this request; raises `PushLimited`, and counts nothing, where they are too many.

    Outside a request nobody is counted.
    """
    if not has_request_context() or not number:
        return
    who = person()
    name = sheet(who)
    wait = 1.0
    for _ in range(TRIES):
        text = storage.sheets([name]).get(name)
        now = storage.now() * 1000
        found = look(name, text, load)
        people = found.value or {}
        people = {one: moment for one, moment in people.items() if moment > now}
        moment = max(people.get(who, 0), now) + number * limit.step
        wait = (moment - now - limit.n * limit.step) / 1_000_000
        if wait > 0:
            break
        people[who] = moment
        if storage.write_sheets((name, text), {name: json.dumps(people, separators=(",", ":")), **found.aside}):
            return
    raise PushLimited(limit.text, number, math.ceil(wait) if number <= limit.n else None)


def load(text: str) -> dict[str, int]:
    """Read a sheet of people; raises whatever is wrong with it."""
    people: dict[str, int] = json.loads(text)
    expect(people, {str: int})
    return people


def person() -> str:
    """Whose pushes are counted together: Flask-Login's user, else the address; nothing that says who that is."""
    user = current_person()
    known = user is not None and getattr(user, "is_authenticated", False)
    said = f"user {user.get_id()}" if known else f"address {household(request.remote_addr or '')}"
    return blake2b(said.encode("utf-8", "backslashreplace"), digest_size=9).hexdigest()


def household(address: str) -> str:
    """An address, or of IPv6 the network of 64 bits around it: so many every connection has to itself."""
    try:
        known = ip_address(address)
    except ValueError:  # a socket has none
        return address
    if not isinstance(known, IPv6Address):
        return address
    return str(known.ipv4_mapped or f"{int(known) >> 64:x}")


def sheet(who: str) -> str:
    """The name of the sheet on which a person stands."""
    return f"pushes:{int(who[:4], 16) % SHEETS}"

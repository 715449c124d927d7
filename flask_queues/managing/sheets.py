"""Which sheets of the storage cannot be read, and what was kept aside of those that could not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from .. import activity, breakers, janitor, orders
from ..alerts import standing
from ..batches import book, sheet
from ..chains import pages
from ..errors import OptionError
from ..metrics import bucket, causes, ledger, totals
from ..storage import Storage
from ..storage.sheets import ASIDE, look, printable

#: Sheets that are read at once.
SLICE = 200
#: By what their names look like: how sheets are read, of which there are few however many jobs there are.
FORMS: Mapping[str, Callable[[str], Any]] = {
    ledger.INDEX: ledger.Index.load,
    totals.TOTALS: totals.Totals.load,
    ledger.BUCKET.pattern: bucket.Bucket.load,
    causes.CAUSES: causes.Causes.load,
    activity.SHEET: activity.load_number,
    activity.NUMBERED.pattern: activity.load,
    standing.SHEET: standing.Sheet.load,
    orders.SHEET: orders.Orders.load,
    janitor.SHEET: janitor.load,
    r"breaker:.*": breakers.load_whole,
    r"batches:\d+": book.Listed.load,
}
#: One for each batch, and some for each long chain.
MANY: Mapping[str, Callable[[str], Any]] = {
    rf"{book.BATCH}.*": sheet.Sheet.load,
    rf"{pages.PREFIX}[^:]+": pages.Cover.load,
    rf"{pages.PREFIX}[^:]+:\d+": pages.Page.load,
}


class DamagedSheet(NamedTuple):
    """A sheet that cannot be read, or what was kept aside of one."""

    name: str
    #: What is wrong with it; empty where it was kept aside, and another one has its place.
    why: str
    #: Bytes in it that are no text are written out, as `\xff`.
    text: str


def damaged_sheets(storage: Storage, *, every: bool = False) -> Iterator[DamagedSheet]:
    """Look for them; only `every` looks at those of single batches and chains, too."""
    forms = [(re.compile(pattern), load) for pattern, load in {**FORMS, **(MANY if every else {})}.items()]
    names = storage.sheet_names()
    wanted = [(name, load) for name in names for form, load in forms if form.fullmatch(name)]
    wanted += [(name, str) for name in names if name.startswith(ASIDE)]
    for start in range(0, len(wanted), SLICE):
        part = dict(wanted[start : start + SLICE])
        for name, text in storage.sheets(part).items():
            why = "" if name.startswith(ASIDE) else look(name, text, part[name]).damage
            if why or name.startswith(ASIDE):
                yield DamagedSheet(name, why, printable(text))


def forget_aside(storage: Storage, name: str) -> bool:
    """Delete what was kept aside; False where there is nothing of that name.

    Raises `OptionError` for a sheet that is in use.
    """
    if not name.startswith(ASIDE):
        raise OptionError(f"{name[:200]} is in use; what was kept aside has a name that begins with {ASIDE}")
    text = storage.sheets([name]).get(name)
    return text is not None and storage.write_sheets((name, text), {name: None})

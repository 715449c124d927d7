"""Which sheets of the storage cannot be read, and what was kept aside of those that could not."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from .. import activity, breakers, janitor, orders
from ..alerts import standing
from ..batches import book, sheet
from ..chains import pages
from ..errors import OptionError, TransitionError
from ..metrics import bucket, causes, ledger, totals
from ..record import WorkerRecord
from ..storage import Storage
from ..storage.sealed import names_of
from ..storage.sheets import ASIDE, Found, look, printable
from . import asides

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
    asides.SHEET: asides.load,
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
    #: Whether nothing is wrong with it but that it is encrypted with a key which this process lacks.
    closed: bool = False


#: Why a closed one cannot be read.
CLOSED = "It is encrypted with a key that QUEUES_ENCRYPTION_KEYS lacks here."


def damaged_sheets(storage: Storage, *, every: bool = False) -> Iterator[DamagedSheet]:
    """Look for them; only `every` looks at those of single batches and chains, too.

    Of batches and chains, closed ones are not told: they have ways of their own.
    """
    forms = [(re.compile(pattern), load) for pattern, load in {**FORMS, **(MANY if every else {})}.items()]
    names = storage.sheet_names()
    wanted = [(name, load) for name in names for form, load in forms if form.fullmatch(name)]
    wanted += [(name, str) for name in names if name.startswith(ASIDE)]
    for start in range(0, len(wanted), SLICE):
        part = dict(wanted[start : start + SLICE])
        for name, text in storage.sheets(part).items():
            found = Found(None) if name.startswith(ASIDE) else look(name, text, part[name])
            closed = found.closed and part[name] not in MANY.values()
            if found.damage or closed or name.startswith(ASIDE):
                yield DamagedSheet(name, CLOSED if closed else found.damage, printable(text), closed)


def forget_sheet(storage: Storage, name: str, refuse_while_readable: Callable[[str], None]) -> bool:
    """Delete what was kept aside, or a sheet that is closed; False where there is nothing of that name.

    Raises `OptionError` for a sheet that is in use, and whatever is raised for a closed one that others may read.
    """
    text = storage.sheets([name]).get(name)
    if not name.startswith(ASIDE):
        load = next((load for form, load in FORMS.items() if re.fullmatch(form, name)), None)
        if load is None or not look(name, text, load).closed:
            raise OptionError(f"{name[:200]} is in use; what was kept aside has a name that begins with {ASIDE}")
        refuse_while_readable(f"the sheet {name[:200]}")
    return text is not None and storage.write_sheets((name, text), {name: None})


def refuse_while_readable(what: str, keys: Collection[str], living: Collection[WorkerRecord]) -> None:
    """Raise `TransitionError` where one of the workers that live has a key beside these, and may read something."""
    ours = set(names_of(list(keys)))
    for worker in living:
        if not ours.issuperset(worker.keys):
            raise TransitionError(
                f"The worker {worker.name} has a key that QUEUES_ENCRYPTION_KEYS lacks here, and may read {what}. Put "
                "that key in, or stop the worker if it is the one that has a wrong key."
            )

"""What people ask of workers that run: to take nothing more, to begin their processes anew, to show what a job does.

It is kept on one sheet of the storage, which the keepers read with each sign of life; so it reaches every machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from .errors import KeyMissing, StorageError
from .record import to_datetime
from .storage import Storage
from .storage.sheets import Found, expect, look, refuse_closed
from .storage.stops import is_moment

SHEET = "orders"
#: So often a change is tried again where somebody else was quicker.
TRIES = 20
#: Milliseconds after which a picture, or the wish for one, is forgotten.
KEPT = 600_000
#: Characters of a picture, and how many are kept.
MOST, PICTURES = 30_000, 20


class Picture(NamedTuple):
    """What the process of a job did at a moment, as the stacks of its threads."""

    #: When somebody asked for it, in milliseconds.
    asked: int
    #: When it was taken; None while it was not.
    taken: int | None = None
    #: The innermost frame first, a thread after the other.
    text: str = ""

    @property
    def when(self) -> datetime | None:
        """When it was taken."""
        return None if self.taken is None else to_datetime(self.taken)


class Orders(NamedTuple):
    """What is asked of whom."""

    #: Workers, by name, that take nothing more.
    quiet: frozenset[str] = frozenset()
    #: By worker: when somebody last asked to have its processes begin anew.
    restart: dict[str, int] = {}  # noqa: RUF012 - never changed
    #: By the id of the job.
    pictures: dict[str, Picture] = {}  # noqa: RUF012

    def dump(self) -> str:
        """Write them."""
        return json.dumps([sorted(self.quiet), self.restart, self.pictures], separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Orders:
        """Read what `dump` has written; raises whatever is wrong with it."""
        expect(said := json.loads(text), ([str], {str: int}, {str: (is_moment, int | None, str)}))
        quiet, restart, pictures = said
        return cls(frozenset(quiet), restart, {job: Picture(*one) for job, one in pictures.items()})

    def without(self, worker: str) -> Orders:
        """The same, nothing asked of a worker that is gone."""
        restart = {name: moment for name, moment in self.restart.items() if name != worker}
        return self._replace(quiet=self.quiet - {worker}, restart=restart)

    def since(self, moment: int) -> Orders:
        """The same without the pictures of long ago."""
        kept = sorted((one for one in self.pictures.items() if one[1].asked > moment), key=lambda one: one[1].asked)
        return self._replace(pictures=dict(kept[-PICTURES:]))


def read(storage: Storage) -> Orders:
    """What is asked now."""
    return found_in(storage.sheets([SHEET]).get(SHEET)).value or Orders()


def found_in(text: str | None) -> Found[Orders]:
    """Read the sheet; of workers nothing is asked where that cannot be read."""
    return look(SHEET, text, Orders.load)


def change(storage: Storage, how: Callable[[Orders], Orders]) -> None:
    """Change what is asked, where it is not so already.

    Raises `StorageError` if others keep changing it, `KeyMissing` if it is encrypted with a key that is missing here.
    """
    for _ in range(TRIES):
        text = storage.sheets([SHEET]).get(SHEET)
        found = found_in(text)
        refuse_closed(SHEET, found)
        before = found.value or Orders()
        after = how(before)
        if after == before or storage.write_sheets((SHEET, text), {SHEET: after.dump(), **found.aside}):
            return
    raise StorageError("What workers are asked to do is changed by too many at once. Try again.")


def be_quiet(storage: Storage, workers: Iterable[str], *, quiet: bool) -> None:
    """Ask workers to take nothing more, or to go on."""
    names = frozenset(workers)
    change(storage, lambda orders: orders._replace(quiet=orders.quiet | names if quiet else orders.quiet - names))


def restart(storage: Storage, workers: Iterable[str]) -> None:
    """Ask workers to have their processes begin anew."""
    asked = dict.fromkeys(workers, storage.now())
    change(storage, lambda orders: orders._replace(restart={**orders.restart, **asked}))


def ask_picture(storage: Storage, job_id: str) -> Picture:
    """Ask for a picture of what a job does."""
    picture = Picture(storage.now())
    keep_picture(storage, job_id, picture)
    return picture


def keep_picture(storage: Storage, job_id: str, picture: Picture) -> None:
    """Keep a picture, or the wish for one."""
    cut = picture._replace(text=picture.text[:MOST])

    def how(orders: Orders) -> Orders:
        return orders._replace(pictures={**orders.pictures, job_id: cut}).since(cut.asked - KEPT)

    change(storage, how)


def forget(storage: Storage, worker: str) -> None:
    """Ask nothing more of a worker that is gone; whoever cannot read what is asked leaves it there."""
    with suppress(KeyMissing):
        change(storage, lambda orders: orders.without(worker))

"""The look at the thresholds, for a keeper."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ..config import Config
from ..errors import StorageError
from ..storage import Storage
from .herald import Herald
from .readings import Instruments
from .standing import SHEET, Sheet, found_in, judge

logger = logging.getLogger("flask_queues")

#: Seconds between two looks, and until the next one after a look that has failed.
EVERY = 5.0
REST = 60.0


class Lookout:
    """Looks at the thresholds for one keeper. Give it the means to ask: the storage is built in its process."""

    def __init__(self, storage: Callable[[], Storage], config: Callable[[], Config], herald: Herald) -> None:
        self._storage = storage
        self._config = config
        self._herald = herald
        self._instruments: Instruments | None = None
        self._next = 0.0

    def work_if_due(self) -> None:
        """Look, if it is time and there is anything to look at; says what has changed."""
        config = self._config()
        if not config.alerts or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        try:
            self._work(config)
        except StorageError:
            raise
        except Exception:  # an alert is no reason to keep anybody from his jobs
            self._next = time.monotonic() + REST
            logger.exception("The thresholds of QUEUES_ALERTS could not be looked at; it is tried again in %g s", REST)

    def _work(self, config: Config) -> None:
        storage = self._storage()
        if self._instruments is None:
            names = {config.default, *config.names}
            self._instruments = Instruments(storage, config.alerts, names, config.lease)
        look(storage, self._instruments, self._herald)


def look(storage: Storage, instruments: Instruments, herald: Herald) -> bool:
    """Measure once and say what has changed; False where another keeper has just done so.

    What is said was written before, so that no two say it.
    """
    text, now = storage.sheets([SHEET]).get(SHEET), storage.now()
    found = found_in(text)
    sheet = found.value or Sheet()
    if 0 <= now - sheet.looked < EVERY * 900:
        return False
    after, changes = judge(sheet, instruments.read(now), now)
    if not storage.write_sheets((SHEET, text), {SHEET: after.dump(), **found.aside}):
        return False
    herald.tell(changes)
    return True

"""A child's second thread: does on time what the main thread, busy with a job, cannot."""

from __future__ import annotations

import threading
from collections.abc import Callable

ROUND = 0.02
#: Rounds with nothing to do after which it sleeps until stirred.
QUIET = 100
#: Seconds that a duty may take once it is over, as where the storage is away.
LAST_DUTY = 1.0


class Steward:
    """Calls its duties every 20 ms while there may be something to do, and sleeps otherwise."""

    def __init__(self, *duties: Callable[[], bool]) -> None:
        #: Each returns whether it may have more to do.
        self._duties = duties
        self._awake = threading.Event()
        self._pause = threading.Event()
        self._thread: threading.Thread | None = None
        self._over = False

    def stir(self) -> None:
        """Say that there may be something to do soon."""
        if not self._awake.is_set():
            self._awake.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="flask-queues-steward", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Let its thread end, waiting a little for it: whoever had it is done."""
        self._over = True
        self._awake.set()
        if self._thread is not None:
            self._thread.join(LAST_DUTY)

    def _work(self) -> None:
        quiet = 0
        while not self._over:
            self._awake.wait()
            self._pause.wait(ROUND)
            if quiet >= QUIET:
                self._awake.clear()
            quiet = 0 if self._round() else quiet + 1

    def _round(self) -> bool:
        busy = [duty() for duty in self._duties]
        return any(busy)

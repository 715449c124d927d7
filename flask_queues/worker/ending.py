"""When a worker that is to end where no job waits may do so: not while one may come back from a process that died."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime

from ..errors import StorageError
from ..manager import Manager
from ..record import Status

#: Seconds between two looks, and those that keepers get to give back what has stalled.
LOOK, RESCUE = 0.5, 5.0


class Ending:
    """Waits for the jobs of the dead, a lease at most."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        #: When nothing was found for the first time, by the storage's clock, and until when to wait, by ours.
        self._since: datetime | None = None
        self._until = 0.0

    def put_off(self) -> None:
        """A job was found."""
        self._since = None

    def is_reached(self, queues: Collection[str]) -> bool:
        """Whether nothing can come any more, where no job waits in any of these queues."""
        try:
            running = self._running(queues)
            if not running:
                return True
            if self._since is None:
                self._since, self._until = self._manager.now(), time.monotonic() + self._manager.config.lease + RESCUE
            return time.monotonic() >= self._until or self._are_held(running, self._since)
        except StorageError:  # the next step says so, and waits
            return False

    def _running(self, queues: Collection[str]) -> set[tuple[str, str]]:
        """The queues and types of jobs that run, and could be claimed here."""
        served, status = self._manager.jobs.served, Status.RUNNING.value
        cells = self._manager.counts().cells
        return {(queue, type_) for queue, type_, now in cells if now == status and queue in queues and type_ in served}

    def _are_held(self, running: set[tuple[str, str]], since: datetime) -> bool:
        """Whether each such job is in the hands of a worker that has given a sign of life since."""
        workers = [worker for worker in self._manager.workers() if worker.heartbeat > since]
        alive = {child.name for worker in workers for child in worker.children}
        return all(
            job.worker in alive
            for job in self._manager.every(statuses=[Status.RUNNING])
            if (job.queue, job.type) in running
        )

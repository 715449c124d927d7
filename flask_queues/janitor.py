"""Deletes what was kept long enough, a slice at a time, and lets the application see it before."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flask import Flask

from .config import ANY, Config, Retention
from .errors import StorageError
from .record import JobRecord, Status
from .registry import Registry
from .signals import name_of
from .storage import Storage
from .storage.outdated import Outdated
from .storage.sheets import expect, look

logger = logging.getLogger("flask_queues")

#: Is handed jobs that are about to be deleted.
Hook = Callable[[list[JobRecord]], Any]
#: Jobs that are deleted in one step, and that a hook is handed at a time.
SLICE, HANDED = 500, 100
#: Milliseconds until old jobs of a queue and type are looked for again where none was found, or a hook has failed.
PAUSE, REST = 5000, 60_000
#: The sheet that says whose turn it is to hand jobs to hooks, and milliseconds that a turn lasts.
SHEET, TURN = "retention", 60_000
FINAL = [status for status in Status if status.final]


class Janitor:
    """Keeps one application's ended jobs for as long as it says."""

    def __init__(
        self, app: Flask, config: Callable[[], Config], jobs: Registry, storage: Callable[[], Storage]
    ) -> None:
        self._app = app
        self._config = config
        self._jobs = jobs
        self._storage = storage
        #: Who sees jobs before they are deleted.
        self.hooks: list[Hook] = []
        self._name = secrets.token_hex(8)
        self._not_before: dict[Outdated, int] = {}
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def retention(self, type_string: str) -> Retention:
        """For how long jobs of a type are kept, and how many: the word on the type, its own, that on all types."""
        config, job_type = self._config(), self._jobs.get(type_string)
        return {
            "completed": config.retention_completed,
            "cancelled": config.retention_completed,
            "failed": config.retention_failed,
            **config.retention.get(ANY, {}),
            **(job_type.retention if job_type is not None else {}),
            **config.retention.get(type_string, {}),
        }

    def longest(self) -> float | None:
        """For how many hours some job is kept, of whatever type and status; None where some are kept for ever."""
        types = {ANY, *self._jobs, *self._config().retention}
        kept = [self.retention(one)[status.value] for one in types for status in FINAL]
        return None if None in kept else max(hours for hours in kept if hours is not None)

    def work(self) -> int:
        """Delete a slice of each kind; returns how many jobs, 0 where nothing is left to do now."""
        if self.hooks:
            return self._hand_over()
        if self._is_told_by_type():
            return sum(self._delete(which) for which in self._lines())
        return self._purge()

    def work_aside(self) -> int:
        """The same, but in a thread where hooks take their time: whoever waited for them would lose his leases."""
        if not self.hooks:
            return self.work()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work_to_the_end, name="flask-queues-retention", daemon=True)
            self._thread.start()
        return 0

    def finish(self, seconds: float) -> None:
        """Begin nothing more, and wait so long for a hook that is not done."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _work_to_the_end(self) -> None:
        try:
            while not self._over.is_set() and self._hand_over():
                pass
        except StorageError:
            return  # the keeper says so
        except Exception:
            logger.exception("Jobs that were kept long enough could not be deleted.")

    # Without a word on single types

    def _is_told_by_type(self) -> bool:
        return bool(self._config().retention) or any(job_type.retention for job_type in self._jobs.values())

    def _purge(self) -> int:
        config = self._config()
        return self._purge_after(config.retention_completed, [Status.COMPLETED, Status.CANCELLED]) + (
            self._purge_after(config.retention_failed, [Status.FAILED])
        )

    def _purge_after(self, hours: float, statuses: list[Status]) -> int:
        return self._storage().purge(statuses, older=milliseconds(hours), limit=SLICE)

    # Line by line

    def _lines(self) -> Iterator[Outdated]:
        """What may be to be deleted, by the kept counts."""
        now = self._storage().now()
        self._not_before = {one: until for one, until in self._not_before.items() if until > now}
        for (queue, job_type, word), n in sorted(self._storage().counts().cells.items()):
            status = Status(word)
            if n > 0 and status.final:
                for which in outdated(queue, job_type, status, n, self.retention(job_type)):
                    if which not in self._not_before:
                        yield which

    def _delete(self, which: Outdated) -> int:
        deleted = self._storage().drop_outdated(which, SLICE)
        if not deleted and which.older:
            self._wait(which, PAUSE)
        return deleted

    def _wait(self, which: Outdated, milliseconds: int) -> None:
        self._not_before[which] = self._storage().now() + milliseconds

    # With hooks

    def _hand_over(self) -> int:
        deleted = 0
        for which in self._lines():
            if self._over.is_set() or not self._take_turn():
                break
            deleted += self._hand_over_of(which)
        return deleted

    def _hand_over_of(self, which: Outdated) -> int:
        jobs = self._storage().outdated(which, HANDED)
        if jobs and not self._tell(jobs):
            self._wait(which, REST)
            return 0
        deleted = self._storage().drop_outdated(which, HANDED, {job.id for job in jobs}) if jobs else 0
        if not deleted and which.older:
            self._wait(which, PAUSE)
        return deleted

    def _tell(self, jobs: Sequence[JobRecord]) -> bool:
        """Call every hook; False where one has raised, so that the jobs are kept."""
        for hook in self.hooks:
            try:
                with self._app.app_context():
                    self._app.ensure_sync(hook)(list(jobs))
            except (Exception, SystemExit):
                logger.exception(
                    "%s failed, which is called before jobs are deleted: %d of type %s are kept for now.",
                    name_of(hook),
                    len(jobs),
                    jobs[0].type,
                )
                return False
        return True

    def _take_turn(self) -> bool:
        """Make sure that no other worker hands over the same jobs; False while another one does."""
        storage = self._storage()
        seen, now = storage.sheets([SHEET]).get(SHEET), storage.now()
        found = look(SHEET, seen, load)
        owner, until = found.value or ("", 0)
        if owner != self._name and until > now:
            return False
        return storage.write_sheets((SHEET, seen), {SHEET: json.dumps([self._name, now + TURN]), **found.aside})


def load(text: str) -> tuple[str, int]:
    """Read whose turn it is, and until when; raises whatever is wrong with the sheet."""
    said = json.loads(text)
    expect(said, (str, int))
    return said[0], said[1]


def outdated(queue: str, job_type: str, status: Status, n: int, kept: Retention) -> Iterator[Outdated]:
    """What of a queue and type, of which `n` jobs are in a final status, may be to be deleted."""
    hours, count = kept.get(status.value), kept.get(f"{status.value}_count")
    if count is not None and n > count:
        yield Outdated(queue, job_type, status, spare=int(count))
    if hours is not None:
        yield Outdated(queue, job_type, status, older=milliseconds(hours))


def milliseconds(hours: float) -> int:
    """Hours as the storage counts them."""
    return round(hours * 3_600_000)

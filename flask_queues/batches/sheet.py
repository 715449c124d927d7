"""What is kept of a batch, and what is to be done about it: both from its sheet, its tally and the time alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..errors import StorageFormatError, TransitionError
from ..record import Status
from ..storage.sheets import expect
from ..storage.stops import is_moment
from ..storage.values import NewJob

#: Of a sheet. Those without one are from before there was one, and the same otherwise.
FORMAT = 1
#: Milliseconds without a slice after which whoever pushes a batch is taken for dead.
BROKEN_OFF = 600_000
BROKEN_WORDS = "Its push broke off."
THEN, CATCH, FINALLY = "then", "catch", "finally"


def is_moment_if_any(value: Any) -> bool:
    """Whether it is a moment, or none."""
    return value is None or is_moment(value)


#: What is in a sheet that nobody has damaged; what came with a later version may be missing in an old one.
SHAPES: dict[str, Any] = {
    "id": str, "name": str, "created": is_moment, "queues": [str], "pushers": int, "pushed": is_moment,
    "cancelled": str | None, "callbacks": {str: dict}, "due": [str], "fired": [str], "ended": is_moment_if_any,
}  # fmt: skip


def tag_of(batch_id: str) -> str:
    """The tag of a batch's jobs, by which they are listed."""
    return f"batch:{batch_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is kept of a batch beside its tally. Moments are milliseconds, by the storage's clock."""

    id: str
    name: str
    created: int
    #: The queues in which it has jobs.
    queues: tuple[str, ...] = ()
    #: How many are adding jobs to it now.
    pushers: int = 0
    #: When somebody last did.
    pushed: int
    #: Why it was cancelled.
    cancelled: str | None = None
    #: Whether jobs of it may still have to be cancelled; one that is retried when all have ended runs.
    ending: bool = False
    #: The jobs that report, by `then`, `catch` and `finally`, as `NewJob.said` writes them.
    callbacks: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    #: Those that are to be pushed, and those that were.
    due: tuple[str, ...] = ()
    fired: tuple[str, ...] = ()
    ended: int | None = None
    #: Rises when somebody adds jobs, or one of them goes on.
    grown: int = 0
    #: How many were stored, as far as those who did have said so.
    jobs: int = 0

    @property
    def open(self) -> bool:
        """Whether there is anything left to do about it."""
        return self.ended is None or self.owed != ()

    @property
    def owed(self) -> tuple[str, ...]:
        """The callbacks that are due and were not pushed, as far as anybody has noted."""
        return tuple(name for name in self.due if name not in self.fired)

    @property
    def reporters(self) -> set[str]:
        """The ids of the jobs that report."""
        return {said["id"] for said in self.callbacks.values()}

    def dump(self) -> str:
        """Write it as JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Sheet:
        """Read what `dump` has written; raises `StorageFormatError` where a newer version has written it.

        Raises whatever is wrong with it, where it is damaged.
        """
        said = json.loads(text)
        refuse_newer(f"The batch {said['id']}", said.pop("format", FORMAT), FORMAT)
        for name, shape in SHAPES.items():
            expect(said[name], shape, name)
        for name in {*said["callbacks"], *said["due"]}:
            NewJob.read(said["callbacks"][name])
        return cls(**{**said, **{name: tuple(said[name]) for name in ("queues", "due", "fired")}})

    def broken_off(self, now: int) -> bool:
        """Whether somebody who was adding jobs is taken for dead."""
        return self.pushers > 0 and now - self.pushed > BROKEN_OFF

    def over(self, tally: Mapping[Status, int], now: int) -> bool:
        """Whether all its jobs have ended, and no more are on their way."""
        return (self.pushers == 0 or self.broken_off(now)) and waiting(tally) == 0

    def looked_at(self, tally: Mapping[Status, int], now: int) -> Sheet:
        """The sheet once its tally was looked at: whether it is over, and which callbacks are due."""
        over, broken = self.over(tally, now), self.broken_off(now)
        cancelled = BROKEN_WORDS if over and broken and self.cancelled is None else self.cancelled
        well = over and cancelled is None and done_well(tally, self.jobs)
        asked = {THEN: well, CATCH: tally.get(Status.FAILED, 0) > 0, FINALLY: over}
        due = [name for name in self.callbacks if asked[name] and name not in self.due]
        return replace(
            self,
            cancelled=cancelled,
            due=(*self.due, *due),
            ended=now if over and self.ended is None else self.ended,
            pushers=0 if over else self.pushers,
            ending=self.ending and not over,
        )

    # What becomes of it

    def called_off(self, reason: str) -> Sheet:
        """Somebody cancels the batch; the reason that was given first stays."""
        return replace(self, cancelled=self.cancelled or reason, ending=True)

    def check_growing(self) -> None:
        """Raise `TransitionError` where nothing can be added to the batch."""
        if self.ended is not None or self.cancelled is not None:
            what = "over" if self.cancelled is None else "cancelled"
            raise TransitionError(f"The batch {self.id} is {what}; no job can be added. Push a new one.")

    def begun_to_grow(self, now: int, pushers: int) -> Sheet:
        """Somebody begins to add jobs; raises `TransitionError` where that cannot be."""
        self.check_growing()
        return replace(self, pushers=self.pushers + pushers, pushed=now, grown=self.grown + 1)

    def growing_still(self, now: int, queues: Iterable[str]) -> Sheet:
        """Jobs are still being added, to these queues."""
        return replace(self, pushed=now, queues=tuple(sorted({*self.queues, *queues})))

    def grown_by(self, jobs: int, pushers: int) -> Sheet:
        """Somebody has added so many jobs."""
        return replace(self, pushers=max(0, self.pushers - pushers), jobs=self.jobs + jobs)

    def reopened(self, now: int) -> Sheet:
        """One of its jobs goes on. Another sheet in any case, so that no keeper ends what it has read."""
        return replace(self, ended=None, pushed=now, grown=self.grown + 1)

    def reported(self, names: Iterable[str]) -> Sheet:
        """These callbacks were pushed; others may have become due meanwhile."""
        return replace(self, fired=tuple(name for name in self.due if name in names or name in self.fired))


def refuse_newer(what: str, version: int, known: int) -> None:
    """Raise `StorageFormatError` for what has a format that this code does not know."""
    if version > known:
        raise StorageFormatError(
            f"{what} has format {version}; this version of Flask-Queues reads up to {known}. "
            "Install the newer version that wrote it."
        )


def waiting(tally: Mapping[Status, int]) -> int:
    """How many jobs have not ended."""
    return sum(n for status, n in tally.items() if not status.final)


def done_well(tally: Mapping[Status, int], jobs: int) -> bool:
    """Whether so many jobs at least have completed, and no other is there; a failover may have lost some."""
    total = sum(tally.values())
    return total == tally.get(Status.COMPLETED, 0) and total >= jobs

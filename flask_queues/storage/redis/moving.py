"""How jobs leave for another storage, and arrive: a load is kept in the partition of the queue that it leaves."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ...damaged import NO_OPTIONS
from ...errors import PushUncertain, StorageError
from ...record import Progress, Status
from ..parcels import Load, Parcel, Run, SchedulePost, known_parcel, whole_parcel
from ..unique import Unique, holds
from .calls import Calls, Command
from .connection import pack
from .keys import Keys, is_stray, of_job, structures
from .names import QueueNames
from .outbox import Outbox
from .pushing import REPLICAS_TIMEOUT, Pushes
from .records import (
    DIGITS,
    STATUSES,
    Story,
    decoded,
    dump,
    limits_text,
    log_line,
    log_text,
    memory_text,
    one_line,
    pushed_text,
    quoted,
    read_limits,
    read_stem,
    read_story,
    read_unique,
    unique_text,
)
from .schedules import Schedules, occurrence_text
from .scripts import ARRIVE, LEAVE, LEAVING

#: Characters of records and logs after which a load is full, however few its jobs are.
FULL = 4_000_000


class Row(NamedTuple):
    """A job as the script reads it before it leaves."""

    parcel: Parcel
    #: What tells that the job is still as it was read: the line it is in, and how long its record is.
    stem: str
    length: int


class Moves:
    """Hands loads out and takes them in."""

    def __init__(
        self,
        calls: Calls,
        keys: Keys,
        names: QueueNames,
        pushes: Pushes,
        schedules: Schedules,
        outbox: Outbox,
        wait: int,
    ) -> None:
        self._calls = calls
        self._keys = keys
        self._names = names
        self._pushes = pushes
        self._schedules = schedules
        self._outbox = outbox
        self._wait = wait

    def identity(self) -> str:
        """The name of this storage, given now where it has none."""
        key = self._keys.root + "meta"
        self._calls.ask(Command(key, None, ["HSETNX", key, "identity", uuid.uuid4().hex]))
        name: bytes = self._calls.ask(Command(key, None, ["HGET", key, "identity"]))
        return name.decode()

    # Leaving

    def hand_out(self, to: str, limit: int) -> Load | None:
        """The load that is kept, or a new one; raises `StorageError` where it went elsewhere."""
        while True:
            for destination, load in self._kept():
                if destination != to:
                    raise StorageError(
                        "Jobs of this storage are on their way to another one than this: an earlier move was "
                        "interrupted. Run that one again to its end first."
                    )
                return load
            if not self._calls.servers.near:
                self._outbox.deliver_all()
            if not self._take_out(to, limit):
                return None

    def on_the_way(self) -> int:
        """How many jobs the kept load has."""
        return sum(len(load.jobs) for _, load in self._kept())

    def _kept(self) -> Iterator[tuple[str, Load]]:
        keys = [self._keys.partition(queue) + "leaving" for queue in self._names.with_any("leaving")]
        for text in self._calls.ask_all([Command(key, None, ["GET", key]) for key in keys]):
            if text is not None:
                _, destination, load = text.decode().split("\t", 2)
                yield destination, Load.parse(load)

    def _take_out(self, to: str, limit: int) -> bool:
        """Make a load of the first queue that holds something; False where none does."""
        schedules = self._schedules.all()
        for queue in self._names.all():
            posts = [
                (one.revision, SchedulePost(one.name, queue, one.about, tuple(self._schedules.history(one, 100)[::-1])))
                for one in schedules
                if one.queue == queue
            ]
            rows = self._read(queue, limit)
            if posts or rows:
                self._leave(queue, to, rows, posts)
                return True
        return False

    def _read(self, queue: str, limit: int) -> list[Row]:
        partition = self._keys.partition(queue)
        command = Command(partition, LEAVING, [self._keys.root, partition, limit, FULL], structures(partition))
        return [read_row(queue, row) for row in self._calls.ask(command)]

    def _leave(self, queue: str, to: str, rows: list[Row], posts: list[tuple[int, SchedulePost]]) -> None:
        """Take out what is still as it was read; whoever claims or pushes meanwhile goes first."""
        meta = self._keys.root + "meta"
        number = self._calls.ask(Command(meta, None, ["HINCRBY", meta, "loads", 1]))
        while rows or posts:
            load = Load(number, tuple(row.parcel for row in rows), tuple(post for _, post in posts))
            answer = self._ask_surely(self._leaving(queue, f"{number}\t{to}\t{load.dump()}", rows, posts))
            if not answer or not any(answer):
                return
            changed, gone = answer
            rows = [row for n, row in enumerate(rows, 1) if n not in changed]
            posts = [post for n, post in enumerate(posts, 1) if n not in gone]

    def _leaving(
        self, queue: str, text: str, rows: Sequence[Row], posts: Sequence[tuple[int, SchedulePost]]
    ) -> Command:
        partition = self._keys.partition(queue)
        arguments: list[Any] = [self._keys.root, partition, text, len(rows)]
        keys = structures(partition)
        for parcel, stem, length in rows:
            arguments += [parcel.id, stem, DIGITS[parcel.status], length, len(parcel.tags), *parcel.tags]
            keys += of_job(partition, parcel.id, parcel.tags)
        arguments.append(len(posts))
        for revision, post in posts:
            arguments += [post.name, revision]
            keys.append(f"{partition}h:{post.name}")
        return Command(partition, LEAVE, arguments, keys)

    # Arriving

    def take_in(self, source: str, load: Load) -> int:
        """Store what is not there yet, queue by queue; returns how many jobs were new."""
        jobs: dict[str, list[Parcel]] = {}
        posts: dict[str, list[SchedulePost]] = {}
        stored = {one.name for one in self._schedules.all()} if load.schedules else set()
        taken = self._pushes.taken(load.jobs)
        for n, parcel in enumerate(load.jobs):
            jobs.setdefault(parcel.queue, []).extend([] if n in taken else [parcel])
        for post in load.schedules:
            posts.setdefault(post.queue, []).extend([] if post.name in stored else [post])
        queues = list(dict.fromkeys([*jobs, *posts]))
        if not self._calls.servers.near:
            self._names.add(queues)
        commands = [
            self._arriving(queue, source, load.number, jobs.get(queue, []), posts.get(queue, [])) for queue in queues
        ]
        return sum(self._ask_surely(command) for command in commands)

    def _ask_surely(self, command: Command) -> Any:
        """Run a script, and see to it that as many replicas have its changes as a push waits for."""
        if not self._wait:
            return self._calls.ask(command)
        answer, told = self._calls.ask(replace(command, behind=pack(["WAIT", self._wait, REPLICAS_TIMEOUT])))
        confirmed = told if isinstance(told, int) else 0
        if confirmed < self._wait:
            raise PushUncertain(
                f"Moved, but confirmed by {confirmed} of the {self._wait} replicas of QUEUES_REDIS_WAIT. Run "
                "the same command again when they are there."
            )
        return answer

    def _arriving(
        self, queue: str, source: str, number: int, jobs: Sequence[Parcel], posts: Sequence[SchedulePost]
    ) -> Command:
        near = self._calls.servers.near
        partition = self._keys.partition(queue)
        arguments: list[Any] = [
            self._keys.root,
            partition,
            queue,
            "1" if near else "",
            f"from:{source}",
            number,
            len(jobs),
        ]
        keys = structures(partition)
        for parcel in jobs:
            arguments += arriving(parcel, stray=near and is_stray(parcel))
            keys += of_job(partition, parcel.id, parcel.tags)
        arguments.append(len(posts))
        for post in posts:
            past = [
                f"{decided}\t{occurrence_text(due, outcome, job)}" for due, decided, outcome, job in post.occurrences
            ]
            arguments += [post.name, post.about, len(past), *past]
            keys.append(f"{partition}h:{post.name}")
        return Command(partition, ARRIVE, arguments, keys)


def read_row(queue: str, row: Sequence[Any]) -> Row:
    """Read what `leaving.lua` answers of a job, as far as it can be read."""
    status, job_id, since, alone, record, lines, kept, unique, limits, stem_ = row
    text, stem = decoded(record), decoded(stem_)
    where = STATUSES[status.decode()]
    _, priority, job_type = read_stem(stem)
    known = known_parcel(
        job_id.decode(), queue, job_type, where, int(since), "", NO_OPTIONS, priority=priority, alone=alone == 1,
        unique=tuple_or_none(lambda: read_unique(decoded(unique))),
        limits=tuple_or_none(lambda: map(tuple, read_limits(decoded(limits)))),
        logs=tuple(log_line(decoded(line)) for line in lines), kept=decoded(kept) or None,
    )  # fmt: skip
    return Row(whole_parcel(lambda: read_parcel(text, known), known), stem, len(record))


def read_parcel(text: str, known: Parcel) -> Parcel:
    """Add what a record says to what is known of its job; raises whatever is wrong with it."""
    story = read_story(text)
    last = story.runs[-1] if story.runs else None
    return known._replace(
        payload=story.payload,
        options=story.options,
        tags=story.tags,
        created=story.created,
        due=min(story.due, known.since) if known.status is Status.PENDING else story.due,
        expires=story.expires,
        attempts=story.attempts,
        runs=tuple(runs_of(story)),
        worker=last.worker if last else None,
        started=last.started if last else None,
        progress=Progress(*json.loads(last.progress)) if last and last.progress else None,
        result=last.result if last and known.status is Status.COMPLETED else None,
        reason=story.reason,
        changes=story.changes,
    )


def tuple_or_none(read: Callable[[], Iterable[Any] | None]) -> tuple[Any, ...] | None:
    """What a job is under, as a tuple; None where it is under nothing, or that cannot be read."""
    try:
        found = read()
        return None if found is None else tuple(found)
    except (ValueError, TypeError):
        return None


def runs_of(story: Story) -> Iterator[Run]:
    """The runs among the claims that were settled."""
    number = 0
    for run in story.runs:
        if run.outcome is not None:
            number += 1
            yield Run(number, run.worker, run.started, run.ended, run.outcome, run.error or None, run.memory)


def arriving(parcel: Parcel, *, stray: bool) -> list[Any]:
    """What `arrive.lua` reads of a job."""
    return [
        parcel.id,
        parcel.type,
        f"{100 - parcel.priority:02x}",
        DIGITS[parcel.status],
        parcel.since,
        parcel.created,
        parcel.due,
        "" if parcel.expires is None else parcel.expires,
        "1" if parcel.alone else "",
        "1" if stray else "",
        "\n".join([pushed_text(parcel), *events_of(parcel)]),
        parcel.kept or "",
        arriving_unique(parcel),
        limits_text(parcel.limits),
        parcel.changes,
        len(parcel.tags),
        *parcel.tags,
        len(parcel.logs),
        *map(log_text, parcel.logs),
    ]


def arriving_unique(parcel: Parcel) -> str:
    """How it is unique, behind whether it still holds its key."""
    if parcel.unique is None:
        return ""
    started, final = parcel.started is not None, parcel.status.final
    still = holds(
        Unique(*parcel.unique), final=final, started=started, created=parcel.created, now=0, reason=parcel.reason
    )
    return f"{int(still)}{unique_text(parcel.unique)}"


def events_of(parcel: Parcel) -> Iterator[str]:
    """Write what a job has been through as events: a settled claim for each run, and one that says how it ended.

    Which of the runs counted is not told; the last ones are as good.
    """
    uncounted = len(parcel.runs) - parcel.attempts
    for n, run in enumerate(parcel.runs):
        counted = "1" if n >= uncounted else "0"
        told = event(run.ended, run.started, run.worker, run.outcome.value, counted, error=one_line(run.error))
        yield told if run.memory is None else f"{told}\t{memory_text(run.memory)}"
    if parcel.worker is not None:
        yield event(
            parcel.since,
            parcel.started or 0,
            parcel.worker,
            status=DIGITS[parcel.status],
            progress=dump(parcel.progress) if parcel.progress is not None else "",
            reason=quoted(parcel.reason),
            result=one_line(parcel.result),
        )
    elif parcel.status is Status.CANCELLED:
        yield f"C\t{parcel.since}\t0\t\t{quoted(parcel.reason)}"


def event(
    ended: int,
    started: int,
    worker: str,
    outcome: str = "",
    counted: str = "0",
    *,
    status: str = "0",
    progress: str = "",
    reason: str = "",
    error: str = "",
    result: str = "",
) -> str:
    """Write a claim that was settled."""
    fields = [0, status, ended, started, quoted(worker), outcome, counted, "", progress, reason, error, result]
    return "\t".join(map(str, ["S", *fields]))

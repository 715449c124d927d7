"""The Redis engine: every transition is one script within the partition of a queue."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from ...errors import ConfigError, StorageUnavailable, UniqueTaken
from ...record import Counts, JobRecord, LogLine, Page, Progress, Status, WorkerRecord
from ..base import Storage
from ..figures import Ended
from ..outdated import Outdated
from ..parcels import Load
from ..stops import Stop, read_stop
from ..unique import taken
from ..values import (
    Claim,
    Finding,
    Heartbeat,
    NewJob,
    Occurrence,
    PendingStep,
    Query,
    Schedule,
    Settlement,
    Step,
    Wanted,
    Watcher,
)
from ..workers import read_worker
from . import line, listing
from .calls import Calls, Command
from .claiming import Claims
from .examination import examine
from .figures import Figures
from .forgetting import Forgetting
from .jobs import Jobs
from .keys import Keys, of_job, structures
from .moving import Moves
from .names import QueueNames
from .outbox import Outbox
from .pushing import Pushes
from .records import STATUSES, claim_of, decoded, dump, log_text, quoted, read_in_hand, unquoted
from .roster import Roster, time_of
from .schedules import Schedules
from .scripts import BEAT, CLAIM, KEEP, LETGO, LOOK, NOTE, RELEASE, STOP, Script
from .servers import servers_of
from .steps import Steps, in_lines
from .tallies import Tallies
from .watcher import Channel


class RedisStorage(Storage):
    """Keeps the jobs in Redis, for any number of processes on any number of machines.

    On one server, and with Sentinel, a step reaches every queue. On a cluster it reaches one; what a
    job's end causes in another is noted beside the job in the same step and made moments later, once.
    """

    def __init__(self, backend: Any, *, owner: str = "", wait: int = 0) -> None:
        self._servers = servers_of(backend)
        self._keys = Keys(backend._get_prefix() or "")
        self._wait = wait
        self._calls = Calls(self._servers)
        self._names = QueueNames(self._calls, self._keys)
        self._forgetting = Forgetting(self._calls, self._keys, self._names)
        self._roster = Roster(self._calls, self._keys, owner)
        self._outbox = Outbox(self._calls, self._keys, self._names)
        self._pushes = Pushes(self._calls, self._keys, self._names, wait)
        self._claims = Claims(self._calls, self._keys, self._names)
        self._steps = Steps(
            self._calls, self._keys, self._names, self._roster, self._outbox, self._pushes, self._claims
        )
        self._figures = Figures(self._calls, self._keys, self._names)
        self._tallies = Tallies(self._calls, self._keys)
        self._jobs = Jobs(self._calls, self._keys, self._names)
        self._schedules = Schedules(self._calls, self._keys, self._names, self._pushes)
        self._moves = Moves(self._calls, self._keys, self._names, self._pushes, self._schedules, self._outbox, wait)
        self._inside = threading.local()
        #: The process in which it was made sure that the keys are ours.
        self._greeted_in = 0

    @property
    def busy(self) -> bool:
        """Whether this thread waits for an answer."""
        return getattr(self._inside, "depth", 0) > 0

    @contextmanager
    def _call(self) -> Iterator[None]:
        self._inside.depth = getattr(self._inside, "depth", 0) + 1
        try:
            if self._greeted_in != os.getpid():
                self._roster.greet()
                self._greeted_in = os.getpid()
            yield
        except ConfigError as error:
            if not self._greeted_in:
                raise
            # It let us in before, perhaps the process that we were forked from: passwords and users are being changed.
            raise StorageUnavailable(str(error)) from error
        finally:
            self._inside.depth -= 1

    def describe(self) -> str:
        """The server's address, or what leads to it."""
        return f"{self._servers.describe()}, prefix {self._keys.prefix}"

    def begun(self) -> bool:
        """Whether an application has these keys already; unlike any other call, this one does not make them ours."""
        key = self._keys.root + "meta"
        return bool(self._calls.ask(Command(key, None, ["EXISTS", key])))

    def close(self) -> None:
        """Close what is idle; the next call connects again."""
        self._servers.close()

    def now(self) -> int:
        """The server's time; on a cluster, that of the node which knows the queues."""
        with self._call():
            return time_of(self._calls, self._keys.root)

    def examine(self) -> list[Finding]:
        """Ask the servers what they may lose."""
        with self._call():
            return examine(self._servers, self._wait)

    # The pusher's side

    def push(self, jobs: Sequence[NewJob], bounds: Mapping[str, int] | None = None) -> list[bool]:
        """Store the jobs; on a cluster, all or none of each queue."""
        if not jobs:
            return []
        with self._call():
            return self._pushes.push(jobs, bounds or {})

    def push_unique(self, job: NewJob, bounds: Mapping[str, int] | None = None) -> str:
        """Store the job, or read who holds its key, in one script."""
        with self._call():
            return self._pushes.push_unique(job, bounds or {})

    # The worker's side

    def step(self, worker: str, settled: Sequence[Settlement] = (), wanted: Wanted | None = None) -> Step:
        """Settle and claim in one script."""
        with self._call():
            return self._steps.begin(worker, settled, wanted).answer()

    def begin_step(self, worker: str, settled: Sequence[Settlement], wanted: Wanted) -> PendingStep | None:
        """Send the script; the server works on it while a job runs here."""
        with self._call():
            return Answering(self, self._steps.begin(worker, settled, wanted).send())

    def claim(self, worker: str, job_id: str, lease: int) -> Claim | None:
        """Claim one job whatever its place in the line."""
        with self._call():
            queue = self._jobs.queue_of(job_id)
            if queue is None:
                return None
            nonce = secrets.token_hex(6)

            def build(unsure: bool) -> Command:
                arguments = [job_id, lease, quoted(worker), nonce, nonce if unsure else ""]
                return self._on(queue, CLAIM, arguments, job_id, timed=True)

            answer = self._calls.run(build)
            if not answer:
                return None
            if len(answer) == 1:
                raise UniqueTaken(taken(job_id, answer[0].decode()))
            return self._remembered([claim_of(queue, job_id, answer[0].decode(), decoded(answer[1]))])[0]

    def note(self, job_id: str, token: int, progress: Progress | None = None, logs: Sequence[LogLine] = ()) -> bool:
        """Keep progress and log lines while the claim is in force."""
        with self._call():
            queue = self._steps.queue_of(job_id, token)
            if queue is None:
                return False
            told = dump(progress) if progress is not None else ""
            arguments = [job_id, token, told, len(logs), *map(log_text, logs)]
            return bool(self._calls.ask(self._on(queue, NOTE, arguments, job_id)) == 1)

    def keep(self, job_id: str, token: int, text: str) -> bool:
        """Keep a text while the claim is in force."""
        with self._call():
            queue = self._steps.queue_of(job_id, token)
            if queue is None:
                return False
            return bool(self._calls.ask(self._on(queue, KEEP, [job_id, token, text], job_id)) == 1)

    def kept(self, job_id: str) -> str | None:
        """Read what the job has kept."""
        with self._call():
            return self._jobs.kept(job_id)

    # The keeper's side

    def heartbeat(self, worker: WorkerRecord, lease: int) -> Heartbeat:
        """Extend the claims of the worker's children; make sure again that the keys are ours."""
        names = [child.name for child in worker.children]
        with self._call():
            emptied = self._roster.greet(worker)
            jobs: dict[str, list[str]] = {name: [] for name in names}
            to_cancel: list[Claim] = []
            for queue, rows in self._where(("run",), BEAT, [lease, len(names), *map(quoted, names)]):
                for job_id, claim, *record in rows:
                    jobs[read_in_hand(decoded(claim)).worker].append(job_id.decode())
                    if record:
                        to_cancel.append(claim_of(queue, job_id.decode(), decoded(claim), decoded(record[0])))
            self._steps.remember(to_cancel)
            return Heartbeat(to_cancel, jobs, emptied)

    def forget_worker(self, name: str) -> None:
        """Delete what the worker said of itself."""
        with self._call():
            self._roster.forget(name)

    def claims_of(self, worker: str) -> list[Claim]:
        """Look through the running jobs of every queue, which are few."""
        with self._call():
            return self._remembered([claim for claim, _ in self._claims.of(worker)])

    def stalled(self) -> list[Claim]:
        """Look through the running jobs of every queue."""
        with self._call():
            return self._remembered(self._claims.stalled())

    def _remembered(self, claims: list[Claim]) -> list[Claim]:
        self._steps.remember(claims)
        return claims

    def release_held(self, types: Collection[str]) -> int:
        """Put a slice of the held jobs of these types back into their lines."""
        with self._call():
            return sum(answer for _, answer in self._where(("held", "stops", "gates"), RELEASE, [in_lines(types)]))

    def maintain(self) -> None:
        """Forget empty queues; on a cluster, deliver what whoever settled has left in an outbox."""
        with self._call():
            self._forgetting.work_if_due()
            if not self._servers.near:
                self._outbox.deliver_overdue(self.now())

    def watcher(self) -> Watcher:
        """Listen to the channel on which the scripts publish."""
        return Channel(lambda: self._servers.node(self._keys.root), self._keys.root + "wake")

    def pending(self, queues: Sequence[str], types: Collection[str]) -> bool:
        """Look at the head of each line and of each list of scheduled jobs."""
        with self._call():
            return bool(self._steps.filled(queues, types))

    def next_due(self) -> int | None:
        """Look at the first scheduled job of each queue, and at what is stopped for a time."""
        with self._call():
            left = [answer[1] for _, answer in self._where(("due", "stops", "opens"), LOOK, [""])]
            return min((one for one in left if one >= 0), default=None)

    def stop(
        self, queue: str, job_type: str | None = None, *, lasts: int | None = None, reason: str = "", by: str = ""
    ) -> None:
        """Write the stop into the queue's partition."""
        with self._call():
            self._stop(queue, job_type, "stop", "" if lasts is None else lasts, quoted(by), quoted(reason))

    def go_on(self, queue: str, job_type: str | None = None) -> bool:
        """Delete the stop and let the first of its jobs go; the keeper does so with the others."""
        with self._call():
            return bool(self._stop(queue, job_type, "go", "", "", ""))

    def _stop(self, queue: str, kind: str | None, *said: Any) -> Any:
        near = self._servers.near
        with nullcontext() if near else self._names.surely(queue):
            return self._calls.ask(self._on(queue, STOP, [queue, "1" if near else "", kind or "", *said]))

    def stops(self) -> list[Stop]:
        """Read the stops of every queue."""
        with self._call():
            found = [
                stop_in(queue, kind.decode(), decoded(text))
                for queue, rows in self._read(self._names.with_any("stops"), "stops")
                for kind, text in zip(rows[::2], rows[1::2], strict=True)
            ]
            now = time_of(self._calls, self._keys.root) if found else 0
        return sorted(
            (stop for stop in found if stop.until is None or stop.until > now),
            key=lambda stop: (stop.queue, stop.type or ""),
        )

    # What was done

    def ended(self, since: int, until: int, sample: int) -> Ended:
        """Ask every queue in which something has ended."""
        with self._call():
            return self._figures.ended(since, until, sample)

    def oldest(self) -> dict[str, int]:
        """Ask every queue for the first of each priority."""
        with self._call():
            return self._figures.oldest()

    def rewrite(self, job_id: str, turn: Callable[[str], str]) -> bool:
        """Compare and write in one script."""
        with self._call():
            return self._jobs.rewrite(job_id, turn)

    def sheet_names(self) -> list[str]:
        """Read the fields of a hash."""
        with self._call():
            return self._figures.names()

    def sheets(self, names: Collection[str]) -> dict[str, str]:
        """Read fields of a hash."""
        with self._call():
            return self._figures.sheets(names)

    def write_sheets(self, seen: tuple[str, str | None], sheets: Mapping[str, str | None]) -> bool:
        """Compare and write in one script."""
        with self._call():
            return self._figures.write(seen, sheets)

    def tallies(self, batches: Mapping[str, Collection[str]]) -> dict[str, dict[Status, int]]:
        """Ask the queues of each batch."""
        with self._call():
            return self._tallies.read(batches)

    def forget_tallies(self, batches: Mapping[str, Collection[str]]) -> None:
        """Tell the queues of each batch."""
        with self._call():
            self._tallies.forget(batches)

    # The operator's side

    def cancel(self, job_id: str, reason: str) -> Status | None:
        """Cancel a waiting job; leave word with a running one."""
        with self._call():
            return self._jobs.change(job_id, "cancel", reason)

    def retry(self, job_id: str, delay: int = 0) -> Status | None:
        """Make the job pending, or scheduled; its history stays."""
        with self._call():
            return self._jobs.change(job_id, "retry", delay=delay)

    def hurry(self, job_id: str) -> Status | None:
        """Give the job a rank below all others."""
        with self._call():
            return self._jobs.change(job_id, "hurry")

    def change_payload(self, job_id: str, payload: str, seen: str) -> Status | None:
        """Compare here and write in one script, over the very lines that were compared."""
        with self._call():
            return self._jobs.change_payload(job_id, payload, seen)

    def change_options(self, job_id: str, turn: Callable[[str | None], str | None]) -> Status | None:
        """Turn them here, and write them in one script over the very lines that were turned."""
        with self._call():
            return self._jobs.change_options(job_id, turn)

    def delete(self, job_id: str) -> Status | None:
        """Delete the job with its log and tags."""
        with self._call():
            return self._jobs.delete(job_id)

    def purge(self, statuses: Sequence[Status], *, older: int = 0, queue: str | None = None, limit: int = 500) -> int:
        """Find a slice and delete it, one queue after another."""
        with self._call():
            return self._jobs.purge(statuses, older, queue, limit)

    def outdated(self, which: Outdated, limit: int = 100) -> list[JobRecord]:
        """Find some in their list, and read them."""
        with self._call():
            return self._jobs.outdated(which, limit)

    def drop_outdated(self, which: Outdated, limit: int = 500, among: Collection[str] | None = None) -> int:
        """Find some in their list, and delete those that are still there."""
        with self._call():
            return self._jobs.drop_outdated(which, limit, among)

    # The scheduler's side

    def put_schedule(
        self, schedule: Schedule, jobs: Sequence[NewJob] = (), occurrences: Sequence[Occurrence] = ()
    ) -> int:
        """Compare, set and push in one script."""
        with self._call():
            return self._schedules.put(schedule, jobs, occurrences)

    def delete_schedule(self, schedule: Schedule) -> bool:
        """Compare and delete in one script."""
        with self._call():
            return self._schedules.delete(schedule)

    def schedules(self) -> list[Schedule]:
        """Read the schedules of every queue."""
        with self._call():
            return self._schedules.all()

    def schedules_changed(self) -> int:
        """Add up the last revisions of all queues: each only rises."""
        with self._call():
            return self._schedules.changes()

    def occurrences(self, schedule: Schedule, limit: int = 100) -> list[Occurrence]:
        """Read the end of the schedule's history."""
        with self._call():
            return self._schedules.history(schedule, limit)

    # The mover's side

    def identity(self) -> str:
        """Read the name that was stored when it was first asked for."""
        with self._call():
            return self._moves.identity()

    def hand_out(self, to: str, limit: int = 100) -> Load | None:
        """Take jobs of one queue out in one script."""
        with self._call():
            return self._moves.hand_out(to, limit)

    def take_in(self, source: str, load: Load) -> int:
        """Put a load in, one script a queue."""
        with self._call():
            return self._moves.take_in(source, load)

    def let_go(self, number: int) -> bool:
        """Delete the load from the partition that keeps it."""
        with self._call():
            return any(answer for _, answer in self._where(("leaving",), LETGO, [number]))

    def on_the_way(self) -> int:
        """Read the load that a partition keeps."""
        with self._call():
            return self._moves.on_the_way()

    # Reading

    def get(self, job_id: str) -> JobRecord | None:
        """Read one job."""
        with self._call():
            return self._jobs.get(job_id)

    def page(self, query: Query) -> Page:
        """Merge what each queue has for the page."""
        with self._call():
            if query.line:
                return line.page(self._calls, self._keys, query)
            return listing.page(self._calls, self._keys, self._names, query)

    def places(self, queue: str, job_ids: Collection[str]) -> dict[str, int]:
        """Ask for their ranks."""
        with self._call():
            return line.places(self._calls, self._keys, queue, job_ids)

    def counts(self) -> Counts:
        """Read the kept counts of each queue."""
        cells: dict[tuple[str, str, str], int] = {}
        with self._call():
            for queue, rows in self._names.ask_all(lambda queue: self._whole(queue, "counts")):
                for field, number in zip(rows[::2], rows[1::2], strict=True):
                    kind, _, digit = field.decode().rpartition("\t")
                    if number.lstrip(b"-").isdigit() and int(number):
                        cells[queue, kind, STATUSES[digit].value] = int(number)
        return Counts(cells)

    def queues(self) -> list[str]:
        """Look which queues have something in a line or wait for its time."""
        with self._call():
            return self._names.filled("ready", "held", "due")

    def logs(self, job_id: str, limit: int = 500) -> list[LogLine]:
        """Read the end of the job's log."""
        with self._call():
            return self._jobs.logs(job_id, limit)

    def workers(self) -> list[WorkerRecord]:
        """Read the workers, with the running jobs of every queue."""
        with self._call():
            jobs: dict[str, list[str]] = {}
            for _, rows in self._read(self._names.with_any("run"), "run"):
                for job_id, claim in zip(rows[::2], rows[1::2], strict=True):
                    jobs.setdefault(read_in_hand(decoded(claim)).worker, []).append(job_id.decode())
            return [
                read_worker(name, heartbeat, about, jobs) for name, (heartbeat, about) in self._roster.all().items()
            ]

    # Commands

    def _on(self, queue: str, script: Script, arguments: Sequence[Any], *job_ids: str, timed: bool = False) -> Command:
        """A script on one queue; one that is timed refuses to run when nobody waits for it any more."""
        partition = self._keys.partition(queue)
        keys = structures(partition)
        for job_id in job_ids:
            keys += of_job(partition, job_id)
        deadline = [self._calls.clock.deadline()] if timed else []
        return Command(partition, script, [self._keys.root, *deadline, partition, *arguments], keys)

    def _where(self, structures: Sequence[str], script: Script, arguments: Sequence[Any]) -> list[tuple[str, Any]]:
        """Run a script on every queue that has something in one of these; returns what each answered."""
        queues = self._names.with_any(*structures)
        answers = self._calls.ask_all([self._on(queue, script, arguments) for queue in queues])
        return list(zip(queues, answers, strict=True))

    def _read(self, queues: Sequence[str], structure: str) -> list[tuple[str, Any]]:
        """Read a hash of each of these queues."""
        answers = self._calls.ask_all([self._whole(queue, structure) for queue in queues])
        return list(zip(queues, answers, strict=True))

    def _whole(self, queue: str, structure: str) -> Command:
        """Read a hash of a queue."""
        key = self._keys.partition(queue) + structure
        return Command(key, None, ["HGETALL", key])


def stop_in(queue: str, kind: str, text: str) -> Stop:
    """Read a stop as `lib.lua` writes it; of one that cannot be read only what it stops is told."""
    try:
        until, since, by, reason = text.split("\t", 3)
        return read_stop(queue, kind, int(until) if until else None, unquoted(reason), unquoted(by), int(since))
    except ValueError:
        return read_stop(queue, kind, None, None, None, None)


class Answering(PendingStep):
    """A step on its way, during whose answer the thread is busy."""

    def __init__(self, storage: RedisStorage, pending: PendingStep) -> None:
        self._storage = storage
        self._pending = pending

    def answer(self) -> Step:
        """Wait for the answer."""
        with self._storage._call():
            return self._pending.answer()

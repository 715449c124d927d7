"""One round of settling and claiming: a single script on one server, on a cluster one for each queue it concerns."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

from redis.exceptions import RedisError

from ...errors import StorageError
from ...record import Status
from ..values import Claim, NewJob, PendingStep, Settlement, Step, Wanted
from .calls import Calls, Command, Doubt, RecordGone
from .claiming import Claims
from .connection import Node, Packed
from .keys import Keys, is_stray, of_job, structures
from .names import QueueNames
from .outbox import Outbox, outward_text
from .pushing import Pushes
from .records import DIGITS, claim_of, decoded, dump, log_text, memory_text, one_line, push_arguments, quoted
from .roster import Roster
from .scripts import HOLD, LOOK, STEP

#: Claims whose queue is remembered.
REMEMBERED = 10_000
#: So many lists of queues and of job types are kept as they go over the wire.
LISTS = 64
#: Steps of one worker, given up one after another, whose claims are looked for.
MOST_GIVEN_UP = 100
#: What a settlement holds behind its `counted` that tells but how the run ended.
SAYS_NO_MORE = Settlement("", 0, Status.COMPLETED)[5:]
#: What is wanted by a step that only settles.
NOTHING = Wanted((), (), 0)

Place = tuple[str, int]
#: Names in their order, or without one.
Names = TypeVar("Names", tuple[str, ...], frozenset[str])


class Steps:
    """Settles and claims."""

    def __init__(
        self,
        calls: Calls,
        keys: Keys,
        names: QueueNames,
        roster: Roster,
        outbox: Outbox,
        pushes: Pushes,
        claims: Claims,
    ) -> None:
        self._calls = calls
        self._keys = keys
        self._names = names
        self._roster = roster
        self._outbox = outbox
        self._pushes = pushes
        self._claims = claims
        #: The queue of each claim that this process has seen, since a settlement does not tell it.
        self._queues: dict[Place, str] = {}
        #: Nonces of steps that were given up, by worker: they may have claimed something.
        self._unsure: dict[str, list[str]] = {}
        #: How often connections had broken when a worker last looked for claims that it does not know of.
        self._looked: dict[str, int] = {}
        self._lists: dict[tuple[str, ...] | frozenset[str], Packed] = {}
        self._nonces = itertools.count()
        self._nonce_of = (0, "")

    def remember(self, claims: Iterable[Claim]) -> None:
        """Note in which queue these claims are."""
        for claim in claims:
            self._queues[claim.id, claim.token] = claim.queue
        while len(self._queues) > REMEMBERED:
            self._queues.pop(next(iter(self._queues)), None)

    def begin(self, worker: str, settled: Sequence[Settlement], wanted: Wanted | None) -> Round:
        """Prepare a round."""
        return Round(self, worker, settled, wanted or NOTHING)

    def next_nonce(self) -> str:
        """A word that no other step has, in whichever process."""
        if self._nonce_of[0] != os.getpid():
            self._nonce_of = (os.getpid(), secrets.token_hex(6))
        return f"{self._nonce_of[1]}.{next(self._nonces)}."

    # What a round is made of

    def places(self, settled: Sequence[Settlement]) -> list[str | None]:
        """The queue of each settled claim; None where no queue holds it."""
        return [self.queue_of(one.id, one.token) for one in settled]

    def queue_of(self, job_id: str, token: int) -> str | None:
        """The queue of one claim; None where no queue holds it."""
        return self._queues.get((job_id, token)) or self._locate(job_id, token)

    def _locate(self, job_id: str, token: int) -> str | None:
        queues = self._names.holding(job_id)
        if len(queues) == 1:
            return queues[0]
        partitions = [self._keys.partition(queue) for queue in queues]
        commands = [Command(partition, None, ["HGET", f"{partition}run", job_id]) for partition in partitions]
        mark = b"%d\t" % token
        for queue, claim in zip(queues, self._calls.ask_all(commands), strict=True):
            if claim is not None and claim.startswith(mark):
                return queue
        return None

    def checked(self, settled: Sequence[Settlement]) -> Sequence[Settlement]:
        """The settlements without what follows under an id that another queue holds."""
        if not any(one.follows or one.if_cancelled for one in settled):
            return settled
        return [self._with_free(one) for one in settled]

    def _with_free(self, one: Settlement) -> Settlement:
        one = one._replace(follows=self._pushes.free(one.follows))
        return one._replace(if_cancelled=self._pushes.free(one.if_cancelled)) if one.if_cancelled else one

    def give_up(self, worker: str, nonce: str) -> None:
        """A step may have been carried out although nobody got its answer."""
        self._unsure[worker] = [*self._unsure.get(worker, ()), nonce][-MOST_GIVEN_UP:]

    def resolved(self, worker: str, breaks: int | None) -> None:
        """The claims of given-up steps have come back; and all others, if connections had broken so often before."""
        self._unsure.pop(worker, None)
        if breaks is not None:
            self._looked[worker] = breaks

    def adopt(self, worker: str, *, free: bool) -> list[Claim]:
        """The claims of a worker that it does not know of, though its heartbeat keeps them.

        A step that was given up may have made some. And a server that came back, or took over, may not
        know of the settlements of its last moments: where a connection broke and the worker's hands are
        `free`, all claims in its name are such.
        """
        nonces = self._unsure.get(worker, ())
        forgotten = free and self._looked.setdefault(worker, self.breaks) != self.breaks
        if not nonces and not forgotten:
            return []
        return [
            one
            for one, text in self._claims.of(worker)
            if text.split("\t")[7] in nonces or (forgotten and (one.id, one.token) not in self._queues)
        ]

    @property
    def breaks(self) -> int:
        """How often connections have broken in this process."""
        return self._calls.servers.settings.breaks

    def command(
        self,
        worker: str,
        nonce: str,
        settled: Sequence[tuple[Settlement, str]],
        wanted: Wanted,
        queues: Sequence[str],
        *,
        unsure: bool,
        whole: bool = False,
    ) -> Command:
        """Write the script's command for claims of these queues; `whole` where no record is on its way elsewhere."""
        near = self._calls.servers.near
        nonces = [*self._unsure.get(worker, ()), *([nonce] if unsure else ())]
        reach = "all" if near else "whole" if whole else "queue"
        arguments: list[Any] = [self._keys.root, self._calls.clock.deadline(), " ".join(nonces), reach]
        partitions = [self._keys.partition(queue) for queue in queues]
        last: list[Any] = [dump_worker(worker), nonce, *(wanted.along_with or ("", "")), len(settled)]
        keys: list[str] = []
        for one, queue in settled:
            partition = self._keys.partition(queue)
            last += self._settlement(one, partition, keys)
            partitions.append(partition)
        if not near:
            for partition in dict.fromkeys(partitions):
                keys += structures(partition)
        key = partitions[0] if partitions else self._keys.root
        return Command(key, STEP, [*arguments, *self._want(wanted, queues), *last], keys)

    def _want(self, wanted: Wanted, queues: Sequence[str]) -> list[Any]:
        return [
            self._packed(tuple(queues), self._names_of_partitions),
            wanted.lease,
            wanted.limit,
            "1" if wanted.behind else "",
            "1" if wanted.only else "",
            self._packed(frozenset(wanted.types), one_in_lines),
            self._packed(frozenset(wanted.short), one_in_lines),
        ]

    def _packed(self, names: Names, write: Callable[[Names], Iterable[Any]]) -> Packed:
        """Write names as most steps before this one had them, packed once.

        Each list is kept by itself, and few of them: of all that is wanted together there are thousands in the
        life of a child, and what is kept for long among what is not keeps the memory around it, too.
        """
        packed = self._lists.get(names)
        if packed is None:
            if len(self._lists) >= LISTS:
                self._lists.clear()
            packed = self._lists[names] = Packed.of(write(names))
        return packed

    def _names_of_partitions(self, queues: Names) -> list[Any]:
        return [len(queues), *map(self._keys.partition, queues)]

    def _settlement(self, one: Settlement, partition: str, keys: list[str]) -> list[Any]:
        keys += of_job(partition, one.id)
        arguments: list[Any] = [
            partition,
            one.id,
            one.token,
            DIGITS[one.status],
            one.outcome.value if one.outcome is not None else "",
            "1" if one.counted and one.outcome is not None else "",
        ]
        if one[5:] == SAYS_NO_MORE:
            return [*arguments, ""]
        arguments += [
            "1",
            one.delay,
            one_line(one.error),
            one_line(one.result),
            quoted(one.reason),
            dump(one.progress) if one.progress is not None else "",
            "1" if one.alone else "",
            len(one.logs),
            *map(log_text, one.logs),
            len(one.follows),
        ]
        for job in one.follows:
            arguments += self._follower(job, partition, keys)
        arguments += [one.stop, -1 if one.if_cancelled is None else len(one.if_cancelled)]
        for job in one.if_cancelled or ():
            arguments += self._follower(job, partition, keys)
        return [*arguments, one.changes, memory_text(one.memory)]

    def _follower(self, job: NewJob, partition: str, keys: list[str]) -> list[Any]:
        near = self._calls.servers.near
        its = self._keys.partition(job.queue)
        outward = ""
        if near or its == partition:
            keys += of_job(its, job.id, job.tags)
        else:
            outward = outward_text(job)
        return [its, job.queue, outward, *push_arguments(job, stray=near and is_stray(job))]

    def read(self, queues: Sequence[str], answer: Any) -> Answer:
        """Read what the script answers."""
        lost, flat, passed, waits, now, ended, aside, outdated = answer
        self._calls.clock.learn(now)
        claims = [
            claim_of(queues[flat[n] - 1], flat[n + 1].decode(), flat[n + 2].decode(), decoded(flat[n + 3]))
            for n in range(0, len(flat), 4)
        ]
        self.remember(claims)
        return Answer(claims, lost, passed, waits, ended > 0, aside, outdated)

    def hold(self, queue: str, types: Collection[str]) -> int:
        """Set jobs aside of those types that no worker knows; returns how many."""
        unknown = set(types) - self._roster.types(types)
        if not unknown:
            return 0
        partition = self._keys.partition(queue)
        arguments = [self._keys.root, partition, in_lines(unknown)]
        held: int = self._calls.ask(Command(partition, HOLD, arguments, structures(partition)))
        return held

    def filled(self, queues: Sequence[str], types: Collection[str]) -> list[str]:
        """Which of these queues may hold something to claim now, asked of all at once."""
        commands = [
            Command(partition, LOOK, [self._keys.root, partition, in_lines(types)], structures(partition))
            for partition in map(self._keys.partition, queues)
        ]
        answers = self._calls.ask_all(commands)
        return [queue for queue, (waits, left) in zip(queues, answers, strict=True) if waits or left == 0]

    def forget(self, one: Settlement) -> None:
        """A claim is over."""
        self._queues.pop((one.id, one.token), None)

    @property
    def calls(self) -> Calls:
        """How commands are sent."""
        return self._calls

    def relay(self, queue: str, jobs: Sequence[NewJob]) -> None:
        """Push into other partitions what was noted in this one's outbox; the keeper does what fails here."""
        try:
            self._outbox.deliver(queue, jobs)
        except StorageError:
            pass


class Answer:
    """What one script answered."""

    def __init__(
        self,
        claims: list[Claim],
        lost: list[int],
        passed: list[Any],
        waits: list[int],
        ended: bool,
        aside: int,
        outdated: list[Any],
    ) -> None:
        self.claims = claims
        self.lost = lost
        self.passed = passed
        self.waits = waits
        #: Whether the look for jobs ended at a queue that holds some.
        self.ended = ended
        #: How many jobs were set aside since their type is stopped.
        self.aside = aside
        #: Of each settlement that was made from other options: its number, how often they were changed, claim, record.
        self.outdated = outdated


class Round(PendingStep):
    """One round: it may be sent, and waited for later."""

    def __init__(self, steps: Steps, worker: str, settled: Sequence[Settlement], wanted: Wanted) -> None:
        self._steps = steps
        self._worker = worker
        self._settled = steps.checked(settled)
        self._wanted = wanted
        self._nonce = steps.next_nonce()
        self._lost: set[int] = set()
        self._outdated: dict[int, Claim] = {}
        self._held = 0
        self._breaks = steps.breaks
        self._adopted = steps.adopt(worker, free=not wanted.behind) if wanted is not NOTHING else []
        self._parts = self._plan()
        self._sent: tuple[Node, Any] | None = None
        self._doubt = Doubt()
        #: Whether a record that is missed is gone.
        self._whole = False

    def _plan(self) -> list[tuple[list[int], list[str]]]:
        """Which settlements, by number, and which queues go into one script each; the last one claims."""
        places = self._steps.places(self._settled)
        self._places = places
        self._lost |= {n for n, queue in enumerate(places) if queue is None}
        there = [n for n, queue in enumerate(places) if queue is not None]
        queues = [] if self._adopted else list(self._wanted.queues)
        if self._steps.calls.servers.near:
            return [(there, queues)]
        first = queues[:1]
        others = [queue for queue in dict.fromkeys(places) if queue is not None and queue not in first]
        parts = [([n for n in there if places[n] == queue], list[str]()) for queue in others]
        if first:
            parts.append(([n for n in there if places[n] == first[0]], first))
        return parts

    def send(self) -> Round:
        """Send the last script, the one that claims, without waiting for its answer; the others are carried out."""
        *before, last = self._parts or [([], [])]
        for part in before:
            self._take_in(*part, self._run(*part))
        self._parts = [last]
        command = self._command(*last, unsure=False)
        node = self._steps.calls.node(command.key)
        try:
            connection = node.take()
            self._doubt.unsure = True
            node.send_over(connection, [self._steps.calls.packed(command)])
        except (RedisError, OSError):
            return self
        self._sent = node, connection
        return self

    def answer(self) -> Step:
        """Carry out what was not sent, and wait for what was."""
        claims: list[Claim] = []
        ended = False
        try:
            for part in self._parts:
                answer = self._take_in(*part, self._fetch(*part))
                claims, ended = answer.claims, answer.ended
            if not claims and not ended and not self._steps.calls.servers.near and not self._adopted:
                claims = self._look_further()
        except StorageError:
            if self._doubt.unsure:
                self._steps.give_up(self._worker, self._nonce)
            raise
        if self._wanted is not NOTHING:
            self._steps.remember(self._adopted)
            self._steps.resolved(self._worker, self._breaks if not self._wanted.behind else None)
        lost = [one.id for n, one in enumerate(self._settled) if n in self._lost]
        outdated = tuple(claim for _, claim in sorted(self._outdated.items()))
        return Step(self._adopted or claims, lost, self._held, outdated)

    def _look_further(self) -> list[Claim]:
        """On a cluster the queues behind the first are asked in their order, those alone that hold something."""
        for queue in self._steps.filled(self._wanted.queues[1:], self._wanted.types):
            answer = self._take_in([], [queue], self._run([], [queue]))
            if answer.claims or answer.ended:
                return answer.claims
        return []

    def _command(self, numbers: list[int], queues: list[str], *, unsure: bool) -> Command:
        settled = [(self._settled[n], self._places[n] or "") for n in numbers]
        return self._steps.command(
            self._worker, self._nonce, settled, self._wanted, queues, unsure=unsure, whole=self._whole
        )

    def _run(self, numbers: list[int], queues: list[str]) -> Any:
        def build(unsure: bool) -> Command:
            return self._command(numbers, queues, unsure=unsure)

        try:
            return self._steps.calls.run(build, self._doubt)
        except RecordGone:
            self._whole = True
            return self._steps.calls.run(build, self._doubt)

    def _fetch(self, numbers: list[int], queues: list[str]) -> Any:
        if self._sent is None:
            return self._run(numbers, queues)
        (node, connection), self._sent = self._sent, None
        try:
            answer = node.receive(connection, 1)[0]
        except (RedisError, OSError):
            return self._run(numbers, queues)
        self._doubt.unsure = False
        return self._run(numbers, queues) if isinstance(answer, Exception) else answer

    def _take_in(self, numbers: list[int], queues: list[str], told: Any) -> Answer:
        answer = self._steps.read(queues, told)
        self._lost |= {numbers[n - 1] for n in answer.lost}
        self._held += answer.aside
        for number, *told in answer.outdated:
            self._outdated[numbers[number - 1]] = self._anew(numbers[number - 1], *told)
        for n in numbers:
            if n not in self._outdated:
                self._steps.forget(self._settled[n])
        for n in answer.waits:
            one = numbers[abs(n) - 1]
            self._steps.relay(self._places[one] or "", self._settled[one].pushes(asked=n < 0))
        for number, *types in answer.passed:
            self._held += self._steps.hold(queues[number - 1], [name.decode() for name in types])
        return answer

    def _anew(self, n: int, changes: bytes, claim: bytes, record: bytes) -> Claim:
        """The claim of a settlement, as it is now; the number stands, whatever can be read of the record."""
        found = claim_of(self._places[n] or "", self._settled[n].id, claim.decode(), record.decode())
        return found._replace(changes=int(changes))


def dump_worker(worker: str) -> str:
    """A worker's name as it stands in claims."""
    return quoted(worker)


def in_lines(types: Collection[str]) -> str:
    """Types as the scripts look for them."""
    return "\n" + "\n".join(types) + "\n" if types else "\n"


def one_in_lines(types: Collection[str]) -> list[str]:
    """The same as the only argument."""
    return [in_lines(types)]

"""What is done to single jobs, and read of them, wherever they are."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ...errors import OptionsChanged, UniqueTaken
from ...record import JobRecord, LogLine, Status
from ..outdated import Outdated
from ..payloads import differs, followed
from ..unique import taken
from .calls import Calls, Command
from .keys import Keys, of_job, structures
from .names import QueueNames
from .records import (
    DIGITS,
    STATUSES,
    decoded,
    log_line,
    pushed_lines,
    quoted,
    read_story,
    record_of,
    tags_in,
    with_options,
    with_payload,
)
from .scripts import CHANGE, DELETE, OLD, OUTDATED, READ, REWRITE, SAID

#: The lists of those statuses that have one, as `lib.lua` has them.
LISTS = {
    DIGITS[Status.SCHEDULED]: "due",
    DIGITS[Status.COMPLETED]: "completed",
    DIGITS[Status.FAILED]: "failed",
    DIGITS[Status.CANCELLED]: "cancelled",
}
#: Jobs of other types that one look for those of a type passes over.
LOOK_AT = 2000
#: What the script answers where somebody else was quicker.
CHANGED = b"changed"
#: Seconds after which a look that came to the end begins at the first job again: a move may have brought older ones.
ANEW = 600.0


class Jobs:
    """Finds, changes and deletes jobs by their ids."""

    def __init__(self, calls: Calls, keys: Keys, names: QueueNames) -> None:
        self._calls = calls
        self._keys = keys
        self._names = names
        #: Until when (s) nothing can have grown much older, by statuses and age (ms), where nothing was found.
        self._too_young: dict[tuple[str, int], float] = {}
        #: By line: the moment and member behind which the next look for old ones begins, and since when (s) it is so.
        self._passed: dict[tuple[str, str, Status], tuple[bytes, bytes, float]] = {}

    def find(self, job_id: str) -> tuple[str, Sequence[bytes]] | None:
        """The queue of a job, and what is stored of it."""
        for queues in self._holding(job_id):
            commands = [self._command(queue, READ, [1, job_id], [job_id]) for queue in queues]
            for queue, (row,) in zip(queues, self._calls.ask_all(commands), strict=True):
                if row:
                    return queue, row
        return None

    def _holding(self, job_id: str) -> list[list[str]]:
        """Queues to look in: those known here, then, if the job is in none, all."""
        known = self._names.holding(job_id)
        return [known, [queue for queue in self._names.holding_anew(job_id) if queue not in known]]

    def queue_of(self, job_id: str) -> str | None:
        """The queue that holds a job."""
        found = self.find(job_id)
        return found[0] if found is not None else None

    def get(self, job_id: str) -> JobRecord | None:
        """The job as people see it."""
        found = self.find(job_id)
        if found is None:
            return None
        queue, row = found
        return record_of(queue, job_id, *map(decoded, row))

    def logs(self, job_id: str, limit: int) -> list[LogLine]:
        """The end of the job's log."""
        queue = self.queue_of(job_id)
        if queue is None:
            return []
        key = f"{self._keys.partition(queue)}l:{job_id}"
        return [log_line(decoded(line)) for line in self._calls.ask(Command(key, None, ["LRANGE", key, -limit, -1]))]

    def kept(self, job_id: str) -> str | None:
        """What the job has kept for its next run."""
        queue = self.queue_of(job_id)
        if queue is None:
            return None
        key = f"{self._keys.partition(queue)}k:{job_id}"
        text = self._calls.ask(Command(key, None, ["GET", key]))
        return decoded(text) if text is not None else None

    def rewrite(self, job_id: str, turn: Callable[[str], str]) -> bool:
        """Turn the texts of a job here, and write those that are still as they were read."""
        found = self.find(job_id)
        if found is None:
            return False
        queue, row = found
        partition = self._keys.partition(queue)
        log, keep = f"{partition}l:{job_id}", f"{partition}k:{job_id}"
        kept = self._calls.ask(Command(keep, None, ["GET", keep])) or b""
        texts = [decoded(text) for text in (row[3], row[2], kept)]
        lines = [decoded(line) for line in self._calls.ask(Command(log, None, ["LRANGE", log, 0, -1]))]
        turned = [(n, line, new) for n, line in enumerate(lines) if (new := turn(line)) != line]
        after = [turn(text) for text in texts]
        if after == texts and not turned:
            return False
        pairs = [text for pair in zip(texts, after, strict=True) for text in pair]
        arguments = [job_id, *pairs, len(turned), *(word for line in turned for word in line)]
        return bool(self._calls.ask(self._command(queue, REWRITE, arguments, [job_id])))

    def change(self, job_id: str, what: str, reason: str = "", delay: int = 0) -> Status | None:
        """Cancel, retry or hurry a job; returns the status it had."""
        queue = self.queue_of(job_id)
        if queue is None:
            return None
        nonce = secrets.token_hex(4)
        home = queue

        def build(unsure: bool) -> Command:
            arguments = [job_id, what, quoted(reason), delay, nonce, nonce if unsure else ""]
            return self._command(home, CHANGE, arguments, [job_id])

        answer = self._calls.run(build)
        if answer == b"options":
            raise OptionsChanged(followed(job_id))
        if isinstance(answer, list):
            raise UniqueTaken(taken(job_id, answer[0].decode()))
        return STATUSES[answer.decode()] if answer else None

    def change_payload(self, job_id: str, payload: str, seen: str) -> Status | None:
        """Write a job's payload anew unless it runs; returns the status it had."""
        found = self.find(job_id)
        if found is None:
            return None
        queue, (status, _, _, record, _) = found
        text = decoded(record)
        if STATUSES[status.decode()] is Status.RUNNING or not differs(job_id, read_story(text).payload, payload, seen):
            return STATUSES[status.decode()]
        lines = pushed_lines(text)
        answer = self._say(queue, job_id, lines, with_payload(lines, payload))
        if answer == CHANGED:  # maybe its options alone
            return self.change_payload(job_id, payload, seen)
        return STATUSES[answer.decode()] if answer else None

    def change_options(self, job_id: str, turn: Callable[[str | None], str | None]) -> Status | None:
        """Turn a job's options and write them over those that were turned; returns the status it had."""
        answer = CHANGED
        while answer == CHANGED:
            found = self.find(job_id)
            if found is None:
                return None
            queue, (status, _, _, record, _) = found
            text = decoded(record)
            story = read_story(text)
            options = turn(story.options)
            if options == story.options:
                return STATUSES[status.decode()]
            lines, changes = pushed_lines(text), story.changes + 1
            answer = self._say(queue, job_id, lines, with_options(lines, options, changes), changes)
        return STATUSES[answer.decode()] if answer else None

    def _say(self, queue: str, job_id: str, seen: str, lines: str, changes: int | str = "") -> Any:
        """Write the lines that a push writes of a job over those that were seen."""
        arguments = [job_id, seen, lines, changes]
        return self._calls.run(lambda _: self._command(queue, SAID, arguments, [job_id]))

    def delete(self, job_id: str) -> Status | None:
        """Delete a job unless it runs; returns the status it had."""
        found = self.find(job_id)
        if found is None:
            return None
        queue, row = found
        record, stem = row[3], row[4]
        head = decoded(b"\n".join(record.split(b"\n", 2)[:2]) if record.startswith(stem + b"\t") else stem)
        (answer,) = self._delete(queue, [("", job_id, head)])
        return STATUSES[(answer or row[0]).decode()]

    def purge(self, statuses: Sequence[Status], older: int, queue: str | None, limit: int) -> int:
        """Delete up to `limit` jobs that have been in these statuses for so long."""
        wanted = "".join(DIGITS[status] for status in dict.fromkeys(statuses) if status is not Status.RUNNING)
        if not wanted:
            return 0
        names = [name for name in self._holding_old(wanted, older) if queue in (None, name)]
        firsts = self._calls.ask_all([self._command(name, OLD, [wanted, older, 1], []) for name in names])
        deleted = 0
        for name in [name for name, first in zip(names, firsts, strict=True) if first]:
            if deleted == limit:
                break
            rows = self._calls.ask(self._command(name, OLD, [wanted, older, limit - deleted], []))
            old = [(status.decode(), job_id.decode(), decoded(head)) for status, job_id, head in rows]
            answers = self._delete(name, old) if old else []
            deleted += sum(answer.decode() == one[0] for answer, one in zip(answers, old, strict=True))
        return deleted

    def outdated(self, which: Outdated, limit: int) -> list[JobRecord]:
        """Read some of the jobs of a line that were kept long enough."""
        ids = [job_id for job_id, _ in self._outdated(which, limit)]
        if not ids:
            return []
        rows = self._calls.ask(self._command(which.queue, READ, [len(ids), *ids], ids))
        found = [(job_id, [decoded(part) for part in row]) for job_id, row in zip(ids, rows, strict=True) if row]
        return [record_of(which.queue, job_id, *row) for job_id, row in found]

    def drop_outdated(self, which: Outdated, limit: int, among: Collection[str] | None) -> int:
        """Delete some of them."""
        digit = DIGITS[which.status]
        found = self._outdated(which, limit)
        old = [(digit, job_id, head) for job_id, head in found if among is None or job_id in among]
        answers = self._delete(which.queue, old) if old else []
        return sum(answer.decode() == digit for answer in answers)

    def _outdated(self, which: Outdated, limit: int) -> list[tuple[str, str]]:
        """Ids and heads, of those behind the jobs of other types that were passed over before."""
        line = which[:3]
        moment, member, since = self._passed.get(line, (b"", b"", time.monotonic()))
        asked = [DIGITS[which.status], which.type, which.older, which.spare, limit, LOOK_AT, moment, member]
        (moment, member, at_end), *rows = self._calls.ask(self._command(which.queue, OUTDATED, asked, []))
        if at_end and time.monotonic() > since + ANEW:
            self._passed.pop(line, None)
        else:
            self._passed[line] = moment, member, since
        return [(job_id.decode(), decoded(head)) for job_id, head in rows]

    def _holding_old(self, wanted: str, older: int) -> list[str]:
        """The queues that may hold jobs which have been in these statuses, a digit each, for so long."""
        if DIGITS[Status.PENDING] in wanted:  # those stand in their line by more than the time
            return self._names.all()
        now = time.monotonic()
        if now < self._too_young.get((wanted, older), 0.0):
            return []
        found = self._names.with_any(*(LISTS[digit] for digit in wanted), age=older)
        if not found:  # a thousandth of the age is soon enough to look again
            self._too_young = {(wanted, older): now + older / 1_000_000, **self._still_young(now)}
        return found

    def _still_young(self, now: float) -> dict[tuple[str, int], float]:
        return {asked: until for asked, until in self._too_young.items() if until > now}

    def _delete(self, queue: str, jobs: Sequence[tuple[str, str, str]]) -> list[bytes]:
        """Delete jobs given as the status that each must have, its id and the head of its record."""
        arguments: list[Any] = [len(jobs)]
        keys: list[str] = []
        partition = self._keys.partition(queue)
        for status, job_id, head in jobs:
            place, _, said = head.partition("\n")
            tags = tags_in(said)
            arguments += [job_id, place.partition("\t")[0], status, len(tags), *tags]
            keys += of_job(partition, job_id, tags)
        answers: list[bytes] = self._calls.ask(Command(
            partition, DELETE, [self._keys.root, partition, *arguments], [*structures(partition), *keys]
        ))  # fmt: skip
        return answers

    def _command(self, queue: str, script: Any, arguments: Sequence[Any], job_ids: Sequence[str]) -> Command:
        partition = self._keys.partition(queue)
        keys = structures(partition)
        for job_id in job_ids:
            keys += of_job(partition, job_id)
        return Command(partition, script, [self._keys.root, partition, *arguments], keys)

"""What has ended within a time, and the sheets on which the sums of it are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ...record import JobRecord, Status
from ..figures import Ended
from .calls import Calls, Command
from .keys import Keys, structures
from .names import QueueNames
from .records import STATUSES, decoded, record_of
from .scripts import ENDED, OLDEST, SHEETS, Script


class Figures:
    """Reads what has ended in every queue; the sheets are beside the names of queues."""

    def __init__(self, calls: Calls, keys: Keys, names: QueueNames) -> None:
        self._calls = calls
        self._keys = keys
        self._names = names
        self._key = keys.root + "figures"

    def ended(self, since: int, until: int, sample: int) -> Ended:
        """Ask every queue in which something has ended."""
        queues = self._names.with_any("completed", "failed", "cancelled")
        answers = self._calls.ask_all([self._command(queue, ENDED, [since, until, sample]) for queue in queues])
        counts: dict[tuple[str, str, Status], int] = {}
        read: list[tuple[JobRecord, int]] = []
        for queue, (every, fields, rows) in zip(queues, answers, strict=True):
            for field, n in zip(fields[::2], fields[1::2], strict=True):
                text = field.decode()
                counts[queue, text[1:], STATUSES[text[0]]] = n
            read += [(read_job(queue, *row), every) for row in rows]
        return Ended(counts, read)

    def oldest(self) -> dict[str, int]:
        """Ask every queue that has something in its line."""
        queues = self._names.with_any("ready")
        answers = self._calls.ask_all([self._command(queue, OLDEST, []) for queue in queues])
        return {queue: int(answer) for queue, answer in zip(queues, answers, strict=True) if answer is not None}

    def _command(self, queue: str, script: Script, arguments: list[Any]) -> Command:
        partition = self._keys.partition(queue)
        return Command(partition, script, [self._keys.root, partition, *arguments], structures(partition))

    def names(self) -> list[str]:
        """Read the names of all sheets."""
        return sorted(name.decode() for name in self._calls.ask(Command(self._key, None, ["HKEYS", self._key])))

    def sheets(self, names: Collection[str]) -> dict[str, str]:
        """Read sheets by name."""
        listed = list(names)
        if not listed:
            return {}
        texts = self._calls.ask(Command(self._key, None, ["HMGET", self._key, *listed]))
        found = zip(listed, texts, strict=True)
        return {name: text.decode(errors="surrogateescape") for name, text in found if text is not None}

    def write(self, seen: tuple[str, str | None], texts: Mapping[str, str | None]) -> bool:
        """Write sheets, unless one was changed."""
        name, text = seen
        there, seen_text = ("", b"") if text is None else ("1", text.encode(errors="surrogateescape"))
        arguments: list[Any] = [self._keys.root, name, there, seen_text, len(texts)]
        for changed, now in texts.items():
            arguments += [changed, "" if now is None else "1", now or ""]
        return bool(self._calls.ask(Command(self._key, SHEETS, arguments, [self._key])))


def read_job(queue: str, status: bytes, job_id: bytes, record: bytes) -> JobRecord:
    """Read one ended job."""
    return record_of(queue, job_id.decode(), status.decode(), "", "", decoded(record))

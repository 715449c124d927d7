"""The claims that are in force: those of a child, and those whose lease has run out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ..values import Claim
from .calls import Calls, Command, RecordGone
from .keys import Keys, structures
from .names import QueueNames
from .records import claim_of, decoded, quoted
from .scripts import CLAIMS

logger = logging.getLogger("flask_queues")

#: A claim as it is stored, beside what it says.
Found = tuple[Claim, str]


class Claims:
    """Reads claims; one whose record is gone is dropped, since it can neither be run nor settled nor shown."""

    def __init__(self, calls: Calls, keys: Keys, names: QueueNames) -> None:
        self._calls = calls
        self._keys = keys
        self._names = names

    def stalled(self) -> list[Claim]:
        """Those whose lease has run out."""
        return [claim for claim, _ in self._read("")]

    def of(self, worker: str) -> list[Found]:
        """Those of a child, each with its text."""
        return self._read(quoted(worker))

    def _read(self, worker: str) -> list[Found]:
        queues = self._names.with_any("run")
        reach = "all" if self._calls.servers.near else "queue"
        commands = [self._command(queue, reach, worker) for queue in queues]
        found: list[Found] = []
        for queue, (rows, gone) in zip(queues, self._ask_all(queues, commands, worker), strict=True):
            found += [
                (claim_of(queue, job_id.decode(), decoded(claim), decoded(record)), decoded(claim))
                for job_id, claim, record in rows
            ]
            self._tell(queue, gone)
        return found

    def _ask_all(self, queues: Sequence[str], commands: Sequence[Command], worker: str) -> list[Any]:
        try:
            return self._calls.ask_all(commands)
        except RecordGone:  # one by one, so that only the queue is asked to drop claims whose slot does not move
            return [self._ask(queue, command, worker) for queue, command in zip(queues, commands, strict=True)]

    def _ask(self, queue: str, command: Command, worker: str) -> Any:
        try:
            return self._calls.ask(command)
        except RecordGone:
            return self._calls.ask(self._command(queue, "whole", worker))

    def _command(self, queue: str, reach: str, worker: str) -> Command:
        partition = self._keys.partition(queue)
        return Command(partition, CLAIMS, [self._keys.root, partition, reach, worker], structures(partition))

    def _tell(self, queue: str, gone: Sequence[bytes]) -> None:
        if gone:
            logger.warning(
                "%s: what was stored of %s in the queue %s is gone, deleted by somebody else or evicted: %s. Its claim "
                "is dropped; nothing can run it again.",
                self._calls.servers.describe(),
                "a running job" if len(gone) == 1 else f"{len(gone)} running jobs",
                queue,
                ", ".join(job_id.decode() for job_id in gone),
            )

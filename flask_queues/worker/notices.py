"""What the supervisor tells the keeper: lines of JSON through a pipe.

- `{"children": [[name, pid, memory, slot], ...]}`: these live.
- `{"died": name, "outcome": ..., "error": [class, message, traceback], "mark": token}`
- `{"stopped": name}`: what it held goes back.
- `{"over": true}`: the worker ends.
"""

from __future__ import annotations

import json
import os
import select
from typing import Any, Protocol

Notice = dict[str, Any]
OVER: Notice = {"over": True}


class Listener(Protocol):
    """Where the keeper hears notices."""

    def hear(self, seconds: float, other: int | None = None) -> list[Notice]:
        """Wait so long for notices, or until another descriptor is readable.

        An end of whoever speaks is a notice that it is over.
        """


class Mouth:
    """The supervisor's end: never blocks, keeps what a busy keeper has not taken yet."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._unsent: list[bytes] = []

    def say(self, notice: Notice) -> None:
        """Tell the keeper something, now or as soon as it listens."""
        self._unsent.append(json.dumps(notice).encode() + b"\n")
        self.send()

    def send(self) -> None:
        """Send what is left to say."""
        while self._unsent:
            try:
                sent = os.write(self._writing, self._unsent[0])
            except (BlockingIOError, BrokenPipeError):
                return
            if sent < len(self._unsent[0]):
                self._unsent[0] = self._unsent[0][sent:]
                return
            self._unsent.pop(0)

    def ear(self) -> Ear:
        """Return the keeper's end; called in the keeper's process."""
        os.close(self._writing)
        return Ear(self._reading)

    def close(self) -> None:
        """Let go of both ends, in the supervisor."""
        os.close(self._reading)
        os.close(self._writing)


class Ear:
    """The keeper's end."""

    def __init__(self, reading: int) -> None:
        self._reading = reading
        self._rest = b""

    def hear(self, seconds: float, other: int | None = None) -> list[Notice]:
        """Wait so long for notices, or until the other descriptor is readable."""
        waiting = [self._reading] if other is None else [self._reading, other]
        if self._reading not in select.select(waiting, [], [], seconds)[0]:
            return []
        said = os.read(self._reading, 65_536)
        if not said:
            return [OVER]
        *lines, self._rest = (self._rest + said).split(b"\n")
        return [json.loads(line) for line in lines]

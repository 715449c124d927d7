"""Calls that survive a server's restart, a failover and a slot on its way to another node."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoScriptError, RedisError, ResponseError

from .connection import ANSWER_TIMEOUT, Node, pack
from .scripts import Script
from .sentences import is_broken, told, translate
from .sentinels import NoSentinel
from .servers import PATIENCE_FOR_ONE, Servers

#: Seconds for which a command is tried again that a server puts off, as while it moves a slot.
PATIENCE = 15.0
#: Seconds between two tries: the first, and the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.5
#: What a script says that meets a key of another node; there is none but in a cluster.
FAR = "non local key"
#: Answers after which the same command may succeed a moment later.
PUT_OFF = ("TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "LOADING", FAR, "Hash slot not served")
#: What a script says that misses a record: it may be on its way to another node, or gone.
NOT_HERE = "a record of this queue is not here"
#: A script refuses what was sent so long ago that nobody waits for it any more.
STALE = "STALE"


class ServerClock:
    """What time it is on the server, as far as its answers told."""

    def __init__(self) -> None:
        self._ahead: int | None = None

    def learn(self, now: int) -> None:
        """Take the time out of an answer that has just come."""
        self._ahead = now - steady()

    def deadline(self) -> str:
        """Until when a command sent now is waited for; nothing while the time is not known."""
        return "" if self._ahead is None else str(steady() + self._ahead + round(ANSWER_TIMEOUT * 1000))


def steady() -> int:
    """Milliseconds by a clock that never jumps."""
    return time.monotonic_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Command:
    """A script with its arguments, or a plain command."""

    #: Tells on which server it runs.
    key: str
    #: None where the arguments are a command of Redis.
    script: Script | None
    arguments: Sequence[Any]
    #: All keys that the script may touch.
    keys: Sequence[str] = ()
    #: A packed command to send behind it over the same connection; the answer is a pair then.
    behind: bytes | None = None

    def packed(self, *, known: bool, declared: bool) -> bytes:
        """Write it for the wire: by name or, for a server that does not know the script, with its text."""
        if self.script is None:
            return pack(self.arguments)
        keys = self.keys if declared else ()
        return pack([*self.script.head(known=known), len(keys), *keys, *self.arguments])


class RecordGone(Exception):
    """A line holds a job whose record was deleted by somebody else, or evicted."""


@dataclass(slots=True)
class Doubt:
    """Whether a command may have been carried out although nobody got its answer."""

    unsure: bool = False


class Calls:
    """Sends commands to whichever server they belong to, until they are answered or patience is over."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.clock = ServerClock()

    def run(self, build: Callable[[bool], Command], doubt: Doubt | None = None) -> Any:
        """Run one command; `build` is told whether it may have been carried out before, its answer lost."""
        doubt = doubt or Doubt()
        attempt = Attempt(self.servers)
        while True:
            command = build(doubt.unsure)
            try:
                answer = attempt.exchange(command)
            except (RedisError, OSError) as error:
                doubt.unsure = doubt.unsure or (attempt.sent and is_broken(error))
                attempt.failed(error)
                continue
            if not isinstance(answer, Exception):
                return answer
            if STALE in str(answer):
                self.clock.learn(int(str(answer).rpartition(" ")[2]))
            attempt.refused(answer)

    def ask(self, command: Command) -> Any:
        """Run one command that may be repeated."""
        return self.run(lambda _: command)

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands that may be repeated, with one exchange for each server."""
        answers: list[Any] = [None] * len(commands)
        for node, places in self._by_node(commands):
            packed = [self.packed(commands[place]) for place in places]
            try:
                some = node.exchange(packed)
            except (RedisError, OSError):
                some = [ResponseError("lost")] * len(places)
            for place, answer in zip(places, some, strict=True):
                answers[place] = self.ask(commands[place]) if isinstance(answer, Exception) else answer
        return answers

    def packed(self, command: Command) -> bytes:
        """Write a command for a server that knows the script."""
        return command.packed(known=True, declared=not self.servers.near)

    def _by_node(self, commands: Sequence[Command]) -> list[tuple[Node, list[int]]]:
        groups: dict[int, tuple[Node, list[int]]] = {}
        for place, command in enumerate(commands):
            node = self.node(command.key)
            groups.setdefault(id(node), (node, []))[1].append(place)
        return list(groups.values())

    def node(self, key: str) -> Node:
        """The server of a key; waits for it as a call does."""
        attempt = Attempt(self.servers)
        while True:
            try:
                return self.servers.node(key)
            except (RedisError, OSError) as error:
                attempt.failed(error)


class Attempt:
    """The tries that one command takes."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._since = time.monotonic()
        self._pause = FIRST_PAUSE
        self._known = True
        self._key: str | None = None
        self._node: Node | None = None
        #: Whether the last try came so far that something was sent.
        self.sent = False
        #: Where one try is to be made although the slot is another node's still.
        self._asked: Node | None = None

    def exchange(self, command: Command) -> Any:
        """Try once; returns the answer, which may be an error of the server."""
        packed = [command.packed(known=self._known, declared=not self._servers.near)]
        if command.behind is not None:
            packed.append(command.behind)
        asked, self._asked = self._asked, None
        self._key = command.key
        self._node = None
        self.sent = False
        self._node = node = asked or self._servers.node(command.key)
        connection = node.take()
        self.sent = True
        before = [] if asked is None else [pack(["ASKING"])]
        answers = node.exchange_over(connection, [*before, *packed])[len(before) :]
        return answers[0] if command.behind is None or isinstance(answers[0], Exception) else answers

    def failed(self, error: Exception) -> None:
        """The connection broke, or none could be made."""
        if not is_broken(error):
            self.refused(error)
            return
        node = self._node
        if node is not None:
            try:
                self._servers.lose(node)
            except (RedisError, OSError):
                pass
        self._wait(error, PATIENCE_FOR_ONE if isinstance(error, NoSentinel) else self._servers.patience)

    def refused(self, error: Exception) -> None:
        """The server answered with an error: get ready for the next try, or raise what it means."""
        text = told(error)
        if isinstance(error, NoScriptError) or text.startswith(("MOVED ", "READONLY")):
            self._servers.settings.breaks += 1
        if isinstance(error, NoScriptError) and self._known:
            self._known = False
        elif text.startswith(("MOVED ", "ASK ")) and not self._servers.near:
            self._redirect(text)
            self._wait(error, PATIENCE)
        elif STALE in text:
            self._wait(error, PATIENCE)
        elif "READONLY" in text and self._node is not None:
            self._servers.lose(self._node)
            self._wait(error, self._servers.patience)
        elif NOT_HERE in text and self._is_gone():
            raise RecordGone(text) from error
        elif self._servers.near and FAR in text:
            raise translate(ResponseError("MOVED"), self._servers.describe()) from error
        elif any(mark in text for mark in PUT_OFF):
            self._wait(error, PATIENCE)
        else:
            raise translate(error, self._servers.describe()) from error

    def _redirect(self, text: str) -> None:
        """Go where a node says that the slot is; ASK holds for one try only."""
        code, slot, at = text.split()[:3]
        host, _, port = at.rpartition(":")
        address = (host or (self._node.address[0] if self._node is not None else ""), int(port))
        if code == "MOVED":
            self._servers.learn(int(slot), address)
        else:
            self._asked = self._servers.at(address)

    def _is_gone(self) -> bool:
        """Whether a record that is missed is not on its way, but was deleted by somebody else."""
        try:
            return self._key is not None and not self._servers.is_moving(self._key)
        except (RedisError, OSError):
            return False

    def _wait(self, error: Exception, patience: float) -> None:
        if time.monotonic() - self._since + self._pause > patience:
            raise translate(error, self._servers.describe()) from error
        time.sleep(self._pause * random.uniform(0.5, 1))  # noqa: S311 - that not all come back at once
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

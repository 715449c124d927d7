"""What the servers may lose or delay, as far as they let themselves be asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from redis.exceptions import RedisError, ResponseError

from ..values import Finding, Severity
from .connection import Node, pack
from .sentences import translate
from .servers import ClusterServers, Servers

PROMISE = (
    "Jobs survive a crash of Redis if AOF is on (appendfsync everysec: up to about 2 seconds are lost at a power cut; "
    "always: nothing). A failover may lose the last acknowledged writes."
)
#: Part of maxmemory from which on it is time to act.
NEARLY_FULL = 0.9
#: Seconds by which a replica may be behind.
LAG = 5
#: Milliseconds by which the clocks of two nodes may differ.
APART = 1000
CONFIGURED = ("appendfsync", "save", "min-replicas-to-write")


class Facts(NamedTuple):
    """What one server says of itself."""

    info: dict[str, str]
    #: None where nobody may ask for its configuration.
    config: dict[str, str] | None
    #: How much its clock is ahead of ours, in ms.
    ahead: float
    #: Replicas that a push waits for.
    wait: int

    def number(self, name: str) -> int:
        """A number that it tells, 0 where it does not."""
        return int(self.info.get(name) or 0)

    @property
    def replicas(self) -> int:
        """How many it has."""
        return self.number("connected_slaves")

    def configured(self, name: str) -> str | None:
        """A setting; None where it is not told."""
        return None if self.config is None else self.config.get(name)


def examine(servers: Servers, wait: int) -> list[Finding]:
    """Ask every server that jobs are written to; raises `StorageError` where one cannot be asked."""
    facts: list[tuple[Node, Facts]] = []
    for node in servers.nodes():
        try:
            facts.append((node, ask(node, wait)))
        except (RedisError, OSError) as error:
            raise translate(error, f"Redis at {node}") from error
    found = grouped(facts)
    if isinstance(servers, ClusterServers):
        found += of_cluster(servers, facts)
    return [*found, Finding(Severity.NOTE, "redis-promise", PROMISE)]


def ask(node: Node, wait: int) -> Facts:
    """Ask one server."""
    before = time.time()
    (clock,) = told(node, ["TIME"])
    after = time.time()
    ahead = int(clock[0]) * 1000 + int(clock[1]) / 1000 - (before + after) * 500
    (info,) = told(node, ["INFO"])
    answers = told(node, *(["CONFIG", "GET", name] for name in CONFIGURED))
    config = None
    if not any(isinstance(one, Exception) for one in answers):
        config = {one[0].decode(): one[1].decode() for one in answers if one}
    return Facts({} if isinstance(info, Exception) else dict(read_info(info.decode())), config, ahead, wait)


def told(node: Node, *commands: list[str]) -> list[Any]:
    """The answers of one server, errors among them."""
    answers = node.exchange([pack(command) for command in commands])
    if commands[0] == ["TIME"] and isinstance(answers[0], ResponseError):
        raise answers[0]
    return answers


def read_info(text: str) -> Iterator[tuple[str, str]]:
    """Read what INFO answers."""
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name, value


def grouped(facts: list[tuple[Node, Facts]]) -> list[Finding]:
    """What is so with each server; where several have the same, it is said once."""
    nodes: dict[tuple[Any, ...], list[str]] = {}
    for node, about in facts:
        for check in CHECKS:
            finding = check(about)
            if finding is not None:
                nodes.setdefault(tuple(finding), []).append(str(node))
    return [
        Finding(severity, code, problem.format(where=f"Redis at {', '.join(names)}"), fix)
        for (severity, code, problem, fix), names in nodes.items()
    ]


def evicts(facts: Facts) -> Finding | None:
    """A server that throws keys away when its memory is full."""
    policy = facts.info.get("maxmemory_policy", "noeviction")
    if not policy.startswith("allkeys"):
        return None
    limited = facts.number("maxmemory") > 0
    return Finding(
        Severity.LOSES if limited else Severity.NOTE,
        "redis-eviction",
        f"{{where}} deletes any key once its memory is full ({policy}): jobs vanish without a word."
        + ("" if limited else " No maxmemory is set, so it has not come to that yet."),
        "Set maxmemory-policy noeviction; keep caches on a server of their own.",
    )


def forgets(facts: Facts) -> Finding | None:
    """A server that does not write each change to its disk."""
    if not facts.info or facts.number("aof_enabled"):
        return None
    snapshots = facts.configured("save")
    when = {None: "since its last snapshot, if it makes any", "": "that it holds"}.get(
        snapshots, "since its last snapshot, minutes ago"
    )
    return Finding(
        Severity.LOSES,
        "redis-persistence",
        f"{{where}} has no append-only file: a crash or a restart loses every change {when}.",
        "Set appendonly yes.",
    )


def syncs(facts: Facts) -> Finding | None:
    """How much of the append-only file may not be on the disk."""
    how = facts.configured("appendfsync")
    if not facts.number("aof_enabled") or how not in ("everysec", "no"):
        return None
    if how == "no":
        return Finding(
            Severity.LOSES,
            "redis-fsync",
            "{where} leaves it to the system when its append-only file reaches the disk (appendfsync no): a power cut "
            "loses half a minute or more.",
            "Set appendfsync everysec, or always.",
        )
    return Finding(
        Severity.NOTE,
        "redis-everysec",
        "{where} writes its append-only file to the disk once a second: a power cut loses up to about 2 seconds.",
        "If that is too much, set appendfsync always, which makes pushes about half as fast.",
    )


def fills(facts: Facts) -> Finding | None:
    """A server whose memory is nearly used up."""
    limit, used = facts.number("maxmemory"), facts.number("used_memory")
    if not limit or used < NEARLY_FULL * limit:
        return None
    return Finding(
        Severity.LOSES,
        "redis-memory",
        f"{{where}} uses {used / limit:.0%} of its maxmemory. Once it is full, every push is refused.",
        "Raise maxmemory, keep ended jobs for less long, or run more workers.",
    )


def is_cut_off_unawares(facts: Facts) -> Finding | None:
    """A master that would go on alone while another takes its place."""
    if not facts.replicas or facts.configured("min-replicas-to-write") != "0":
        return None
    return Finding(
        Severity.LOSES,
        "redis-min-replicas",
        "{where} takes writes also while no replica is in reach: what is pushed to a master that was cut off is lost "
        "when it comes back as a replica.",
        "Set min-replicas-to-write 1 and min-replicas-max-lag 2.",
    )


def confirms_alone(facts: Facts) -> Finding | None:
    """A push that waits for no replica."""
    if not facts.replicas or facts.wait:
        return None
    return Finding(
        Severity.NOTE,
        "redis-wait",
        "{where} has replicas, and a push does not wait for them: a failover loses those of the last moments.",
        "If that is too much, set QUEUES_REDIS_WAIT = 1: a push takes a round trip more.",
    )


def lags(facts: Facts) -> Finding | None:
    """A replica that is far behind."""
    behind = []
    for n in range(facts.replicas):
        parts = dict(part.partition("=")[::2] for part in facts.info.get(f"slave{n}", "").split(","))
        if parts.get("state") not in (None, "online") or int(parts.get("lag") or 0) > LAG:
            behind.append(f"{parts.get('ip')}:{parts.get('port')}")
    if not behind:
        return None
    return Finding(
        Severity.LOSES,
        "redis-replica-lag",
        f"The replica {', '.join(behind)} of {{where}} is behind: a failover now would lose what it has not got.",
        "Look into its log; it may still make its first copy.",
    )


def cannot_be_asked(facts: Facts) -> Finding | None:
    """A server that keeps its configuration to itself, as hosted ones do."""
    if facts.info and facts.config is not None:
        return None
    return Finding(
        Severity.NOTE,
        "redis-unknown",
        f"{{where}} does not let us ask for its {'configuration' if facts.info else 'state'}: whether it keeps its "
        "data and how it fails over is not known.",
        "Look it up with whoever runs it: append-only file, eviction policy noeviction, replicas.",
    )


CHECKS: tuple[Callable[[Facts], Finding | None], ...] = (
    evicts,
    forgets,
    syncs,
    fills,
    is_cut_off_unawares,
    confirms_alone,
    lags,
    cannot_be_asked,
)


def of_cluster(servers: ClusterServers, facts: list[tuple[Node, Facts]]) -> list[Finding]:
    """What is so with the cluster as a whole."""
    found = []
    missing = servers.missing_slots()
    if missing:
        found.append(
            Finding(
                Severity.DELAYS,
                "redis-slots",
                f"No node of the cluster serves {missing:,} of its slots: queues in them take no jobs and give none.",
                "redis-cli --cluster check names the node that is missing.",
            )
        )
    alone = [str(node) for node, about in facts if about.info and not about.replicas]
    if alone:
        found.append(
            Finding(
                Severity.DELAYS,
                "redis-no-replica",
                f"The cluster's masters at {', '.join(alone)} have no replica: with one of them, its queues are gone.",
                "Give each a replica.",
            )
        )
    clocks = [about.ahead for _, about in facts]
    if max(clocks) - min(clocks) > APART:
        found.append(
            Finding(
                Severity.DELAYS,
                "redis-clocks",
                f"The clocks of the cluster's nodes are {(max(clocks) - min(clocks)) / 1000:.1f} seconds apart: each "
                "queue goes by its node's.",
                "Let NTP set them.",
            )
        )
    return found

"""The whole examination, and the short one of a worker that starts."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ..errors import ConfigError, StorageError
from ..manager import Manager
from ..storage import Storage
from ..storage.values import Finding, Severity
from ..worker import version_here
from ..worker.process import own_memory
from .caches import CODE as CLEARABLE
from .caches import clearable
from .settings import DEAF, LATE, of_settings, too_late
from .workers import APART, SHARED, Scene, of_workers, off, strangers

#: The code of the finding that leaves nothing else to examine.
UNUSABLE = "storage-unusable"
#: What a worker says when it starts, whatever else there is; the first: that another engine suits the load better.
ALWAYS = ("storage-load", SHARED, CLEARABLE, LATE, DEAF)


def examine(manager: Manager) -> list[Finding]:
    """Name everything that would lose, double or delay jobs, and what is promised otherwise; worst first.

    A storage that cannot be used is a finding, `UNUSABLE`, not an exception.
    """
    found = [*too_late(manager.changed_too_late()), *of_settings(manager.config, own_memory(), manager.jobs)]
    try:
        found += of_storage(manager)
        found += of_workers(Scene.of(manager, version_here()))
    except (StorageError, ConfigError) as error:
        found.append(unusable(error))
    return worst_first(found)


def at_start(manager: Manager) -> list[Finding]:
    """What a worker that starts here should say: what may cost most, who else is here, which engine suits better.

    Nothing about waiting jobs and workers of its own application, which it changes. Raises `StorageError` or
    `ConfigError` where the storage cannot be used.
    """
    others = strangers(Scene.of(manager, version_here()))
    found = [
        *too_late(manager.changed_too_late()),
        *of_settings(manager.config, own_memory(), manager.jobs),
        *of_storage(manager),
        *([others] if others else []),
    ]
    found = worst_first(found)
    return [one for n, one in enumerate(found) if one.code in ALWAYS or (n == 0 and one.severity > Severity.NOTE)]


def of_storage(manager: Manager) -> list[Finding]:
    """Let the engine examine itself, and compare its clock with ours."""
    storage = manager.storage
    found = [
        *storage.examine(),
        private(storage),
        clearable(manager),
        interrupted_move(storage),
        closed_batches(manager),
        damaged(manager),
        closed(manager),
        of_clock(storage, manager.config.lease),
    ]
    return [finding for finding in found if finding is not None]


def private(storage: Storage) -> Finding | None:
    """A storage that a worker in another process would never see."""
    if storage.shared:
        return None
    return Finding(
        Severity.LOSES,
        "storage-private",
        f"{storage.describe()} is private to one process: its jobs are lost with it, and a worker in another process "
        "never sees them.",
        "Use the default storage, or Redis; this one serves tests.",
    )


def interrupted_move(storage: Storage) -> Finding | None:
    """Jobs that left for another storage and may not have arrived."""
    jobs = storage.on_the_way()
    if not jobs:
        return None
    return Finding(
        Severity.DELAYS,
        "move-interrupted",
        f"{jobs:,} job{'' if jobs == 1 else 's'} left for another storage and may run in none: flask queues move was "
        "interrupted.",
        "Run it again, with the same settings, to its end.",
    )


def damaged(manager: Manager) -> Finding | None:
    """Lists and figures that cannot be read, or could not."""
    found = [one for one in manager.damaged_sheets() if not one.closed]
    if not found:
        return None
    now = [one.name for one in found if one.why]
    names = now or [one.name for one in found]
    said = f"{', '.join(names[:3])}{'…' if len(names) > 3 else ''}"
    if not now:
        return Finding(
            Severity.NOTE,
            "storage-damaged",
            f"What could not be read was kept aside, and others have its place: {said}.",
            "Look what it was: flask queues damaged NAME; then forget it: flask queues damaged NAME --forget.",
        )
    return Finding(
        Severity.DELAYS,
        "storage-damaged",
        f"What is stored cannot be read, and is left out: {said}. Something else has written into the storage, or a "
        "disk has lost a part of it.",
        "Look at it with flask queues damaged, and at the disk. Workers write anew what they can, and keep it aside.",
    )


def closed(manager: Manager) -> Finding | None:
    """What of causes, activity and orders to workers nobody with these keys can read or add to."""
    names = [one.name for one in manager.damaged_sheets() if one.closed]
    if not names:
        return None
    return Finding(
        Severity.DELAYS,
        "storage-closed",
        f"No key of QUEUES_ENCRYPTION_KEYS opens {', '.join(names[:3])}{'…' if len(names) > 3 else ''}: this process "
        "leaves that out, and adds nothing to it.",
        "Give every process the same keys; where the old one is gone for good, have each begun anew: flask queues "
        "damaged NAME --forget.",
    )


def closed_batches(manager: Manager) -> Finding | None:
    """Batches whose end nobody with these keys will see."""
    closed = manager.batches.closed()
    if not closed:
        return None
    n = len(closed)
    return Finding(
        Severity.LOSES,
        "batch-closed",
        f"{n:,} batch{' is' if n == 1 else 'es are'} not over, and no key of QUEUES_ENCRYPTION_KEYS opens what is kept "
        f"of {'it' if n == 1 else 'them'}, so what is to be pushed at the end is not: "
        f"{', '.join(closed[:3])}{'…' if n > 3 else ''}.",
        "Put the old key back behind the first one; where it is gone for good, forget each: flask queues batches ID "
        "--give-up.",
    )


def of_clock(storage: Storage, lease: float) -> Finding | None:
    """This machine's clock beside the storage's."""
    before = time.time()
    theirs = storage.now() / 1000
    after = time.time()
    seconds = (before + after) / 2 - theirs
    if abs(seconds) <= APART + (after - before):
        return None
    return off("The clock of this machine", seconds, lease, "clock-skew")


def unusable(error: Exception) -> Finding:
    """Say why there is no storage; its errors tell what to do."""
    return Finding(
        Severity.LOSES, UNUSABLE, str(error), "Put this right first: until then every push is refused and no job runs."
    )


def worst_first(found: Iterable[Finding]) -> list[Finding]:
    """Order findings by what they may cost."""
    return sorted(found, key=lambda finding: -finding.severity)

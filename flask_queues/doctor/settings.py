"""What the configuration itself would do to jobs."""

from __future__ import annotations

from collections.abc import Collection

from ..alerts import receiver_named
from ..config import ANY, Config
from ..errors import ConfigError
from ..storage.values import Finding, Severity
from ..worker.keeper import HEARTBEAT

#: A lease is safe from a busy machine when so many heartbeats may come late.
BEATS = 5
#: Seconds of a lease above which the jobs of a host that vanished wait long for another.
LONG_LEASE = 600
#: Seconds; a grace below it cuts off whatever runs.
SHORT_GRACE = 1
#: Hours in which nobody has seen a failed job yet, or read a result.
SOON = 1
RESULT_SOON = 1 / 6
#: The code of what a worker always says.
LATE = "config-late"
#: And of alerts that would be told to nobody.
DEAF = "alert-receiver"


def of_settings(config: Config, needed: float, types: Collection[str]) -> list[Finding]:
    """Look at the keys that an operator may set; `needed` megabytes does a child hold when it starts."""
    found = [
        short_lease(config),
        long_lease(config),
        short_grace(config),
        failed_forgotten(config),
        results_forgotten(config),
        retention_of_nothing(config, types),
        deaf_receiver(config),
        cache_timeout(config),
        cache_threshold(config),
        small_memory(config, needed),
    ]
    return [finding for finding in found if finding is not None]


def too_late(keys: list[str]) -> list[Finding]:
    """Keys that nobody heeds, since they were set when the extension had read the configuration."""
    if not keys:
        return []
    return [
        Finding(
            Severity.DELAYS,
            LATE,
            f"Set after the application's queues had been set up, and so without effect: {', '.join(keys)}.",
            "Set them before Queues(app) or queues.init_app(app).",
        )
    ]


def short_lease(config: Config) -> Finding | None:
    """A lease that runs out while its worker is only slow."""
    if config.lease >= BEATS * HEARTBEAT:
        return None
    return Finding(
        Severity.DOUBLES,
        "lease-short",
        f"QUEUES_LEASE is {config.lease:g} s: a worker that is held up for so long, by a busy disk or by swapping, "
        "loses its running jobs to another one, and they run twice.",
        f"Set QUEUES_LEASE to {BEATS * HEARTBEAT:g} or more; 30 is the default.",
    )


def long_lease(config: Config) -> Finding | None:
    """A lease that keeps the jobs of the dead."""
    if config.lease <= LONG_LEASE:
        return None
    return Finding(
        Severity.DELAYS,
        "lease-long",
        f"QUEUES_LEASE is {config.lease:g} s: the running jobs of a machine that vanishes start again only after that.",
        "Set QUEUES_LEASE to 30, the default; it need not be as long as a job, since workers extend it.",
    )


def short_grace(config: Config) -> Finding | None:
    """A stop that cuts off whatever runs."""
    if config.grace >= SHORT_GRACE:
        return None
    return Finding(
        Severity.DOUBLES,
        "grace-short",
        f"QUEUES_GRACE is {config.grace:g} s: each stop of a worker cuts its running jobs off, "
        "and they start again from the beginning.",
        "Set QUEUES_GRACE to the seconds that most jobs need; 30 is the default.",
    )


def failed_forgotten(config: Config) -> Finding | None:
    """Failed jobs that nobody gets to see."""
    if config.retention_failed >= SOON:
        return None
    return Finding(
        Severity.LOSES,
        "retention-failed",
        f"QUEUES_RETENTION_FAILED is {config.retention_failed:g} h: failed jobs are deleted before anybody can "
        "look at them or retry them.",
        "Set QUEUES_RETENTION_FAILED to some days; 168 hours is the default.",
    )


def results_forgotten(config: Config) -> Finding | None:
    """Results that are gone before they are read."""
    if config.retention_completed >= RESULT_SOON:
        return None
    return Finding(
        Severity.NOTE,
        "retention-completed",
        f"QUEUES_RETENTION_COMPLETED is {config.retention_completed:g} h: a job and its result are gone almost as soon "
        "as it has ended, and whoever asks for it then gets JobNotFound.",
        "Set QUEUES_RETENTION_COMPLETED to an hour or more where results are read.",
    )


def retention_of_nothing(config: Config, types: Collection[str]) -> Finding | None:
    """A word on job types that nobody knows, most likely misspelt."""
    unknown = sorted(config.retention.keys() - {ANY, *types})
    if not unknown:
        return None
    return Finding(
        Severity.NOTE,
        "retention-type",
        f"QUEUES_RETENTION names job types that this application does not know: {', '.join(unknown)[:200]}.",
        "Write each as it is registered, or take it out.",
    )


def deaf_receiver(config: Config) -> Finding | None:
    """The name of a function that there is not: nobody would notice before the first alert, and then nobody is told."""
    if not isinstance(config.alert_receiver, str):
        return None
    try:
        receiver_named(config.alert_receiver)
    except ConfigError as error:
        return Finding(
            Severity.NOTE,
            DEAF,
            f"Alerts are told to nobody: {error}",
            "Write it as package.module:function, of a module that the application can import.",
        )
    return None


def cache_timeout(config: Config) -> Finding | None:
    """A timeout that somebody may believe in."""
    timeout = config.cache.get("CACHE_DEFAULT_TIMEOUT")
    if not timeout:
        return None
    return Finding(
        Severity.NOTE,
        "cache-timeout",
        f"QUEUES_CACHE_DEFAULT_TIMEOUT = {timeout!r} does nothing to jobs: they are kept without a timeout, "
        "and ended ones for QUEUES_RETENTION_COMPLETED and QUEUES_RETENTION_FAILED.",
        "Take the key away.",
    )


def cache_threshold(config: Config) -> Finding | None:
    """A threshold that somebody may believe in."""
    threshold = config.cache.get("CACHE_THRESHOLD")
    if not threshold:
        return None
    return Finding(
        Severity.NOTE,
        "cache-threshold",
        f"QUEUES_CACHE_THRESHOLD = {threshold!r} does nothing to jobs: none is evicted to make room for another.",
        "Take the key away.",
    )


def small_memory(config: Config, needed: float) -> Finding | None:
    """A memory limit that a child is above from the beginning."""
    if needed < config.memory:
        return None
    return Finding(
        Severity.NOTE,
        "memory-small",
        f"QUEUES_MEMORY is {config.memory:g} MB, but a process of this application holds {needed:.0f} MB when it "
        f"starts: children are replaced above {needed + config.memory:.0f} MB.",
        f"Set QUEUES_MEMORY to more than {needed:.0f}.",
    )

"""The names under which everything lies in Redis.

All that belongs to one queue, its partition, shares one hash tag, so that on a cluster it shares one
node. Every key begins with `{`, which keeps it out of what `Cache.clear()` deletes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...errors import ConfigError
from ...ids import bits_of, is_id, partition_bits
from ..parcels import Parcel
from ..values import NewJob

#: The structures of a partition, as `lib.lua` explains them. A queue is forgotten when none of them is left but the
#: first two, `meta` and `counts`.
STRUCTURES = (
    "meta", "counts", "ready", "held", "since", "due", "run", "completed", "failed", "cancelled", "alone",
    "out", "arrived", "schedules", "leaving", "stops", "keys", "unique",
    "changes", "limits", "gates", "opens", "gated", "gatedby", "batches", "tallies", "gathered", "gatheredby",
)  # fmt: skip
#: Queues whose partition's name is kept at hand.
KNOWN = 1000


class Keys:
    """The names of one application."""

    def __init__(self, prefix: str) -> None:
        if "{" in prefix or "}" in prefix:
            raise ConfigError(
                f"QUEUES_CACHE_KEY_PREFIX = {prefix!r} is not allowed with Redis: braces in it would part the keys of "
                "one queue over several nodes of a cluster. Leave them out."
            )
        self.prefix = prefix.rstrip(":") or "queues"
        #: Before the keys that belong to no queue.
        self.root = f"{{{self.prefix}}}:"
        self._partitions: dict[str, str] = {}

    def partition(self, queue: str) -> str:
        """What stands before each key of a queue."""
        found = self._partitions.get(queue)
        if found is None:
            if len(self._partitions) >= KNOWN:
                self._partitions.clear()
            found = self._partitions[queue] = f"{{{self.prefix}:{queue}:0}}:"
        return found

    @property
    def of_root(self) -> list[str]:
        """The keys that belong to no queue."""
        return [self.root + name for name in ("meta", "workers", "queues", "figures")]


def structures(partition: str) -> list[str]:
    """The keys of a partition's structures."""
    return [partition + name for name in STRUCTURES]


def of_job(partition: str, job_id: str, tags: Iterable[str] = ()) -> list[str]:
    """The keys of a job's own: its record, its log, what it keeps and the lists of its tags."""
    return [
        f"{partition}j:{job_id}",
        f"{partition}l:{job_id}",
        f"{partition}k:{job_id}",
        *(f"{partition}t:{tag}" for tag in tags),
    ]


def belongs(job_id: str, queue: str) -> bool:
    """Whether an id made by `new_id` may be in this queue; any other id may be in each."""
    return not is_id(job_id) or bits_of(job_id) == partition_bits(f"{queue}:0")


def is_stray(job: NewJob | Parcel) -> bool:
    """Whether the id does not say that it belongs to the job's queue, so that another may hold it."""
    return not is_id(job.id) or bits_of(job.id) != partition_bits(f"{job.queue}:0")


def candidates(job_id: str, queues: Sequence[str]) -> list[str]:
    """The queues that may hold a job."""
    return [queue for queue in queues if belongs(job_id, queue)]

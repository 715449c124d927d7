"""The move of everything from one storage to another, which may be interrupted at any moment and begun again."""

from __future__ import annotations

from collections.abc import Iterator

from .chains import chain_beyond, copy_pages
from .errors import ConfigError
from .storage import Storage
from .storage.parcels import Load

#: Jobs that are on their way at a time, in none of the two storages' lines.
LOAD_SIZE = 100


def move(source: Storage, target: Storage, size: int = LOAD_SIZE) -> Iterator[Load]:
    """Move every job that is not running, and every schedule; yields each load that has arrived.

    A job is in the lines of one storage at most, whenever this dies: a load leaves the source before
    it arrives, and the target knows which ones it has. The same call goes on where the last one ended.
    What is paused in the source is paused in the target before any of its jobs is there, and what comes after
    a link of a long chain is there before the link.
    Raises `ConfigError` where both are the same storage.
    """
    here, there = source.identity(), target.identity()
    if here == there:
        raise ConfigError(f"{target.describe()} is where the jobs are already.")
    for stop in source.stops():
        left = None if stop.until is None else max(1, stop.until - source.now())
        target.stop(stop.queue, stop.type, lasts=left, reason=stop.reason, by=stop.by)
    copied: set[str] = set()
    while (load := source.hand_out(there, size)) is not None:
        for chain_id in {chain for job in load.jobs if (chain := chain_beyond(job.options)) is not None} - copied:
            copy_pages(source, target, chain_id)
            copied.add(chain_id)
        target.take_in(here, load)
        source.let_go(load.number)
        yield load

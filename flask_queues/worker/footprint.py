"""How much memory this process holds at its highest while a job runs; Linux tells that exactly.

The kernel keeps a high-water mark for each process, and sets it to where memory is now when asked to. Where it cannot
be asked (other systems, some sandboxes), nothing is told: a mark that never falls is that of the largest job so far.
"""

from __future__ import annotations

from ..record import Memory

#: Takes a 5 as the wish to set the mark anew.
MARK = "/proc/self/clear_refs"


def begin() -> int | None:
    """Set the mark to what the process holds now, in kB, and tell that; None where that cannot be done."""
    try:
        with open(MARK, "wb", buffering=0) as file:  # noqa: PTH123 - a Path costs as much again
            file.write(b"5")
    except OSError:
        return None
    return highest()


def since(before: int) -> Memory:
    """What the process has held at its highest since it held that."""
    most = highest()
    return Memory(megabytes(most), megabytes(max(0, most - before)))


def highest() -> int:
    """The mark, in kB of 1024 bytes."""
    import resource  # there is none on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def megabytes(kilobytes: int) -> float:
    """In units of 10^6 bytes, as workers have it."""
    return round(kilobytes * 1024 / 1e6, 1)

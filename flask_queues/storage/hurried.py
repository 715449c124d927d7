"""Where jobs stand that are claimed before all others: in tiers above all priorities, in the same number."""

from __future__ import annotations

#: Priorities of one tier, of which there are -100 to 100 in use.
TIER = 256
#: So many tiers stand above the common one, and jobs that come later share the last.
TIERS = 200


def plain(priority: int) -> int:
    """The priority that a job was given, of the one by which it stands."""
    return (priority + TIER // 2) % TIER - TIER // 2


def above(priority: int, first: int | None) -> int:
    """By which priority a job stands before the first of a line, if there is one."""
    tier = (first + TIER // 2) // TIER if first is not None else 0
    return plain(priority) + TIER * min(tier + 1, TIERS)

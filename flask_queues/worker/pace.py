"""How long jobs of each type take here, and so how many may be claimed at once."""

from __future__ import annotations

#: Claims are taken ahead for so much work, in seconds, and never more than so many.
AHEAD_SECONDS = 0.005
AHEAD_CLAIMS = 32
SHORT = 0.001
#: While a job of a type that takes less runs, the next may be fetched; its memory is not worth the time to measure it.
BRISK = 0.02
#: Weight of the latest run in the mean.
WEIGHT = 0.2


class Pace:
    """Keeps a moving mean of the run time of each job type, and which types are short or at least brisk."""

    def __init__(self) -> None:
        self.short: set[str] = set()
        self.brisk: set[str] = set()
        self._means: dict[str, float] = {}

    def ran(self, type_string: str, seconds: float) -> None:
        """Take a run into account."""
        mean = self._means.get(type_string)
        mean = seconds if mean is None else mean + WEIGHT * (seconds - mean)
        self._means[type_string] = mean
        keep(self.short, type_string, mean < SHORT and seconds < SHORT * 5)
        keep(self.brisk, type_string, mean < BRISK and seconds < BRISK * 5)

    def limit(self) -> int:
        """How many claims to take: as many as `AHEAD_SECONDS` suffice for, were all of the slowest short type."""
        slowest = max((self._means[type_string] for type_string in self.short), default=AHEAD_SECONDS)
        return max(1, min(AHEAD_CLAIMS, int(AHEAD_SECONDS / max(slowest, 1e-6))))


def keep(types: set[str], type_string: str, belongs: bool) -> None:
    """Put a type into a set, or take it out."""
    if belongs:
        types.add(type_string)
    else:
        types.discard(type_string)

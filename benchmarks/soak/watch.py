"""Measures while the soak runs, and how what was measured slopes."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from flask_queues.worker.process import memory_of

from ..memory import held

#: Of the time that is left out: caches fill, pools open, the retention has nothing to delete yet.
WARM_UP = 0.4


@dataclass
class Series:
    """Values by the time at which they were read, in seconds from the start."""

    unit: str
    points: list[tuple[float, float]] = field(default_factory=list)

    def add(self, at: float, value: float | None) -> None:
        """Keep a value; None for one that could not be read."""
        if value is not None:
            self.points.append((at, value))

    def after(self, begin: float) -> Series:
        """What was read from then on."""
        return Series(self.unit, [point for point in self.points if point[0] >= begin])

    @property
    def values(self) -> list[float]:
        """Without the times."""
        return [value for _, value in self.points]

    @property
    def slope(self) -> float:
        """By how much it grows an hour, by least squares."""
        times = [at / 3600 for at, _ in self.points]
        return statistics.linear_regression(times, self.values).slope

    @property
    def noise(self) -> float:
        """How far the slope may be off, of values that know nothing of each other: twice its standard error."""
        times = [at / 3600 for at, _ in self.points]
        line = statistics.linear_regression(times, self.values)
        rest = [value - line.slope * at - line.intercept for at, value in zip(times, self.values, strict=True)]
        spread = sum((at - statistics.fmean(times)) ** 2 for at in times)
        return 2.0 * float((sum(one * one for one in rest) / max(len(rest) - 2, 1) / spread) ** 0.5)

    @property
    def growth(self) -> float:
        """How much more the middle of the last third is than that of the first."""
        third = max(len(self.points) // 3, 1)
        return statistics.median(self.values[-third:]) - statistics.median(self.values[:third])


class Watch:
    """Reads what every process holds. Only series of one process, and sums over the fleet, can slope."""

    def __init__(self) -> None:
        self.series: dict[str, Series] = {}
        #: By role, the most that any process of it had.
        self.most_memory: dict[str, float] = defaultdict(float)
        self.most_files: dict[str, int] = defaultdict(int)

    def look(self, at: float, processes: dict[int, str]) -> None:
        """Read memory and descriptors of all of them."""
        sums = {"memory": 0.0, "files": 0.0}
        for pid, role in processes.items():
            memory, files = memory_of(pid), files_of(pid)
            if memory is None or files is None:  # it has ended
                continue
            self.most_memory[role] = max(self.most_memory[role], memory)
            self.most_files[role] = max(self.most_files[role], files)
            sums["memory"] += memory
            sums["files"] += files
            if role.startswith(("old ", "pusher")):
                self.add(f"{role}, PSS", "MB", at, memory)
                self.add(f"{role}, held", "MB", at, held(pid))
                self.add(f"{role}, descriptors", "", at, files)
        self.add("all processes, PSS", "MB", at, sums["memory"])
        self.add("all processes, descriptors", "", at, sums["files"])

    def add(self, name: str, unit: str, at: float, value: float | None) -> None:
        """Keep a value of anything else."""
        self.series.setdefault(name, Series(unit)).add(at, value)

    def table(self, length: float) -> list[str]:
        """A line for each series, without the time in which everything grows."""
        rows = [f"{'':<34}{'first':>10}{'last':>10}{'most':>10}{'growth':>10}{'an hour':>10}   ±"]
        for name, whole in self.series.items():
            series = whole.after(length * WARM_UP)
            if len(series.points) < 6:
                continue
            values = series.values
            numbers = (values[0], values[-1], max(values), series.growth, series.slope)
            cells = "".join(f"{number:>10,.2f}" for number in numbers)
            rows.append(f"{name:<34}{cells}   {series.noise:,.2f} {series.unit}".rstrip())
        return rows


def files_of(pid: int) -> int | None:
    """How many descriptors a process has open."""
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return None


def size_of(*paths: Path) -> float:
    """Megabytes of files and of folders with files."""
    total = 0
    for path in paths:
        for file in path.rglob("*") if path.is_dir() else [path]:
            try:
                total += file.stat().st_size
            except FileNotFoundError:  # replaced by a newer one, at this very moment
                continue
    return total / 1e6

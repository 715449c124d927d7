"""Measures while the soak runs, and how what was measured slopes."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from flask_queues.worker.process import memory_of

from ..memory import held
from .used import ask

#: Of the time that is left out: caches fill, pools open, the retention has nothing to delete yet.
WARM_UP = 0.4
#: Into so many parts the time is cut to know the noise; of their medians the line has two numbers less to be free.
PARTS = 12
#: Student's t of that many, less two, beyond which one in forty is on either side.
STUDENT = 2.228
#: Megabytes in use that a process may have more in the end than in the beginning.
GROWTH = 0.05
HELD, USED = ", held", ", in use"
#: Of so many looks one asks what is in use, since whoever is asked collects its garbage.
SELDOM = 3


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
        """How far off the slope may be, with 95 % confidence: so much an hour more or less.

        What is read in one moment is much like what was a moment before, so it says little that is new. The time is
        cut into parts, and the spread of their medians around the line tells.
        """
        size = len(self.points) / PARTS
        parts = [self.points[round(n * size) : round((n + 1) * size)] for n in range(PARTS)]
        times = [statistics.fmean(at for at, _ in part) / 3600 for part in parts]
        values = [statistics.median(value for _, value in part) for part in parts]
        line = statistics.linear_regression(times, values)
        rest = sum((value - line.slope * at - line.intercept) ** 2 for at, value in zip(times, values, strict=True))
        spread = sum((at - statistics.fmean(times)) ** 2 for at in times)
        return STUDENT * float((rest / (PARTS - 2) / spread) ** 0.5)

    @property
    def length(self) -> float:
        """Hours from the first value to the last."""
        return (self.points[-1][0] - self.points[0][0]) / 3600

    @property
    def grows(self) -> bool:
        """Whether it has grown by more than `GROWTH`, beyond any doubt."""
        return (self.slope - self.noise) * self.length > GROWTH

    @property
    def growth(self) -> float:
        """How much more the middle of the last third is than that of the first."""
        third = max(len(self.points) // 3, 1)
        return statistics.median(self.values[-third:]) - statistics.median(self.values[:third])


class Watch:
    """Reads what every process holds. Only series of one process, and sums over the fleet, can slope."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looks = 0
        self.series: dict[str, Series] = {}
        #: By role, the most that any process of it had.
        self.most_memory: dict[str, float] = defaultdict(float)
        self.most_files: dict[str, int] = defaultdict(int)

    def look(self, at: float, processes: dict[int, str]) -> None:
        """Read memory and descriptors of all of them."""
        sums = {"memory": 0.0, "files": 0.0}
        self._looks += 1
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
                self.add(f"{role}{HELD}", "MB", at, held(pid))
                if self._looks % SELDOM == 0:
                    self.add(f"{role}{USED}", "MB", at, ask(self._folder, pid))
                self.add(f"{role}, descriptors", "", at, files)
        self.add("all processes, PSS", "MB", at, sums["memory"])
        self.add("all processes, descriptors", "", at, sums["files"])

    def add(self, name: str, unit: str, at: float, value: float | None) -> None:
        """Keep a value of anything else."""
        self.series.setdefault(name, Series(unit)).add(at, value)

    def leaks(self, length: float) -> list[str]:
        """The processes that have more in use in the end than before, each with how much that is."""
        used = {name: whole.after(length * WARM_UP) for name, whole in self.series.items() if name.endswith(USED)}
        return [
            f"{name} grows by {series.slope:.2f} MB an hour (± {series.noise:.2f})"
            for name, series in used.items()
            if len(series.points) >= 2 * PARTS and series.grows
        ]

    def table(self, length: float) -> list[str]:
        """A line for each series, without the time in which everything grows."""
        rows = [f"{'':<34}{'first':>10}{'last':>10}{'most':>10}{'growth':>10}{'an hour':>10}   ±"]
        for name, whole in self.series.items():
            series = whole.after(length * WARM_UP)
            if len(series.points) < 2 * PARTS:
                continue
            values = series.values
            numbers = (values[0], values[-1], max(values), series.growth, series.slope)
            cells = "".join(f"{number:>10,.2f}" for number in numbers)
            verdict = "" if not name.endswith((HELD, USED)) else "  grows" if series.grows else "  flat"
            rows.append(f"{name:<34}{cells}   {series.noise:,.2f} {series.unit}{verdict}".rstrip())
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

"""What was promised and what was done, in files that outlive every process: one line, one write."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

#: Tells every process where the files are.
FOLDER = "SOAK_FOLDER"
#: What was pushed and acknowledged, what ran to its end, which process was born as what, what broke on purpose.
PROMISED, DONE, BORN = "promised", "done", "born"


@cache
def opened(name: str) -> int:
    """Open a file of the ledger; whoever writes to it appends."""
    return os.open(Path(os.environ[FOLDER]) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def note(name: str, *words: object) -> None:
    """Write a line."""
    os.write(opened(name), (" ".join(map(str, words)) + "\n").encode())


def lines(folder: Path, name: str) -> list[str]:
    """Read a file of the ledger."""
    path = folder / name
    return path.read_text("utf-8").splitlines() if path.exists() else []


def marks(promise: str) -> Iterator[str]:
    """What has to be done for a promise: `job 7`, `chain 7 5`, `batch 7 200`, `gathered 7`."""
    kind, number, *size = promise.split()
    if kind == "chain":
        yield from (f"link {number}.{n}" for n in range(int(size[0])))
    elif kind == "batch":
        yield from (f"member {number}.{n}" for n in range(int(size[0])))
        yield f"then {number}"
        yield f"finally {number}"
    else:
        yield f"{kind} {number}"


class Balance:
    """What is missing when all is over, and what came twice."""

    def __init__(self, folder: Path) -> None:
        promises = lines(folder, PROMISED)
        self.promises = Counter(line.split()[0] for line in promises)
        self.done = Counter(line for line in lines(folder, DONE) if not line.startswith("occurrence "))
        expected = [mark for line in promises for mark in marks(line)]
        self.expected = len(expected)
        self.missing = sorted(mark for mark in expected if mark not in self.done)
        self.twice = sum(times - 1 for times in self.done.values())
        self.occurrences = Counter(line for line in lines(folder, DONE) if line.startswith("occurrence "))

    def fired(self, schedule: str) -> list[datetime]:
        """The moments of a schedule whose jobs ran, in order."""
        words = (line.split() for line in self.occurrences)
        return sorted(datetime.fromisoformat(moment) for _, name, moment in words if name == schedule)


def gaps(moments: list[datetime], apart: timedelta) -> int:
    """How many occurrences are missing between the first and the last."""
    if not moments:
        return 1
    return round((moments[-1] - moments[0]) / apart) + 1 - len(moments)

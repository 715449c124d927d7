"""Rounds that alternate between contenders, and what is made of their figures."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Unit = Literal["jobs/s", "jobs", "ms", "MB", "bytes", "ms a job", "µs a job", "%"]
#: Whether more is better in figures of this unit.
MORE_IS_BETTER = {"jobs/s": True, **dict.fromkeys(("jobs", "ms", "MB", "bytes", "ms a job", "µs a job", "%"), False)}


@dataclass
class Figure:
    """What one contender reached, a value a round."""

    name: str
    unit: Unit
    values: list[float] = field(default_factory=list)
    #: What the value is compared with: the figure of that name in the same group.
    against: str | None = None
    #: The least (of a rate) or greatest (of a cost) that is aimed at: a ratio where there is an `against`.
    goal: float | None = None
    ratios: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle of the values."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """The middle of the ratios round by round."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached, None where there is none."""
        if self.goal is None:
            return None
        reached = self.ratio if self.against is not None else self.median
        if reached is None:
            return None
        return reached >= self.goal if MORE_IS_BETTER[self.unit] else reached <= self.goal

    def as_json(self) -> dict[str, Any]:
        """Everything there is to know, for a program."""
        return {
            "name": self.name,
            "unit": self.unit,
            "values": self.values,
            "median": self.median,
            "against": self.against,
            "ratios": self.ratios,
            "ratio": self.ratio,
            "goal": self.goal,
            "met": self.met,
        }


@dataclass
class Group:
    """Figures that were measured together."""

    title: str
    how: str
    figures: list[Figure]

    def compare(self) -> Group:
        """Work out the ratios, round by round."""
        by_name = {figure.name: figure for figure in self.figures}
        for figure in self.figures:
            if figure.against is not None:
                pairs = zip(figure.values, by_name[figure.against].values, strict=True)
                figure.ratios = [ours / theirs for ours, theirs in pairs]
        return self

    def as_json(self) -> dict[str, Any]:
        """Everything there is to know, for a program."""
        return {"title": self.title, "how": self.how, "figures": [one.as_json() for one in self.figures]}


Contender = tuple[Figure, Callable[[], float]]


def alternate(contenders: Sequence[Contender], rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Run the contenders in turn, so many rounds, each second round in the opposite order."""
    for number in range(rounds):
        for figure, measure in contenders if number % 2 == 0 else reversed(contenders):
            gc.collect()
            figure.values.append(measure())
            say(f"round {number + 1} of {rounds}: {figure.name} {figure.values[-1]:,.4g} {figure.unit}")
    return [figure for figure, _ in contenders]

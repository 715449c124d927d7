"""Charts as shapes: where bars and lines stand in a drawing of 1000 by 160, and what its axes say. Free of words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

WIDTH, HEIGHT = 1000, 160
#: The same of the small ones, in tenths of a pixel.
SPARK = 960, 200
#: Between the two parts of a bar, and from a bar to the next as a part of its width.
GAP, AIR = 2, 0.12
#: A scale of times is one of powers where the slow are so many times slower than the middle.
UNEVEN = 50
#: Milliseconds at which an axis of times may end.
ENDS = tuple(
    unit * step
    for unit, steps in (
        (1, (10, 20, 50, 100, 200, 500)),
        (1000, (1, 2, 5, 10, 20, 30)),
        (60_000, (1, 2, 5, 10, 20, 30)),
    )
    for step in steps
) + tuple(3_600_000 * step for step in (1, 2, 4, 8, 12, 24, 48, 96, 168, 336, 720))

Values = Sequence[float | None]


class Scale(NamedTuple):
    """An axis from the bottom of a chart to its top."""

    top: float
    #: Where it is one of powers: what stands at its bottom.
    bottom: float = 0.0

    def height(self, value: float) -> float:
        """How far from the bottom a value is."""
        if not self.bottom:
            return HEIGHT * min(1.0, value / self.top)
        share = math.log(max(value, self.bottom) / self.bottom) / math.log(self.top / self.bottom)
        return HEIGHT * min(1.0, share)

    @property
    def marks(self) -> tuple[float, float, float]:
        """What stands at the top, in the middle and at the bottom."""
        middle = math.sqrt(self.top * self.bottom) if self.bottom else self.top / 2
        return self.top, middle, self.bottom


class Bar(NamedTuple):
    """A bar in two parts, the lower one for what went wrong."""

    x: float
    width: float
    #: Of the lower part, then of the upper: where it begins from above, and how high it is.
    low: tuple[float, float]
    high: tuple[float, float]


def scale_of(values: Values, least: float = 4) -> Scale:
    """An axis for counts: from none to a round number that can be halved."""
    return Scale(rounded(max((value for value in values if value is not None), default=0), least))


def rounded(value: float, least: float) -> float:
    """A round number that is not less."""
    value = max(value, least)
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value - 1e-9)


def times_scale(middle: Values, slow: Values) -> Scale:
    """An axis for times, given percentiles: one of powers where the slow would flatten all others."""
    known = [value for value in slow if value is not None]
    end = next((end for end in ENDS if end >= max(known, default=0)), ENDS[-1])
    pairs = [(a, b) for a, b in zip(middle, slow, strict=True) if a and b is not None]
    if any(b > UNEVEN * a for a, b in pairs):
        return Scale(end, max(1, 10 ** math.floor(math.log10(min(a for a, _ in pairs)))))
    return Scale(end)


def bars(low: Values, high: Values, scale: Scale) -> list[Bar | None]:
    """Bars side by side; None where nothing was measured."""
    width = WIDTH / len(low)
    return [
        None if below is None or above is None else bar(n * width, width, scale.height(below), scale.height(above))
        for n, (below, above) in enumerate(zip(low, high, strict=True))
    ]


def bar(x: float, width: float, low: float, high: float) -> Bar:
    """A bar at a place, with a gap between its parts."""
    gap = GAP if low and high else 0
    air = width * AIR
    upper = max(0.0, high - gap)
    return Bar(
        round(x + air / 2, 2),
        round(width - air, 2),
        (round(HEIGHT - low, 2), round(low, 2)),
        (round(HEIGHT - low - gap - upper, 2), round(upper, 2)),
    )


def lines(values: Values, scale: Scale) -> list[str]:
    """Points of lines from slot to slot, one for each stretch without a gap; a value alone is level."""

    def points(n: int, value: float) -> list[str]:
        alone = all(other is None for other in (*values[max(0, n - 1) : n], *values[n + 1 : n + 2]))
        return [place(at, len(values), value, scale) for at in ((n - 0.5, n + 0.5) if alone else (n,))]

    return ["M" + " ".join(found) for found in stretches(values, points)]


def steps(values: Values, scale: Scale) -> list[str]:
    """Lines that are level over a slot."""
    width = WIDTH / max(1, len(values))

    def both_ends(n: int, value: float) -> list[str]:
        y = round(HEIGHT - scale.height(value), 2)
        return [f"{round(n * width, 2):g},{y:g}", f"{round((n + 1) * width, 2):g},{y:g}"]

    return ["M" + " ".join(points) for points in stretches(values, both_ends)]


def areas(values: Values, scale: Scale) -> list[str]:
    """What lies below the lines of `lines`."""
    return [
        f"{line} {line.rpartition(' ')[2].lstrip('M').partition(',')[0]},{HEIGHT} "
        f"{line[1:].partition(',')[0]},{HEIGHT}z"
        for line in lines(values, scale)
    ]


def place(n: float, total: int, value: float, scale: Scale) -> str:
    """The point of the n-th of so many values."""
    return f"{round((n + 0.5) * WIDTH / total, 2):g},{round(HEIGHT - scale.height(value), 2):g}"


def stretches(values: Values, points: Callable[[int, float], list[str]]) -> Iterator[list[str]]:
    """The points of each run of values that has no gap."""
    for known, run in groupby(enumerate(values), key=lambda one: one[1] is not None):
        if known:
            yield [point for n, value in run if value is not None for point in points(n, value)]


def spark(values: Values) -> str:
    """Lines of a small chart without axes, of 96 by 20 pixels: as short as they can be said, a list has fifty."""
    return "".join(small(line) for line in lines(values, scale_of(values, 1)))


def small(line: str) -> str:
    """A line of `lines` in tenths of a pixel, from point to point; what is level in one stretch."""
    places = [[float(part) for part in point.split(",")] for point in line[1:].split(" ")]
    points = [(round(x * SPARK[0] / WIDTH), round(y * SPARK[1] / HEIGHT)) for x, y in places]
    moves = [(x - x0, y - y0) for (x0, y0), (x, y) in pairwise(points)]
    found = [f"M{points[0][0] / 10:g} {points[0][1] / 10:g}"]
    for rises, run in groupby(moves, key=lambda move: move[1] != 0):
        if rises:
            found.extend(f"l{x / 10:g} {y / 10:g}".replace(" -", "-") for x, y in run)
        else:
            found.append(f"h{sum(x for x, _ in run) / 10:g}")
    return "".join(found)

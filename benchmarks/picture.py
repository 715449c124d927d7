"""Groups of figures as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .rounds import MORE_IS_BETTER, Figure, Group

OURS = "Flask-Queues"
#: Inches: the width of the whole, where the bars begin and end, the head and the foot of a group, a bar, the caption.
WIDTH = 9.0
BEGIN, END = 2.1, 8.85
HEAD, FOOT, BAR, CAPTION = 0.62, 0.12, 0.27, 0.6
MARGIN = 0.15
#: Characters in a line of the caption.
LINE = 150
COLOURS = {True: "#1f6f54", False: "#b8bfc6"}
TEXT = "#30363d"


def draw(groups: Sequence[Group], caption: str, path: Path) -> None:
    """Draw each group as bars, ours in colour, with the least and the most of the rounds as a line."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "benchmarks", "font.size": 9, "text.color": TEXT, "ytick.color": TEXT})
    from matplotlib import pyplot as plt

    height = sum(HEAD + FOOT + BAR * len(group.figures) for group in groups) + CAPTION
    figure = plt.figure(figsize=(WIDTH, height), facecolor="white")
    top = height
    for group in groups:
        bars = BAR * len(group.figures)
        bottom = top - HEAD - bars
        ax = figure.add_axes((BEGIN / WIDTH, bottom / height, (END - BEGIN) / WIDTH, bars / height))
        panel(ax, group)
        write_head(figure, group, (top - MARGIN) / height, (top - MARGIN - 0.2) / height)
        top = bottom - FOOT
    figure.text(MARGIN / WIDTH, MARGIN / height, textwrap.fill(caption, LINE), va="bottom", fontsize=7)
    figure.savefig(path, dpi=130, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def write_head(figure: Any, group: Group, first: float, second: float) -> None:
    """Say what a group shows and how it was measured."""
    unit = group.figures[0].unit
    better = "more" if MORE_IS_BETTER[unit] else "less"
    title = f"{group.title}: {unit}, {better} is better"
    figure.text(MARGIN / WIDTH, first, title, va="top", fontsize=10, fontweight="bold")
    figure.text(MARGIN / WIDTH, second, group.how, va="top", fontsize=7.5)


def panel(ax: Any, group: Group) -> None:
    """Draw the bars of one group."""
    figures = group.figures
    places = range(len(figures))
    widest = max(max(one.values) for one in figures)
    colours = [COLOURS[is_ours(one, group)] for one in figures]
    ax.barh(places, [one.median for one in figures], color=colours, height=0.7)
    for place, one in zip(places, figures, strict=True):
        if len(one.values) > 1:
            ax.plot([min(one.values), max(one.values)], [place, place], color=TEXT, linewidth=1)
        ax.text(max(one.values) + widest * 0.012, place, label(one), va="center", fontsize=8.5)
    ax.set_yticks(places, [one.name for one in figures])
    ax.set_xlim(0, widest * 1.45)
    ax.set_ylim(len(figures) - 0.4, -0.6)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[["top", "right", "bottom"]].set_visible(False)


def is_ours(figure: Figure, group: Group) -> bool:
    """Whether a bar is ours; where only we were measured, all are."""
    return figure.name.startswith(OURS) or not any(one.name.startswith(OURS) for one in group.figures)


def label(figure: Figure) -> str:
    """The number, and the ratio where there is one."""
    value = f"{figure.median:,.0f}" if figure.median >= 100 else f"{figure.median:.3g}"
    return f"{value}  ({figure.ratio:.2f} times {figure.against})" if figure.ratio is not None else value

"""Figures as a table for a person."""

from __future__ import annotations

from .rounds import Figure, Group

HEAD = ("", "median", "min", "max", "unit", "ratio", "min", "max", "against", "goal")


def table(group: Group) -> str:
    """Write one group."""
    rows = [HEAD, *(row(figure) for figure in group.figures)]
    widths = [max(len(line[n]) for line in rows) for n in range(len(HEAD))]
    lines = [f"{group.title}: {group.how}"]
    for line in rows:
        cells = [f"{cell:<{width}}" if n in (0, 4, 8, 9) else f"{cell:>{width}}" for n, (cell, width) in
                 enumerate(zip(line, widths, strict=True))]  # fmt: skip
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def row(figure: Figure) -> tuple[str, ...]:
    """Write one figure."""
    ratios = figure.ratios
    return (
        figure.name,
        number(figure.median),
        number(min(figure.values)),
        number(max(figure.values)),
        figure.unit,
        f"{figure.ratio:.2f}" if figure.ratio is not None else "",
        f"{min(ratios):.2f}" if ratios else "",
        f"{max(ratios):.2f}" if ratios else "",
        figure.against or "",
        goal(figure),
    )


def number(value: float) -> str:
    """Write a figure with three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def goal(figure: Figure) -> str:
    """Say what is aimed at, and whether it is reached."""
    if figure.goal is None:
        return ""
    sign = "≥" if figure.unit == "jobs/s" else "≤"
    return f"{sign} {figure.goal:g}: {'reached' if figure.met else 'MISSED'}"

"""The page of figures: what was done in the last hour, day or week, beside the time before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from flask import Blueprint, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from ..manager import Manager, current_queues
from ..metrics import ERROR, RANGES, Cell, Report, Slot
from ..record import Status
from ..shapes import iso
from . import charts, reads
from .charts import Scale, Values
from .formats import duration, now, number, percent, slot_name
from .language import gettext as _
from .render import page
from .sorting import Order, Sorted, in_order
from .words import status_label

#: What stands for a value that was not measured.
NONE = "\N{EN DASH}"
#: How an address says where a slot begins and ends.
MINUTE = "%Y-%m-%dT%H:%MZ"
#: What the page opens with.
RANGE = "24h"
ORDERS: dict[str, Order[tuple[str, Cell]]] = {
    "total": Order(lambda one: one[1].total),
    "name": Order(lambda one: one[0], falling=False),
    "completed": Order(lambda one: one[1].completed),
    "failed": Order(lambda one: one[1].failed),
    "rate": Order(lambda one: one[1].failure_rate or 0),
    "wait": Order(lambda one: one[1].wait.percentile(0.95) or 0),
    "p50": Order(lambda one: one[1].process.percentile(0.5) or 0),
    "p95": Order(lambda one: one[1].process.percentile(0.95) or 0),
}
#: Queues whose lines are drawn, those with the most pending jobs.
SMALL = 8
#: All of them, as far as a page goes.
MOST = 100


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/metrics", "metrics", metrics)
    blueprint.add_url_rule("/api/metrics", "api_metrics", api_metrics)


class Asked(NamedTuple):
    """What the address asks for."""

    range: str
    queue: str | None
    type: str | None

    @classmethod
    def of_request(cls) -> Asked:
        """Read the address; an unknown range is the usual one."""
        range_ = request.args.get("range", RANGE)
        return cls(
            range_ if range_ in RANGES else RANGE,
            request.args.get("queue", "").strip() or None,
            request.args.get("type", "").strip() or None,
        )

    @property
    def given(self) -> dict[str, str]:
        """The filters that are set."""
        return {name: value for name, value in (("queue", self.queue), ("type", self.type)) if value}


class Line(NamedTuple):
    """One row of values, slot by slot."""

    label: str
    values: Values
    #: Of the jobs that are counted, where they are on a list.
    status: Status | None = None


class Chart(NamedTuple):
    """What a chart shows; `shown` writes a value."""

    name: str
    title: str
    lines: Sequence[Line]
    scale: Scale
    shown: Callable[[float], str]
    #: One sentence that says what there is to see.
    sentence: str = ""

    def cell(self, n: int) -> list[str]:
        """The values of a slot as text."""
        found = [line.values[n] for line in self.lines]
        return [NONE if value is None else self.shown(value) for value in found]

    def measured(self, n: int) -> bool:
        """Whether there is anything to tell of a slot."""
        return any(line.values[n] is not None for line in self.lines)

    def told(self, n: int) -> str:
        """The values of a slot in one line."""
        return ", ".join(f"{line.label} {text}" for line, text in zip(self.lines, self.cell(n), strict=True))


class Figures:
    """What the page and the JSON show of a report."""

    def __init__(self, report: Report, asked: Asked) -> None:
        self.report = report
        self.asked = asked
        self.cells = [self._cell(slot) for slot in report.slots]
        self.whole = report.whole.some(asked.queue, asked.type)
        before = report.whole_before
        self.before = before.some(asked.queue, asked.type) if before is not None else None

    def _cell(self, slot: Slot) -> Cell | None:
        return slot.bucket.some(self.asked.queue, self.asked.type) if slot.bucket is not None else None

    def each(self, value: Callable[[Cell], float | None]) -> list[float | None]:
        """A value of every slot; None where nothing was measured."""
        return [None if cell is None else value(cell) for cell in self.cells]

    @cached_property
    def names(self) -> list[str]:
        """What each slot is called."""
        return [slot_name(slot.start, slot.end, days=self.report.span > 30) for slot in self.report.slots]

    @cached_property
    def queues(self) -> int:
        """How many queues were measured."""
        return len({name for slot in self.report.slots if slot.bucket is not None for name in slot.bucket.depth})

    def linked(self, chart: Chart) -> list[tuple[str | None, ...]]:
        """For each slot of a chart the addresses of what its lines count; empty where none has any."""
        found = list(zip(*(self.links(line) for line in chart.lines), strict=True))
        return found if any(map(any, found)) else []

    def links(self, line: Line) -> list[str | None]:
        """For each slot the address of the jobs that a line counts; None where there is none."""
        if line.status is None:
            return [None] * len(line.values)
        base = url_for(f"queues.list_{line.status.value}", queue=self.asked.queue, type=self.asked.type)
        base += "&" if self.asked.given else "?"
        return [
            f"{base}since={slot.start:{MINUTE}}&until={slot.end:{MINUTE}}" if value else None
            for slot, value in zip(self.report.slots, line.values, strict=True)
        ]

    @property
    def before_values(self) -> list[float | None]:
        """How many jobs ended in each slot of the time before."""
        cells = [self._cell(slot) for slot in self.report.before]
        return [None if cell is None else cell.completed + cell.failed for cell in cells]

    def jobs(self) -> Chart:
        """What was completed and what failed, and what came."""
        completed, failed = self.each(lambda cell: cell.completed), self.each(lambda cell: cell.failed)
        came = self.each(lambda cell: max(0, cell.came))
        ended = self.each(lambda cell: cell.completed + cell.failed)
        return Chart(
            "jobs",
            {1: _("Jobs per minute"), 30: _("Jobs per half hour"), 120: _("Jobs per two hours")}[self.report.span],
            [
                Line(status_label(Status.COMPLETED), completed, Status.COMPLETED),
                Line(status_label(Status.FAILED), failed, Status.FAILED),
                Line(_("Pushed"), came),
            ],
            charts.scale_of([*ended, *came]),
            number,
            self._busiest(ended, failed),
        )

    def _busiest(self, ended: Values, failed: Values) -> str:
        known = [(value, n) for n, value in enumerate(ended) if value]
        if not known:
            return _("No job ended in this time.")
        most, n = max(known, key=lambda one: one[0])
        hours = sum(value is not None for value in ended) * self.report.span / 60
        each_hour = sum(value for value, _n in known) / hours
        sentence = _("%(n)s an hour on average.", n=number(round(each_hour, 1 if each_hour < 10 else None)))
        sentence += " " + _("Busiest: %(time)s with %(n)s.", time=self.names[n], n=number(most))
        worst, m = max(((value or 0, n) for n, value in enumerate(failed)), key=lambda one: one[0])
        if worst:
            sentence += " " + _(
                "Most failures: %(time)s, %(n)s of %(all)s.",
                time=self.names[m],
                n=number(worst),
                all=number(ended[m] or 0),
            )
        return sentence

    def times(self, name: str, title: str) -> Chart:
        """Two percentiles of the waiting or process times."""
        middle = self.each(lambda cell: getattr(cell, name).percentile(0.5))
        slow = self.each(lambda cell: getattr(cell, name).percentile(0.95))
        scale = charts.times_scale(middle, slow)
        sentence = _("The axis is logarithmic.") if scale.bottom else ""
        return Chart(name, title, [Line("p50", middle), Line("p95", slow)], scale, milliseconds, sentence)

    def failure_rate(self) -> Chart:
        """The share of failed jobs."""
        rate = self.each(lambda cell: None if cell.failure_rate is None else cell.failure_rate * 100)
        line = Line(status_label(Status.FAILED), rate, Status.FAILED)
        return Chart("rate", _("Failure rate"), [line], charts.scale_of(rate, 5), percent)

    def processes(self) -> Chart:
        """How many processes were busy, of how many."""
        buckets = [slot.bucket for slot in self.report.slots]
        busy = [bucket.mean_busy if bucket is not None else None for bucket in buckets]
        alive = [bucket.mean_alive if bucket is not None else None for bucket in buckets]
        scale = charts.scale_of([*busy, *alive], 2)
        title = _("Processes busy")
        return Chart("processes", title, [Line(_("Busy"), busy), Line(_("Alive"), alive)], scale, one_decimal)

    def depths(self, most: int = SMALL) -> list[Chart]:
        """The length of each queue's line, all to one scale, the longest first."""
        buckets = [slot.bucket for slot in self.report.slots]
        names = {name for bucket in buckets if bucket is not None for name in bucket.depth}
        wanted = [name for name in names if self.asked.queue in (None, name)]
        found = {name: [None if bucket is None else bucket.depth.get(name, 0) for bucket in buckets] for name in wanted}
        longest = sorted(found, key=lambda name: (-max(value or 0 for value in found[name]), name))[:most]
        scale = charts.scale_of([value for name in longest for value in found[name]])
        return [
            Chart("depth", name, [Line(status_label(Status.PENDING), found[name])], scale, number) for name in longest
        ]

    def types(self) -> Sorted[tuple[str, Cell]]:
        """Each job type with what was done, that first which took the most time where nothing else is asked for."""
        by_type = self.report.whole.by_type(self.asked.queue)
        wanted = [(name, cell) for name, cell in by_type.items() if self.asked.type in (None, name)]
        return in_order(sorted(wanted), ORDERS)


def milliseconds(value: float) -> str:
    """A time, in milliseconds."""
    return duration(value / 1000) if value else "0"


def one_decimal(value: float) -> str:
    """A mean of processes."""
    return number(round(value, 1))


def axis_places(report: Report) -> list[datetime]:
    """The moments that stand below a chart: the beginning of each sixth of it, and its end."""
    slots = report.slots
    return [slots[round(k * (len(slots) - 1) / 6)].start for k in range(6)] + [slots[-1].end]


def metrics() -> ResponseReturnValue:
    """Figures for a person."""
    asked = Asked.of_request()
    overview = reads.Overview.read(current_queues, now())
    figures = Figures(current_queues.report(asked.range), asked)
    forecast = overview.forecast(current_queues)
    lines = reads.queue_rows(current_queues, overview.counts, overview.fleet, forecast)
    return page(
        "metrics.html",
        overview=overview,
        figures=figures,
        asked=asked,
        ranges=list(RANGES),
        charts=charts,
        error=ERROR,
        places=axis_places(figures.report),
        lines=[line for line in lines if asked.queue in (None, line.name)],
        depths=figures.depths(MOST if request.args.get("depths") == "all" else SMALL),
        small=SMALL,
        queues=sorted({*overview.counts.queues, *([asked.queue] if asked.queue else [])}),
        types=sorted({line[1] for line in figures.report.whole.cells} | ({asked.type} if asked.type else set())),
        milliseconds=milliseconds,
    )


def api_metrics() -> ResponseReturnValue:
    """Figures for programs: the range, slot by slot, with the sums of it and of the time before."""
    asked = Asked.of_request()
    return jsonify(report_fields(current_queues, asked))


def report_fields(manager: Manager, asked: Asked) -> dict[str, Any]:
    """A report as JSON; times in seconds, None where nothing was measured."""
    figures = Figures(manager.report(asked.range), asked)
    slots = [
        {
            "start": iso(slot.start),
            "over": slot.over,
            **(cell_fields(cell) if cell is not None else {"measured": False}),
        }
        for slot, cell in zip(figures.report.slots, figures.cells, strict=True)
    ]
    return {
        "range": asked.range,
        "minutes": figures.report.span,
        **asked.given,
        "whole": cell_fields(figures.whole),
        "before": cell_fields(figures.before) if figures.before is not None else None,
        "slots": slots,
        "types": {name: cell_fields(cell) for name, cell in figures.types().rows},
        "unread": list(figures.report.unread),
    }


def cell_fields(cell: Cell) -> dict[str, Any]:
    """What was done, for programs."""
    return {
        "measured": True,
        "completed": cell.completed,
        "failed": cell.failed,
        "cancelled": cell.cancelled,
        "pushed": max(0, cell.came),
        "failure_rate": cell.failure_rate,
        "runs": cell.runs,
        "seconds": cell.total / 1000,
        "wait": percentiles(cell, "wait"),
        "process": percentiles(cell, "process"),
    }


def percentiles(cell: Cell, name: str) -> dict[str, float | None]:
    """The middle, and what one of twenty exceeds, in seconds."""
    histogram = getattr(cell, name)
    found = {label: histogram.percentile(share) for label, share in (("p50", 0.5), ("p95", 0.95))}
    return {label: None if value is None else round(value / 1000, 6) for label, value in found.items()}

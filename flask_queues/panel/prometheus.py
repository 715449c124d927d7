"""How things stand and what was done, as Prometheus reads it; needs prometheus-client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from ..manager import Manager
from ..metrics import Bucket, Cell, Histogram
from .reads import Fleet

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

#: Seconds at which durations are parted.
LIMITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600, 1800, 3600)
QUEUE = ("queue",)
LINE = ("queue", "type")


def exposition(manager: Manager, accepted: str) -> tuple[bytes, str]:
    """The text, and its content type, in the format that is asked for."""
    registry = CollectorRegistry(auto_describe=True)
    registry.register(Figures(manager))
    encode, content_type = choose_encoder(accepted)
    return encode(registry), content_type


class Figures(Collector):
    """Reads the figures of one application when it is asked for them."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def describe(self) -> list[Metric]:
        """Nothing: they are read once, not once more to be registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        yield from self._jobs()
        yield from self._workers()
        yield from self._alerts()
        yield from done(self._manager.ledger.totals())

    def _jobs(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("flask_queues_jobs", "Jobs that are stored.", labels=("queue", "status"))
        waits = GaugeMetricFamily(
            "flask_queues_longest_wait_seconds", "How long the first claimable job has waited.", labels=QUEUE
        )
        now, oldest = self._manager.now(), self._manager.oldest()
        for queue, numbers in self._manager.counts().queues.items():
            for status, n in numbers.items():
                jobs.add_metric((queue, status), n)
            waited = (now - oldest[queue]).total_seconds() if queue in oldest else 0
            waits.add_metric((queue,), max(0.0, waited))
        yield jobs
        yield waits

    def _workers(self) -> Iterator[Metric]:
        fleet = Fleet.of(self._manager)
        yield GaugeMetricFamily("flask_queues_workers", "Workers that live.", len(fleet.alive))
        yield GaugeMetricFamily("flask_queues_processes", "Their processes that run jobs.", fleet.processes)
        yield GaugeMetricFamily("flask_queues_processes_busy", "Those that have a job in hand.", fleet.busy)

    def _alerts(self) -> Iterator[Metric]:
        alerts = GaugeMetricFamily(
            "flask_queues_alert", "1 for a threshold that is crossed.", labels=("queue", "kind", "schedule")
        )
        for alert in self._manager.alerts():
            alerts.add_metric((alert.queue, alert.kind, alert.schedule or ""), 1)
        yield alerts


def done(totals: Bucket) -> Iterator[Metric]:
    """What was ever done."""
    ended = CounterMetricFamily(
        "flask_queues_jobs_ended", "Jobs that came to an end.", labels=("queue", "type", "status")
    )
    for line, cell in sorted(totals.cells.items()):
        for status, n in (("completed", cell.completed), ("failed", cell.failed), ("cancelled", cell.cancelled)):
            ended.add_metric((*line, status), n)
    yield ended
    yield durations(
        totals, "flask_queues_run_duration_seconds", "How long attempts took.", lambda cell: (cell.process, cell.total)
    )
    yield durations(
        totals,
        "flask_queues_wait_duration_seconds",
        "How long jobs waited after they were due, until the attempt that ended them.",
        lambda cell: (cell.wait, cell.wait.sum),
    )


def durations(totals: Bucket, name: str, about: str, read: Callable[[Cell], tuple[Histogram, float]]) -> Metric:
    """A histogram by queue and type."""
    family = HistogramMetricFamily(name, about, labels=LINE)
    for line, cell in sorted(totals.cells.items()):
        histogram, total = read(cell)
        counts = histogram.up_to([1000 * limit for limit in LIMITS])
        parted = [(str(float(limit)), float(n)) for limit, n in zip(LIMITS, counts, strict=True)]
        family.add_metric(line, [*parted, ("+Inf", float(histogram.total))], total / 1000)
    return family

"""The pages' matter as JSON, below /api: the same read functions, nothing that changes anything."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from ..manager import current_queues
from ..record import Status
from ..shapes import alert_fields, breaker_fields, pause_fields
from . import reads
from .address import asked_listing
from .listing import listing_fields
from .mistakes import QueueNotFound
from .routes import ADDRESSES
from .workers import Wanted


def add_to(blueprint: Blueprint) -> None:
    """Add one route for each page."""
    for status, path in ADDRESSES.items():
        blueprint.add_url_rule(f"/api{path}", f"api_{status}", list_view(status))
    blueprint.add_url_rule("/api/jobs/<job_id>", "api_job", job)
    blueprint.add_url_rule("/api/queues", "api_queues", queues)
    blueprint.add_url_rule("/api/queues/<name>", "api_queue", queue)
    blueprint.add_url_rule("/api/workers", "api_workers", workers)
    blueprint.add_url_rule("/api/alerts", "api_alerts", alerts)
    blueprint.add_url_rule("/api/status", "api_status", status_of_all)


def list_view(status: Status) -> Any:
    """The list of one status."""

    def view() -> ResponseReturnValue:
        page = asked_listing(current_queues, current_queues.counts(), status)
        return jsonify(listing_fields(current_queues, page))

    return view


def job(job_id: str) -> ResponseReturnValue:
    """One job with its log."""
    return jsonify(reads.one_job_fields(current_queues, *reads.one_job(current_queues, job_id)))


def queues() -> ResponseReturnValue:
    """All queues."""
    return jsonify(queues=[reads.queue_fields(row) for row in rows()])


def queue(name: str) -> ResponseReturnValue:
    """One queue."""
    for row in rows():
        if row.name == name:
            return jsonify(reads.queue_fields(row))
    raise QueueNotFound


def rows() -> list[reads.QueueRow]:
    """All queues as they are now."""
    now = current_queues.now()
    fleet = reads.Fleet.of(current_queues, now)
    forecast = current_queues.forecast(now, [worker for worker, _ in fleet.workers])
    return reads.queue_rows(current_queues, current_queues.counts(), fleet, forecast)


def workers() -> ResponseReturnValue:
    """All workers."""
    return jsonify(reads.workers_fields(current_queues, Wanted.of_request().of(reads.Fleet.of(current_queues))))


def alerts() -> ResponseReturnValue:
    """Thresholds that are crossed now, the last first."""
    return jsonify(alerts=[alert_fields(one) for one in current_queues.alerts()])


def status_of_all() -> ResponseReturnValue:
    """The same as `flask queues status --json`."""
    counts = current_queues.counts()
    return jsonify(
        statuses=counts.statuses,
        queues=counts.queues,
        paused=[pause_fields(one) for one in current_queues.pauses()],
        breakers=[breaker_fields(one) for one in current_queues.breakers.states()],
        open_batches=current_queues.batches.open(),
        **reads.workers_fields(current_queues, reads.Fleet.of(current_queues)),
    )

"""The OpenAPI document of the JSON below /api: what each address answers, and what may be asked of it."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from flask import Blueprint, jsonify, url_for
from flask.typing import ResponseReturnValue

from ..record import Status
from . import causes, schedules
from .answers import (
    Activity,
    Alerts,
    Answer,
    Batch,
    Batches,
    Causes,
    CauseWithJobs,
    Chain,
    FoundJobs,
    JobPage,
    JobWithLog,
    Metrics,
    Mistake,
    Queue,
    Queues,
    Schedules,
    ScheduleWithHistory,
    StatusOfAll,
    Workers,
)
from .listing import MOMENTS, ORDERS, PAGES, Filters
from .words import STATES

FILTERS = {
    name: "integer" if name == "attempts" else "number" if name == "ran" else "moment" if name in MOMENTS else "string"
    for name in Filters._fields
}
LIST = {**FILTERS, "sort": "end", "after": "string", "limit": "limit"}
#: What a parameter of these kinds may be.
CHOICES: dict[str, dict[str, Any]] = {
    "moment": {"type": "string", "format": "date-time"},
    "limit": {"type": "integer", "enum": list(PAGES)},
    "end": {"type": "string", "enum": list(ORDERS[Status.RUNNING])},
    "end or next": {"type": "string", "enum": list(ORDERS[Status.PENDING])},
    "end or slowest": {"type": "string", "enum": list(ORDERS[Status.COMPLETED])},
    "range of causes": {"type": "string", "enum": list(causes.RANGES)},
    "sort of causes": {"type": "string", "enum": list(causes.ORDERS)},
    "state of schedules": {"type": "string", "enum": list(schedules.STATES)},
    "sort of schedules": {"type": "string", "enum": list(schedules.ORDERS)},
    "state of workers": {"type": "string", "enum": list(STATES)},
}
CAUSES = {"range": "range of causes", "queue": "string", "type": "string", "sort": "sort of causes"}
SCHEDULES = {
    "text": "string", "queue": "string", "state": "state of schedules", "sort": "sort of schedules",
}  # fmt: skip
#: By address: what it answers, what may be asked of it, and what it is.
PATHS: dict[str, tuple[type[Answer], dict[str, str], str]] = {
    "/jobs": (JobPage, {**LIST, "sort": "end or next"}, "Jobs that wait for a worker"),
    "/running": (JobPage, LIST, "Jobs that run"),
    "/scheduled": (JobPage, LIST, "Jobs that wait for their time"),
    "/failed/jobs": (JobPage, LIST, "Jobs that failed for good"),
    "/completed": (JobPage, {**LIST, "sort": "end or slowest"}, "Jobs that ended well"),
    "/cancelled": (JobPage, LIST, "Jobs that were ended on somebody's word"),
    "/jobs/{job_id}": (JobWithLog, {}, "One job with its log"),
    "/failed": (Causes, CAUSES, "Failed jobs by cause"),
    "/failed/{key}": (CauseWithJobs, {}, "One cause with its newest jobs"),
    "/search": (FoundJobs, {"q": "string", "after": "string"}, "Jobs of every status that match"),
    "/queues": (Queues, {}, "All queues"),
    "/queues/{name}": (Queue, {}, "One queue"),
    "/workers": (Workers, {"status": "state of workers", "queue": "string"}, "All workers"),
    "/alerts": (Alerts, {}, "Thresholds that are crossed now"),
    "/status": (StatusOfAll, {}, "How many jobs are where, and who works"),
    "/metrics": (Metrics, {"range": "string", "queue": "string", "type": "string"}, "What was done"),
    "/activity": (Activity, {"who": "string", "action": "string", "before": "integer"}, "Who changed what"),
    "/batches": (Batches, {"status": "string", "text": "string", "after": "string"}, "Batches"),
    "/batches/{batch_id}": (Batch, {}, "One batch"),
    "/chains/{link}": (Chain, {"after": "string"}, "The chain of a job"),
    "/schedules": (Schedules, SCHEDULES, "All schedules"),
    "/schedules/{schedule}": (ScheduleWithHistory, {}, "One schedule with its history"),
}


def add_to(blueprint: Blueprint) -> None:
    """Add the route."""
    blueprint.add_url_rule("/api/openapi.json", "api_openapi", openapi)


def openapi() -> ResponseReturnValue:
    """The document, for programs that make clients."""
    server = url_for("queues.root").rstrip("/") + "/api"
    return jsonify({**document(), "servers": [{"url": server}]})


@cache
def document() -> dict[str, Any]:
    """All of it but where this application has it."""
    answers = [answer for answer, _, _ in PATHS.values()]
    schemas, components = msgspec.json.schema_components(
        [*answers, Mistake], ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Flask-Queues", "version": "1", "description": "Read-only; for those who may see the panel."},
        "paths": {
            path: {"get": operation(path, schema, query, words)}
            for (path, (_, query, words)), schema in zip(PATHS.items(), schemas, strict=False)
        },
        "components": {"schemas": components},
    }


def operation(path: str, schema: Any, query: dict[str, str], words: str) -> dict[str, Any]:
    """What one address answers."""
    named = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [
        *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in named),
        *({"name": name, "in": "query", "schema": in_query(kind)} for name, kind in query.items()),
    ]
    mistake = {"application/json": {"schema": {"$ref": "#/components/schemas/Mistake"}}}
    refusals = {"400": "Asked for what cannot be", "401": "Not signed in", "403": "Not allowed", "404": "Not there"}
    return {
        "summary": words,
        "operationId": path.strip("/").replace("/", "_").replace("{", "one_").replace("}", ""),
        "parameters": parameters,
        "responses": {
            "200": {"description": words, "content": {"application/json": {"schema": schema}}},
            **{code: {"description": told, "content": mistake} for code, told in refusals.items()},
        },
    }


def in_query(kind: str) -> dict[str, Any]:
    """The schema of a parameter."""
    return CHOICES.get(kind) or {"type": kind}

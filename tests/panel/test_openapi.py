"""The document of the JSON: it names every address, and each real answer is what it says, to the last field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from flask_queues.panel.answers import Answer, Mistake
from flask_queues.panel.document import PATHS, document
from flask_queues.record import ChildRecord, WorkerRecord

from .conftest import Shop


@pytest.fixture
def full(shop: Shop) -> dict[str, str]:
    """The shop with something of everything; what stands for the parts of addresses."""
    jobs = shop.one_of_each()
    shop.backing_off()
    shop.schedule()
    now = shop.manager.now()
    child = ChildRecord(name="host:42:1", pid=42, memory=40.5)
    worker = WorkerRecord(
        name="host:9:1", host="host", pid=9, started=now, heartbeat=now, queues=("mail",), children=(child,)
    )
    shop.manager.heartbeat(worker)
    shop.manager.note_act("anna", "retry", "job", "x", 1)
    shop.count()
    (cause,) = [one for one in shop.manager.causes() if one.number]
    link = shop.queues.chain([("shop:resize", {}), ("shop:resize", {})]).push().id
    ids = {f"job_{status.value}": job_id for status, job_id in jobs.items()}
    return {
        **ids,
        "key": cause.cause.key,
        "name": "mail",
        "schedule": "bericht",
        "batch_id": shop.batch(),
        "link": link,
    }


def read(shop: Shop, path: str, kind: type[Answer]) -> Any:
    """Read an answer strictly: no field more, none less, none of another type."""
    answer = shop.client().get(f"/queues/api{path}")
    assert answer.status_code == 200, path
    return msgspec.json.decode(answer.data, type=kind, strict=True)


def test_every_answer_is_what_the_document_says(shop: Shop, full: dict[str, str]) -> None:
    """With a job in every status, a worker, a schedule, a cause, an act."""
    for path, (kind, query, _) in PATHS.items():
        if "{job_id}" in path:
            for name, job_id in full.items():
                if name.startswith("job_"):
                    read(shop, path.replace("{job_id}", job_id), kind)
            continue
        for name, value in full.items():
            path = path.replace(f"{{{name}}}", value)
        read(shop, path, kind)
        if "queue" in query:
            read(shop, f"{path}?queue=mail&type=shop:mail", kind)
        if "q" in query:
            assert read(shop, f"{path}?q=ada", kind).jobs != []
    assert read(shop, "/failed/jobs", PATHS["/failed/jobs"][0]).jobs[0].error.message == "the mail server said no"


def test_an_alert_that_stands_is_told(make_shop: Callable[..., Shop]) -> None:
    """With what was measured."""
    shop = make_shop(QUEUES_ALERTS={"mail": {"pending": 0}})
    shop.pending()
    shop.manager.look_out()
    (alert,) = read(shop, "/alerts", PATHS["/alerts"][0]).alerts
    assert (alert.kind, alert.queue, alert.value, alert.threshold) == ("pending", "mail", 1, 0)


def test_every_address_below_api_is_in_the_document_and_no_other(shop: Shop) -> None:
    """A route that is added needs a line there."""
    rules = [rule for rule in shop.flask.url_map.iter_rules() if rule.endpoint.startswith("queues.api_")]
    built = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix("/queues/api")) for rule in rules}
    assert built - {"/openapi.json"} == set(PATHS)
    assert all(rule.methods is not None and rule.methods <= {"GET", "HEAD", "OPTIONS"} for rule in rules)


def test_the_document_is_served_to_those_who_may_see_the_panel(shop: Shop) -> None:
    """With the address under which this application has it, and every reference resolved."""
    found = shop.client().get("/queues/api/openapi.json").get_json()
    assert found["openapi"].startswith("3.1")
    assert found["servers"] == [{"url": "/queues/api"}]
    known = set(found["components"]["schemas"])
    references = set(re.findall(r"#/components/schemas/(\w+)", str(found)))
    assert references <= known
    operations = [path["get"]["operationId"] for path in found["paths"].values()]
    assert len(set(operations)) == len(operations) == len(PATHS)
    assert shop.client(None).get("/queues/api/openapi.json").status_code == 401


@pytest.mark.parametrize(
    "path", ["/jobs/none", "/queues/none", "/failed/none", "/schedules/none", "/batches/none", "/jobs?after=nonsense"]
)
def test_a_mistake_is_what_the_document_says(shop: Shop, path: str) -> None:
    """One sentence."""
    answer = shop.client().get(f"/queues/api{path}")
    assert answer.status_code in (400, 404)
    assert msgspec.json.decode(answer.data, type=Mistake, strict=True).error


def test_no_field_is_left_without_a_type() -> None:
    """But for what the application itself puts into jobs."""
    for name, schema in document()["components"]["schemas"].items():
        for field, told in schema.get("properties", {}).items():
            assert told or field == "result", (name, field)

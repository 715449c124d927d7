"""More jobs than a request changes: a worker does it, the person lands on the page of its job."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from flask_queues import NotAllowed, Status, transitions
from flask_queues.panel import deeds, many
from flask_queues.panel.many import ChangeMany
from flask_queues.worker import run_in_foreground

from .conftest import Shop, post


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Already more than three jobs are many."""
    for module in (deeds, many):
        monkeypatch.setattr(module, "AT_ONCE", 3)
    monkeypatch.setattr("flask_queues.panel.actions.AT_ONCE", 3)
    monkeypatch.setattr(many, "SLICE", 2)


def ask(client: FlaskClient, action: str, status: str, seen: int, **form: Any) -> str:
    """Confirm it; returns where the person lands."""
    answer = post(client, f"/queues/actions/{action}", all=1, status=status, seen=seen, **form)
    assert answer.status_code == 303, re.findall(r'role="alert">([^<]+)', answer.text)
    return str(answer.location)


def run(shop: Shop, address: str) -> Any:
    """Run the job on whose page the person landed."""
    job_id = address.rpartition("/")[2]
    with shop.flask.app_context():
        run_in_foreground(shop.manager, job_id)
    return shop.manager.find(job_id)


def fail_now(shop: Shop, job_id: str) -> str:
    """Let this job fail for good."""
    claim = shop.manager.claim("host:42:1", job_id)
    terms = shop.manager.terms(claim)._replace(tries=1)
    shop.settle(transitions.failed(claim, terms, transitions.describe_exception(ValueError("no"))))
    return job_id


def test_a_worker_changes_more_than_a_request_does(shop: Shop) -> None:
    """A thousand and one; the activity has the number and who asked, and what failed meanwhile is left alone."""
    shop.queues.push_many([("shop:resize", {"file_id": n}) for n in range(1001)])
    shop.work()
    client = shop.client()
    text = client.get("/queues/actions/cancel/confirm?all=1&status=pending&queue=images").text
    assert "A worker does this, and the page of its job says how far it is." in text
    address = ask(client, "cancel", "pending", 1001, queue="images")
    assert re.fullmatch(r"/queues/jobs/\w+", address)
    page = client.get(address).text
    assert "A worker does this now" in page
    assert "Change many jobs" in page
    assert shop.manager.counts().queues["images"]["cancelled"] == 0

    record = run(shop, address)
    assert (record.status, record.result, record.progress.percent) == (Status.COMPLETED, 1001, 100)
    assert shop.manager.counts().queues["images"]["cancelled"] == 1001
    assert [(act.who, act.action, act.name, act.number) for act in shop.manager.acts()] == [
        ("anna", "cancel", "queue:images", 1001)
    ]
    one = shop.manager.jobs_of(statuses=["cancelled"], limit=1).jobs[0]
    assert one.reason == "cancelled by anna in the panel"


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("action", "becomes"), [("retry", Status.PENDING), ("delete", None)])
def test_failed_jobs_of_one_type(shop: Shop, action: str, becomes: Status | None) -> None:
    """Those that match, and that had failed when the person asked."""
    ids = [shop.failed() for _ in range(5)]
    shop.work()
    address = ask(shop.client(), action, "failed", 5, type="shop:mail", queue="mail")
    shop.tick()
    later = fail_now(shop, shop.pending())
    assert run(shop, address).result == 5
    found = {record.id: record.status for record in shop.manager.every()}
    assert [found.get(job_id) for job_id in ids] == [becomes] * 5
    assert found[later] is Status.FAILED


@pytest.mark.usefixtures("few")
def test_a_worker_spreads_them_over_a_time(shop: Shop) -> None:
    """As it was asked in the form."""
    jobs = [fail_now(shop, shop.resize.push(file_id=n).id) for n in range(4)]
    shop.work()
    assert run(shop, ask(shop.client(), "retry", "failed", 4, spread="3600")).result == 4
    due = sorted(shop.manager.find(job).due for job in jobs)
    assert (due[-1] - due[0]).total_seconds() > 1800
    assert all(shop.status(job) in (Status.PENDING, Status.SCHEDULED) for job in jobs)


def test_what_nobody_counts_is_a_workers_too(shop: Shop) -> None:
    """With a tag, or a text, it may be many."""
    ids = [shop.scheduled(to=f"{n}@example.org") for n in range(4)]
    shop.work()
    address = ask(shop.client(), "run", "scheduled", 0, tag="news", text="@example.org")
    assert run(shop, address).result == 4
    assert {shop.status(job_id) for job_id in ids} == {Status.PENDING}


@pytest.mark.usefixtures("few")
def test_of_many_pending_jobs_those_that_wait_longest_are_put_first(shop: Shop) -> None:
    """In the request, as they stay pending: a run that is begun again could not tell which were."""
    ids = [shop.pending() for _ in range(5)]
    shop.work()
    client = shop.client()
    text = client.get("/queues/actions/run/confirm?all=1&status=pending").text
    assert "At most 3 jobs are put first: those that wait longest." in text
    assert ask(client, "run", "pending", 5) == "/queues/jobs"
    assert [act.number for act in shop.manager.acts()] == [3]
    assert [shop.claim().id for _ in ids] == ids


@pytest.mark.usefixtures("few")
def test_a_run_that_is_cut_goes_on_with_what_is_left(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put off where the worker is to stop; nothing is done twice, each run says what it did."""
    ids = [shop.failed() for _ in range(5)]
    shop.work()
    address = ask(shop.client(), "retry", "failed", 5)
    monkeypatch.setattr(ChangeMany, "stopping", True)
    assert run(shop, address).status in (Status.PENDING, Status.SCHEDULED)
    assert [act.number for act in shop.manager.acts()] == [2]
    monkeypatch.undo()
    assert run(shop, address).result == 3
    assert [act.number for act in shop.manager.acts()] == [3, 2]
    assert {shop.status(job_id) for job_id in ids} == {Status.PENDING}


@pytest.mark.usefixtures("few")
def test_without_a_worker_it_is_done_in_the_request_a_part_at_a_time(shop: Shop) -> None:
    """As where the queue of the job is paused, or a job type has its own word on who may retry it."""
    for _ in range(5):
        shop.failed()
    client = shop.client()
    for left in (2, 0):
        assert "At most 3 jobs" in client.get("/queues/actions/retry/confirm?all=1&status=failed").text or left == 0
        assert ask(client, "retry", "failed", 5) == "/queues/failed/jobs"
        assert shop.manager.counts().statuses["failed"] == left
    shop.manager.cancel(next(shop.manager.every(statuses=["pending"])).id)
    shop.work()
    shop.manager.pause("default")
    assert ask(client, "cancel", "pending", 5) == "/queues/jobs"
    shop.manager.resume("default")
    assert ask(client, "delete", "cancelled", 5).startswith("/queues/jobs/")


@pytest.mark.usefixtures("few")
def test_who_may_retry_is_asked_while_the_person_is_there(shop: Shop) -> None:
    """A worker has nobody whom it could ask for."""

    @shop.queues.job("shop:refund", authorize=lambda user, _payload: user.name == "anna", tries=1)
    def refund() -> None: ...

    for _ in range(4):
        refund.push()
    shop.work()
    with shop.flask.app_context():
        assert many.asks_who(Status.PENDING, None)
        assert many.asks_who(Status.PENDING, "shop:refund")
        assert not many.asks_who(Status.PENDING, "shop:mail")
        assert not many.asks_who(Status.FAILED, None)


def test_it_is_no_job_type_of_the_application(shop: Shop) -> None:
    """Not listed among them, and yet known to workers and to who asks for it."""
    assert list(shop.queues.jobs) == ["shop:mail", "shop:resize"]
    assert len(shop.queues.jobs) == 2
    assert "queues:change-many" in shop.queues.jobs
    assert "queues:change-many" in shop.queues.jobs.served


def test_nobody_else_may_push_it(shop: Shop) -> None:
    """An application that lets users push by type string does not give them this."""
    payload = {"action": "delete", "status": "failed", "until": 0, "who": "eve"}
    with shop.flask.test_request_context(), pytest.raises(NotAllowed):
        shop.queues.push("queues:change-many", payload)
    assert shop.queues.push("queues:change-many", payload).id


def test_it_does_not_change_itself(shop: Shop) -> None:
    """All that wait are cancelled but those that do so."""
    shop.work()
    payload = {"action": "cancel", "status": "pending", "until": 2**50, "who": "anna"}
    job_id = shop.queues.push("queues:change-many", payload).id
    other = shop.pending()
    assert run(shop, f"/{job_id}").result == 1
    assert shop.status(other) is Status.CANCELLED
    another = shop.queues.push("queues:change-many", payload).id
    assert run(shop, f"/{shop.queues.push('queues:change-many', payload).id}").result == 0
    assert shop.status(another) is Status.PENDING

"""A shop with queues and people, in which every status holds a job."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, redirect, request, session
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, current_user, login_user
from werkzeug.test import TestResponse

from flask_queues import Queues, Status, transitions
from flask_queues.manager import Manager
from flask_queues.metrics import Ledger, gather
from flask_queues.metrics.ledger import MINUTE
from flask_queues.record import ChildRecord, LogLine, Progress, WorkerRecord
from flask_queues.storage.sqlite import engine
from flask_queues.storage.values import Claim, Wanted
from flask_queues.testing.clock import wait_until
from tests.support.browsing import browser  # noqa: F401 - a fixture, for whoever asks for it by name

from .visiting import served, visit  # noqa: F401 - fixtures, too

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
#: The address of the list of each status, and all pages that need no id.
LISTS = ("/jobs", "/running", "/scheduled", "/failed/jobs", "/completed", "/cancelled")
INSIGHT = (
    "/failed",
    "/search?q=ada",
    "/metrics",
    "/schedules",
    "/batches",
    "/queues",
    "/queues/mail",
    "/workers",
    "/activity",
)
PAGES = (*LISTS, *INSIGHT)


@pytest.fixture(autouse=True)
def well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said of the machine on which the tests run, which may be a container."""
    monkeypatch.setattr("flask_queues.panel.diagnosis.of_storage", lambda _manager: [])


@pytest.fixture(autouse=True)
def a_minute_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a whole one: figures are kept by the minute, and what is told of them changes with the next."""
    wall = engine.wall
    ahead = MINUTE - wall() % MINUTE
    monkeypatch.setattr(engine, "wall", lambda: wall() + ahead)


class Person(UserMixin):
    """Somebody who has signed in."""

    def __init__(self, name: str) -> None:
        self.id = self.name = name
        self.is_admin = name == "anna"


def rights() -> Any:
    """What `QUEUES_ADMIN` of the shop answers."""
    return {"anna": True, "rita": "read"}.get(current_user.name, False)


def raised(error: BaseException) -> BaseException:
    """Raise an exception, so that it has a traceback."""
    try:
        raise error
    except BaseException as same:
        return same


class Shop:
    """The application with what tests do to it. Not called `app`: pytest-flask would push a context."""

    def __init__(self, folder: Path, *, login: bool = True, **config: Any) -> None:
        self.flask = Flask("shop", instance_path=str(folder), root_path=str(folder))
        self.flask.secret_key = "of the test"
        self.flask.testing = True
        self.flask.config.update({"QUEUES_ADMIN": rights, "QUEUES_REFRESH": 1, "QUEUES_LEASE": 3600, **config})
        self.queues = Queues(self.flask)
        self.define()
        if login:
            self.let_people_in()

    def define(self) -> None:
        @self.queues.job("shop:mail", queue="mail", tries=3, backoff=600, name="Send mail", tags=["news"])
        def mail(to: str, password: str = "") -> None: ...

        @self.queues.job("shop:resize", queue="images", name="Resize image")
        def resize(file_id: int = 1) -> None: ...

        self.mail, self.resize = mail, resize

    def let_people_in(self) -> None:
        manager = LoginManager(self.flask)
        manager.login_view = "sign_in"
        manager.user_loader(Person)

        @self.flask.get("/sign-in")
        def sign_in() -> Any:
            if request.args.get("name"):
                login_user(Person(request.args["name"]))
                return redirect(request.args.get("next") or "/")
            return "Who is there?"

        @self.flask.get("/")
        def home() -> str:
            return f"home of {sorted(session)}"

    @property
    def manager(self) -> Manager:
        return self.queues.manager

    def client(self, name: str | None = "anna") -> FlaskClient:
        """A browser of this person, or of a stranger."""
        client = self.flask.test_client()
        if name:
            client.get(f"/sign-in?name={name}")
        return client

    def work(self) -> None:
        """A worker gives a sign of life."""
        now = self.manager.now()
        child = ChildRecord(name="host:42:1", pid=42)
        worker = WorkerRecord(
            name="host:9:1", host="host", pid=9, started=now, heartbeat=now,
            queues=(), types=tuple(self.manager.jobs.served), children=(child,),
        )  # fmt: skip
        self.manager.heartbeat(worker)

    def claim(self) -> Claim:
        wanted = Wanted(queues=self.manager.queue_order(), types=self.manager.jobs.keys(), lease=3_600_000)
        [claim] = self.manager.step("host:42:1", (), wanted).claims
        return claim

    def tick(self) -> None:
        """Wait until what happens next is later than what happened, in the milliseconds of the storage."""
        before = self.manager.storage.now()
        assert wait_until(lambda: self.manager.storage.now() > before, 60)

    def settle(self, settlement: Any) -> None:
        assert self.manager.step("host:42:1", [settlement]).lost == []

    def pending(self, **payload: Any) -> str:
        return self.mail.push(**{"to": "ada@example.org", **payload}).id

    def scheduled(self, **payload: Any) -> str:
        return self.mail.using(delay=3000).push(**{"to": "ada@example.org", **payload}).id

    def running(self, **payload: Any) -> str:
        job_id = self.pending(**payload)
        claim = self.claim()
        assert claim.id == job_id
        line = LogLine(datetime.now(timezone.utc), "info", "Connecting", {"try": 1}, 1)
        assert self.manager.note(claim, Progress(40, "half of it"), [line])
        return job_id

    def completed(self, result: str | None = '{"bytes": 12345}', **payload: Any) -> str:
        job_id = self.pending(**payload)
        self.settle(transitions.completed(self.claim(), result))
        return job_id

    def failed(
        self, error: BaseException | None = None, logs: tuple[LogLine, ...] = (), tries: int = 1, **payload: Any
    ) -> str:
        job_id = self.pending(**payload)
        claim = self.claim()
        terms = self.manager.terms(claim)._replace(tries=tries)
        text = transitions.describe_exception(raised(error or ValueError("the mail server said no")))
        self.settle(transitions.failed(claim, terms, text)._replace(logs=logs))
        return job_id

    def backing_off(self) -> str:
        return self.failed(tries=3)

    def cancelled(self) -> str:
        job_id = self.pending()
        self.manager.cancel(job_id, "cancelled by anna in the panel")
        return job_id

    def one_of_each(self) -> dict[Status, str]:
        """A job in every status."""
        return {
            Status.COMPLETED: self.completed(),
            Status.FAILED: self.failed(),
            Status.CANCELLED: self.cancelled(),
            Status.RUNNING: self.running(),
            Status.SCHEDULED: self.backing_off_or_delayed(),
            Status.PENDING: self.pending(),
        }

    def schedule(self, name: str = "bericht") -> str:
        """A schedule that a worker has seen and somebody has run."""
        self.manager.scheduler.add("30 2 * * 1", "shop:mail", {"to": "ada@example.org"}, name=name)
        self.manager.scheduler.run(name)
        return name

    def batch(self) -> str:
        """A batch of which one job has failed and another waits, with callbacks."""
        jobs = [("shop:mail", {"to": f"{n}@example.org"}) for n in range(3)]
        batch = self.queues.batch(jobs, name="Rundbrief").catch("shop:resize").finally_("shop:resize")
        pushed = batch.push(tries=1, priority=9)
        self.settle(transitions.completed(self.claim(), None))
        claim = self.claim()
        error = transitions.describe_exception(raised(ValueError("the mail server said no")))
        self.settle(transitions.failed(claim, self.manager.terms(claim)._replace(tries=1), error))
        self.manager.tend_batches()
        return pushed.id

    def backing_off_or_delayed(self) -> str:
        self.backing_off()
        return self.scheduled()

    def count(self) -> None:
        """Count what has ended, as a keeper would a moment later."""
        storage, begin = self.manager.storage, self.manager.storage.now()
        ledger = Ledger(storage)
        while gather(storage, self.manager.cause_of) or (index := ledger.index()) is None or index.until <= begin:
            pass

    def status(self, job_id: str) -> Status:
        return self.manager.find(job_id).status


def token_of(client: FlaskClient, page: str = "/queues/jobs") -> str:
    """The token that stands in a page."""
    found = TOKEN.search(client.get(page).text)
    assert found is not None
    return found[1]


def post(client: FlaskClient, path: str, **data: Any) -> TestResponse:
    """Send a form as a page would."""
    return client.post(path, data={"csrf_token": token_of(client), **data})


@pytest.fixture
def make_shop(tmp_path: Path) -> Callable[..., Shop]:
    """Make shops with these settings, each with a storage of its own."""
    made: list[Shop] = []

    def make(**config: Any) -> Shop:
        folder = tmp_path / f"shop-{len(made)}"
        folder.mkdir()
        made.append(Shop(folder, **config))
        return made[-1]

    return make


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    return make_shop()

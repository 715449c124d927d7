"""How much one person may push, as requests meet it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, login_user

from flask_queues import PushLimited, Queues, QueuesError
from flask_queues.pushing.pushlimit import SHEETS
from flask_queues.storage.sqlite import engine as sqlite_engine
from flask_queues.testing.storage import FrozenClock


class User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


def made(folder: Path, **config: Any) -> Flask:
    """An application whose requests push; a header names the user."""
    app = Flask("shop", instance_path=str(folder))
    app.secret_key = "for tests"
    app.config.update({"QUEUES_PUSH_LIMIT": "3/m", **config})
    queues = Queues(app)
    LoginManager(app).user_loader(User)

    @queues.job("shop:report")
    def report(n: int = 0) -> None: ...

    @app.post("/report/<int:number>")
    def order(number: int) -> str:
        if "X-User" in request.headers:
            login_user(User(request.headers["X-User"]))
        if number == 1:
            return queues.push("shop:report").id
        return str(len(queues.push_many([("shop:report", None)] * number)))

    return app


@pytest.fixture
def clock() -> Iterator[FrozenClock]:
    clock = FrozenClock()
    with mock.patch.multiple(sqlite_engine, wall=clock.now, steady=clock.steady):
        yield clock


def push(client: FlaskClient, number: int = 1, user: str = "", address: str = "10.0.0.1") -> int:
    """Push in a request; returns the status of the answer."""
    headers = {"X-User": user} if user else {}
    return client.post(f"/report/{number}", headers=headers, environ_base={"REMOTE_ADDR": address}).status_code


def counted(app: Flask) -> int:
    """How many jobs are stored."""
    return sum(app.extensions["queues"].counts().statuses.values())


def test_a_request_beyond_the_limit_is_told_when_to_come_again(tmp_path: Path, clock: FrozenClock) -> None:
    """429 with Retry-After, nothing stored; then one by one as the time comes, and all at once after a quiet time."""
    app = made(tmp_path)
    client = app.test_client()
    assert [push(client) for _ in range(4)] == [200, 200, 200, 429]
    answer = client.post("/report/1", environ_base={"REMOTE_ADDR": "10.0.0.1"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "20")
    assert "Try again in 20 s." in answer.text
    assert counted(app) == 3
    clock.advance(20_000)
    assert [push(client), push(client)] == [200, 429]
    clock.advance(60_000)
    assert [push(client) for _ in range(4)] == [200, 200, 200, 429]


def test_each_user_and_each_address_has_a_limit_of_its_own(tmp_path: Path, clock: FrozenClock) -> None:
    """A user the same one from everywhere; nothing is stored that says who somebody is."""
    app = made(tmp_path)
    assert [push(app.test_client(), address=f"10.0.0.{n % 2}") for n in range(8)] == [200] * 6 + [429] * 2
    assert [push(app.test_client(), user="ann", address=f"10.0.0.{n}") for n in range(4)] == [200] * 3 + [429]
    assert push(app.test_client(), user="10.0.0.0") == 200
    sheets = app.extensions["queues"].storage.sheets([f"pushes:{n}" for n in range(SHEETS)])
    assert sheets
    assert not any(word in text for text in sheets.values() for word in ("ann", "10.0"))


def test_of_ipv6_a_whole_network_is_one_address(tmp_path: Path, clock: FrozenClock) -> None:
    """Who has one of its addresses has 2 to the 64; an IPv4 address is the same in both spellings."""
    app = made(tmp_path)
    assert [push(app.test_client(), address=f"2001:db8::{n}") for n in range(4)] == [200] * 3 + [429]
    assert push(app.test_client(), address="2001:db8:0:1::1") == 200
    assert push(app.test_client(), address="fe80::1%eth0") == 200
    assert [push(app.test_client(), address=f"{before}10.0.0.9") for before in ("", "::ffff:") * 2] == [200] * 3 + [429]
    assert push(app.test_client(), address="") == 200


def test_many_count_as_many_and_are_stored_all_or_none(tmp_path: Path, clock: FrozenClock) -> None:
    """What is refused is not counted; what is more than may be pushed at once is told so."""
    app = made(tmp_path)
    client = app.test_client()
    answer = client.post("/report/4")
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, False)
    assert "these 4 pushes, QUEUES_PUSH_LIMIT: 3/m). Push fewer at once." in answer.text
    assert [push(client, 2), push(client, 2), push(client, 1)] == [200, 429, 200]
    assert counted(app) == 3


def test_all_processes_count_together(tmp_path: Path, clock: FrozenClock) -> None:
    """And at the same moment: of twenty threads with a storage each, as many get through as may."""
    apps = [made(tmp_path, QUEUES_PUSH_LIMIT="5/hour") for _ in range(4)]
    told: list[int] = []
    threads = [
        threading.Thread(target=lambda app=app: told.extend(push(app.test_client()) for _ in range(5))) for app in apps
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (told.count(200), told.count(429)) == (5, 15)
    assert counted(apps[0]) == 5


def test_who_is_quiet_is_forgotten(tmp_path: Path, clock: FrozenClock) -> None:
    """The sheets hold those who pushed lately, however many there have been."""
    app = made(tmp_path)
    storage = app.extensions["queues"].storage
    names = [f"pushes:{n}" for n in range(SHEETS)]
    for n in range(300):
        push(app.test_client(), address=f"10.0.1.{n}")
        clock.advance(1000)
    assert sum(text.count(":") for text in storage.sheets(names).values()) < 300 / 2


def test_nobody_else_is_counted(tmp_path: Path, clock: FrozenClock) -> None:
    """The application itself, the terminal, a retry and a push anew by an operator, and no limit at all."""
    app = made(tmp_path)
    manager = app.extensions["queues"]
    jobs = [manager.push("shop:report") for _ in range(9)]
    assert app.test_cli_runner().invoke(args=["queues", "push", "shop:report"]).exit_code == 0
    with app.test_request_context():
        for job in jobs:
            job.cancel()
            manager.retry(job.id)
            job.cancel()
            manager.push_again(job.id)
    unlimited = made(tmp_path, QUEUES_PUSH_LIMIT=None)
    assert [push(unlimited.test_client()) for _ in range(9)] == [200] * 9


def test_an_application_may_catch_it(tmp_path: Path, clock: FrozenClock) -> None:
    """As any error of ours; it knows when to come again."""
    app = made(tmp_path, QUEUES_PUSH_LIMIT="1/20s")
    manager = app.extensions["queues"]
    with app.test_request_context():
        manager.push("shop:report")
        with pytest.raises(QueuesError, match=r"this push, QUEUES_PUSH_LIMIT: 1/20s\). Try again in 20 s") as caught:
            manager.push("shop:report")
    assert isinstance(caught.value, PushLimited)
    assert caught.value.retry_after == 20

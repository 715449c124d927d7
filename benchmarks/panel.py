"""What a page of the panel costs the server with a million jobs stored: our figures against our goal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, login_user

from flask_queues import Outcome, Queues, Status
from flask_queues.ids import new_id
from flask_queues.metrics import gather
from flask_queues.storage.parcels import Load, Parcel, Run

from .measures import Settings
from .redis.server import server
from .rounds import Figure, Group

#: Milliseconds that a list may take.
GOAL = 20.0
#: Requests of each page that are timed in a round.
REQUESTS = 20
LOAD = 2000
QUEUES = ("mail", "images")
TYPES = ("shop:mail", "shop:resize")
#: The statuses of ten jobs that follow each other.
MIX = (*[Status.PENDING] * 3, *[Status.FAILED] * 2, *[Status.COMPLETED] * 4, Status.SCHEDULED)
TRACE = 'Traceback (most recent call last):\n  File "/srv/shop/mail.py", line 3, in send\n    post(letter)\n'
ERROR = json.dumps(["builtins.ValueError", "no user 17", f"{TRACE}ValueError: no user 17\n"])
PAGES = {
    "pending": "/queues/jobs",
    "pending, one queue": "/queues/jobs?queue=mail",
    "pending, one queue and type": "/queues/jobs?queue=mail&type=shop:mail",
    "pending, one tag": "/queues/jobs?tag=news",
    "scheduled": "/queues/scheduled",
    "failed": "/queues/failed/jobs",
    "failed, one type": "/queues/failed/jobs?type=shop:resize",
    "failed, a tag that only others have": "/queues/failed/jobs?tag=news",
    "failed, by cause": "/queues/failed",
    "completed": "/queues/completed",
    "queues": "/queues/queues",
    "metrics of a day": "/queues/metrics",
    "pending, as JSON": "/queues/api/jobs",
}


class Admin(UserMixin):  # type: ignore[misc]
    """The person who looks."""

    id = "admin"
    is_admin = True


def panel(settings: Settings) -> list[Group]:
    """Time pages on SQLite and on Redis."""
    with settings.fresh() as folder:
        on_sqlite = measure("SQLite", settings, folder, {})
    with settings.fresh() as folder, server(folder) as url:
        keys = {"QUEUES_CACHE_TYPE": "RedisCache", "QUEUES_CACHE_REDIS_URL": url}
        return [on_sqlite, measure("Redis", settings, folder, keys)]


def measure(name: str, settings: Settings, folder: Path, keys: dict[str, Any]) -> Group:
    """Time every page in turns, so that a noisy moment does not meet one alone."""
    figures = {page: Figure(page, "ms", goal=GOAL) for page in PAGES}
    with shop(folder, keys) as (queues, client):
        fill(queues, settings)
        for _ in range(settings.rounds):
            for page, path in PAGES.items():
                figures[page].values.append(timed(client, path))
    how = (
        f"on {name}, {settings.stored:,} jobs stored, 50 on a page; the server's time of a request, rendering included"
    )
    return Group(f"panel on {name}", how, list(figures.values()))


def timed(client: FlaskClient, path: str) -> float:
    """Milliseconds that a request takes, of some the middle one."""
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        assert client.get(path).status_code == 200
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)[REQUESTS // 2]


@contextmanager
def shop(folder: Path, keys: dict[str, Any], name: str = "shop") -> Iterator[tuple[Queues, FlaskClient]]:
    """An application with the panel, and an admin who has signed in."""
    app = Flask(name, instance_path=str(folder))
    app.secret_key = "of the benchmark"
    app.config.update(keys)
    LoginManager(app).user_loader(lambda _: Admin())
    app.add_url_rule("/sign-in", "sign_in", lambda: str(login_user(Admin())))
    queues = Queues(app)
    for type_ in TYPES:
        queues.job(type_)(send)
    client = app.test_client()
    client.get("/sign-in")
    yield queues, client
    queues.manager.storage.close()


def send(to: str) -> None:
    """What the jobs would do."""


def fill(queues: Queues, settings: Settings) -> None:
    """Store the jobs in every status, as if they had come from another storage."""
    manager = queues.manager
    now, number, half = manager.storage.now(), 0, settings.stored // len(QUEUES)
    for queue in QUEUES:
        for start in range(0, half, LOAD):
            number += 1
            jobs = tuple(parcel(queue, n, half, now) for n in range(start, min(start + LOAD, half)))
            manager.storage.take_in("benchmark", Load(number, jobs))
            settings.say(f"{queue}: {start + len(jobs):,} of {half:,} stored")
    while gather(manager.storage, manager.cause_of):
        pass


def parcel(queue: str, n: int, total: int, now: int) -> Parcel:
    """The n-th job of a queue; one ended every 50 ms."""
    status = MIX[n % len(MIX)]
    since = now + n * 1000 if status is Status.SCHEDULED else now - (total - n) * 50
    failed = status is Status.FAILED
    outcome = Outcome.FAILED if failed else Outcome.COMPLETED
    run = Run(1, "web-1:42:1", since - 400, since, outcome, ERROR if failed else None)
    return Parcel(
        id=new_id(f"{queue}:0"), queue=queue, type=TYPES[n % len(TYPES)],
        payload=json.dumps({"to": f"user{n}@example.org"}), options=None, priority=0,
        tags=("news",) if n % 100 == 0 else (), status=status, since=since, created=since - 500,
        due=since - 450 if status.final else since, expires=None, attempts=int(status.final),
        runs=(run,) if status.final else (), worker=run.worker if status.final else None,
        started=run.started if status.final else None, progress=None, result=None, reason=None, alone=False, logs=(),
    )  # fmt: skip


MEASURES = {"panel": panel}

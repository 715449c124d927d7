"""Fixtures for tests of applications that use Flask-Queues; pytest loads this module by itself.

It stands beside the package, not in it: pytest loads it in every project of an environment, also where nobody asks for
these fixtures, and must not import Flask for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flask import Flask

    from flask_queues.testing import Clock, Fake
    from flask_queues.testing.worker import Worker

MARKERS = (
    "queues_fake(eager=False, raises=True, twice=False, seed=None): how the fixture queues_fake runs jobs.",
    "queues_worker(queues=(), threads=1): what the fixture queues_worker starts. With processes=1 or more it works in "
    "processes of its own, on a file of the test's; with configured_storage=True on the application's storage.",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a whole run of tests repeat each job."""
    group = parser.getgroup("flask-queues")
    group.addoption(
        "--queues-twice",
        choices=("again", "cut"),
        help="fixture queues_fake: run each job again, after its end or after a cut at a random line.",
    )
    group.addoption("--queues-seed", type=int, help="fixture queues_fake: cut where an earlier run with this seed did.")


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture
def queues_app(request: pytest.FixtureRequest) -> Flask:
    """The application whose queues are meant: that of the fixture `app`. A project may have its own `queues_app`."""
    try:
        app: Flask = request.getfixturevalue("app")
    except pytest.FixtureLookupError as error:
        if error.argname != "app":
            raise
        pytest.fail("Define a fixture `app`, or `queues_app`, that returns the Flask application.", pytrace=False)
    return app


@pytest.fixture
def queues_fake(request: pytest.FixtureRequest, queues_app: Flask) -> Iterator[Fake]:
    """The application's queues, in the memory of this test: what is pushed is recorded, and run if the test says so."""
    from flask_queues.manager import manager_of
    from flask_queues.testing import fake

    asked = {"twice": request.config.getoption("queues_twice"), "seed": request.config.getoption("queues_seed")}
    given = {name: value for name, value in asked.items() if value is not None} | said_to(request, "queues_fake")
    with fake(manager_of(queues_app), **given) as faked:
        yield faked


@pytest.fixture
def queues_clock(queues_fake: Fake) -> Clock:
    """The clock of `queues_fake`."""
    return queues_fake.clock


@pytest.fixture
def queues_worker(request: pytest.FixtureRequest, queues_app: Flask) -> Iterator[Worker]:
    """A worker of the application that works during this test; `queues_worker.wait()` waits until all is done.

    It works in threads of this process, in the memory of `queues_fake`, whose clock it lets run; with the marker's
    `processes=` in processes of its own, on a file of this test's.
    """
    from flask_queues.manager import manager_of
    from flask_queues.testing.worker import ThreadWorker, working, working_outside

    given = said_to(request, "queues_worker")
    manager = manager_of(queues_app)
    if given.keys() & {"processes", "configured_storage"}:
        if "queues_fake" in request.fixturenames:
            pytest.fail("queues_fake and queues_clock are for a worker in threads, in memory.", pytrace=False)
        with working_outside(manager, request.getfixturevalue("tmp_path"), **given) as worker:
            yield worker
    else:
        faked: Fake = request.getfixturevalue("queues_fake")
        faked.clock.run()
        with working(ThreadWorker(manager, **given)) as worker:
            yield worker


def said_to(request: pytest.FixtureRequest, marker: str) -> dict[str, Any]:
    """What the closest marker of this name says."""
    found = request.node.get_closest_marker(marker)
    return dict(found.kwargs) if found is not None else {}

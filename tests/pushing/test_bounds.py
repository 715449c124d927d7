"""How many jobs may wait in a queue, as an application, a terminal and the panel meet it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_queues import QueueFull, Queues, Status


def made(folder: Path, most: Any) -> Queues:
    """Queues in which no more may wait than that."""
    app = Flask("shop", instance_path=str(folder))
    app.config["QUEUES_MAX_WAITING"] = most
    queues = Queues(app)

    @queues.job("shop:mail", queue="mail")
    def mail(n: int = 0) -> None: ...

    return queues


def waiting(queues: Queues, queue: str = "mail") -> int:
    return queues.counts().queues.get(queue, {}).get("pending", 0)


def test_a_number_bounds_each_queue_and_a_name_its_own(tmp_path: Path) -> None:
    """What the error says is what to do, and the numbers are on it."""
    queues = made(tmp_path, 2)
    queues.push_many([("shop:mail", {"n": n}) for n in range(2)])
    queues.push("shop:mail", queue="other")
    with pytest.raises(
        QueueFull, match=r"^The queue mail is full .*: 2, .*: 2\), so 1 more was not stored. Push again later"
    ) as caught:
        queues.push("shop:mail")
    assert str(caught.value) == (
        "The queue mail is full (jobs that wait: 2, QUEUES_MAX_WAITING: 2), so 1 more was not stored. "
        "Push again later, start more workers, or raise the bound."
    )
    assert (caught.value.queue, caught.value.bound, caught.value.waiting) == ("mail", 2, 2)

    named = made(tmp_path, {"mail": 3})
    named.push_many([("shop:mail", None)] * 9, queue="other")
    named.push("shop:mail")
    with pytest.raises(QueueFull):
        named.push("shop:mail")


@pytest.mark.parametrize("number", [4, 501])
def test_many_are_stored_all_or_none(tmp_path: Path, number: int) -> None:
    """Also where they are more than one slice, of several queues, and other queues have room."""
    queues = made(tmp_path, {"mail": number - 1})
    with pytest.raises(QueueFull, match=f"so {number} more were not stored"):
        queues.push_many([("shop:mail", None)] * number)
    mixed = [queues.manager.jobs["shop:mail"].job_class().on_queue(name) for name in ["other", *["mail"] * number]]
    with pytest.raises(QueueFull):
        queues.push_many(mixed)
    assert queues.counts().queues == {}


def test_a_key_that_is_held_needs_no_room(tmp_path: Path) -> None:
    """The push that stores nothing gets the old handle in a full queue too."""
    queues = made(tmp_path, 1)
    first = queues.push("shop:mail", unique=True)
    assert queues.push("shop:mail", unique=True).id == first.id


def test_what_waits_for_a_commit_is_refused_by_it(tmp_path: Path) -> None:
    """The commit raises, and the row is kept: the transaction of the database was over already."""
    queues = made(tmp_path, 1)
    app = queues.manager.app
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///:memory:"
    database = SQLAlchemy(app)
    with app.app_context():
        database.session.execute(database.text("SELECT 1"))
        for _ in range(2):
            queues.push("shop:mail", after_commit=True)
        with pytest.raises(QueueFull):
            database.session.commit()
        database.session.remove()
        database.engine.dispose()
    assert waiting(queues) == 0


def test_retries_by_hand_and_schedules_are_not_refused(tmp_path: Path) -> None:
    """They were promised before the queue was full."""
    queues = made(tmp_path, 1)
    old = queues.push("shop:mail")
    old.cancel()
    queues.push("shop:mail")
    queues.manager.retry(old.id)
    queues.schedule("0 0 1 1 *", "shop:mail", name="yearly")
    queues.manager.scheduler.run("yearly")
    assert waiting(queues) == 3
    old.cancel()
    with pytest.raises(QueueFull):
        queues.manager.push_again(old.id)


def test_the_terminal_says_it(tmp_path: Path) -> None:
    """In the same sentence, with exit code 1."""
    queues = made(tmp_path, 1)
    run = queues.manager.app.test_cli_runner().invoke
    assert run(args=["queues", "push", "shop:mail"]).exit_code == 0
    refused = run(args=["queues", "push", "shop:mail"])
    assert refused.exit_code == 1
    assert "Error: The queue mail is full" in refused.output
    assert queues.jobs_of(statuses=[Status.PENDING]).jobs[0].queue == "mail"

"""How long ended jobs are kept, and how many: by status, job type, age and number; and who sees them before."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app

from flask_queues import ConfigError, Job, JobRecord, Queues, Status
from flask_queues.janitor import HANDED, SHEET
from flask_queues.testing import Fake
from flask_queues.testing.memory import MemoryStorage
from tests.support.site import Site, eventually

HOUR = 3600


def make_queues(folder: Path, **settings: Any) -> Queues:
    """An application with a job that completes, fails or is discarded, and another type of the same."""
    app = Flask("shop", instance_path=str(folder))
    app.config.update(settings)
    queues = Queues(app)

    @queues.job("shop:mail", tries=1)
    def mail(how: str = "", n: int = 0) -> None:
        if how:
            raise ValueError(how)

    @queues.job("shop:work", tries=1)
    def work(how: str = "", n: int = 0) -> None:
        mail(how)

    return queues


def left(queues: Queues, job_type: str = "shop:mail", *statuses: str) -> list[int]:
    """The numbers of the jobs that are still there, in the order of their pushes."""
    return sorted(job.payload["n"] for job in queues.every(type=job_type, statuses=list(statuses)))


def run(queues: Queues, fake: Fake, job_type: str = "shop:mail", how: str = "", n: int = 3) -> None:
    """Let so many jobs end, a minute after each other."""
    for number in range(n):
        queues.push(job_type, {"how": how, "n": number})
        fake.drain()
        fake.clock.move(60)


def test_a_type_is_kept_for_its_own_time(tmp_path: Path) -> None:
    """By status; what it does not say holds as for all."""
    queues = make_queues(tmp_path, QUEUES_RETENTION={"shop:mail": {"completed": 1, "failed": None}})
    with queues.fake(raises=False) as fake:
        for job_type in ("shop:mail", "shop:work"):
            run(queues, fake, job_type, n=1)
            run(queues, fake, job_type, "failed", n=1)
            queues.push(job_type, delay=9).cancel()
        fake.drain(within=2 * HOUR)
        assert left(queues, "shop:mail", "completed") == []
        assert left(queues, "shop:work", "completed") == [0]

        fake.drain(within=200 * HOUR)
        assert [(job.type, job.status) for job in queues.every()] == [("shop:mail", Status.FAILED)]


def test_the_last_of_a_type_are_kept(tmp_path: Path) -> None:
    """So many of each status, however young the others are."""
    queues = make_queues(tmp_path, QUEUES_RETENTION={"shop:mail": {"completed_count": 2, "failed_count": 1}})
    with queues.fake(raises=False) as fake:
        run(queues, fake, n=4)
        run(queues, fake, how="failed", n=3)
        run(queues, fake, "shop:work", n=4)

        assert left(queues, "shop:mail", "completed") == [2, 3]
        assert left(queues, "shop:mail", "failed") == [2]
        assert left(queues, "shop:work") == [0, 1, 2, 3]


def test_the_configuration_goes_over_the_type_and_that_over_what_holds_for_all(tmp_path: Path) -> None:
    """Name by name."""
    queues = make_queues(
        tmp_path,
        QUEUES_RETENTION_FAILED=5,
        QUEUES_RETENTION={"*": {"completed": 7, "failed_count": 9}, "a": {"failed": 2}},
    )

    @queues.register
    class Own(Job):
        type = "a"
        retention = {"completed": 3, "failed": 4}  # noqa: RUF012 - as an application writes it

        def handle(self) -> None: ...

    janitor = queues.manager.janitor
    assert janitor.retention("a") == {"completed": 3, "cancelled": 24, "failed": 2, "failed_count": 9}
    assert janitor.retention("other") == {"completed": 7, "cancelled": 24, "failed": 5, "failed_count": 9}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"complete": 1}, "shop:x: retention: 'complete' is not known. Did you mean completed?"),
        ({"completed": "1"}, r"shop:x: retention\['completed'\] = 1 is not allowed: it takes hours"),
        ([1], "shop:x: retention is not allowed: it takes hours or numbers by name"),
    ],
)
def test_what_a_type_says_is_checked(tmp_path: Path, given: Any, said: str) -> None:
    """When it is registered."""
    with pytest.raises(ConfigError, match=said):
        make_queues(tmp_path).job("shop:x", retention=given)(lambda: None)


class TestBeforeDeleting:
    """Who sees jobs before they are deleted."""

    def test_sees_each_job_whole_and_in_an_application_context(self, tmp_path: Path) -> None:
        """The oldest first, some at a time, while they can still be found."""
        queues = make_queues(tmp_path, QUEUES_RETENTION_COMPLETED=1)
        seen: list[JobRecord] = []

        @queues.before_deleting
        def archive(jobs: list[JobRecord]) -> None:
            assert current_app.name == "shop"
            assert len(jobs) <= HANDED
            assert [queues.find(job.id) for job in jobs] == jobs
            seen.extend(jobs)

        with queues.fake() as fake:
            queues.push_many([("shop:mail", {"n": n}) for n in range(HANDED + 20)])
            fake.drain()
            assert seen == []
            fake.drain(within=2 * HOUR)
            assert sorted(job.payload["n"] for job in seen) == list(range(HANDED + 20))
            assert left(queues) == []

    def test_what_it_raises_keeps_the_jobs(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Those of other kinds are deleted; it is tried again later."""
        queues = make_queues(tmp_path, QUEUES_RETENTION_COMPLETED=1)
        broken = True

        @queues.before_deleting
        def archive(jobs: list[JobRecord]) -> None:
            if broken and jobs[0].type == "shop:mail":
                raise OSError("no room")

        with queues.fake() as fake, caplog.at_level(logging.ERROR, "flask_queues"):
            run(queues, fake, "shop:mail")
            run(queues, fake, "shop:work")
            fake.drain(within=2 * HOUR)
            assert left(queues) == [0, 1, 2]
            assert left(queues, "shop:work") == []
            assert [record.getMessage() for record in caplog.records] == [
                f"{archive.__module__}.{archive.__qualname__} failed, which is called before jobs are deleted: 3 of "
                "type shop:mail are kept for now."
            ]
            broken = False
            queues.manager.janitor._not_before.clear()
            fake.drain()
            assert left(queues) == []

    def test_a_job_that_is_retried_meanwhile_is_not_deleted(self, tmp_path: Path) -> None:
        """It is not old any more."""
        queues = make_queues(tmp_path, QUEUES_RETENTION_FAILED=1)

        @queues.before_deleting
        def archive(jobs: list[JobRecord]) -> None:
            queues.retry(jobs[0].id)

        with queues.fake(raises=False) as fake:
            run(queues, fake, how="failed", n=2)
            fake.clock.move(2 * HOUR)
            assert queues.manager.retain() == 1
            assert [(job.payload["n"], job.status) for job in queues.every()] == [(0, Status.PENDING)]

    def test_one_worker_at_a_time_hands_jobs_over(self, tmp_path: Path) -> None:
        """Until its turn is over, since it may have died."""
        queues = make_queues(tmp_path, QUEUES_RETENTION_COMPLETED=1)
        queues.before_deleting(lambda jobs: None)
        with queues.fake() as fake:
            run(queues, fake)
            fake.clock.move(2 * HOUR)
            storage = queues.manager.storage
            assert isinstance(storage, MemoryStorage)
            seen = storage.sheets([SHEET]).get(SHEET)
            assert storage.write_sheets((SHEET, seen), {SHEET: json.dumps(["somebody", storage.now() + 60_000])})
            assert queues.manager.retain() == 0
            fake.clock.move(61)
            assert queues.manager.retain() == 3

    def test_nothing_is_begun_once_the_worker_ends(self, tmp_path: Path) -> None:
        """What a hook was not handed yet is kept for the next worker."""
        queues = make_queues(tmp_path, QUEUES_RETENTION_COMPLETED=1)
        queues.before_deleting(lambda jobs: None)
        with queues.fake() as fake:
            run(queues, fake)
            fake.clock.move(2 * HOUR)
            queues.manager.janitor.finish(0)
            assert queues.manager.retain() == 0
            assert left(queues) == [0, 1, 2]

    def test_is_a_function(self, tmp_path: Path) -> None:
        """Anything else is refused at once."""
        with pytest.raises(ConfigError, match=r"before_deleting\(5\): it takes a function of one argument"):
            make_queues(tmp_path).before_deleting(5)  # type: ignore[type-var]


def test_a_worker_goes_on_while_jobs_are_handed_over(make_site: Any) -> None:
    """A hook that takes its time keeps neither leases nor other jobs waiting."""
    site: Site = make_site(QUEUES_LEASE=2, QUEUES_RETENTION={"add": {"completed": 0}}, ARCHIVE="archive.txt")
    old = site.push("add", {"a": 1})
    worker = site.work()
    eventually(lambda: (site.folder / "archive.txt").exists(), what="The hook's call")
    assert site.manager.find(old).status is Status.COMPLETED
    assert site.ended(site.push("noop")).status is Status.COMPLETED
    site.open("archived")
    eventually(lambda: site.manager.storage.get(old) is None, what="The deletion")
    assert (site.folder / "archive.txt").read_text().split() == [old]
    assert worker.stop() == 0

"""`flask queues move`: everything goes to another storage, once, however often it is killed."""

from __future__ import annotations

import functools
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flask_queues import JobNotFound, Status
from flask_queues.storage.values import Occurrence, Schedule
from tests.support.servers.kinds import Servers
from tests.support.site import Site, eventually


@pytest.fixture
def new_place(tmp_path: Path) -> Path:
    """A folder for the jobs to move to."""
    return tmp_path / "new"


@pytest.fixture
def new_site(make_site: Any, new_place: Path) -> Site:
    """The same application with the configuration that it will have after the move."""
    site: Site = make_site(QUEUES_LEASE=2, QUEUES_CACHE_DIR=str(new_place))
    return site


def to(place: Path) -> list[str]:
    """The options that name the folder."""
    return ["--to", f"QUEUES_CACHE_DIR={place}"]


def everything(site: Site) -> dict[str, Any]:
    """Every job with its log."""
    return {job.id: (job, site.manager.logs(job.id)) for job in site.queues.every()}


def fill(site: Site) -> None:
    """Make jobs of every status that is not running."""
    site.push("flaky", {"failures": 1}, backoff=0)
    site.push("doomed", {"how": "raise"}, tries=1)
    site.push("add", {"a": 1}, tags=["user:7"])
    assert site.start("--stop-when-empty").wait() == 0
    site.manager.cancel(site.push("noop"), "not wanted")
    site.push("noop", delay=3600)
    site.push("add", {"a": 2}, priority=5, expires=3600)


def test_everything_is_moved_and_goes_on_there(site: Site, new_site: Site, new_place: Path) -> None:
    """Jobs with ids, history, logs, tags and results, and schedules; then only the configuration changes."""
    fill(site)
    site.manager.storage.put_schedule(Schedule("nightly", "default", "{}"), [], [Occurrence(5, 0, "fired", "j")])
    before, counts = everything(site), site.manager.counts()
    assert len(before) == 6

    moved = site.run("move", *to(new_place))

    assert moved.returncode == 0, moved.stderr
    assert moved.stdout == "6 jobs and 1 schedule moved.\n"
    assert f"From SQLite file {site.database} to SQLite file {new_place / 'queues.sqlite3'}." in moved.stderr
    assert everything(new_site) == before
    assert new_site.manager.counts() == counts
    assert [one.name for one in new_site.manager.storage.schedules()] == ["nightly"]
    assert everything(site) == {}
    assert new_site.start("--stop-when-empty").wait() == 0
    assert new_site.manager.counts().statuses["completed"] == counts.statuses["completed"] + 1


@pytest.mark.servers
def test_a_file_becomes_too_small_and_redis_takes_over(site: Site, make_site: Any, servers: Servers) -> None:
    """Only the configuration changes; and back, should that be wanted."""
    settings = servers.empty("redis").settings
    on_redis: Site = make_site(QUEUES_LEASE=2, **settings)
    fill(site)
    before, counts = everything(site), site.manager.counts()
    given = [word for key, value in settings.items() for word in ("--to", f"{key}={value}")]

    moved = site.run("move", *given)

    assert moved.stdout == "6 jobs and 0 schedules moved.\n", moved.stderr
    assert everything(on_redis) == before
    assert on_redis.manager.counts() == counts
    assert everything(site) == {}
    back = on_redis.run("move", *to(site.database.parent))
    assert back.stdout == "6 jobs and 0 schedules moved.\n", back.stderr
    assert everything(site) == before


def test_a_second_run_finds_nothing(site: Site, new_place: Path) -> None:
    """It says so, with an exit code of its own."""
    site.push("noop")
    assert site.run("move", *to(new_place)).returncode == 0
    again = site.run("move", *to(new_place))
    assert again.returncode == 3
    assert "There was nothing to move." in again.stderr


def test_what_was_pushed_in_the_meantime_follows(site: Site, new_site: Site) -> None:
    """From where the configuration led before, to where it leads now."""
    late = site.push("noop")
    followed = new_site.run("move", "--from", f"QUEUES_CACHE_DIR={site.database.parent}")
    assert followed.returncode == 0, followed.stderr
    assert new_site.status(late) is Status.PENDING
    assert everything(site) == {}


def test_a_configuration_file_names_the_place_too(site: Site, new_site: Site, new_place: Path) -> None:
    """As Flask reads it: no password has to stand on the command line."""
    job = site.push("noop")
    (site.folder / "production.cfg").write_text(f"QUEUES_CACHE_DIR = {str(new_place)!r}\nMAIL_PORT = 25\n")
    assert site.run("move", "--to", "production.cfg").returncode == 0
    assert new_site.status(job) is Status.PENDING


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Say where to with --to, or where from with --from."),
        (["--to", "A=1", "--from", "B=2"], 2, "Say where to with --to"),
        (["--to", "nowhere.cfg"], 2, "nowhere.cfg is neither KEY=VALUE nor a configuration file"),
        (["--to", "QUEUES_CACHE_DRI=x"], 1, "Did you mean QUEUES_CACHE_DIR?"),
        (["--to", "SHOP_COLOUR=red"], 1, "is where the jobs are already"),
        (["--to", "QUEUES_CACHE_DIR=instance"], 1, "is where the jobs are already"),
        (["--to", "QUEUES_CACHE_TYPE=NullCache"], 1, "NullCache"),
        (["--to", "QUEUES_STORAGE=nowhere:Storage"], 1, "the module nowhere cannot be imported"),
        (["--to", "QUEUES_CACHE_DIR=/dev/null/x"], 1, "cannot be made"),
    ],
)
def test_a_place_that_is_none_is_refused_and_nothing_moves(
    site: Site, arguments: list[str], code: int, said: str
) -> None:
    """A sentence on standard error, and every job where it was."""
    job = site.push("noop")
    refused = site.run("move", *arguments)
    assert refused.returncode == code, refused.stderr
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert site.status(job) is Status.PENDING


def test_jobs_are_not_taken_away_from_under_workers(make_site: Any, new_site: Site, new_place: Path) -> None:
    """While a worker runs nothing moves, unless that is wanted; what it has in hand stays until it has ended."""
    site: Site = make_site(QUEUES_LEASE=60)
    busy, waits = site.push("gate"), site.push("noop", queue="elsewhere")
    worker = site.work("--queue", "default")
    site.began(busy)
    site.known(worker)
    refused = site.run("move", *to(new_place))
    assert refused.returncode == 1
    assert "Workers run on SQLite file" in refused.stderr
    assert str(worker.pid) in refused.stderr
    assert "counts as stopped after 60 s" in refused.stderr
    assert site.status(waits) is Status.PENDING

    told = site.run("move", "--while-working", *to(new_place))
    assert told.returncode == 1
    assert told.stdout == "1 job and 0 schedules moved.\n"
    assert "1 job stayed, still running. Run the same command again" in told.stderr
    assert new_site.status(waits) is Status.PENDING

    site.open()
    site.ended(busy)
    worker.stop()
    assert site.run("move", *to(new_place)).returncode == 0
    assert new_site.status(busy) is Status.COMPLETED


def test_what_a_killed_worker_had_in_hand_is_moved(site: Site, new_site: Site, new_place: Path) -> None:
    """Once its lease is over it counts as stopped; its job has lost one try."""
    job = site.push("gate")
    worker = site.work()
    site.began(job)
    worker.kill_all()
    eventually(lambda: site.run("move", *to(new_place)).returncode == 0, what="The end of the lease")
    assert new_site.job(job).attempts == 1
    assert new_site.status(job) in (Status.PENDING, Status.SCHEDULED)


def test_an_unfinished_move_is_finished_before_another(site: Site, new_site: Site, new_place: Path) -> None:
    """Jobs that left may have arrived: they are not handed out for another place."""
    job = site.push("noop")
    assert site.manager.storage.hand_out(new_site.manager.storage.identity()) is not None
    other = site.run("move", *to(new_place.with_name("other")))
    assert other.returncode == 1
    assert "an earlier move was interrupted" in other.stderr
    assert site.run("move", *to(new_place)).returncode == 0
    assert new_site.status(job) is Status.PENDING


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "files", pytest.param("redis", marks=pytest.mark.servers)])
def test_a_move_that_is_killed_again_and_again_moves_each_job_once(
    site: Site, make_site: Any, new_place: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """SIGKILL at random moments, the same command again, until it is done: none lost, none doubled, none in both."""
    settings: dict[str, Any] = {"QUEUES_CACHE_DIR": str(new_place)}
    if kind == "files":
        settings["QUEUES_CACHE_TYPE"] = "FileSystemCache"
    elif kind == "redis":
        settings = request.getfixturevalue("servers").empty("redis").settings
    new_site: Site = make_site(QUEUES_LEASE=2, **settings)
    given = [word for key, value in settings.items() for word in ("--to", f"{key}={value}")]
    dice = random.Random(20260101)
    pushed = [handle.id for handle in site.queues.push_many([("add", {"a": n}) for n in range(1200)])]
    kills = 0
    while True:
        arrived = new_site.manager.counts().statuses["pending"]
        mover = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "sample", "queues", "move", *given],
            cwd=site.folder,
            env=site.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(functools.partial(went_on, new_site, arrived, mover))
        time.sleep(dice.random() * 0.03)  # anywhere in what it does next
        mover.send_signal(signal.SIGKILL)
        if mover.wait() != -signal.SIGKILL:
            break
        kills += 1
        left, there = (set(ids_in(one)) for one in (site, new_site))
        assert not left & there
        assert 0 <= len(pushed) - len(left) - len(there) <= 100
    assert kills >= 3
    assert ids_in(site) == []
    assert sorted(ids_in(new_site)) == sorted(pushed)
    assert new_site.manager.counts().cells == {("default", "add", "pending"): 1200}


def went_on(site: Site, arrived: int, mover: subprocess.Popen[bytes]) -> bool:
    """Whether more jobs than those have arrived, or the mover has ended."""
    return site.manager.counts().statuses["pending"] > arrived or mover.poll() is not None


def ids_in(site: Site) -> list[str]:
    """The ids of all jobs."""
    return [job.id for job in site.queues.every()]


def test_a_storage_is_not_filled_beyond_what_it_is_made_for(site: Site, tmp_path: Path) -> None:
    """A cache backend that promises 10,000 jobs is refused more, and nothing moves."""
    site.manager.push_many([("noop", {})] * 10_001)
    place = ["--to", "QUEUES_CACHE_TYPE=FileSystemCache", "--to", f"QUEUES_CACHE_DIR={tmp_path / 'files'}"]
    answer = site.run("move", *place)
    assert answer.returncode == 1
    assert "is made for up to 10,000 jobs, and there would be 10,001" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert site.manager.counts().statuses["pending"] == 10_001


def test_jobs_that_wait_for_the_end_of_others_move_with_these(site: Site, new_place: Path) -> None:
    """They are pushed there."""
    second = site.queues.push("noop").then("noop")
    assert site.run("move", *to(new_place)).returncode == 0
    with pytest.raises(JobNotFound):
        second.record  # noqa: B018

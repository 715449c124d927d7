"""What a worker on Redis comes out of by itself: a full memory, and a password that is refused for a while."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from flask_queues import Outcome, Status
from flask_queues.errors import StorageFull
from tests.support.load import running
from tests.support.servers.redis_server import RedisServer
from tests.support.site import Site, eventually

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own."""
    with RedisServer(tmp_path / "redis", maxmemory_policy="noeviction") as server:
        yield server


def fill(server: RedisServer, spare: int) -> None:
    """Set the limit of memory so many bytes above what is used now."""
    with server.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + spare)


def is_full(site: Site) -> bool:
    """Whether a push is refused."""
    try:
        site.push("noop", delay=3600)
    except StorageFull:
        return True
    return False


def test_a_full_server_recovers_by_itself_through_retention(make_site, server):
    """Deleting needs no memory: a worker that starts on a full server, too, deletes what was kept long enough."""
    site = make_site(**server.settings)
    site.manager.push_many([("noop", {})] * 4000)
    assert site.run("work", "--stop-when-empty", "--processes", "1").returncode == 0
    site.configure(**server.settings, QUEUES_RETENTION_COMPLETED=0.0003)
    fill(server, -500_000)
    assert is_full(site)
    worker = site.work("--processes", "1")
    eventually(lambda: not is_full(site), what="Room for a push")
    assert site.ended(site.push("noop")).status is Status.COMPLETED
    assert "Traceback" not in worker.text


def test_leases_are_extended_on_a_full_server(make_site, server):
    """A long job keeps its claim, its worker stays on the list, cancelling works, and others' jobs are rescued."""
    settings = {**server.settings, "QUEUES_LEASE": 2}
    site = make_site(**settings)
    vanishing = site.work("--processes", "1")
    abandoned = site.push("gate", {"name": "first"})
    site.began(abandoned)
    fill(server, -500_000)  # more than the connections of a worker take, which is killed
    worker = site.work("--processes", "2")
    vanishing.kill_all()
    eventually(lambda: site.words(abandoned).count("began") == 2, what="The rescue")
    until = site.manager.storage.now() + 5_000
    eventually(lambda: site.manager.storage.now() > until, what="Two leases")
    assert is_full(site)
    alive = [one for one in site.manager.workers() if one.pid == worker.pid]
    assert [one.heartbeat > site.manager.now() - timedelta(seconds=2) for one in alive] == [True]
    assert [attempt.outcome for attempt in site.job(abandoned).history] == [Outcome.LOST, None]
    site.manager.cancel(abandoned)
    assert site.ended(abandoned).status is Status.CANCELLED


@pytest.mark.parametrize("how", ["requirepass", "acl"])
def test_a_password_refused_for_a_while_is_an_outage(make_site, server, how):
    """As when users are loaded anew: the worker says so, a child that dies meanwhile is replaced, and all go on."""
    site = make_site(**server.settings)
    worker = site.work("--processes", "2")
    site.ended(site.push("noop"))
    children = running(worker)
    with server.client() as client:
        if how == "requirepass":
            client.config_set("requirepass", "another")
        else:
            client.execute_command("ACL", "SETUSER", "default", "-zadd", "-hset")
        client.client_kill_filter(_type="normal", skipme=True)
        eventually(lambda: "asks for a password" in worker.text or "may not do" in worker.text, what="The word of it")
        victim = next(pid for pid in children if pid != max(children))
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in running(worker) and len(running(worker)) == len(children), what="Another")
        if how == "requirepass":
            client.config_set("requirepass", "")
        else:
            client.execute_command("ACL", "SETUSER", "default", "+@all")
    assert site.ended(site.push("noop")).status is Status.COMPLETED
    assert worker.process.poll() is None
    assert set(children) - {victim} <= set(running(worker))
    assert "Traceback" not in worker.text


def test_a_wrong_password_at_the_start_is_told_and_ends_it(make_site, server):
    """Nobody was ever let in with it: it is the configuration that is wrong."""
    site = make_site(**server.settings)
    with server.client() as client:
        client.config_set("requirepass", "another")
        done = site.run("work")
        client.config_set("requirepass", "")
    assert done.returncode != 0
    assert "asks for a password" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_emptied_server_is_told_and_gets_the_schedules_of_the_code_again(make_site, server):
    """Each worker says once that all jobs are gone; what the code defines is stored again soon."""
    site = make_site(**server.settings)
    (site.folder / "sample.py").write_text(
        (site.folder / "sample.py").read_text() + '\nqueues.schedule("* * * * *", "noop", name="minutely")\n'
    )
    workers = [site.work("--processes", "1") for _ in range(2)]
    site.ended(site.push("noop"))
    beaten = site.manager.now()
    eventually(
        lambda: [one.heartbeat > beaten for one in site.manager.workers()] == [True, True], what="A heartbeat of each"
    )
    before = [one.name for one in site.manager.storage.schedules()]
    assert "minutely" in before
    server.empty()
    eventually(lambda: all("was emptied" in worker.text for worker in workers), what="The word of it")
    eventually(lambda: [one.name for one in site.manager.storage.schedules()] == before, what="The schedules")
    assert site.ended(site.push("noop")).status is Status.COMPLETED
    assert [worker.text.count("was emptied") for worker in workers] == [1, 1]
    assert "Traceback" not in "".join(worker.text for worker in workers)

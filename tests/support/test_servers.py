"""The servers that tests start: nothing else would notice if they were not what they seem."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from tests.support.servers.proxy import Proxy
from tests.support.servers.redis_server import RedisServer
from tests.support.site import ROOT, eventually

pytestmark = pytest.mark.servers

OWNER = """
import sys, time
from pathlib import Path
from tests.support.servers.redis_server import RedisServer
with RedisServer(Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_a_killed_test_run_leaves_no_server_behind(tmp_path: Path) -> None:
    """A server dies with the process that started it, even by SIGKILL."""
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        assert psutil.pid_exists(pid)
        run.send_signal(signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(pid), what="The end of the server")


def test_the_proxy_loses_the_reply_and_not_the_request(tmp_path: Path) -> None:
    """The server has done what was asked, and whoever asked sees a broken connection."""
    with RedisServer(tmp_path) as server, Proxy(server.port) as network, server.client(port=network.port) as through:
        through.ping()
        network.drop_replies(1, to=b"INCR")
        assert through.ping()
        with pytest.raises(redis.ConnectionError):
            through.incr("n")
        assert network.dropped == 1
        assert through.get("n") == "1"


def test_the_proxy_cuts_and_heals(tmp_path: Path) -> None:
    """While it is cut nothing goes through; afterwards everything does."""
    with RedisServer(tmp_path) as server, Proxy(server.port) as network:
        through = server.client(port=network.port, socket_timeout=2)
        for harm in (network.cut, network.stall):
            harm()
            with pytest.raises((redis.ConnectionError, redis.TimeoutError)):
                through.ping()
            network.heal()
            assert through.ping()
        through.close()


def test_what_a_server_kept_is_there_again_after_a_crash(tmp_path: Path) -> None:
    """With AOF, kill -9 and a start on the same port lose nothing that was answered."""
    with RedisServer(tmp_path, appendonly="yes") as server:
        with server.client() as client:
            client.set("a", 1)
        server.kill()
        server.restart()
        with server.client() as client:
            assert client.get("a") == "1"

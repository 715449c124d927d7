"""A Redis that cannot hold the jobs: at the terminal a sentence says what to change; nothing hangs or spins."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers.process import free_port
from tests.support.servers.redis_server import RedisServer
from tests.support.site import Site, eventually

pytestmark = [pytest.mark.servers, pytest.mark.slow]

PROTECTED = (
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
    b"default user. In this mode connections are only accepted from the loopback interface.\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that is well, with the keys of others on it."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server, server.client() as client:
        client.hset("{taken}:meta", mapping={"format": 1, "owner": "shop"})
        client.hset("{newer}:meta", mapping={"format": 99, "owner": "sample"})
        client.set("{theirs}:meta", "a string of theirs")
        yield server


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that asks for a password."""
    with RedisServer(tmp_path_factory.mktemp("locked"), requirepass="right") as server:
        yield server


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory, server: RedisServer) -> Iterator[RedisServer]:
    """A read-only replica."""
    with RedisServer(tmp_path_factory.mktemp("replica"), replicaof=f"127.0.0.1 {server.port}") as replica:
        yield replica


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that takes TLS alone, with a certificate of its own making."""
    folder = tmp_path_factory.mktemp("secure")
    key, certificate, port = folder / "key.pem", folder / "certificate.pem", free_port()
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    keys = {"tls_key_file": key, "tls_cert_file": certificate, "tls_ca_cert_file": certificate}
    with RedisServer(folder, tls_port=port, tls_auth_clients="no", **keys):
        yield port


@contextmanager
def protected() -> Iterator[int]:
    """What a Redis in protected mode says to whoever comes from elsewhere; yields its port."""

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(PROTECTED)

    with socket.create_server(("127.0.0.1", free_port())) as listener:
        threading.Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def refused(site: Site) -> str:
    """What `status` and `work` say before they give up: the same sentence, and nothing else."""
    worker = site.start()
    status = site.run("status")
    assert (status.returncode, worker.wait()) == (1, 1)
    assert status.stdout == worker.output.read_text() == ""
    assert worker.errors.read_text() == status.stderr
    assert len(status.stderr.splitlines()) == 1
    return status.stderr


def on(port: int, database: int = 0, password: str = "", **settings: Any) -> dict[str, Any]:
    """The configuration for a server."""
    url = f"redis://{password and f':{password}@'}127.0.0.1:{port}/{database}"
    return {"QUEUES_CACHE_TYPE": "RedisCache", "QUEUES_CACHE_REDIS_URL": url, **settings}


def test_a_server_that_is_not_there(make_site):
    """Its address is named."""
    port = free_port()
    said = refused(make_site(**on(port)))
    assert f"Redis at 127.0.0.1:{port}, database 0 cannot be reached: connection refused" in said


def test_a_wrong_password_and_none(make_site, locked):
    """The key that sets it is named, and no password is shown."""
    said = refused(make_site(**on(locked.port, password="wrong")))
    assert "refuses the password. Correct QUEUES_CACHE_REDIS_PASSWORD" in said
    assert ":wrong" not in said
    assert "asks for a password. Set QUEUES_CACHE_REDIS_PASSWORD" in refused(make_site(**on(locked.port)))


def test_a_database_that_is_not_there(make_site, server):
    """The number is named."""
    assert "database 99 has no database of this number" in refused(make_site(**on(server.port, 99)))


def test_a_read_only_replica(make_site, replica):
    """Jobs are kept on the master."""
    assert "is a read-only replica" in refused(make_site(**on(replica.port)))


def test_tls_on_one_side_only(make_site, server, secure):
    """Both ways it is TLS that is named; so is a certificate that nobody trusts."""
    tls = "rediss://127.0.0.1:{}/0".format
    assert "does not answer over TLS" in refused(make_site(**on(0, QUEUES_CACHE_REDIS_URL=tls(server.port))))
    assert "does it expect TLS (rediss://)" in refused(make_site(**on(secure)))
    said = refused(make_site(**on(0, QUEUES_CACHE_REDIS_URL=tls(secure))))
    assert "a certificate that is not trusted" in said
    assert "?ssl_ca_certs=" in said


def test_a_redis_for_a_sentinel(make_site, server):
    """It is named as what it is."""
    place = {"QUEUES_CACHE_TYPE": "RedisSentinelCache", "QUEUES_CACHE_REDIS_SENTINELS": f"127.0.0.1:{server.port}"}
    assert "names a Redis, which is no Sentinel" in refused(make_site(**place))


def test_protected_mode(make_site):
    """What the server says to whoever comes from another host is told in our words."""
    with protected() as port:
        assert "is in protected mode: it takes no connections from other hosts" in refused(make_site(**on(port)))


def test_a_prefix_with_braces(make_site, server):
    """They are not allowed, and it says why."""
    assert "braces" in refused(make_site(**on(server.port, QUEUES_CACHE_KEY_PREFIX="{jobs}")))


def test_two_applications_with_one_prefix(make_site, server):
    """Whose it is, is told."""
    said = refused(make_site(**on(server.port, QUEUES_CACHE_KEY_PREFIX="taken")))
    assert "belongs to the application 'shop', and this one is 'sample'. Set QUEUES_CACHE_KEY_PREFIX" in said


def test_keys_of_somebody_else(make_site, server):
    """They stay as they are."""
    said = refused(make_site(**on(server.port, QUEUES_CACHE_KEY_PREFIX="theirs")))
    assert "holds keys of something else under our names" in said
    with server.client() as client:
        assert client.get("{theirs}:meta") == "a string of theirs"


def test_a_newer_format(make_site, server):
    """What a newer version wrote is left to it."""
    said = refused(make_site(**on(server.port, QUEUES_CACHE_KEY_PREFIX="newer")))
    assert "format 99" in said
    assert "Install the newer version" in said


def test_a_format_that_becomes_newer_under_a_worker(make_site, server):
    """A running worker says so once, and stops: it claims nothing from it."""
    site = make_site(**on(server.port, QUEUES_CACHE_KEY_PREFIX="jobs"))
    worker = site.work("--processes", "2")
    site.ended(site.push("noop"))
    with server.client() as client:
        client.hset("{jobs}:meta", "format", 99)
    assert worker.wait() != 0
    assert worker.text.count("format 99") == 1
    assert "Traceback" not in worker.text


def test_a_master_that_is_a_replica_for_a_while(make_site, tmp_path: Path, server):
    """A running worker says so, and goes on by itself when it is master again."""
    with RedisServer(tmp_path / "redis") as own, own.client() as client:
        site = make_site(**own.settings)
        worker = site.work()
        site.ended(site.push("noop"))
        client.replicaof("127.0.0.1", own.port)
        eventually(lambda: "is a read-only replica" in worker.text, what="The complaint")
        client.replicaof("NO", "ONE")
        site.ended(site.push("noop"))
        assert worker.text.count("is a read-only replica") < 6
        assert "Traceback" not in worker.text


def test_a_full_server(make_site, tmp_path: Path):
    """Pushes are refused in a sentence, what was pushed before runs, and with room again pushes go on."""
    with RedisServer(tmp_path / "redis", maxmemory_policy="noeviction") as own, own.client() as client:
        site = make_site(**own.settings)
        waiting = [site.push("noop") for _ in range(20)]
        client.config_set("maxmemory", 1)
        refusal = site.run("push", "noop")
        assert refusal.returncode == 1
        assert "has no memory left" in refusal.stderr
        assert len(refusal.stderr.splitlines()) == 1
        worker = site.work()
        for job in waiting:
            site.ended(job)
        client.config_set("maxmemory", 0)
        site.ended(site.push("noop"))
        assert "Traceback" not in worker.text

"""What the Redis engine finds when it is examined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_queues.backend import build_backend
from flask_queues.errors import StorageUnavailable
from flask_queues.storage import Storage, storage_for
from flask_queues.storage.values import Finding, Severity
from flask_queues.testing.storage.processes import eventually
from tests.support.servers.cluster import Cluster
from tests.support.servers.redis_server import RedisServer

pytestmark = pytest.mark.servers


def opened(settings: dict[str, Any], wait: int = 0) -> Storage:
    """The storage of an application with these settings."""
    given = {name.removeprefix("QUEUES_"): value for name, value in settings.items()}
    return storage_for(build_backend(Flask(__name__), given), wait=wait)


def findings(server: Any, wait: int = 0) -> dict[str, Finding]:
    """What is found, by code; each says what and where."""
    found = opened(server.settings, wait).examine()
    assert all("{" not in one.problem for one in found)
    assert len({one.code for one in found}) == len(found)
    return {one.code: one for one in found}


@pytest.mark.parametrize(
    ("options", "code", "severity"),
    [
        ({}, "redis-persistence", Severity.LOSES),
        ({"save": "60 1"}, "redis-persistence", Severity.LOSES),
        ({"appendonly": "yes", "appendfsync": "no"}, "redis-fsync", Severity.LOSES),
        ({"appendonly": "yes"}, "redis-everysec", Severity.NOTE),
        ({"maxmemory": "100mb", "maxmemory_policy": "allkeys-lru"}, "redis-eviction", Severity.LOSES),
        ({"maxmemory_policy": "allkeys-lru"}, "redis-eviction", Severity.NOTE),
        ({"maxmemory": "1mb"}, "redis-memory", Severity.LOSES),
    ],
)
def test_what_may_cost_jobs_is_found(tmp_path: Path, options: dict[str, str], code: str, severity: Severity) -> None:
    """Each with its severity, the server's address and a fix."""
    with RedisServer(tmp_path, **options) as server:
        finding = findings(server)[code]
        assert finding.severity is severity
        assert str(server.port) in finding.problem
        assert finding.fix


def test_a_server_that_keeps_everything_has_nothing_but_its_promise(tmp_path: Path) -> None:
    """A policy that spares keys without an expiry harms no job."""
    options = {"appendonly": "yes", "appendfsync": "always", "maxmemory": "100mb", "maxmemory_policy": "volatile-lru"}
    with RedisServer(tmp_path, **options) as server:
        assert set(findings(server)) == {"redis-promise"}


def test_a_server_that_may_not_be_asked_is_unknown_and_not_fine(tmp_path: Path) -> None:
    """As hosted ones are."""
    with RedisServer(tmp_path, appendonly="yes") as server:
        with server.client() as client:
            client.acl_setuser("hosted", enabled=True, passwords=["+x"], keys=["*"], channels=["*"],
                               commands=["+@all", "-config"])  # fmt: skip
        settings = {
            "QUEUES_CACHE_TYPE": "RedisCache",
            "QUEUES_CACHE_REDIS_URL": f"redis://hosted:x@127.0.0.1:{server.port}",
        }
        assert {one.code for one in opened(settings).examine()} == {"redis-unknown", "redis-promise"}


def test_replicas_are_looked_at(tmp_path: Path) -> None:
    """Whether a master that is cut off would know it, and whether a push waits."""
    with RedisServer(tmp_path / "first", appendonly="yes") as server:
        assert "redis-wait" not in findings(server)
        with (
            RedisServer(tmp_path / "second", replicaof=f"127.0.0.1 {server.port}") as replica,
            replica.client() as client,
        ):
            eventually(lambda: client.info("replication")["master_link_status"] == "up", "the replica is in step")
            found = findings(server)
            assert found["redis-min-replicas"].severity is Severity.LOSES
            assert found["redis-wait"].severity is Severity.NOTE
            with server.client() as master:
                master.config_set("min-replicas-to-write", 1)
            assert not {"redis-wait", "redis-min-replicas"} & set(findings(server, wait=1))
            client.close()


def test_a_server_that_is_away_is_an_error(tmp_path: Path) -> None:
    """Nothing is known of it."""
    with RedisServer(tmp_path) as server:
        settings = server.settings
    with pytest.raises(StorageUnavailable, match="cannot be reached"):
        opened(settings).examine()


def test_a_cluster_is_told_of_as_one(tmp_path: Path) -> None:
    """What all nodes have in common is said once; a slot that nobody serves is found."""
    with Cluster(tmp_path, cluster_require_full_coverage="no") as cluster:
        found = findings(cluster)
        assert found["redis-persistence"].problem.count("127.0.0.1:") == 3
        assert "redis-slots" not in found
        storage = opened(cluster.settings)
        storage.counts()
        for node in cluster.nodes:
            node.do("CLUSTER DELSLOTS", 0)
        (missing,) = eventually(
            lambda: [one for one in storage.examine() if one.code == "redis-slots"], "the slot is missed"
        )
        assert "serves 1 of" in missing.problem
        with pytest.raises(StorageUnavailable, match="does not serve all its slots"):
            opened(cluster.settings)

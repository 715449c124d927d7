"""What the tests of the worker share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SERVERS = ("redis", "sentinel", "cluster", "memcached")
PLACES = ["file", "files", *(pytest.param(kind, marks=pytest.mark.servers) for kind in SERVERS)]


@pytest.fixture(params=PLACES)
def place(request, tmp_path: Path) -> dict[str, Any]:
    """The configuration of an empty place for jobs, on each kind of storage."""
    if request.param == "file":
        return {}
    if request.param == "files":
        return {"QUEUES_CACHE_TYPE": "FileSystemCache", "QUEUES_CACHE_DIR": str(tmp_path / "jobs")}
    settings: dict[str, Any] = request.getfixturevalue("servers").empty(request.param).settings
    return settings

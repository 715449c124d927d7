"""Fixtures that several folders of tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers.kinds import Servers, has_valkey
from tests.support.site import Site, sites


def pytest_report_header() -> str:
    """Say which engine nobody tries here."""
    return "Valkey: " + ("its engine is tried too" if has_valkey() else "left out, since no valkey-server is on PATH")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One server of each kind, for whoever leaves it whole; started when a test asks for it."""
    running = Servers(tmp_path_factory.mktemp("servers"))
    yield running
    running.close()


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make sample applications with these settings; what was started for them is killed at the end."""
    yield from sites(tmp_path)


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A sample application as it is without any settings but a short lease."""
    return make_site(QUEUES_LEASE=2)

"""Fixtures that several folders of tests share."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.servers.kinds import Servers, has_valkey
from tests.support.site import Site, sites

#: No example may take too long, and each run tries the same ones; what is to be found by chance, a long run finds.
settings.register_profile(
    "ours", deadline=None, derandomize="MODEL_STEPS" not in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ours")


def pytest_configure() -> None:
    """What tests start hears Ctrl-C and a hang-up, also where these tests themselves run in the background or by nohup.

    A signal that is ignored stays ignored in every program that is started; one that is taken does not.
    """
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


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

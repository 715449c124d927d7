"""Fixtures that several folders of tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.site import Site, sites


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make sample applications with these settings; what was started for them is killed at the end."""
    yield from sites(tmp_path)


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A sample application as it is without any settings but a short lease."""
    return make_site(QUEUES_LEASE=2)

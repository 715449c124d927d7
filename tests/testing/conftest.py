"""What the tests of the fake share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testing.shop import Shop, make_shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An application of this test's own."""
    return make_shop(tmp_path)

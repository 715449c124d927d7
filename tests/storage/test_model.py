"""Every engine against the model in memory; `MODEL_STEPS=1000000` takes so many steps on each."""

from __future__ import annotations

import pytest

from flask_queues.testing.storage import ModelContract
from flask_queues.testing.storage.machine import STEPS


@pytest.mark.timeout(0 if STEPS > 10_000 else 900)
class TestModel(ModelContract):
    """Random sequences of everything that a storage can do."""

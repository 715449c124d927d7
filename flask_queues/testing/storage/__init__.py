"""The contract of a storage engine as a suite of tests, for whoever writes an engine.

It needs pytest and Hypothesis: `pip install "flask-queues-panel[testing]"`. Say how your storage is
opened, and let pytest collect the suite:

    from flask_queues.testing.storage import Engine, StorageContract

    class MyEngine(Engine):
        name = "mine"

        def open(self):
            return MyStorage(self.place / "jobs")

        def become_newer(self):
            (self.place / "jobs" / "format").write_text("99")

    class TestMyStorage(StorageContract):
        @pytest.fixture
        def engine(self, tmp_path):
            return MyEngine(tmp_path)

Both stand on the top level of a module that other processes can import, since some tests start
some. The last test compares the storage with a model in memory, in 600 random steps;
`MODEL_STEPS=1000000` in the environment makes it a million.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{part}" for part in ("contract", "formats", "machine", "model", "moving", "processes"))
)

from .engine import Clock, Engine, FrozenClock  # noqa: E402 - after the registration above
from .suite import ModelContract, StorageContract  # noqa: E402

__all__ = ["Clock", "Engine", "FrozenClock", "ModelContract", "StorageContract"]

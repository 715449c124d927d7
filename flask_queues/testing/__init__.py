"""For tests: `queues.fake()` and what it offers; `flask_queues.testing.storage` is the suite for authors of engines.

The fixtures for pytest are in `pytest_flask_queues`, which pytest loads by itself.
"""

from ..errors import FakeError
from .clock import Clock
from .fake import Fake, fake
from .runner import Run

__all__ = ["Clock", "Fake", "FakeError", "Run", "fake"]

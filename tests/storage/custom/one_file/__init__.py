"""A storage engine as an application may write its own: every job in one JSON file, for many processes.

Each change takes a lock, reads the whole file, changes what it read, and puts a new file in the place
of the old one. So it is right before it is fast: an example of the contract in `flask_queues.storage.base`,
and good for some hundred jobs. `QUEUES_STORAGE = "one_file:OneFileStorage"` uses it.
"""

from .engine import OneFileStorage

__all__ = ["OneFileStorage"]

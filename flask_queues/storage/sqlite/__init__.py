"""The SQLite engine and the flask-caching backend it stands on."""

from .cache import SQLiteCache
from .engine import SQLiteStorage

__all__ = ["SQLiteCache", "SQLiteStorage"]

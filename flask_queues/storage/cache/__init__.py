"""The engine over any flask-caching backend: a log of transitions, replayed into memory by each process."""

from .engine import CacheStorage

__all__ = ["CacheStorage"]

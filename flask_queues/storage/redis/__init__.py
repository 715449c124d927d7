"""The engine on Redis, Redis Sentinel and Redis Cluster."""

from .engine import RedisStorage

__all__ = ["RedisStorage"]

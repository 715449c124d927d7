"""The `QUEUES_*` keys, each read and checked once."""

from .alertkeys import EVERY, Thresholds, thresholds_of
from .config import (
    CACHE_KEYS,
    CACHE_PREFIX,
    CHECKS,
    CREDENTIALS,
    PREFIX,
    QUEUE_NAME,
    QUEUE_NAME_RULE,
    RATE_RULE,
    Config,
    Rate,
    check_queue_name,
    check_queue_names,
    keys_of,
    release_of,
    shortened,
)
from .names import nearest
from .retentionkeys import ANY, Retention, read_retention

__all__ = [
    "ANY",
    "CACHE_KEYS",
    "CACHE_PREFIX",
    "CHECKS",
    "CREDENTIALS",
    "EVERY",
    "PREFIX",
    "QUEUE_NAME",
    "QUEUE_NAME_RULE",
    "RATE_RULE",
    "Config",
    "Rate",
    "Retention",
    "Thresholds",
    "check_queue_name",
    "check_queue_names",
    "keys_of",
    "nearest",
    "read_retention",
    "release_of",
    "shortened",
    "thresholds_of",
]

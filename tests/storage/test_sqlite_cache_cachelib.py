"""The tests that cachelib runs on its own caches, on SQLiteCache.

`scripts/cachelib_tests.py`, which `tests/run` calls, puts them into the environment; which there are
depends on the version of cachelib.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_queues import SQLiteCache

pytest.register_assert_rewrite("cachelib_tests")
pytest.importorskip("cachelib_tests", reason="tests/run fetches them; see scripts/cachelib_tests.py")


def mixins() -> Iterator[type]:
    """The mixins for any cache; those left out are for one kind of cache each."""
    for name in ("Clear", "Common", "Has"):
        yield mixin_of(name)
    for name in ("Serializer", "DeleteManyWithPrefix"):
        if importlib.util.find_spec(f"cachelib_tests.{module_of(name)}"):
            yield mixin_of(name)


def module_of(name: str) -> str:
    """The module of a mixin."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def mixin_of(name: str) -> type:
    """Import a mixin."""
    mixin: type = getattr(importlib.import_module(f"cachelib_tests.{module_of(name)}"), f"{name}Tests")
    return mixin


class OnSQLiteCache:
    """Makes the cache that the mixins ask for."""

    cache_factory: Callable[..., SQLiteCache]

    @pytest.fixture(autouse=True, params=["", "a prefix:"], ids=["without prefix", "with prefix"])
    def _caches(self, request: Any, tmp_path: Path) -> Iterator[None]:
        made: list[SQLiteCache] = []

        def factory(**options: Any) -> SQLiteCache:
            made.append(SQLiteCache(tmp_path, **{"key_prefix": request.param, **options}))
            return made[-1]

        self.cache_factory = factory
        yield
        for cache in made:
            cache.database.close()


for mixin in mixins():
    globals()[f"Test{mixin.__name__.removesuffix('Tests')}"] = type(
        f"Test{mixin.__name__.removesuffix('Tests')}", (OnSQLiteCache, mixin), {"__doc__": mixin.__doc__}
    )

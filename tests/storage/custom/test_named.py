"""`QUEUES_STORAGE`: how an application names an engine of its own, and what it is told when that is wrong."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache

from flask_queues import ConfigError, Queues, StorageUnavailable

#: What stands in the module `shop_storage`, beside the application.
MODULE = """
from pathlib import Path

from flask_queues.errors import StorageUnavailable
from flask_queues.storage import SQLiteStorage, Storage
from flask_queues.storage.sqlite.database import Database

not_a_class = 5


class NotAStorage:
    pass


class Unfinished(Storage):
    def describe(self):
        return "half of it"


class Whole(SQLiteStorage):
    @classmethod
    def from_app(cls, app):
        return cls(Database(Path(app.config["SHOP_JOBS"])))


class Plain(Whole):
    def __init__(self):
        super().__init__(Database(Path("plain.sqlite3")))

    from_app = classmethod(Storage.from_app.__func__)


class Raises(Whole):
    @classmethod
    def from_app(cls, app):
        raise KeyError("SHOP_JOBS")


class Away(Whole):
    @classmethod
    def from_app(cls, app):
        raise StorageUnavailable("The shop's storage is being repaired.")


class Forgets(Whole):
    @classmethod
    def from_app(cls, app):
        cls(Database(Path("x")))
"""
_names = (f"shop_storage_{n}" for n in itertools.count())


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that holds `MODULE` and can be imported."""
    name = next(_names)
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def queues_of(tmp_path: Path, **config: Any) -> Queues:
    """Set an application up with this configuration."""
    app = Flask("shop", instance_path=str(tmp_path))
    app.config |= config
    return Queues(app)


def test_a_storage_of_the_application_s_own_holds_its_jobs(tmp_path: Path, module: str) -> None:
    """The class makes itself from the application, whose configuration holds its settings."""
    queues = queues_of(tmp_path, QUEUES_STORAGE=f"{module}:Whole", SHOP_JOBS=str(tmp_path / "mine.db"))
    assert queues.counts().statuses["pending"] == 0
    assert (tmp_path / "mine.db").exists()
    assert type(queues.manager.storage).__name__ == "Whole"
    queues.manager.storage.close()


def test_a_class_that_needs_nothing_is_called_without_arguments(tmp_path: Path, module: str) -> None:
    """`from_app` is there for those who have settings."""
    queues = queues_of(tmp_path, QUEUES_STORAGE=f"{module}:Plain")
    assert "plain.sqlite3" in queues.manager.storage.describe()


def test_setting_up_imports_nothing(tmp_path: Path) -> None:
    """The module is imported with the first use: it may itself import the application."""
    queues = queues_of(tmp_path, QUEUES_STORAGE="nowhere.at_all:Storage")
    with pytest.raises(ConfigError, match=r"the module nowhere.at_all cannot be imported: ModuleNotFoundError"):
        queues.counts()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Missing", r"the module shop_storage_\d+ has no Missing"),
        ("not_a_class", "not_a_class is not a subclass of flask_queues.storage.Storage"),
        ("NotAStorage", "NotAStorage is not a subclass"),
        (
            "Unfinished",
            r"Unfinished lacks cancel, change_options, .*; flask_queues.storage.base says what each has to do",
        ),
        ("Raises", "Raises.from_app raised KeyError: 'SHOP_JOBS'"),
        ("Forgets", "Forgets.from_app returned NoneType, which is no Storage"),
    ],
)
def test_a_class_that_cannot_hold_jobs_is_refused_with_the_reason(
    tmp_path: Path, module: str, name: str, said: str
) -> None:
    """Each sentence names the setting and what is wrong with the class."""
    queues = queues_of(tmp_path, QUEUES_STORAGE=f"{module}:{name}")
    with pytest.raises(ConfigError, match=said) as caught:
        queues.counts()
    assert str(caught.value).startswith(f"QUEUES_STORAGE = '{module}:{name}': ")


def test_a_module_that_breaks_while_imported_is_told_by_its_error(tmp_path: Path, module: str) -> None:
    """The reason is the module's own."""
    (tmp_path / f"{module}.py").write_text("raise RuntimeError('no licence')")
    queues = queues_of(tmp_path, QUEUES_STORAGE=f"{module}:Whole")
    with pytest.raises(ConfigError, match="cannot be imported: RuntimeError: no licence"):
        queues.counts()


def test_what_a_storage_says_of_itself_is_not_hidden(tmp_path: Path, module: str) -> None:
    """An error of ours goes through as it is."""
    queues = queues_of(tmp_path, QUEUES_STORAGE=f"{module}:Away")
    with pytest.raises(StorageUnavailable, match="is being repaired"):
        queues.counts()


@pytest.mark.parametrize("value", ["", "shop.storage", "shop.storage:", ":Storage", "shop-storage:S", "a:b:c", 5, dict])
def test_what_does_not_name_a_class_is_refused_at_once(tmp_path: Path, value: object) -> None:
    """The form is checked when the application is set up."""
    with pytest.raises(ConfigError, match=r"QUEUES_STORAGE = .* it takes package.module:Class"):
        queues_of(tmp_path, QUEUES_STORAGE=value)


def test_jobs_are_kept_in_one_place(tmp_path: Path) -> None:
    """A cache and a storage at once contradict each other."""
    with pytest.raises(ConfigError, match="QUEUES_STORAGE and QUEUES_CACHE_DIR are both set"):
        queues_of(tmp_path, QUEUES_STORAGE="a:B", QUEUES_CACHE_DIR="/x")
    app = Flask("shop", instance_path=str(tmp_path))
    app.config["QUEUES_STORAGE"] = "a:B"
    with pytest.raises(ConfigError, match="was given a cache, but QUEUES_STORAGE names another place"):
        Queues(app, cache=Cache(config={"CACHE_TYPE": "SimpleCache"}))

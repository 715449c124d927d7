"""`python -m flask_queues.health PLACE`: the check where the application is not to be imported, as in a container."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any, cast

import click
from flask import Flask

from ..backend import storage_of
from ..config import Config
from ..errors import ConfigError
from ..storage import Storage
from . import Demands, check, fields, lines


@click.command()
@click.argument("place", envvar="QUEUES_PLACE")
@click.option("--app", "name", help="With Redis: the name of the Flask application.")
@click.option("--prefix", help="With Redis: QUEUES_CACHE_KEY_PREFIX, where that is set.")
@click.option("--silence", type=click.FloatRange(min=1), default=30.0, show_default=True, help="The workers' lease.")
@click.option("--max-wait", type=click.FloatRange(min=0), help="Seconds that a job may wait.")
@click.option("--here", is_flag=True, help="Only workers of this host count.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    place: str, name: str | None, prefix: str | None, silence: float, max_wait: float | None, here: bool, as_json: bool
) -> None:
    """Tell whether jobs are being run; exit code 0 if so, 1 if not.

    PLACE is the SQLite file of the jobs or the URL of a Redis. It may be in QUEUES_PLACE instead, where nobody sees
    a password.
    """
    demands = Demands(silence, max_wait, socket.gethostname() if here else None)
    health = check(lambda: storage_at(place, name, prefix), demands)
    if as_json:
        click.echo(json.dumps(fields(health), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(lines(health)))
    sys.exit(0 if health.good else 1)


def storage_at(place: str, name: str | None, prefix: str | None) -> Storage:
    """Make the storage that is at a place; nothing is begun where there is none."""
    if "://" in place:
        return redis_at(place, name, prefix)
    path = Path(place)
    if not path.is_file():
        raise ConfigError(f"There is no file {path}. Name that of the jobs: queues.sqlite3 in the instance folder.")
    return sqlite_at(path)


def redis_at(url: str, name: str | None, prefix: str | None) -> Storage:
    """The storage of an application in a Redis; a wrong name must not take keys that nobody has yet."""
    if not name:
        raise ConfigError("Name the Flask application whose jobs are in that Redis: --app NAME.")
    settings = {"QUEUES_CACHE_TYPE": "RedisCache", "QUEUES_CACHE_REDIS_URL": url}
    if prefix:
        settings["QUEUES_CACHE_KEY_PREFIX"] = prefix
    storage: Any = storage_of(Flask(name), Config.read(settings))
    if not storage.begun():
        raise ConfigError(
            f"Nothing of the application {name} is in {storage.describe()}. Start its worker, or name it with --app "
            "and --prefix as it is configured."
        )
    return cast("Storage", storage)


def sqlite_at(path: Path) -> Storage:
    """The storage in a file of any name."""
    from ..storage.sqlite.database import Database
    from ..storage.sqlite.engine import SQLiteStorage

    return SQLiteStorage(Database(path))


if __name__ == "__main__":
    main()

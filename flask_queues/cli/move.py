"""`flask queues move`: everything from one storage to another."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from flask import Config as FlaskConfig
from flask.cli import with_appcontext

from ..config import CACHE_PREFIX, Config
from ..errors import ConfigError
from ..manager import Manager
from ..moving import move as loads
from .jobs import NOTHING_MATCHED, this_manager

SETTING = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)


@click.command()
@click.option("--to", "to", multiple=True, metavar="SETTING", help="Where to: KEY=VALUE, or a configuration file.")
@click.option("--from", "from_", multiple=True, metavar="SETTING", help="Where from, instead of where to.")
@click.option("--while-working", is_flag=True, help="Although workers run there; they keep what they have in hand.")
@with_appcontext
def move(to: tuple[str, ...], from_: tuple[str, ...], while_working: bool) -> None:
    """Move all jobs and schedules from one storage to another.

    One is the application's own, the other is named by the settings that would make it so:

    \b
      flask queues move --to QUEUES_CACHE_TYPE=RedisCache \\
                        --to QUEUES_CACHE_REDIS_URL=redis://host:6379/0
      flask queues move --to production.cfg

    Jobs keep their ids, their place in line, history, log and result. Stop the workers, move, change
    the configuration to these settings, restart the application, start the workers. What was pushed
    to the old storage until then follows with --from and the settings that were.

    A kill or an error loses and doubles nothing: run the same command again. Until then, the jobs
    that were on their way (100 at most) are in neither storage's lines.
    """
    if bool(to) == bool(from_):
        raise click.UsageError(
            "Say where to with --to, or where from with --from. The other is where the application is now."
        )
    here = this_manager()
    there = elsewhere(here, settings_of(to or from_))
    source, target = (here, there) if to else (there, here)
    for manager in (source, target):
        refuse_private(manager)
    if not while_working:
        refuse_workers(source)
    refuse_open_batches(source)
    refuse_too_many(source, target)
    source.rescuer.rescue()
    click.echo(f"From {source.storage.describe()} to {target.storage.describe()}.", err=True)
    moved, schedules = with_bar(source, target)
    tell(source, moved, schedules)


def settings_of(given: Sequence[str]) -> dict[str, Any]:
    """Read settings as they were given: `KEY=VALUE`, whose value may be JSON, or files as Flask reads them."""
    settings = FlaskConfig(Path.cwd())
    for one in given:
        if match := SETTING.fullmatch(one):
            settings[match[1]] = value_of(match[2])
            continue
        try:
            settings.from_pyfile(one)
        except Exception as error:
            raise click.UsageError(f"{one} is neither KEY=VALUE nor a configuration file: {error}.") from error
    return dict(settings)


def value_of(text: str) -> Any:
    """Read a value as Flask reads those of environment variables: as JSON where it is some."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def elsewhere(manager: Manager, settings: dict[str, Any]) -> Manager:
    """Return the queues of the same application, were its jobs kept where these settings say."""
    app = copy.copy(manager.app)
    kept = {
        key: value
        for key, value in manager.app.config.items()
        if not key.startswith(CACHE_PREFIX) and key != "QUEUES_STORAGE"
    }
    app.config = app.make_config()
    app.config.clear()
    app.config.update({**kept, **settings})
    return Manager(app, Config.read(app.config), manager.jobs)


def refuse_private(manager: Manager) -> None:
    """Refuse a storage that ends with this process."""
    if not manager.storage.shared:
        raise ConfigError(
            f"{manager.storage.describe()} is private to one process: nothing can be moved there, or back."
        )


def refuse_workers(source: Manager) -> None:
    """Refuse to take jobs away from under workers; one that was killed has gone when its lease is over."""
    now = source.now()
    working = [worker for worker in source.workers() if worker.silence(now) <= source.config.lease]
    if working:
        names = ", ".join(f"{worker.host} {worker.pid}" for worker in working)
        raise ConfigError(
            f"Workers run on {source.storage.describe()}: {names}. Stop them first, or move --while-working. "
            f"One that was killed counts as stopped after {source.config.lease:g} s."
        )


def refuse_open_batches(source: Manager) -> None:
    """Refuse to part batches from what counts them."""
    if closed := source.batches.closed():
        raise ConfigError(
            f"{number_of(len(closed), 'batch', 'batches')} on {source.storage.describe()} not over yet, and no key of "
            f"QUEUES_ENCRYPTION_KEYS opens what is kept of {'it' if len(closed) == 1 else 'them'}: "
            f"{', '.join(closed[:3])}{'…' if len(closed) > 3 else ''}. Put the key back, or, where it is gone "
            f"for good, forget each: flask queues batches {closed[0]} --give-up"
        )
    if number := source.batches.open():
        raise ConfigError(
            f"{number_of(number, 'batch', 'batches')} on {source.storage.describe()} not over yet, and batches do not "
            "move: wait for them, or cancel them first."
        )


def refuse_too_many(source: Manager, target: Manager) -> None:
    """Refuse to fill a storage with more than it is made for, where every process would be slow and large for ever."""
    limit = target.storage.made_for
    if limit is None:
        return
    total = source.storage.on_the_way() + sum(sum(one.counts().statuses.values()) for one in (source, target))
    if total > limit:
        raise ConfigError(
            f"{target.storage.describe()} is made for up to {limit:,} jobs, and there would be {total:,}. Move to "
            "SQLite or Redis, or delete ended jobs first: flask queues clear --hours 24"
        )


def with_bar(source: Manager, target: Manager) -> tuple[int, int]:
    """Move with a progress bar; returns how many jobs and schedules that were."""
    jobs = schedules = 0
    counts = source.counts().statuses
    total = sum(counts.values()) - counts["running"] + source.storage.on_the_way()
    with click.progressbar(length=total, label="Moving", file=sys.stderr) as bar:
        for load in loads(source.storage, target.storage):
            jobs += len(load.jobs)
            schedules += len(load.schedules)
            bar.update(len(load.jobs))
    return jobs, schedules


def tell(source: Manager, jobs: int, schedules: int) -> None:
    """Say what was moved, and what has stayed."""
    running = source.counts().statuses["running"]
    if jobs or schedules:
        click.echo(f"{number_of(jobs, 'job')} and {number_of(schedules, 'schedule')} moved.")
    if running:
        stayed = f"{number_of(running, 'job')} stayed, still running"
        raise ConfigError(f"{stayed}. Run the same command again when the old workers have ended.")
    if not jobs and not schedules:
        click.echo("There was nothing to move.", err=True)
        sys.exit(NOTHING_MATCHED)


def number_of(count: int, word: str, words: str = "") -> str:
    """A count with its word."""
    return f"{count:,} {word if count == 1 else words or f'{word}s'}"

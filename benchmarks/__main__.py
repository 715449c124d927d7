"""The command: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .caches import MEASURES as IN_CACHES
from .limits import MEASURES as OF_LIMITS
from .machine import describe
from .measures import MEASURES as ON_SQLITE
from .measures import Settings
from .panel import MEASURES as OF_PANEL
from .picture import draw
from .redis.measures import MEASURES as ON_REDIS
from .rounds import Group
from .schedules import MEASURES as OF_SCHEDULES
from .table import table
from .together import MEASURES as TOGETHER
from .watching import MEASURES as OF_WATCHING

MEASURES: dict[str, Callable[[Settings], Group | list[Group]]] = {
    **ON_SQLITE, **OF_SCHEDULES, **OF_LIMITS, **ON_REDIS, **IN_CACHES, **OF_PANEL, **OF_WATCHING, **TOGETHER
}  # fmt: skip
#: Words for several of them.
WHOLES = {
    "sqlite": [*ON_SQLITE, *OF_SCHEDULES, *OF_LIMITS],
    "redis": list(ON_REDIS),
    "caches": list(IN_CACHES),
    "together": list(TOGETHER),
}


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    what = f"what to measure: {', '.join(WHOLES)}, or some of {', '.join(MEASURES)}; default: all"
    made.add_argument("measures", nargs="*", metavar="NAME", help=what)
    made.add_argument(
        "--quick", action="store_true", help="a minute instead of a quarter of an hour; figures are rough"
    )
    made.add_argument("--jobs", type=int, help="jobs that are pushed and drained in a round")
    made.add_argument("--rounds", type=int, help="how often each contender has its turn")
    made.add_argument("--stored", type=int, help="jobs that are stored where the cost of a large store is measured")
    made.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON, too")
    made.add_argument("--picture", type=Path, metavar="FILE", help="draw it, as SVG or PNG")
    made.add_argument(
        "--folder", type=Path, help="where the databases are made; default: the system's temporary folder"
    )
    made.add_argument("--seed", type=int, default=4, help="of the pauses between pushes to an idle worker")
    return made


def main(arguments: list[str]) -> int:
    """Measure what is asked for."""
    options = parser().parse_args(arguments)
    names = [part for name in options.measures or WHOLES for part in WHOLES.get(name, [name])]
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        parser().error(f"there is no measurement {unknown[0]}; there are {', '.join(MEASURES)}")
    if sys.platform == "win32":
        parser().error("the workers that are measured need an operating system that can fork")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="benchmarks-") as folder:
        settings = settings_of(options, Path(folder))
        machine = describe(settings.folder)
        print("\n".join(f"{name}: {value}" for name, value in machine.items()))
        groups: list[Group] = []
        for name in names:
            made = MEASURES[name](settings)
            for group in made if isinstance(made, list) else [made]:
                groups.append(group)
                print(f"\n{table(group)}", flush=True)
    if options.picture:
        draw(groups, ", ".join(f"{name} {value}" for name, value in machine.items()), options.picture)
    if options.json:
        options.json.write_text(json.dumps(report(machine, settings, groups), indent=2, ensure_ascii=False) + "\n")
    return 0


def settings_of(options: argparse.Namespace, folder: Path) -> Settings:
    """Take what was asked for, else what a full or a quick run needs."""
    quick = options.quick
    return Settings(
        jobs=options.jobs or (2_000 if quick else 10_000),
        rounds=options.rounds or (2 if quick else 5),
        stored=options.stored or (50_000 if quick else 1_000_000),
        pushes=30 if quick else 200,
        seed=options.seed,
        folder=folder,
        say=say,
    )


def say(line: str) -> None:
    """Tell somebody who watches how far it is."""
    print(f"\r\x1b[2K  {line}\r" if sys.stderr.isatty() else f"  {line}\n", end="", file=sys.stderr, flush=True)


def report(machine: dict[str, Any], settings: Settings, groups: list[Group]) -> dict[str, Any]:
    """Gather everything for a program."""
    return {
        "machine": machine,
        "settings": {"jobs": settings.jobs, "rounds": settings.rounds, "stored": settings.stored},
        "groups": [group.as_json() for group in groups],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

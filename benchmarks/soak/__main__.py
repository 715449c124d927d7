"""The command: `python -m benchmarks.soak`."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from redis import Redis as Client
from redis import RedisError

from flask_queues import QueuesError
from flask_queues.storage.sqlite.cache import FILE_NAME

from ..machine import describe
from .fleet import Fleet, Redis
from .ledger import FOLDER, Balance, gaps
from .watch import Watch, size_of
from .work import RATE, RETENTION, SCHEDULES, URL, WARM_UP, Pusher, create_app, queues

#: Seconds between two measurements, between two blows, between two restarts of the server, of one of those.
LOOK = 3.0
BLOW = (2.0, 8.0)
RESTART = (30.0, 70.0)
PAUSE = (0.5, 3.0)
#: Seconds after which what waits is not going to run any more.
PATIENCE = 180.0
SHOWN = 20
#: Outages, one right after another, before anything is measured; numbers of jobs that nothing has later.
OUTAGES = 12
BEFORE = 100_000_000


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=sys.modules["benchmarks.soak"].__doc__)
    made.add_argument("storage", choices=("sqlite", "redis"), help="redis starts a server of its own")
    made.add_argument("--minutes", type=float, default=30, help="how long (30)")
    made.add_argument("--workers", type=int, default=4, help="workers, of which the first is spared (4)")
    made.add_argument("--rate", type=int, default=30, help="jobs a second that are pushed one by one (30)")
    made.add_argument("--retention", type=float, default=60, help="seconds for which ended jobs are kept (60)")
    made.add_argument("--seed", type=int, default=9, help="of what breaks, and when")
    made.add_argument("--folder", type=Path, help="where everything is kept; default: a temporary one")
    return made


def main(arguments: list[str]) -> int:
    """Soak, and report."""
    options = parser().parse_args(arguments)
    if options.workers < 2:
        parser().error("one worker is spared: at least two are needed")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="soak-") as folder:
        soak = Soak(options, Path(folder))
        soak.run()
        print("\n".join(soak.report()), flush=True)
        return 1 if soak.faults else 0


class Soak:
    """One run."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._chance = random.Random(options.seed)
        self._watch = Watch(folder)
        self._began = time.monotonic()
        self._machine = describe(folder)
        #: What must not be.
        self.faults: list[str] = []
        self._server = Redis(place) if (place := self._server_folder()) else None
        surroundings = {
            FOLDER: str(folder),
            RETENTION: str(options.retention),
            RATE: str(options.rate),
            URL: self._server.url if self._server else "",
        }
        os.environ.update(surroundings)
        self._app = create_app()
        self._fleet = Fleet(folder, surroundings, options.workers, self._chance)

    def _server_folder(self) -> Path | None:
        if self._options.storage != "redis":
            return None
        place = self._folder / "redis"
        place.mkdir()
        return place

    def run(self) -> None:
        """Break things for as long as was asked for, then let everything finish."""
        try:
            self._warm_up()
            self._fleet.complete()
            self._began = time.monotonic()
            self._break_things(self._options.minutes * 60)
            self._finish()
        finally:
            self._fleet.stop()
            self._app.extensions["queues"].storage.close()
            if self._server is not None:
                self._server.stop()
        self._length = time.monotonic() - self._began
        self._judge()

    def _warm_up(self) -> None:
        """Let the spared worker run more at once than it ever will again, so that it has what it needs of memory.

        Else the measured time begins while each larger burst than all before still makes its processes hold more.
        """
        with self._app.app_context():
            Pusher(0, BEFORE).warm_up()
            for _ in range(OUTAGES if self._server is not None else 0):
                self._restart()
                time.sleep(self._chance.uniform(*PAUSE))
            self._drain()
        self._warm = self._at
        say(self._warm, "warm")

    def _drain(self) -> int:
        """Wait until nothing waits; returns how much does in the end."""
        until = time.monotonic() + PATIENCE
        while (left := waiting()) and time.monotonic() < until:
            time.sleep(0.2)
        return left

    def _break_things(self, length: float) -> None:
        """Take turns at looking, at striking a worker and at restarting the server."""
        turns: list[tuple[Callable[[], object], tuple[float, float]]] = [
            (self._look, (LOOK, LOOK)),
            (lambda: say(self._at, self._fleet.strike()), BLOW),
        ]
        if self._server is not None:
            turns.append((self._restart, RESTART))
        times = [self._at + self._chance.uniform(*apart) for _, apart in turns]
        while self._at < length:
            turn = times.index(min(times))
            act, apart = turns[turn]
            time.sleep(max(0.0, times[turn] - self._at))
            act()
            times[turn] = self._at + self._chance.uniform(*apart)
        self._measured = self._at

    @property
    def _at(self) -> float:
        return time.monotonic() - self._began

    def _restart(self) -> None:
        assert self._server is not None
        done = self._server.restart(self._chance.uniform(*PAUSE))
        self._fleet.blows[done] += 1
        say(self._at, done)

    def _look(self) -> None:
        at = self._at
        self._watch.look(at, self._fleet.processes())
        if self._server is None:
            file = self._folder / FILE_NAME
            self._watch.add("database", "MB", at, size_of(file))
            self._watch.add("write-ahead log", "MB", at, size_of(file.with_name(f"{FILE_NAME}-wal")))
        else:
            self._watch.add("server, used_memory", "MB", at, used(self._server.url))
            self._watch.add("append-only files", "MB", at, size_of(self._server.folder / "appendonlydir"))
        with suppress(QueuesError), self._app.app_context():
            self._watch.add("jobs stored", "", at, sum(queues.counts().statuses.values()))
            self._watch.add("jobs and batches not ended", "", at, waiting())
        self.faults += [fault for fault in self._fleet.fallen() if fault not in self.faults]

    def _finish(self) -> None:
        """Push no more, and wait until nothing waits."""
        self._fleet.stop_pushing()
        with self._app.app_context():
            for schedule in SCHEDULES:
                queues.scheduler.pause(schedule)
            if left := self._drain():
                self.faults.append(f"{left} jobs or batches still wait after {PATIENCE:.0f} s")
            self._failed = queues.counts().statuses["failed"]
        say(self._at, "all is done")

    def _judge(self) -> None:
        """What is missing is a fault, and so is a job that has failed: none does for good here."""
        self._balance = Balance(self._folder)
        missing = self._balance.missing
        if missing:
            self.faults.append(f"{len(missing)} missing: {', '.join(missing[:SHOWN])}")
        for schedule, apart in SCHEDULES.items():
            lost = gaps(self._balance.fired(schedule), apart)
            if lost:
                self.faults.append(f"the schedule {schedule} has left out {lost} occurrences")
        if self._failed:
            self.faults.append(f"{self._failed} jobs have failed for good")
        self.faults += self._watch.leaks(self._measured)

    def report(self) -> list[str]:
        """Everything, for a person."""
        balance, options = self._balance, self._options
        promised = ", ".join(f"{n:,} {kind}" for kind, n in balance.promises.items())
        fired = ", ".join(f"{name} {len(balance.fired(name))}" for name in SCHEDULES)
        again = sum(times - 1 for times in balance.occurrences.values())
        return [
            f"Soak of {self._measured / 60:.1f} minutes on {options.storage}: {options.workers} workers, "
            f"{options.rate} jobs a second and more, kept for {options.retention:.0f} s, seed {options.seed}",
            ", ".join(f"{name} {value}" for name, value in self._machine.items()),
            f"before that {self._warm:.0f} s in which one worker ran "
            + ", ".join(f"{n:,} {kind}" for kind, n in WARM_UP.items()),
            "",
            f"acknowledged: {promised}; {self._fleet.refused()} pushes refused",
            f"runs that were due: {balance.expected:,}; missing: {len(balance.missing)}; "
            f"run once more after a kill: {balance.twice}",
            f"occurrences run: {fired}; once more: {again}",
            "broken on purpose: " + ", ".join(f"{n} {blow}" for blow, n in sorted(self._fleet.blows.items())),
            "",
            *self._watch.table(self._measured),
            "",
            "the most of any process: "
            + "; ".join(
                f"{role} {self._watch.most_memory[role]:.1f} MB, {self._watch.most_files[role]} descriptors"
                for role in sorted(self._watch.most_memory)
            ),
            "",
            *(f"FAULT: {fault}" for fault in self.faults),
            "FAULTS" if self.faults else "No job lost.",
        ]


def waiting() -> int:
    """How many jobs and batches have not ended."""
    statuses = queues.counts().statuses
    return sum(statuses[name] for name in ("pending", "running", "scheduled")) + queues.batches.open()


def used(url: str) -> float | None:
    """Megabytes that the server holds; None while it does not answer."""
    try:
        with Client.from_url(url) as client:
            told = client.info("memory")
    except RedisError:
        return None
    return float(told["used_memory"] - told["mem_clients_normal"] - told["mem_aof_buffer"]) / 1e6


def say(at: float, what: str) -> None:
    """Tell somebody who watches."""
    print(f"  {at:6.0f} s  {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

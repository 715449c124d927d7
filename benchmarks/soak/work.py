"""The application of the soak: jobs that note that they ran, and what pushes them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

from flask import Flask

from flask_queues import GatheredJob, Queues, QueuesError, current_job
from flask_queues.signals import child_started

from .ledger import BORN, DONE, FOLDER, PROMISED, note
from .used import answer_asked, tell

#: Where Redis is; without it the jobs are on SQLite, in the folder of the ledger.
URL = "SOAK_REDIS"
#: Seconds for which ended jobs are kept.
RETENTION = "SOAK_RETENTION"
#: Jobs that are pushed in a second, one by one.
RATE = "SOAK_RATE"

LINKS, MEMBERS, GATHERED = 5, 200, 10
#: What is pushed before anything is measured, of each kind.
WARM_UP = {"job": 40_000, "chain": 4_000, "batch": 150, "gathered": 10_000}
SLICE = 50
#: By name, how far apart the occurrences of each schedule are.
SCHEDULES = {"second": timedelta(seconds=1), "seven": timedelta(seconds=7), "minute": timedelta(minutes=1)}
#: Nothing fails for good here: what is killed again and again is still run.
OFTEN = {"tries": 200, "backoff": 0.5}

queues = Queues()


@queues.job("soak:job", **OFTEN)
def job(number: int, text: str, brisk: bool = False) -> int:
    """Take a moment, now and then a longer one, or fail the first time."""
    current_job.log("info", "Begun", number=number)
    if number % 40 == 0 and current_job.attempt == 1:
        raise RuntimeError("not the first time")
    if not brisk:
        time.sleep(0.3 if number % 100 == 1 else 0.002)
    note(DONE, "job", number)
    return len(text)


@queues.job("soak:link", queue="chains", **OFTEN)
def link(chain: int, n: int, before: int | None = None) -> int:
    """Be one of a chain, and get what the one before returned."""
    if n and before != n - 1:
        raise RuntimeError(f"link {chain}.{n} got {before}")
    note(DONE, "link", f"{chain}.{n}")
    return n


@queues.job("soak:member", queue="batches", **OFTEN)
def member(batch: int, n: int) -> None:
    """Be one of a batch."""
    note(DONE, "member", f"{batch}.{n}")


@queues.job("soak:report", **OFTEN)
def report(word: str, batch: int) -> None:
    """Be the callback of a batch."""
    note(DONE, word, batch)


@queues.register
class Gathered(GatheredJob):
    """Come with others."""

    type = "soak:gathered"
    window = 1
    tries = 200
    backoff = 0.5

    def key(self, payload: dict[str, Any]) -> int:
        """Two lists."""
        return int(payload["number"]) % 2

    def handle(self, payloads: list[dict[str, Any]]) -> None:
        """Note each."""
        for payload in payloads:
            note(DONE, "gathered", payload["number"])


@queues.job("soak:occurrence", **OFTEN)
def occurrence(schedule: str) -> None:
    """Note when it was due."""
    assert current_job.occurrence is not None
    note(DONE, "occurrence", schedule, current_job.occurrence.isoformat())


for name, apart in SCHEDULES.items():
    when = "* * * * *" if name == "minute" else apart
    queues.schedule(when, occurrence, {"schedule": name}, name=name, overlap=True, catch_up="all")


@child_started.connect
def note_birth(_app: Flask, *, keeper: bool, **_more: object) -> None:
    """Say what this process is."""
    note(BORN, os.getpid(), "keeper" if keeper else "child")
    tell()


def create_app() -> Flask:
    """Make the application that the environment describes."""
    app = Flask("soak")
    hours = float(os.environ[RETENTION]) / 3600
    app.config.update(QUEUES_RETENTION_COMPLETED=hours, QUEUES_RETENTION_FAILED=hours, QUEUES_LEASE=10)
    if os.environ.get(URL):
        app.config.update(QUEUES_CACHE_TYPE="RedisCache", QUEUES_CACHE_REDIS_URL=os.environ[URL])
    else:
        app.config["QUEUES_CACHE_DIR"] = os.environ[FOLDER]
    queues.init_app(app)
    answer_asked()  # what is forked from here answers, too
    return app


class Pusher:
    """Pushes for as long as it is let, and notes what was acknowledged."""

    def __init__(self, rate: int, first: int = 1) -> None:
        self._rate = rate
        self._numbers = count(first)
        self.stopping = False
        self.refused = 0

    def stop(self, *_: object) -> None:
        """Stop after this second."""
        self.stopping = True

    def push(self) -> None:
        """A second's worth, each second."""
        for beat in count():
            if self.stopping:
                return
            until = time.monotonic() + 1
            self._beat(beat)
            while (left := until - time.monotonic()) > 0 and not self.stopping:
                time.sleep(left)

    def warm_up(self) -> None:
        """Push at once more of everything than ever waits later, so that whoever runs it needs no more then."""
        for kind, times in WARM_UP.items():
            for _ in range(0, times, SLICE):
                if kind in ("job", "gathered"):
                    self._many(kind)
                else:
                    for _ in range(SLICE):
                        self._one(kind)

    def _many(self, kind: str) -> None:
        """Push a slice of jobs, or of payloads that are gathered, and note them."""
        numbers = [next(self._numbers) for _ in range(SLICE)]
        if kind == "job":
            queues.push_many([(job, {"number": n, "text": "x" * 100, "brisk": True}) for n in numbers])
        else:
            queues.push_many([(Gathered, {"number": n}) for n in numbers])
        for n in numbers:
            note(PROMISED, kind, n)

    def _one(self, kind: str) -> None:
        """Push one of a kind and note it."""
        if kind == "chain":
            self._promise(kind, self._chain, LINKS)
        elif kind == "batch":
            self._promise(kind, self._batch, MEMBERS)
        elif kind == "gathered":
            self._promise(kind, lambda n: queues.push(Gathered, {"number": n}))
        else:
            self._promise(kind, lambda n: queues.push(job, {"number": n, "text": "x" * 100}))

    def _beat(self, beat: int) -> None:
        for _ in range(self._rate):
            self._one("job")
        self._one("chain")
        for _ in range(GATHERED):
            self._one("gathered")
        if beat % 10 == 5:
            self._one("batch")

    def _promise(self, kind: str, push: Callable[[int], object], *size: int) -> None:
        number = next(self._numbers)
        try:
            push(number)
        except QueuesError:  # nobody has promised anything; it may have been stored all the same
            self.refused += 1
            time.sleep(0.05)
        else:
            note(PROMISED, kind, number, *size)

    @staticmethod
    def _chain(number: int) -> object:
        chain = queues.chain([(link, {"chain": number, "n": 0})])
        for n in range(1, LINKS):
            chain.then(link, {"chain": number, "n": n}, result_as="before")
        return chain.push()

    @staticmethod
    def _batch(number: int) -> object:
        members = ((member, {"batch": number, "n": n}) for n in range(MEMBERS))
        batch = queues.batch(members, name=f"Batch {number}")
        batch.then(report, {"word": "then", "batch": number}).finally_(report, {"word": "finally", "batch": number})
        return batch.push()


def main() -> int:
    """Push until told to stop."""
    pusher = Pusher(int(os.environ[RATE]))
    signal.signal(signal.SIGTERM, pusher.stop)
    with create_app().app_context():
        pusher.push()
    print(pusher.refused)
    return 0


if __name__ == "__main__":
    sys.exit(main())

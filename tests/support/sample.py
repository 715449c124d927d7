"""The application that workers under test run; copied into a folder of its own for each test.

What jobs did is written to `runs.txt` beside it, a line at a time with O_APPEND, so that a killed
process leaves what it wrote: the job's id, its attempt, the pid, a word.
"""

import asyncio
import contextvars
import fcntl
import functools
import json
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from blinker import NamedSignal
from flask import Flask, current_app, g, request

from flask_queues import (
    Breaker,
    Discard,
    GatheredJob,
    Job,
    JobRecord,
    Queues,
    RateLimited,
    Retry,
    StorageError,
    current_job,
    signals,
)

HERE = Path(__file__).resolve().parent
SETTINGS = HERE / "settings.json"

# One name in all processes, however each of them imports this: it tells the application's jobs from those of others.
app = Flask("sample", root_path=str(HERE), instance_path=str(HERE / "instance"))
app.config |= json.loads(SETTINGS.read_text()) if SETTINGS.exists() else {}
queues = Queues(app)
if app.config.get("SAMPLE_SENTRY"):
    import sentry_sdk

    sentry_sdk.init(dsn=app.config["SAMPLE_SENTRY"])

if app.config.get("SAMPLE_TRACES"):
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    spans = (HERE / "spans.txt").open("a")
    exporter = ConsoleSpanExporter(out=spans, formatter=lambda span: span.to_json(indent=None) + "\n")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=3_600_000))
    trace.set_tracer_provider(provider)

if app.config.get("ARCHIVE"):

    @queues.before_deleting
    def archive(jobs: list[JobRecord]) -> None:
        with (HERE / app.config["ARCHIVE"]).open("a") as file:
            file.writelines(f"{job.id}\n" for job in jobs)
        wait_for("archived")


leaky: contextvars.ContextVar[str] = contextvars.ContextVar("leaky", default="clean")


def note(word: str, job: Any = None) -> None:
    """Append a line about the running job."""
    job = job or current_job
    job_id, attempt = job._running.claim.id, job.attempt
    line = f"{job_id} {attempt} {os.getpid()} {word}\n".encode()
    file = os.open(HERE / "runs.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, line)
    os.close(file)


def wait_for(name: str) -> None:
    """Wait until the test makes a file of this name."""
    while not (HERE / name).exists():
        time.sleep(0.01)


@queues.job("noop")
def noop() -> None:
    note("ran")


@queues.job("wander")
def wander(folder: str, umask: int = 0o022) -> None:
    """Changes what it shares with the next job of its process."""
    os.umask(umask)
    os.chdir(folder)
    time.sleep(0.002)


@queues.job("where")
def where() -> None:
    umask = os.umask(0o022)
    os.umask(umask)
    note(f"{umask:03o}:{Path.cwd()}")


@queues.job("add")
def add(a: int, b: int = 1) -> int:
    return a + b


@queues.job("teller", tries=1)
def teller(password: str) -> None:
    """Keeps nothing to itself."""
    current_job.log("info", f"trying {password}")
    raise ValueError(f"{password} is wrong")


@queues.job("short")
def short(seconds: float = 0.002) -> None:
    note("ran")
    time.sleep(seconds)


@queues.job("mark", tries=1000, backoff=0)
def mark(seconds: float = 0) -> None:
    note("ran")
    if seconds:
        time.sleep(seconds)


@queues.job("gate", timeout=600)
def gate(name: str = "open") -> str:
    """Runs until the test makes a file."""
    note("began")
    wait_for(name)
    note("ended")
    return "through"


@queues.job("quiet-gate", timeout=600)
def quiet_gate() -> None:
    """Runs until the test makes a file, and writes nothing."""
    wait_for("open")


class Flaky(Job):
    """Fails as often as asked, and tells of its end."""

    type = "flaky"
    tries = 3
    backoff = 0.05
    jitter = 0

    def handle(self, failures: int = 1) -> str:
        note("ran")
        if self.attempt <= failures:
            raise ValueError(f"attempt {self.attempt} of the flaky job")
        return "well"

    def failed(self, exception: BaseException) -> None:
        note(f"failed:{type(exception).__name__}", self)


class Outage(Job):
    """Fails until the test makes a file; held by a breaker meanwhile."""

    type = "outage"
    tries = 1000
    backoff = 0
    breaker = Breaker(failures=3, within=600, pause=1)

    def handle(self) -> None:
        up = (HERE / "up").exists()
        note("went-well" if up else "failed")
        if not up:
            raise ConnectionError("down")


class Doomed(Job):
    """Ends in the way that its payload says, and tells of its end."""

    type = "doomed"
    tries = 2
    backoff = 0
    timeout = 1

    def handle(self, how: str = "raise") -> None:
        note("ran")
        WAYS[how]()

    def failed(self, exception: BaseException) -> None:
        note(f"failed:{type(exception).__name__}", self)


class SlowMourner(Job):
    """Needs as much time for its `failed` as for itself."""

    type = "slow-mourner"
    tries = 1
    timeout = 9

    def handle(self) -> None:
        time.sleep(600)

    def failed(self, exception: BaseException) -> None:
        note("mourns", self)
        time.sleep(5.5)
        note("mourned", self)


class BadMourner(Job):
    """Its `failed` fails, too."""

    type = "bad-mourner"
    tries = 1

    def handle(self) -> None:
        raise ValueError("the job's own")

    def failed(self, exception: BaseException) -> None:
        note(f"failed:{type(exception).__name__}", self)
        raise RuntimeError("failed() has failed")


def fail() -> None:
    raise ValueError("as asked")


def loop_busily() -> None:
    while True:
        pass


def swallow_exceptions() -> None:
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            pass


def swallow_everything() -> None:
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            pass


def start_a_process() -> None:
    started = subprocess.Popen(["sleep", "600"])
    note(f"started:{started.pid}")
    started.wait()


def wrap_the_interrupt() -> None:
    try:
        time.sleep(600)
    except BaseException as error:
        raise RuntimeError("wrapped") from error


def leave_a_killer() -> None:
    """End well, and leave a thread that kills the process a moment later."""
    threading.Thread(target=os._exit, args=(9,)).start()


def take_signals() -> None:
    """As libraries do that have an own way to stop, and more thoroughly."""
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGALRM):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(-1)


def block_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def set_an_alarm() -> None:
    """For something that would take too long; the job's own time is not over when it comes."""
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.1)


def hang_up() -> None:
    """Die of the signal whose number is 1."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGHUP)


WAYS: dict[str, Callable[[], Any]] = {
    "hang-up": hang_up,
    **{f"exit-{code}": functools.partial(os._exit, code) for code in (0, 10, 11, 12)},
    "take-signals": take_signals,
    "block-signals": block_signals,
    "alarm": set_an_alarm,
    "wrap": wrap_the_interrupt,
    "leave-a-killer": leave_a_killer,
    "close-everything": lambda: os.closerange(3, 256),
    "raise": fail,
    "exit": lambda: sys.exit(3),
    "sleep": lambda: time.sleep(600),
    "busy": loop_busily,
    "swallow": swallow_exceptions,
    "swallow-all": swallow_everything,
    "process": start_a_process,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "surrogate": lambda: (_ for _ in ()).throw(ValueError("half \ud800 of a pair")),
    "interrupt": lambda: signal.raise_signal(signal.SIGTERM),
}


@queues.job("mixed", tries=2, backoff=0)
def mixed(poison: bool = False) -> None:
    """Mostly harmless."""
    if poison:
        os.kill(os.getpid(), signal.SIGKILL)
    note("ran")


@queues.job("later", tries=2)
def later(delay: float = 0.1) -> None:
    """Puts itself off until the test makes a file."""
    note("ran")
    if not (HERE / "open").exists():
        raise Retry(delay=delay)


@queues.job("limited", tries=1)
def limited(after: float = 0.1) -> None:
    """Is told to come back later, the first time."""
    note("ran")
    if len(list(current_job.job.history)) == 1:
        raise RateLimited(after=after)


@queues.job("discard")
def discard(reason: str = "not wanted any more") -> None:
    raise Discard(reason)


@queues.job("stubborn", timeout=600)
def stubborn() -> None:
    """Ignores everything that is thrown into it."""
    note("began")
    swallow_everything()


@queues.job("polite", timeout=600)
def polite() -> None:
    """Says what interrupted it."""
    note("began")
    try:
        time.sleep(600)
    except BaseException as interrupt:
        note(f"interrupted:{type(interrupt).__name__}")
        raise


kept: list[bytes] = []


@queues.job("grow", timeout=600)
def grow(megabytes: int, seconds: float = 0) -> None:
    note("ran")
    kept.append(os.urandom(megabytes * 1_000_000))
    time.sleep(seconds)


@queues.job("grow-and-hang", timeout=3)
def grow_and_hang() -> None:
    kept.append(os.urandom(200_000_000))
    swallow_everything()


@queues.job("grow-and-wait", timeout=600)
def grow_and_wait() -> None:
    kept.append(os.urandom(200_000_000))
    wait_for("open")


@queues.job("say", timeout=600)
def say() -> None:
    """Logs and tells its progress, then waits for the test."""
    job = current_job
    job.log("info", "one", page=1)
    logging.getLogger("elsewhere").warning("two %s", "and a half")
    current_app.logger.error("three")
    job.progress(50, "half way")
    wait_for("open")
    job.log("debug", "four")
    job.progress(100, "there")


@queues.job("say-at-once")
def say_at_once(lines: int = 5, pause: float = 0) -> None:
    for n in range(lines):
        current_job.log("info", f"line {n}")
        time.sleep(pause)


@queues.job("odd-words")
def odd_words() -> None:
    current_job.log("info", "half \ud800 of a pair", what=b"\x00")
    current_job.progress(float("nan"), "half \ud800 of a pair")
    raise Discard("half \ud800 of a pair")


@queues.job("odd-retry", tries=1)
def odd_retry() -> None:
    raise Retry(delay=float("inf"))


def take_a_step() -> int:
    note("step")
    return 7


@queues.job("loop", tries=3, timeout=600, backoff=0)
def loop(items: int, seconds: float = 0) -> int:
    """Says each item, and waits at the tenth until the test makes a file."""
    base = current_job.step("base", take_a_step)
    for n in current_job.iterate(range(items)):
        note(f"item:{n}")
        time.sleep(seconds)
        if n == 9:
            wait_for("open")
    return base


@queues.job("result")
def result(kind: str) -> Any:
    return {"large": "x" * 100_000, "object": object(), "small": {"a": [1, None]}, "nan": float("nan")}[kind]


@queues.job("context")
def context() -> dict[str, Any]:
    """Tells what it found in its context, and leaves traces there."""
    found = {
        "g": sorted(g),
        "leaky": leaky.get(),
        "app": current_app.name,
        "thread": threading.current_thread() is threading.main_thread(),
    }
    g.trace = "left"
    leaky.set("dirty")
    return found


@queues.job("async")
async def asynchronous(seconds: float = 0.01) -> str:
    note("ran")
    await asyncio.sleep(seconds)
    return "awaited"


@queues.job("parent")
def parent(children: int) -> list[str]:
    return [add.push(a=n).id for n in range(children)]


@queues.job("fork", timeout=60, tries=1)
def fork() -> None:
    """Forks, and leaves the fork by sys.exit, as is customary."""
    note("ran")
    pid = os.fork()
    if pid == 0:
        sys.exit(0)
    os.waitpid(pid, 0)
    note("parent")


def square(n: int) -> int:
    return n * n


@queues.job("pool", timeout=60, tries=1)
def pool() -> list[int]:
    """Uses a pool, whose end is a SIGTERM to its forked workers."""
    with multiprocessing.get_context("fork").Pool(2) as workers:
        return workers.map(square, range(5))


@queues.job("push-after-fork", timeout=60, tries=1)
def push_after_fork() -> str:
    """Pushes from a forked process, with the storage open before."""
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    current_app.extensions["queues"].counts()

    def push() -> None:
        with app.app_context():
            theirs.send(add.push(a=1).id)

    process = multiprocessing.get_context("fork").Process(target=push)
    process.start()
    process.join()
    return str(ours.recv())


class LazyName:
    """As Flask-Babel's: its language depends on a request."""

    def __init__(self, text: str) -> None:
        self._args = (text,)

    def __str__(self) -> str:
        return f"{self._args[0]} in {request.headers['Accept-Language']}"


class Named(Job):
    type = "named"
    name = LazyName("A lazy name")

    def handle(self) -> str:
        return str(current_app.extensions["queues"].jobs["named"].name)


class Secret(Job):
    type = "secret"
    sensitive = frozenset({"card"})

    def handle(self, card: str, name: str) -> None:
        """Nothing to do; but whoever has no name is refused, and that is told with too many words."""
        if not name:
            self.log("info", f"charging {card}", tried=[{"with": card}])
            self.progress(50, f"asking for {card}")
            raise ValueError(f"{card} has no name")


queues.register(Flaky, Outage, Doomed, SlowMourner, BadMourner, Named, Secret)


def push_for_ever(seed: int) -> None:
    """Push short jobs one by one; print the id of each push that was acknowledged."""
    chance = random.Random(seed)
    with app.app_context():
        while True:
            for seconds in chance.choices((0, 0.002, 0.05), (70, 22, 8), k=5):
                try:
                    print(mark.push(seconds=seconds).id, flush=True)
                except StorageError as error:
                    print(error, file=sys.stderr, flush=True)
            time.sleep(0.01)


def hear(name: str) -> Any:
    """Make a receiver that writes what it hears to a file, a line each."""

    def heard(sender: Flask, **fields: Any) -> None:
        line = json.dumps({"signal": name, "pid": os.getpid(), "app": sender.name, **fields}, default=str) + "\n"
        file = os.open(HERE / "heard.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, line.encode())
        os.close(file)

    return heard


def broken(sender: Flask, **fields: Any) -> None:
    """A receiver that raises."""
    raise RuntimeError("the receiver's own")


def leaving(sender: Flask, **fields: Any) -> None:
    """A receiver that ends its process, as far as it is let."""
    sys.exit(7)


SIGNALS = {name: one for name, one in vars(signals).items() if isinstance(one, NamedSignal)}
for name, one in SIGNALS.items() if app.config.get("SAMPLE_HEARS") else ():
    one.connect(hear(name), app, weak=False)
for name, one in SIGNALS.items() if app.config.get("SAMPLE_BREAKS") else ():
    one.connect(broken, app)
    if name != "job_pushed":  # who pushes may be ended
        one.connect(leaving, app)

if app.config.get("SAMPLE_AROUND"):

    @queues.around
    def noted(job: Job) -> Iterator[None]:
        """Writes how a run is left."""
        note("in", job)
        try:
            yield
        except BaseException as error:
            note(f"out:{type(error).__name__}", job)
            raise
        note("out", job)

    @queues.around
    def slow(job: Job) -> Iterator[None]:
        """Takes for ever for a job that is tagged so."""
        time.sleep(600 if "slow" in job.job.tags else 0)
        yield


if app.config.get("SAMPLE_KNOWS_MORE"):
    queues.job("more")(lambda: note("ran"))


@queues.job("occurrence")
def occurrence(note_it: bool = True) -> str:
    """Tells when it was due."""
    due = current_job.occurrence.isoformat() if current_job.occurrence else "none"
    if note_it:
        note(due)
    return due


class Digest(GatheredJob):
    """Says which payloads came together."""

    type = "digest"
    window = 0.3
    size = 40
    tries = 1000
    backoff = 0

    def key(self, payload: dict[str, Any]) -> Any:
        return payload["customer"]

    def handle(self, payloads: list[dict[str, Any]]) -> int:
        customers = {payload["customer"] for payload in payloads}
        note(f"list:{'+'.join(map(str, customers))}:{','.join(str(payload['n']) for payload in payloads)}")
        time.sleep(payloads[0].get("seconds", 0))
        return len(payloads)


class FullDigest(Digest):
    """Comes when there are enough of a customer, or in three years."""

    type = "full-digest"
    window = 1e8
    size = 20


class CalmDigest(Digest):
    """Runs once at a time for each customer, and tells where it does not."""

    type = "calm-digest"
    concurrency = 1

    @staticmethod
    def limit_key(payload: dict[str, Any]) -> str:
        return f"customer {payload['customer']}"

    def handle(self, payloads: list[dict[str, Any]]) -> int:
        with (HERE / f"customer-{payloads[0]['customer']}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                note("overlap")
            return super().handle(payloads)


class BadDigest(GatheredJob):
    """Fails, is stopped or dies, with all that came together."""

    type = "bad-digest"
    window = 0.1
    tries = 2
    backoff = 0.05

    def handle(self, payloads: list[dict[str, Any]]) -> None:
        note(f"list:{len(payloads)}")
        WAYS[payloads[0]["how"]]()

    def failed(self, exception: BaseException) -> None:
        note(f"failed:{len(self.payloads)}", self)


class StrictDigest(BadDigest):
    """The same once, at a rate."""

    type = "strict-digest"
    tries = 1
    rate = "3/h"
    burst = 3


queues.register(Digest, FullDigest, CalmDigest, BadDigest, StrictDigest)


@queues.job("grow-batch", tries=1000, backoff=0)
def grow_batch(jobs: int) -> None:
    """Adds jobs to its batch, again where it was cut short."""
    note("ran")
    assert current_job.batch is not None
    current_job.batch.add([("mark", {})] * jobs, queue="grown")


@queues.job("grow-and-die", tries=5, backoff=0)
def grow_and_die() -> None:
    """Adds jobs to its batch; the process of its first run dies in the middle of that."""

    def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
        yield "mark", {}
        if current_job.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    assert current_job.batch is not None
    current_job.batch.add(jobs())


@queues.job("report", tries=1000, backoff=0)
def report(what: str) -> dict[str, Any]:
    """Tells how its batch stands."""
    note(what)
    assert current_job.batch is not None
    record = current_job.batch.record
    return {"total": record.total, "counts": dict(record.counts)}


for schedule in app.config.get("SAMPLE_SCHEDULES", ()):
    queues.schedule(schedule.pop("when"), schedule.pop("job", occurrence), schedule.pop("payload", None), **schedule)


@queues.on_alert
def tell(alert: Any) -> None:
    """Writes the alert to `alerts.txt`, with what the storage says at that moment."""
    with (HERE / "alerts.txt").open("a") as file:
        file.write(f"{alert.active} {alert.kind} {alert.queue} {queues.counts().statuses['pending']}\n")

"""Job types: what can be run. A class with a `handle`, or a function that became one."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextvars import ContextVar
from datetime import datetime
from typing import Any, ClassVar, Generic, NoReturn, ParamSpec, Protocol, TypeVar, cast

from werkzeug.local import LocalProxy

from .circuits import Breaker
from .config import nearest
from .errors import ConfigError, PayloadError
from .loops import Kept
from .options import Options, Seconds
from .record import JobRecord, Progress

P = ParamSpec("P")
R = TypeVar("R")
H_co = TypeVar("H_co", covariant=True)


class BatchOfJob(Protocol):
    """What a running job may do with its batch."""

    #: The id of the batch.
    id: str

    @property
    def record(self) -> Any:
        """How many of its jobs stand where."""

    def add(self, jobs: Iterable[Any], **options: Any) -> int:
        """Add jobs, and return how many."""

    def cancel(self, reason: str = ...) -> bool:
        """Cancel those that have not ended."""


class Run(Protocol):
    """What the worker offers a job while it runs."""

    id: str
    #: The arguments of `handle`, in the types of its signature.
    payload: dict[str, Any]
    #: From 1; counts the runs that cost a try, with this one.
    attempt: int
    #: When its schedule wanted it.
    occurrence: datetime | None
    #: Of the request in which it was pushed.
    request_id: str | None

    @property
    def batch(self) -> BatchOfJob | None:
        """The batch that it belongs to, or reports for."""

    @property
    def stopping(self) -> bool:
        """Whether the worker was asked to stop."""

    def progress(self, progress: Progress) -> None:
        """Keep how far the job is."""

    def log(self, level: str, message: str, context: dict[str, Any]) -> None:
        """Keep a line with the job."""

    def record(self) -> JobRecord:
        """Read the job as it is stored now."""

    @property
    def state(self) -> Kept:
        """What the job has come to in this run and earlier ones."""


class Job:
    """Base of job types.

    A subclass names its `type` and writes `handle`, whose signature is the shape of the payload.
    It is registered with `queues.register`. A new instance is made for each run, within an
    application context of its own. What is None here is taken from the configuration.
    """

    #: The type string that is stored with each job; never rename one while jobs of it are stored.
    type: ClassVar[str] = ""
    #: What people read instead of the type string; may be a lazy translation.
    name: ClassVar[Any] = None
    queue: ClassVar[str | None] = None
    #: Seconds one run may take.
    timeout: ClassVar[float | None] = None
    #: How many runs may fail before the job has failed.
    tries: ClassVar[int | None] = None
    #: Seconds before the next attempt: a number, a list with one for each attempt, or a method
    #: `backoff(self, attempt)` that returns a number.
    backoff: Any = None
    #: Seconds from the first time a job was due: so long no failure ends it, however many tries that takes.
    retry_for: ClassVar[Seconds | None] = None
    #: By which share the backoff varies at random, so that what failed together is not tried together.
    jitter: ClassVar[float] = 0.2
    #: Exceptions after which a job is never tried again: it ends as cancelled, as by `Discard`, or has failed at once.
    discard_on: ClassVar[tuple[builtins.type[BaseException], ...]] = ()
    fail_on: ClassVar[tuple[builtins.type[BaseException], ...]] = ()
    priority: ClassVar[int] = 0
    tags: ClassVar[Iterable[str]] = ()
    #: Seconds after its time within which a job must have begun; later it is cancelled.
    expires: ClassVar[float | None] = None
    #: Whether one of its kind is enough: True for one with the same payload, a text for one at all, or a static
    #: method `unique(payload)` that returns a key. `unique_until` and the others are as a push has them.
    unique: Any = None
    unique_until: ClassVar[str | None] = None
    replace: ClassVar[bool | None] = None
    debounce: ClassVar[float | None] = None
    throttle: ClassVar[float | None] = None
    #: Over all workers of a queue: how many of its jobs may run at once, and how many may begin in a time (`100/s`,
    #: `20/30s`), of them so many at once. For each key, where a static method `limit_key(payload)` says one.
    concurrency: ClassVar[int | None] = None
    rate: ClassVar[str | None] = None
    burst: ClassVar[int | None] = None
    limit_key: Any = None
    #: Holds the type for a while once its runs keep failing.
    breaker: ClassVar[Breaker | None] = None
    #: Names of payload fields that are hidden wherever a person reads a job.
    sensitive: ClassVar[Iterable[str]] = ()
    #: For how many hours ended ones are kept, and how many of them: `{"completed": 1, "failed_count": 100}`.
    retention: ClassVar[Mapping[str, float | None]] = {}

    handle: Callable[..., Any]
    #: A static or class method `authorize(user, payload)` that says whether a user may push this, or retry it from
    #: the panel. Asked in requests only, with Flask-Login's user, or None where there is no login manager.
    authorize: ClassVar[Callable[..., bool] | None] = None

    _run: Run | None = None
    _pushed: Options | None = None
    _arguments: dict[str, Any] | None = None

    def failed(self, exception: BaseException) -> None:
        """Do what is left to do when the job has failed for good; at least once.

        Runs before the status changes, within the job's timeout and in an application context of its
        own. An exception in here is logged and changes nothing. Not called for a job that was cancelled,
        raised `Discard` or did not start in time. Where the process that ran the job is gone, the
        exception is a `WorkerLost` or a `JobTimeout`.
        """

    # While it runs

    @property
    def payload(self) -> dict[str, Any]:
        """The arguments of `handle`."""
        return self._running.payload if self._run is not None else dict(self._arguments or {})

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._running.attempt

    @property
    def occurrence(self) -> datetime | None:
        """When the job was due by its schedule, in UTC; it may run later. None for a job of no schedule."""
        return self._running.occurrence

    @property
    def batch(self) -> BatchOfJob | None:
        """The batch that this job belongs to, or reports for as a callback; None for others."""
        return self._running.batch

    @property
    def request_id(self) -> str | None:
        """The id of the request in which the job was pushed, or of the one in which the job was that pushed it."""
        return self._running.request_id

    @property
    def job(self) -> JobRecord:
        """The job as it is stored now."""
        return self._running.record()

    @property
    def stopping(self) -> bool:
        """Whether the worker was asked to stop: a good moment to end a long job early."""
        return self._running.stopping

    def progress(self, percent: float, message: str = "") -> None:
        """Say how far the job is: 0 to 100, with a short text."""
        self._running.progress(Progress(min(100.0, max(0.0, percent)), str(message)))

    def iterate(self, source: Any, *, key: Any = None, total: int | None = None, name: str = "loop") -> Iterator[Any]:
        """Walk through something long, in as many runs as it takes.

        `source` is a list, or anything else that gives the same items in the same order each time; a query of
        SQLAlchemy with a unique column as `key`, which is read in slices; or a function of the last item's cursor
        (None at first) that returns the items behind it, with `key` telling an item's cursor, which JSON can hold.
        The cursor is kept once a second, so a kill repeats the last second at most. Where the worker is to stop, or
        four fifths of the timeout are over, the job is put off and goes on in its next run, which costs no try.
        `total` makes progress of it. Several loops of a job need a `name` each.
        """
        if total is None and isinstance(source, Sized):
            total = len(source)
        return self._running.state.iterate(source, key, total, name)

    def step(self, name: str, work: Callable[[], R]) -> R:
        """Do something that a later run of this job does not repeat; returns what it returned, from JSON.

        A kill while it is done, or before its end is kept, repeats it.
        """
        return self._running.state.step(name, work)

    def log(self, level: str, message: str, /, **context: Any) -> None:
        """Keep a line with the job: debug, info, warning, error or critical, with values by name."""
        self._running.log(level, message, context)

    # Before it is pushed

    def with_payload(self, /, **payload: Any) -> Job:
        """Return this instance with its payload, to be pushed."""
        self._arguments = payload
        return self

    def on_queue(self, queue: str, /) -> Job:
        """Return this instance bound for a queue."""
        return self.using(queue=queue)

    def delayed(self, seconds: Seconds, /) -> Job:
        """Return this instance, not to start before so many seconds have passed."""
        return self.using(delay=seconds)

    def using(self, /, **options: Any) -> Job:
        """Return this instance with options of the push, the same that `push` takes."""
        self._pushed = Options.of(**options).over(self.pushed_with)
        return self

    @property
    def pushed_with(self) -> Options:
        """The options that this instance was given."""
        return self._pushed or Options()

    def bind(self, run: Run) -> None:
        """Connect this instance with the run that it is made for; the worker calls it."""
        self._run = run

    @property
    def _running(self) -> Run:
        if self._run is None:
            raise RuntimeError(f"{builtins.type(self).__name__} is not running; this works inside a job.")
        return self._run


class GatheredJob(Job):
    """Base of job types whose payloads are collected for a while and arrive as one list, in one run.

    Each payload is pushed as a job of its own, and is kept as one: a crash loses none. `handle` takes one argument, the
    list: of dicts, or of a dataclass if it is annotated so, which is then the shape that a push is checked against.
    What becomes of the run becomes of each; one that fails is tried again with those that failed with it.
    """

    #: Seconds: what is pushed within it, with the same key, comes together at its end. It is over at the same moments
    #: for all.
    window: ClassVar[float] = 30
    #: So many are enough: they come at once, whatever is left of the window. More never come in one run.
    size: ClassVar[int] = 500

    def key(self, payload: dict[str, Any]) -> Any:  # noqa: ARG002
        """Say what payloads have in common that come together: a text or number, all of them by default."""
        return ""

    @property
    def payloads(self) -> list[Any]:
        """The list that `handle` gets; in `failed`, those that have failed for good."""
        found: list[Any] = next(iter(self.payload.values()), [])
        return found


class Pusher(Protocol[H_co]):
    """What a function job needs of the extension."""

    def push(self, job: Any, payload: dict[str, Any] | None = None, **options: Any) -> H_co:
        """Push a job."""


class FunctionJob(Generic[P, R, H_co]):
    """A function that can be pushed. Called, it is the plain function.

    `push(**payload)` takes the payload alone, so that no option takes a name from it.
    """

    def __init__(self, function: Callable[P, R], job_type: builtins.type[Job], pusher: Pusher[H_co]) -> None:
        self.job_type = job_type
        self._function = function
        self._pusher = pusher
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__module__ = function.__module__
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function."""
        return self._function(*args, **kwargs)

    def push(self, /, *unnamed: NoReturn, **payload: Any) -> H_co:
        """Push the function with these arguments."""
        only_named(self.job_type, unnamed)
        return self._pusher.push(self.job_type, payload)

    def later(self, seconds: Seconds, /, *unnamed: NoReturn, **payload: Any) -> H_co:
        """Push it, not to start before so many seconds have passed."""
        only_named(self.job_type, unnamed)
        return self._pusher.push(self.job_type, payload, delay=seconds)

    def using(self, /, **options: Any) -> BoundFunctionJob[H_co]:
        """Return something to push it with these options, the same that `queues.push` takes."""
        Options.of(**options)
        return BoundFunctionJob(self.job_type, self._pusher, options)


class BoundFunctionJob(Generic[H_co]):
    """A function job with options of its push."""

    def __init__(self, job_type: builtins.type[Job], pusher: Pusher[H_co], options: dict[str, Any]) -> None:
        self._job_type = job_type
        self._pusher = pusher
        self._options = options

    def push(self, /, *unnamed: NoReturn, **payload: Any) -> H_co:
        """Push the function with these arguments."""
        only_named(self._job_type, unnamed)
        return self._pusher.push(self._job_type, payload, **self._options)


def only_named(job_type: builtins.type[Job], unnamed: Sized) -> None:
    """Refuse arguments without a name: a payload is kept by name."""
    if unnamed:
        raise PayloadError(
            f"{job_type.type}: a function job is pushed with its arguments by name, as in push(to=1); "
            "a payload that is a dict goes to queues.push(job, payload)."
        )


#: What `@queues.job` takes beside the type string: the attributes of a job type.
FUNCTION_OPTIONS = frozenset(
    {"failed", *(name for name in Job.__annotations__ if name not in ("type", "handle") and not name.startswith("_"))}
)


def job_type_of(function: Callable[..., Any], type_string: str, options: dict[str, Any]) -> builtins.type[Job]:
    """Make the job type of a function; options are the class attributes of a job type."""
    unknown = options.keys() - FUNCTION_OPTIONS
    if unknown:
        names = ", ".join(sorted(FUNCTION_OPTIONS))
        meant = nearest(min(unknown), FUNCTION_OPTIONS)
        raise ConfigError(f"{type_string}: there is no option {min(unknown)!r}{meant}; a job type takes {names}.")
    members: dict[str, Any] = {
        **options,
        "handle": staticmethod(function),
        "type": type_string,
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__,
    }
    for option in ("backoff", "failed", "authorize", "unique", "limit_key"):
        if callable(members.get(option)):
            members[option] = staticmethod(members[option])
    return cast("builtins.type[Job]", builtins.type(function.__name__, (Job,), members))


running_job: ContextVar[Job] = ContextVar("flask_queues.running_job")

#: The job that runs here. Outside a job, any use of it raises `RuntimeError`.
current_job: Job = LocalProxy(running_job, unbound_message="No job is running here.")  # type: ignore[assignment]


def running_id() -> str | None:
    """The id of the job that runs here; None outside of a job."""
    job = running_job.get(None)
    return None if job is None or job._run is None else job._run.id

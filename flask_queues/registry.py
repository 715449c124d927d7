"""The job types that an application knows, by type string."""

from __future__ import annotations

import builtins
import difflib
import inspect
import random
import re
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping
from typing import Any

from .circuits import Breaker
from .config import Retention, read_retention, shortened
from .errors import ConfigError, DuplicateJobType, OptionError, UnknownJobType
from .gathered import Gathering, read_gathering
from .job import FunctionJob, GatheredJob, Job
from .options import CHECKS, Options
from .payload import Shape

TYPE_STRING = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")


class JobType:
    """A registered job type: its class, the shape of its payload and its checked options."""

    def __init__(self, job_class: builtins.type[Job]) -> None:
        self.job_class = job_class
        self.type = check_type_string(job_class)
        handle = getattr(job_class, "handle", None)
        if not callable(handle):
            raise ConfigError(f"{job_class.__qualname__} has no method handle, so there is nothing to run.")
        if inspect.isgeneratorfunction(handle) or inspect.isasyncgenfunction(handle):
            raise ConfigError(f"{self.type}: handle is a generator; nothing would go through it. Write a loop.")
        check_constructor(self.type, job_class)
        bound = isinstance(inspect.getattr_static(job_class, "handle"), (staticmethod, classmethod))
        #: How its payloads are gathered, None where each has a run of its own.
        self.gathering: Gathering | None = None
        #: What a payload has to be.
        self.shape = self._read_shape(handle, method=not bound)
        self.sensitive = frozenset(check_names(self.type, "sensitive", job_class.sensitive)) | self.shape.secrets
        self.authorize = check_authorize(self.type, job_class)
        check_jitter(self.type, job_class.jitter)
        #: Exceptions that end a job whatever tries it has left.
        self.discard_on = check_exceptions(self.type, "discard_on", job_class.discard_on)
        self.fail_on = check_exceptions(self.type, "fail_on", job_class.fail_on)
        #: For how long its ended jobs are kept, and how many, where the configuration does not say.
        self.retention: Retention = check_retention(self.type, job_class.retention)
        #: Returns the key of a payload where the class has a method for that.
        self.unique_key: Callable[..., Any] | None = check_key_method(self.type, job_class, "unique")
        self.limit_key: Callable[..., Any] | None = check_key_method(self.type, job_class, "limit_key")
        self.breaker = check_breaker(self.type, job_class.breaker)
        self.options = self._class_options()

    def _read_shape(self, handle: Callable[..., Any], *, method: bool) -> Shape:
        if not issubclass(self.job_class, GatheredJob):
            return Shape(self.type, handle, method=method)
        try:
            self.gathering, shape = read_gathering(self.type, self.job_class)
        except OptionError as error:
            raise ConfigError(f"{self.type}: {error}") from error
        return shape

    def _class_options(self) -> Options:
        said = {name: getattr(self.job_class, name) for name in CHECKS if hasattr(Job, name)}
        said["tags"] = check_names(self.type, "tags", said["tags"]) or None
        by_method = {"backoff": callable(said["backoff"]), "unique": self.unique_key, "limit_key": self.limit_key}
        try:
            return Options.of(**{name: None if by_method.get(name) else value for name, value in said.items()})
        except OptionError as error:
            raise ConfigError(f"{self.type}: {error}") from error

    def backoff(self, attempt: int, pushed: tuple[float, ...] | None, default: float, *, jitter: bool = True) -> float:
        """Seconds to wait after a failed attempt, with jitter unless that is not wanted.

        What the push said comes first, then the class, then the configuration's default.
        """
        if pushed is None and callable(self.job_class.backoff):
            wait = float(CHECKS["backoff"]("backoff", self.job_class().backoff(attempt))[0])
        else:
            waits = pushed or self.options.backoff or (default,)
            wait = waits[min(attempt, len(waits)) - 1]
        share = self.job_class.jitter if jitter else 0
        return wait * random.uniform(1 - share, 1 + share) if share else wait  # noqa: S311 - spreads load, hides nothing

    @property
    def name(self) -> str:
        """What people read: in the reader's language where that can be told, else English, else the type."""
        return readable(self.job_class.name) or self.type


class Registry(Mapping[str, JobType]):
    """Job types by type string: those of the application, and for who asks by name a few of our own."""

    def __init__(self) -> None:
        self._types: dict[str, JobType] = {}
        #: Those of ours, which are not listed among the application's.
        self.own: frozenset[str] = frozenset()

    @property
    def served(self) -> KeysView[str]:
        """What a worker runs: our own, too."""
        return self._types.keys()

    def add_own(self, job_class: builtins.type[Job]) -> None:
        """Register a job type of ours, which is no matter of the application."""
        self.own |= {self.add(job_class).type}

    def add(self, job_class: Any) -> JobType:
        """Register a class; the same class again is no error, another under its type string is."""
        if isinstance(job_class, FunctionJob):
            job_class = job_class.job_type
        if not (isinstance(job_class, builtins.type) and issubclass(job_class, Job)):
            raise ConfigError(
                f"{shortened(job_class)} is not a job type: it must be a subclass of Job, or a "
                "function with @queues.job."
            )
        known = self._types.get(check_type_string(job_class))
        if known is not None:
            if known.job_class is job_class:
                return known
            raise DuplicateJobType(
                f"The job type {job_class.type} is registered twice, as {path_of(known.job_class)} "
                f"and as {path_of(job_class)}. Register it once, or give one of them another type."
            )
        job_type = JobType(job_class)
        self._types[job_type.type] = job_type
        return job_type

    def find(self, job: Any) -> JobType:
        """Return the job type of a class, an instance, a function job or a type string.

        Raises `UnknownJobType` where it is not registered.
        """
        if isinstance(job, FunctionJob):
            job = job.job_type
        if isinstance(job, Job):
            job = builtins.type(job)
        name = job if isinstance(job, str) else getattr(job, "type", None)
        found = self._types.get(name) if isinstance(name, str) else None
        if found is None or not (isinstance(job, str) or found.job_class is job):
            raise UnknownJobType(self._why_unknown(job, name))
        return found

    def _why_unknown(self, job: Any, name: Any) -> str:
        if isinstance(job, builtins.type) and issubclass(job, Job):
            if (other := self._types.get(name)) is not None:
                return (
                    f"{path_of(job)} is not registered; its type {name} is that of {path_of(other.job_class)}. "
                    "Give it a type of its own, and register it."
                )
            name = name or job.__name__
        elif not isinstance(job, str):
            return (
                f"{shortened(job)} is no job: push a type string, a subclass of Job, or a function with @queues.job "
                "above it."
            )
        near = difflib.get_close_matches(str(name), self, 1, 0.8)
        return (
            f"The job type {name} is not registered; call queues.register, or import its module before the "
            f"application starts.{f' Did you mean {near[0]}?' if near else ''}"
        )

    def __getitem__(self, type_string: str) -> JobType:
        return self._types[type_string]

    def __iter__(self) -> Iterator[str]:
        return (type_ for type_ in self._types if type_ not in self.own)

    def __len__(self) -> int:
        return len(self._types) - len(self.own)


def check_type_string(job_class: builtins.type[Job]) -> str:
    """Return a class's type string, or say what it may be."""
    name: Any = job_class.type
    if not isinstance(name, str) or not TYPE_STRING.fullmatch(name):
        raise ConfigError(
            f"{path_of(job_class)}: type = {shortened(name)} is not a type string "
            '(1 to 128 letters, digits, _ . : or -, such as "shop:resize").'
        )
    return name


def check_constructor(type_string: str, job_class: builtins.type[Job]) -> None:
    """Refuse a class that cannot be made without arguments, as a worker does for each run."""
    try:
        inspect.signature(job_class).bind()
    except TypeError as error:
        raise ConfigError(
            f"{type_string}: {path_of(job_class)} cannot be made without arguments ({error}). "
            "What a job is about goes into its payload, as arguments of handle."
        ) from None
    except ValueError:  # a constructor whose signature Python cannot tell
        return


def check_names(type_string: str, option: str, names: Any) -> tuple[str, ...]:
    """Return texts given as a list; one text alone would be taken for its letters."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ConfigError(f"{type_string}: {option} = {shortened(names)} is not a list of texts.")
    return tuple(names)


def check_jitter(type_string: str, jitter: Any) -> None:
    """Refuse a jitter that is no share of the backoff."""
    if isinstance(jitter, bool) or not isinstance(jitter, (int, float)) or not 0 <= jitter <= 1:
        raise ConfigError(f"{type_string}: jitter = {shortened(jitter)} is not a number from 0 to 1.")


def check_breaker(type_string: str, breaker: Any) -> Breaker | None:
    """Return a circuit breaker, if there is one."""
    if breaker is not None and not isinstance(breaker, Breaker):
        raise ConfigError(f"{type_string}: breaker = {shortened(breaker)} is not a Breaker(failures, within, pause).")
    return breaker


def check_exceptions(type_string: str, option: str, given: Any) -> tuple[builtins.type[BaseException], ...]:
    """Return classes of exceptions, given as one or as several."""
    classes = tuple(given) if isinstance(given, (tuple, list, set, frozenset)) else (given,)
    for one in classes:
        if not (isinstance(one, builtins.type) and issubclass(one, BaseException)):
            raise ConfigError(f"{type_string}: {option} holds {shortened(one)}, which is no class of exceptions.")
    return classes


def check_retention(type_string: str, given: Any) -> Retention:
    """Return what a job type says of its ended jobs; nothing where it says nothing."""
    return read_retention(f"{type_string}: retention", given) if given != {} else {}


def check_authorize(type_string: str, job_class: builtins.type[Job]) -> Callable[..., bool] | None:
    """Return what is asked whether a user may push; refuse a method, since nothing is running then."""
    found = inspect.getattr_static(job_class, "authorize")
    if found is not None and not isinstance(found, (staticmethod, classmethod)):
        raise ConfigError(f"{type_string}: authorize must be a static or class method authorize(user, payload).")
    return job_class.authorize


def check_key_method(type_string: str, job_class: builtins.type[Job], name: str) -> Callable[..., Any] | None:
    """Return what makes the key of a payload, if there is one; refuse a method, since nothing is running then."""
    found = inspect.getattr_static(job_class, name)
    if isinstance(found, (staticmethod, classmethod)):
        method: Callable[..., Any] = getattr(job_class, name)
        return method
    if callable(found):
        raise ConfigError(f"{type_string}: {name} must be a static or class method {name}(payload).")
    return None


def path_of(job_class: builtins.type[Job]) -> str:
    """Where a class is written."""
    return f"{job_class.__module__}.{job_class.__qualname__}"


def readable(name: Any) -> str:
    """Render a name that may be a lazy translation whose language depends on a request."""
    if name is None or isinstance(name, str):
        return name or ""
    try:
        return str(name)
    except Exception:
        source = getattr(name, "_args", ())
        return source[0] if source and isinstance(source[0], str) else ""

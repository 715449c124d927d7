"""The extension: reads the configuration, builds a manager for each application, hands calls on to it."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, ParamSpec, TypeVar, overload

from flask import Flask, current_app, has_app_context, has_request_context
from flask_caching import Cache

from .alerts import Receiver
from .batches import Batch, Batches
from .chains import Chain
from .cli import queues_group
from .config import Config, shortened
from .errors import ConfigError, ScheduleError
from .handles import JobHandle
from .janitor import Hook
from .job import FunctionJob, Job, job_type_of
from .manager import Manager, manager_of
from .options import Seconds
from .panel import make_blueprint
from .panel.many import ChangeMany
from .record import Counts, JobRecord, LogLine, Page, Status, WorkerRecord
from .registry import Registry
from .scheduler import Scheduler, read_timing
from .wrapping import Wrapper, as_wrapper

if TYPE_CHECKING:
    from .testing import Fake

P = ParamSpec("P")
R = TypeVar("R")
AlertReceiver = TypeVar("AlertReceiver", bound=Receiver)
BeforeDeleting = TypeVar("BeforeDeleting", bound=Hook)
JobClass = TypeVar("JobClass", bound=type[Job])
W = TypeVar("W", bound=Callable[[Job], AbstractContextManager[Any] | Iterator[None]])


class Planned(NamedTuple):
    """A schedule as the code gives it, for each application to check."""

    when: str | float | timedelta
    job: Any
    payload: dict[str, Any] | None
    options: dict[str, Any]

    def define(self, manager: Manager) -> None:
        """Make it one of an application's schedules."""
        manager.scheduler.define(self.when, self.job, self.payload, **self.options)


class Queues:
    """Background jobs for one or several Flask applications.

    `Queues(app)` or, with an application factory, `queues = Queues()` and `queues.init_app(app)`.
    The jobs are kept in a flask-caching cache of the extension's own, which `QUEUES_CACHE_*`
    describes, or in `cache` if one is given. Apart from `register`, `job`, `schedule` and `init_app`,
    every method works on the application in context; where there is none, on the only one.
    """

    def __init__(self, app: Flask | None = None, cache: Cache | None = None) -> None:
        if cache is not None and not isinstance(cache, Cache):
            raise ConfigError(f"Queues(cache={shortened(cache)}): it takes a flask_caching.Cache.")
        self._cache = cache
        self._definitions: list[type[Job]] = []
        self._schedules: list[Planned] = []
        self._alert_receivers: list[Receiver] = []
        self._deletion_hooks: list[Hook] = []
        self._wrappers: list[Wrapper] = []
        self._apps: weakref.WeakSet[Flask] = weakref.WeakSet()
        self._last: weakref.ref[Flask] | None = None
        #: The application of `Queues(app)` is held; those of factories are not.
        self._app = app
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set the extension up on an application: check its configuration, connect to nothing.

        Raises `ConfigError` for a wrong `QUEUES_*` key, or where an application has queues already.
        """
        if "queues" in app.extensions:
            raise ConfigError(f"Queues is already set up on the application {app.name}; call init_app once.")
        config = Config.read(app.config)
        if config.storage is not None and self._cache is not None:
            raise ConfigError("Queues was given a cache, but QUEUES_STORAGE names another place for the jobs.")
        jobs = Registry()
        jobs.add_own(ChangeMany)
        for job_class in self._definitions:
            jobs.add(job_class)
        manager = Manager(app, config, jobs, self._cache)
        manager.wrappers += self._wrappers
        for planned in self._schedules:
            planned.define(manager)
        manager.alert_receivers += self._alert_receivers
        manager.janitor.hooks += self._deletion_hooks
        app.extensions["queues"] = manager
        app.cli.add_command(queues_group)
        app.register_blueprint(make_blueprint(config))
        if config.work_inside:
            work_inside(app, manager)
        self._apps.add(app)
        self._last = weakref.ref(app)

    @property
    def manager(self) -> Manager:
        """The manager of the application in context, or of the only one; in a test, of the one whose jobs it keeps."""
        if has_app_context():
            return manager_of(current_app._get_current_object())  # type: ignore[attr-defined]
        apps = list(self._apps)
        if len(apps) > 1:  # those of earlier tests may be there still
            apps = [app for app in apps if manager_of(app).in_test] or apps
        if len(apps) == 1:
            return manager_of(apps[0])
        state = "several applications" if apps else "no application yet: call init_app"
        raise ConfigError(f"Queues serves {state}; outside an application context it cannot tell which is meant.")

    @property
    def scheduler(self) -> Scheduler:
        """The schedules, to be read, and changed at run time."""
        return self.manager.scheduler

    @property
    def jobs(self) -> Registry:
        """The registered job types by type string."""
        return self.manager.jobs

    # Defining

    @overload
    def register(self, job_class: JobClass, /) -> JobClass: ...

    @overload
    def register(self, job_class: type[Job], /, *more: type[Job]) -> type[Job]: ...

    def register(self, job_class: Any, /, *more: type[Job]) -> Any:
        """Make job types known; also a decorator for one class.

        A class that can be imported is known to every application of this extension, whenever it is
        set up. One that was defined inside a function, after `init_app`, belongs to the application
        in context, or else to the last one. Raises `ConfigError`, `PayloadError` for a signature
        that cannot be a payload's shape, `DuplicateJobType` for another class under a known type.
        """
        for one in (job_class, *more):
            self._define(one.job_type if isinstance(one, FunctionJob) else one)
        return job_class

    def job(self, type: str, /, **options: Any) -> Callable[[Callable[P, R]], FunctionJob[P, R, JobHandle]]:  # noqa: A002
        """Make a function a job type; options are the attributes of a job class.

        `backoff` may also be a function of the attempt's number. `failed` may be a function of the
        exception.
        """

        if not isinstance(type, str):
            raise ConfigError(f'queues.job({shortened(type)}): it takes a type string: @queues.job("shop:mail").')

        def decorate(function: Callable[P, R]) -> FunctionJob[P, R, JobHandle]:
            job_class = job_type_of(function, type, dict(options))
            self._define(job_class)
            return FunctionJob(function, job_class, self)

        return decorate

    def schedule(
        self,
        when: str | float | timedelta,
        job: Any,
        payload: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Have a job pushed by a cron expression, or every so often, for as long as this stands in the code.

        Options are `name` (by default the job's type), `timezone`, `overlap`, `catch_up` (`"none"`,
        `"one"`, `"all"` or a number), `starts` and `ends` (aware), `times`, and those of a push but `at` and
        `delay`. At the top of a module, or before `init_app`, it holds for every application; in a
        function after that, for the one in context, or else the last. Raises `ScheduleError` for what
        cannot be, `DuplicateSchedule` for a name that is taken, and what a push raises.
        """
        in_module = sys._getframe(1).f_code.co_name == "<module>"
        if not in_module and self._answering():
            raise ScheduleError(
                "queues.schedule() is for code that every process runs when it starts; in a request no worker would "
                "know of it. Make a schedule at run time with queues.scheduler.add()."
            )
        read_timing(when, options.get("timezone") or "UTC")
        planned = Planned(when, job, payload, options)
        last = self._last() if self._last is not None else None
        if last is None or in_module:
            for app in list(self._apps):
                planned.define(manager_of(app))
            self._schedules.append(planned)
        elif has_app_context() and current_app in list(self._apps):
            planned.define(self.manager)
        else:
            planned.define(manager_of(last))

    def on_alert(self, receiver: AlertReceiver) -> AlertReceiver:
        """Have a function called with each `Alert` that has come or is over, for every application; a decorator.

        It runs in a worker, in a thread of its own and an application context, and may take its time. One that
        raises is logged.
        """
        if not callable(receiver):
            raise ConfigError(f"on_alert({shortened(receiver)}): it takes a function of one argument, the alert.")
        self._alert_receivers.append(receiver)
        for app in list(self._apps):
            manager_of(app).alert_receivers.append(receiver)
        return receiver

    def before_deleting(self, hook: BeforeDeleting) -> BeforeDeleting:
        """Have a function called with ended jobs that were kept long enough, for every application; a decorator.

        It gets a list of up to 100 records of one queue, type and status, in a worker, in a thread of its own and an
        application context, and may take its time. They are deleted when it has returned; what it raises is logged,
        and they are kept and come again in a minute. Each comes at least once. Not called for jobs that somebody
        deletes himself.
        """
        if not callable(hook):
            raise ConfigError(
                f"before_deleting({shortened(hook)}): it takes a function of one argument, a list of jobs."
            )
        self._deletion_hooks.append(hook)
        for app in list(self._apps):
            manager_of(app).janitor.hooks.append(hook)
        return hook

    def around(self, wrapper: W, /) -> W:
        """Put something around every run of a job, in the process and application context of the job; a decorator.

        A function of the job (`job.payload`, `job.attempt` and so on) that yields once or returns a context manager.
        It is part of the run, as if it stood in `handle`: its time counts, and what it raises before or after the job
        is what the run ends in, `Retry`, `Discard` and `RateLimited` too. The job's exception passes through it, and
        it may raise another in its place; one that it swallows counts all the same. `failed` runs outside. The first
        one registered is the outermost. For which applications it holds is as with `register`.
        """
        made = as_wrapper(wrapper)
        only = self._only_for(wrapper)
        if only is not None:
            only.wrappers.append(made)
            return wrapper
        for app in list(self._apps):
            manager_of(app).wrappers.append(made)
        self._wrappers.append(made)
        return wrapper

    def unschedule(self, name: str) -> None:
        """Drop a schedule of the code before a worker starts, or remove one made at run time."""
        self.manager.scheduler.forget(name)

    def _answering(self) -> bool:
        """Whether one of our applications answers a request; one that a test merely pushed has had none yet."""
        return has_request_context() and current_app in list(self._apps) and current_app._got_first_request

    def _define(self, job_class: type[Job]) -> None:
        only = self._only_for(job_class)
        if only is not None:
            only.jobs.add(job_class)
            return
        Registry().add(job_class)
        for app in list(self._apps):
            manager_of(app).jobs.add(job_class)
        self._definitions.append(job_class)

    # In tests

    def fake(
        self,
        app: Flask | None = None,
        *,
        eager: bool = False,
        raises: bool = True,
        twice: bool | Literal["again", "cut"] = False,
        seed: int | None = None,
    ) -> AbstractContextManager[Fake]:
        """For a test: keep the jobs in its memory while the block runs, with a clock that stands still until moved.

        Pushes are checked as ever, and recorded. `eager` runs at once what is due, when it is pushed or the clock is
        moved. An exception that leaves a job comes out of the push, or of `drain`, once the job is settled; with
        `raises=False` it is only kept with the job. `twice` runs each job again that has completed; `"cut"` ends the
        first run at a random line of the application's code, the same with the same `seed`.
        Without `app`, the application in context is meant, or the only one.
        """
        from .testing import fake  # no application needs it

        manager = self.manager if app is None else manager_of(app)
        return fake(manager, eager=eager, raises=raises, twice=twice, seed=seed)

    def _only_for(self, defined: Any) -> Manager | None:
        """The one application that gets what was defined inside a function, after `init_app`; None: all get it."""
        if "<locals>" not in getattr(defined, "__qualname__", ""):
            return None
        if has_app_context() and current_app in list(self._apps):
            return self.manager
        last = self._last() if self._last is not None else None
        return manager_of(last) if last is not None else None

    # Handing on

    def push(self, job: Any, payload: dict[str, Any] | None = None, **options: Any) -> JobHandle:
        """Store a job; see `Manager.push`."""
        return self.manager.push(job, payload, **options)

    def new_id(self, job: Any = None, *, queue: str | None = None) -> str:
        """Make an id for a push that may have to be repeated; see `Manager.new_id`."""
        return self.manager.new_id(job, queue=queue)

    def later(self, seconds: Seconds, job: Any, payload: dict[str, Any] | None = None, **options: Any) -> JobHandle:
        """Store a job that does not start before so many seconds have passed."""
        return self.manager.later(seconds, job, payload, **options)

    def push_many(self, jobs: Iterable[Any], /, **options: Any) -> list[JobHandle]:
        """Store many jobs in few round trips; see `Manager.push_many`."""
        return self.manager.push_many(jobs, **options)

    def chain(self, links: Iterable[Any] = ()) -> Chain:
        """Begin a chain of jobs that run one after another; see `Manager.chain`."""
        return Chain(links, lambda plan, options: self.manager.chain(plan).push(**options))

    def batch(self, jobs: Iterable[Any] = (), name: str = "") -> Batch:
        """Begin a batch of jobs that belong together; see `Manager.batch`."""
        return self.manager.batch(jobs, name)

    @property
    def batches(self) -> Batches:
        """The batches, to be read and changed."""
        return self.manager.batches

    def find(self, job_id: str) -> JobRecord:
        """Return a job; raises `JobNotFound`."""
        return self.manager.find(job_id)

    def handle(self, job_id: str) -> JobHandle:
        """Return a handle of a job pushed earlier; raises `JobNotFound`."""
        return self.manager.handle(job_id)

    def link(self, job: Any, **options: Any) -> str:
        """The URL at which somebody who is no admin sees one job; see `Manager.link`."""
        return self.manager.link(job, **options)

    def jobs_of(
        self,
        *,
        queue: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the whole interface
        tag: str | None = None,
        statuses: Sequence[Status | str] = (),
        limit: int = 50,
        after: str | None = None,
        oldest: bool = False,
        next_first: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        **where: Any,
    ) -> Page:
        """Return a page of jobs; see `Manager.jobs_of`."""
        return self.manager.jobs_of(
            queue=queue,
            type=type,
            tag=tag,
            statuses=statuses,
            limit=limit,
            after=after,
            oldest=oldest,
            next_first=next_first,
            since=since,
            until=until,
            **where,
        )

    def every(self, **filters: Any) -> Iterator[JobRecord]:
        """Walk through all jobs that match; see `Manager.every`."""
        return self.manager.every(**filters)

    def counts(self) -> Counts:
        """How many jobs there are."""
        return self.manager.counts()

    def workers(self) -> list[WorkerRecord]:
        """The workers that run, or did until they vanished."""
        return self.manager.workers()

    def logs(self, job_id: str, limit: int = 500) -> list[LogLine]:
        """The newest lines that a job logged."""
        return self.manager.logs(job_id, limit)

    def cancel(self, job_id: str, reason: str = "cancelled by the application") -> bool:
        """End a job, or ask for its end if it runs; see `Manager.cancel`."""
        return self.manager.cancel(job_id, reason)

    def retry(self, job_id: str, delay: Seconds = 0) -> None:
        """Give a failed or cancelled job all its tries again; see `Manager.retry`."""
        self.manager.retry(job_id, delay)

    def hurry(self, job_id: str) -> None:
        """Let a job that waits be the next one of its queue; see `Manager.hurry`."""
        self.manager.hurry(job_id)

    def change_payload(self, job_id: str, payload: dict[str, Any]) -> JobRecord:
        """Give a job that waits, has failed or was cancelled another payload; see `Manager.change_payload`."""
        return self.manager.change_payload(job_id, payload)

    def retry_all(self, **filters: Any) -> int:
        """Retry all failed jobs that match; see `Manager.retry_all`."""
        return self.manager.retry_all(**filters)

    def delete(self, job_id: str) -> None:
        """Delete a job with its log; see `Manager.delete`."""
        self.manager.delete(job_id)

    def clear(self, hours: float, statuses: Sequence[Status | str] = (), queue: str | None = None) -> int:
        """Delete jobs that ended so many hours ago; see `Manager.clear`."""
        return self.manager.clear(hours, statuses, queue)

    def flush(self, queue: str | None = None) -> int:
        """Delete every job that is not running; see `Manager.flush`."""
        return self.manager.flush(queue)


def work_inside(app: Flask, manager: Manager) -> None:
    """Let each process that answers requests run jobs too, from its first request on."""
    lock, started = threading.Lock(), set[int]()

    def start() -> None:
        if os.getpid() in started:
            return
        with lock:
            if os.getpid() not in started:
                started.add(os.getpid())
                from .worker.inside import start_inside  # most applications have no worker inside

                start_inside(manager, manager.config.work_inside)

    app.before_request_funcs.setdefault(None, []).insert(0, start)

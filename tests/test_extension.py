"""The extension: applications, factories, several of them, and what is registered where."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache

from flask_queues import (
    ConfigError,
    DuplicateJobType,
    Job,
    OptionError,
    PayloadError,
    Queues,
    QueuesError,
    UnknownJobType,
    current_job,
    current_queues,
)


class Resize(Job):
    type = "shop:resize"

    def handle(self, file_id: int, width: int = 800) -> None: ...


def make_app(path: Path, name: str = "shop", **config: Any) -> Flask:
    app = Flask(name, instance_path=str(path / name))
    app.config.update(config)
    return app


def test_setting_up_an_application_connects_to_nothing(tmp_path: Path) -> None:
    """A factory that runs in a build or a test leaves no file behind."""
    Queues(make_app(tmp_path))

    assert list(tmp_path.iterdir()) == []


def test_a_second_set_up_of_one_application_is_an_error_that_says_so(tmp_path: Path) -> None:
    """Two would mean two storages."""
    app = make_app(tmp_path)
    queues = Queues(app)

    with pytest.raises(ConfigError, match="already set up on the application shop"):
        queues.init_app(app)


def test_a_wrong_configuration_is_refused_at_once(tmp_path: Path) -> None:
    """Not when the first job is pushed."""
    with pytest.raises(ConfigError, match="Did you mean QUEUES_TRIES"):
        Queues(make_app(tmp_path, QUEUES_TRYS=3))


def test_one_extension_serves_several_applications(tmp_path: Path) -> None:
    """Each has its own storage; the application in context is meant."""
    queues = Queues()
    queues.register(Resize)
    apps = [make_app(tmp_path, name) for name in ("one", "two")]
    for app in apps:
        queues.init_app(app)

    with apps[0].app_context():
        queues.push(Resize, {"file_id": 1})
    with apps[1].app_context():
        queues.push_many([(Resize, {"file_id": n}) for n in range(3)])
        assert current_queues.counts().statuses["pending"] == 3
    with apps[0].app_context():
        assert queues.counts().statuses["pending"] == 1


def test_outside_a_context_the_only_application_is_meant(tmp_path: Path) -> None:
    """A script with one application needs no context; with two it is told to choose."""
    queues = Queues(make_app(tmp_path, "one"))
    queues.register(Resize)

    assert queues.push(Resize, {"file_id": 1}).status == "pending"
    second = make_app(tmp_path, "two")
    queues.init_app(second)
    with pytest.raises(ConfigError, match="several applications"):
        queues.push(Resize, {"file_id": 1})


def test_without_an_application_the_error_says_what_to_call() -> None:
    """A push before init_app is a sentence, not an AttributeError."""
    with pytest.raises(ConfigError, match="call init_app"):
        Queues().push("shop:resize")


def test_an_application_without_queues_is_told_so() -> None:
    """`current_queues` in a foreign application names it."""
    with Flask("bare").app_context(), pytest.raises(ConfigError, match="The application bare has no queues"):
        current_queues.counts()


def test_what_can_be_imported_is_known_to_every_application(tmp_path: Path) -> None:
    """A module with job types is imported once, before or after the first factory call."""
    queues = Queues()
    before = make_app(tmp_path, "before")
    queues.init_app(before)
    queues.register(Resize)
    after = make_app(tmp_path, "after")
    queues.init_app(after)

    assert [list(app.extensions["queues"].jobs) for app in (before, after)] == [["shop:resize"], ["shop:resize"]]


def test_what_a_factory_defines_stays_with_its_application(tmp_path: Path) -> None:
    """Fifty applications may each define a job of the same type string inside their factory."""
    queues = Queues()

    def create_app(name: str) -> Flask:
        app = make_app(tmp_path, name)
        queues.init_app(app)
        with app.app_context():

            @queues.job("local:hello")
            def hello() -> str:
                return name

            assert hello() == name
        return app

    apps = [create_app(f"app{n}") for n in range(50)]

    assert all(list(app.extensions["queues"].jobs) == ["local:hello"] for app in apps)


def test_an_application_that_is_let_go_is_freed(tmp_path: Path) -> None:
    """The extension holds on to none of the applications that it served."""
    queues = Queues()
    app: Flask | None = make_app(tmp_path)
    assert app is not None
    queues.init_app(app)
    seen = weakref.ref(app)
    app = None
    gc.collect()

    assert seen() is None


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list a process's descriptors")
def test_fifty_applications_leave_no_descriptor_behind(tmp_path: Path) -> None:
    """Each has used its storage and was let go."""
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    queues = Queues()
    queues.register(Resize)

    def use_one(n: int) -> None:
        app = make_app(tmp_path, f"app{n}")
        queues.init_app(app)
        with app.app_context():
            queues.push(Resize, {"file_id": n})

    for n in range(50):
        use_one(n)
    gc.collect()

    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_another_job_type_under_a_known_type_string_is_refused(tmp_path: Path) -> None:
    """The same class again is no error; another one is, and both are named."""
    queues = Queues(make_app(tmp_path))
    queues.register(Resize)
    queues.register(Resize)

    with pytest.raises(DuplicateJobType, match=r"registered twice, as .*Resize and as .*other"):

        @queues.job("shop:resize")
        def other() -> None: ...


@pytest.mark.parametrize(
    ("members", "error", "said"),
    [
        ({"handle": lambda self: None}, ConfigError, "type = '' is not a type string"),
        ({"type": "a b", "handle": lambda self: None}, ConfigError, "is not a type string"),
        ({"type": "a"}, ConfigError, "has no method handle"),
        ({"type": "a", "handle": lambda self: None, "tries": 0}, ConfigError, "a: tries: 0 is not a whole number"),
        ({"type": "a", "handle": lambda self: None, "queue": ""}, ConfigError, "a: queue: '' is not a queue name"),
        ({"type": "a", "handle": lambda self: None, "timeout": 0}, ConfigError, "a: timeout: 0 s is out of range"),
        ({"type": "a", "handle": lambda self, *x: None}, PayloadError, "cannot be given by name"),
        ({"type": "a", "handle": lambda self: (yield)}, ConfigError, "a: handle is a generator"),
        ({"type": "a", "handle": lambda self: None, "tags": "abc"}, ConfigError, "tags = 'abc' is not a list"),
        ({"type": "a", "handle": lambda self: None, "sensitive": "iban"}, ConfigError, "sensitive = 'iban' is not"),
        ({"type": "a", "handle": lambda self: None, "jitter": 5}, ConfigError, "jitter = 5 is not a number from 0"),
        ({"type": [], "handle": lambda self: None}, ConfigError, "is not a type string"),
    ],
)
def test_a_job_type_that_cannot_work_is_refused_when_registered(
    members: dict[str, Any], error: type[QueuesError], said: str
) -> None:
    """Not when the first worker meets it."""
    with pytest.raises(error, match=said):
        Queues().register(type("Broken", (Job,), members))


def test_a_function_job_is_still_the_function(tmp_path: Path) -> None:
    """Called it runs here; pushed it runs in a worker, and no option takes a name from its payload."""
    queues = Queues(make_app(tmp_path))

    @queues.job("shop:mail", queue="mail")
    def mail(queue: str, delay: int, self: int = 0) -> str:
        """Send a mail."""
        return f"{queue} {delay}"

    handle = mail.using(delay=60, tags=["a"]).push(queue="mine", delay=3, self=4)

    assert (mail("x", delay=1), mail.__doc__, mail.__name__) == ("x 1", "Send a mail.", "mail")
    assert handle.record.payload == {"queue": "mine", "delay": 3, "self": 4}
    assert (handle.record.queue, handle.record.status, handle.record.tags) == ("mail", "scheduled", ("a",))
    with pytest.raises(OptionError, match="There is no option 'dely'"):
        mail.using(dely=1)


def test_a_function_job_takes_no_option_that_does_not_exist() -> None:
    """A typing mistake would otherwise be a job with the default."""
    with pytest.raises(
        ConfigError, match=r"there is no option 'trys' \(did you mean 'tries'\?\); a job type takes .*, tries, "
    ):
        Queues().job("shop:mail", trys=3)(lambda: None)


def test_a_function_job_may_bring_its_failed_and_its_backoff(tmp_path: Path) -> None:
    """As plain functions: of the exception, and of the attempt's number."""
    seen: list[BaseException] = []
    queues = Queues(make_app(tmp_path))
    queues.job("shop:mail", failed=seen.append, backoff=lambda attempt: attempt * 10, jitter=0)(lambda: None)
    job_type = queues.jobs["shop:mail"]
    error = ValueError("no")

    job_type.job_class().failed(error)

    assert seen == [error]
    assert [job_type.backoff(attempt, None, 60) for attempt in (1, 3)] == [10, 30]


def test_waits_vary_by_a_fifth_unless_the_type_says_otherwise(tmp_path: Path) -> None:
    """So that what failed together is not tried together; whatever has said how long they are."""
    queues = Queues(make_app(tmp_path))
    queues.job("shop:mail")(lambda: None)
    queues.job("shop:exact", jitter=0)(lambda: None)
    for pushed, default in ((None, 60.0), ((60.0,), 5.0)):
        waits = [queues.jobs["shop:mail"].backoff(1, pushed, default) for _ in range(200)]
        assert 48 <= min(waits) < 55
        assert 65 < max(waits) <= 72
        assert {queues.jobs["shop:exact"].backoff(1, pushed, default) for _ in range(10)} == {60}


def test_a_static_handle_is_inherited_with_its_arguments(tmp_path: Path) -> None:
    """Neither a static nor a class method loses its first argument."""

    class Base(Job):
        type = "a:static"

        @staticmethod
        def handle(file_id: int) -> None: ...

    class Inherited(Base):
        type = "a:inherited"

    class OfClass(Job):
        type = "a:class"

        @classmethod
        def handle(cls, file_id: int) -> None: ...

    queues = Queues(make_app(tmp_path))
    queues.register(Base, Inherited, OfClass)

    assert [one.shape.names for one in queues.jobs.values()] == [("file_id",)] * 3


def test_a_cache_that_is_none_is_refused() -> None:
    """At once, not when the first job is pushed."""
    with pytest.raises(ConfigError, match=r"Queues\(cache=5\): it takes a flask_caching.Cache"):
        Queues(cache=5)  # type: ignore[arg-type]


def test_what_a_factory_defines_without_a_context_belongs_to_the_last_application(tmp_path: Path) -> None:
    """The one that the factory has just set up."""
    queues = Queues()

    def create_app(name: str) -> Flask:
        app = make_app(tmp_path, name)
        queues.init_app(app)

        @queues.job("local:hello")
        def hello() -> str:
            return name

        return app

    apps = [create_app("one"), create_app("two")]

    assert [list(app.extensions["queues"].jobs) for app in apps] == [["local:hello"], ["local:hello"]]


def test_a_job_may_be_pushed_as_class_instance_function_or_type_string(tmp_path: Path) -> None:
    """All four mean the same job type."""
    queues = Queues(make_app(tmp_path))
    queues.register(Resize)

    handles = [
        queues.push(Resize, {"file_id": 1}),
        queues.push("shop:resize", {"file_id": 1}),
        queues.push(Resize().with_payload(file_id=1).on_queue("images").delayed(60)),
        queues.later(60, Resize, {"file_id": 1}),
    ]

    assert {handle.record.type for handle in handles} == {"shop:resize"}
    assert [handle.record.status for handle in handles] == ["pending", "pending", "scheduled", "scheduled"]
    assert handles[2].record.queue == "images"


def test_an_unregistered_job_type_is_refused_at_the_push(tmp_path: Path) -> None:
    """By its type string, and a class by whether it is the registered one."""
    queues = Queues(make_app(tmp_path))

    for job in ("shop:nothing", Resize, Resize(), object()):
        with pytest.raises(UnknownJobType, match=r"is not registered|is no job"):
            queues.push(job)
    assert queues.counts().statuses["pending"] == 0


def test_the_hosts_own_cache_is_left_alone(tmp_path: Path) -> None:
    """Our cache neither reads the host's CACHE_* keys nor replaces its Jinja extension."""
    app = make_app(tmp_path, CACHE_TYPE="SimpleCache", CACHE_KEY_PREFIX="host_", CACHE_DIR=str(tmp_path / "pages"))
    cache = Cache(app)
    before = dict(vars(app.jinja_env))
    queues = Queues(app)
    queues.register(Resize)
    handle = queues.push(Resize, {"file_id": 1})
    with app.app_context():
        cache.clear()

    assert handle.status == "pending"
    assert (tmp_path / "shop" / "queues.sqlite3").exists()
    assert not (tmp_path / "pages").exists()
    assert vars(app.jinja_env) == before


def test_a_cache_of_the_hosts_may_hold_the_jobs(tmp_path: Path) -> None:
    """`Queues(app, cache=cache)`: clearing what was cached there leaves the jobs."""
    app = make_app(tmp_path, CACHE_TYPE="flask_queues.SQLiteCache", CACHE_DIR=str(tmp_path / "both"))
    cache = Cache(app)
    queues = Queues(app, cache=cache)
    queues.register(Resize)
    with app.app_context():
        cache.set("page", "text")
        handle = queues.push(Resize, {"file_id": 1})
        cache.clear()
        assert cache.get("page") is None

    assert handle.status == "pending"
    assert (tmp_path / "both" / "queues.sqlite3").exists()


def test_a_backend_that_would_lose_jobs_is_refused(tmp_path: Path) -> None:
    """With the setting to change."""
    app = make_app(tmp_path, QUEUES_CACHE_TYPE="NullCache", QUEUES_CACHE_NO_NULL_WARNING=True)
    queues = Queues(app)
    queues.register(Resize)

    with pytest.raises(ConfigError, match=r"jobs cannot be kept in .* flask_queues.SQLiteCache"):
        queues.push(Resize, {"file_id": 1})


def test_a_backend_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """A typing mistake in the backend is a sentence."""
    queues = Queues(make_app(tmp_path, QUEUES_CACHE_TYPE="SqliteCash"))

    with pytest.raises(ConfigError, match="QUEUES_CACHE_TYPE = 'SqliteCash' names nothing"):
        queues.counts()


def test_there_is_no_current_job_outside_a_job() -> None:
    """A use of it says so."""
    with pytest.raises(RuntimeError, match="No job is running here"):
        current_job.progress(5)
    with pytest.raises(RuntimeError, match="works inside a job"):
        Resize().progress(5)

"""The configuration of one application's queues: every key, its default and what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from ..errors import ConfigError
from .alertkeys import EVERY, Thresholds, read_thresholds
from .cachekeys import check_cache_together, check_cache_value
from .retentionkeys import Retention, read_retention

PREFIX = "QUEUES_"
CACHE_PREFIX = "QUEUES_CACHE_"
#: The user and password of an address.
CREDENTIALS = re.compile(r"(://)[^\s/@\"']{1,256}@")
QUEUE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
CLASS_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
QUEUE_NAME_RULE = "1 to 64 letters, digits, _ . : or -, beginning with a letter or digit"
FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,}")
RELEASE = re.compile(r"[A-Za-z0-9._+/:@-]{1,64}")
#: Variables of the environment in which platforms tell the commit that is deployed.
RELEASES = (
    "SENTRY_RELEASE", "SOURCE_VERSION", "GIT_SHA", "GIT_COMMIT", "HEROKU_SLUG_COMMIT", "HEROKU_BUILD_COMMIT",
    "RENDER_GIT_COMMIT", "FLY_IMAGE_REF", "K_REVISION", "CONTAINER_APP_REVISION",
)  # fmt: skip
URL_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
RATE = re.compile(r"([0-9]{1,9})/([0-9]{0,6})(s|m|h|d|second|minute|hour|day)")
RATE_RULE = "'100/s', '5/m', '1000/h' or '20/30s'"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
#: What flask-caching itself understands, to name the right key where one is misspelt.
CACHE_KEYS = frozenset(
    {
        "CACHE_TYPE",
        "CACHE_ARGS",
        "CACHE_OPTIONS",
        "CACHE_DEFAULT_TIMEOUT",
        "CACHE_IGNORE_ERRORS",
        "CACHE_THRESHOLD",
        "CACHE_KEY_PREFIX",
        "CACHE_DIR",
        "CACHE_FILE_HASH_METHOD",
        "CACHE_NO_NULL_WARNING",
        "CACHE_SOURCE_CHECK",
        "CACHE_UWSGI_NAME",
        "CACHE_MEMCACHED_SERVERS",
        "CACHE_MEMCACHED_USERNAME",
        "CACHE_MEMCACHED_PASSWORD",
        "CACHE_REDIS_HOST",
        "CACHE_REDIS_PORT",
        "CACHE_REDIS_PASSWORD",
        "CACHE_REDIS_DB",
        "CACHE_REDIS_URL",
        "CACHE_REDIS_SENTINELS",
        "CACHE_REDIS_SENTINEL_MASTER",
        "CACHE_REDIS_SENTINEL_PASSWORD",
        "CACHE_REDIS_CLUSTER",
        "CACHE_SERIALIZER",
    }
)


class Rate(NamedTuple):
    """So many in a time."""

    n: int
    #: Milliseconds.
    per: int
    #: As it was written.
    text: str

    @property
    def step(self) -> int:
        """Microseconds from one to the next, if they come evenly."""
        return max(1, self.per * 1000 // self.n)

    @classmethod
    def read(cls, value: Any) -> Rate | None:
        """Read a rate as people write it; None where it is none."""
        found = RATE.fullmatch(value) if isinstance(value, str) else None
        if found is None or not int(found[1]) or not int(found[2] or 1):
            return None
        return cls(int(found[1]), int(found[2] or 1) * UNITS[found[3][0]] * 1000, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The checked values of an application's `QUEUES_*` keys; field `names` is key `QUEUES_NAMES`."""

    #: The queue of a job type that names none.
    default: str = "default"
    #: The queues that a worker serves when it is not told which; `high` first, `low` last.
    names: tuple[str, ...] = ("default", "high", "low")
    #: Seconds a job may run where its type does not say.
    timeout: float = field(default=60.0, metadata={"range": (0.001, 86_400 * 30)})
    #: Megabytes (10^6 bytes) that a child may hold before it is replaced after its job.
    memory: float = field(default=128.0, metadata={"range": (1, 1_000_000)})
    #: Seconds after which a waiting child looks for work although nobody woke it.
    sleep: float = field(default=5.0, metadata={"range": (0.01, 3600)})
    #: How often a job may run before it has failed, where its type does not say.
    tries: int = field(default=3, metadata={"range": (1, 1000)})
    #: Seconds before the next attempt, where the type does not say.
    backoff: float = field(default=60.0, metadata={"range": (0, 86_400 * 30)})
    #: Jobs that each web process runs at a time, in threads of its own, from its first request on; 0: none.
    work_inside: int = field(default=0, metadata={"range": (0, 1000)})
    #: Jobs after which a child is replaced.
    max_jobs: int = field(default=1000, metadata={"range": (1, 1_000_000_000)})
    #: Seconds a claim is valid without a sign of life.
    lease: float = field(default=30.0, metadata={"range": (2, 3600)})
    #: Seconds that a job in hand gets to finish when the worker stops or the job is cancelled.
    grace: float = field(default=30.0, metadata={"range": (0, 3600)})
    #: Bytes of JSON that a payload may have.
    max_payload: int = field(default=1_048_576, metadata={"range": (64, 1_048_576 * 64)})
    #: How many jobs may be pending or scheduled in each queue, or in those that are named; a push beyond is refused.
    max_waiting: int | Mapping[str, int] | None = None
    #: How many jobs the requests of one user, or of one address, may push in a time; None: any number.
    push_limit: Rate | None = None
    #: Hours that completed and cancelled jobs are kept.
    retention_completed: float = field(default=24.0, metadata={"range": (0, 24 * 3650)})
    #: Hours that failed jobs are kept.
    retention_failed: float = field(default=168.0, metadata={"range": (0, 24 * 3650)})
    #: By job type, `*` for every type: hours by final status and numbers of jobs, over the two above.
    retention: dict[str, Retention] = field(default_factory=dict)
    #: Whether pushes wait for the commit of the database session, where they do not say.
    after_commit: bool = False
    #: Replicas of Redis that must have a push before it returns; 0 waits for none.
    redis_wait: int = field(default=0, metadata={"range": (0, 100)})
    #: The zone of schedules that name none.
    timezone: str = "UTC"
    #: Whether an occurrence of a schedule may start while the one before still runs.
    overlap: bool = False
    #: The release of the application, kept with each attempt; None asks the environment, see `RELEASES`.
    release: str | None = None
    #: Where the panel is mounted.
    url_prefix: str = "/queues"
    #: Says what the person of a request may do in the panel; None asks the Flask-Login user's `is_admin`.
    admin: Callable[[], Any] | None = None
    #: What opens the panel's addresses for monitoring to programs; None: they are for admins alone.
    metrics_token: str | None = field(default=None, repr=False)
    #: By queue, `*` for every other: what is too much, so that somebody is told.
    alerts: dict[str, Thresholds] = field(default_factory=dict)
    #: Is called with each `Alert` that has come or is over; a text, `package.module:function`, names it.
    alert_receiver: Callable[[Any], Any] | str | None = None
    #: Seconds between two refreshes of the panel's live parts.
    refresh: float = field(default=5.0, metadata={"range": (1, 3600)})
    #: A template of the host's that the panel's pages extend.
    layout: str | None = None
    #: An engine of the application's own, `package.module:Class`; None takes the one for the cache.
    storage: str | None = None
    #: Keys of Fernet: the first encrypts what jobs are about, each decrypts it; none: nothing is encrypted.
    encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    #: The keys for flask-caching, without `QUEUES_`.
    cache: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> Config:
        """Read and check every `QUEUES_*` key of an application's configuration.

        Raises `ConfigError` for a key that does not exist, a wrong type or a value out of range.
        """
        values: dict[str, Any] = {}
        cache: dict[str, Any] = {}
        for key, value in settings.items():
            if key.startswith(CACHE_PREFIX):
                cache[check_cache_key(key)] = check_cache_value(key, value)
            elif key.startswith(PREFIX):
                name = check_key(key)
                values[name] = CHECKS[name](key, value)
        if values.get("storage") and cache:
            key = min(f"{PREFIX}{name}" for name in cache)
            raise ConfigError(f"QUEUES_STORAGE and {key} are both set, but jobs are kept in one place. Take one out.")
        check_cache_together(cache)
        return cls(cache=cache, **values)

    def may_wait(self, queue: str) -> int | None:
        """How many jobs may wait in a queue; None where nobody says."""
        return self.max_waiting.get(queue) if isinstance(self.max_waiting, Mapping) else self.max_waiting

    def ordered_names(self, others: list[str]) -> list[str]:
        """The order in which a worker serves all queues: `high` first, `low` last, others between."""
        names = dict.fromkeys([*self.names, self.default, *sorted(others)])
        return sorted(names, key=lambda name: {"high": 0, "low": 2}.get(name, 1))


def check_key(key: str) -> str:
    """Return the field of a key, or say which key was meant."""
    name = key.removeprefix(PREFIX).lower()
    if name not in CHECKS:
        raise ConfigError(f"{key} is not a setting of Flask-Queues.{suggestion(key, known_keys())}")
    return name


def check_cache_key(key: str) -> str:
    """Return flask-caching's own name of a key; refuse what is one letter off a known one."""
    name = key.removeprefix(PREFIX)
    if name not in CACHE_KEYS and difflib.get_close_matches(name, CACHE_KEYS, 1, 0.85):
        raise ConfigError(f"{key} is not a setting.{suggestion(key, known_keys())}")
    return name


def suggestion(key: str, known: list[str]) -> str:
    """Name the nearest right key, if one is near."""
    names = [name.removeprefix(PREFIX) for name in known]
    near = difflib.get_close_matches(key.removeprefix(PREFIX), names, 1, 0.6)
    return f" Did you mean {PREFIX}{near[0]}?" if near else ""


def keys_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What an application says to Flask-Queues, as it stands there."""
    return {key: value for key, value in settings.items() if key.startswith(PREFIX)}


def known_keys() -> list[str]:
    """Every key that Flask-Queues reads."""
    return [f"{PREFIX}{name.upper()}" for name in CHECKS] + [f"{PREFIX}{key}" for key in CACHE_KEYS]


def check_queue_name(where: str, name: Any) -> str:
    """Return a queue's name, or raise `ConfigError` that says what a name may be."""
    if not isinstance(name, str) or not QUEUE_NAME.fullmatch(name):
        raise ConfigError(f"{where}: {shortened(name)} is not a queue name ({QUEUE_NAME_RULE}).")
    return name


def check_queue_names(where: str, names: Any) -> tuple[str, ...]:
    """Return queue names given as a list or as one text with commas."""
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",")]
    if not isinstance(names, (list, tuple)) or not names:
        raise ConfigError(f"{where}: {shortened(names)} is not a list of queue names.")
    return tuple(dict.fromkeys(check_queue_name(where, name) for name in names))


def check_number(kind: type, low: float, high: float) -> Any:
    """Return a check for a number of this kind within this range."""
    allowed = f"{'a whole number' if kind is int else 'a number'} from {low:g} to {high:,}"

    def check(key: str, value: Any) -> Any:
        fits = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
        if not fits or not low <= value <= high:
            raise ConfigError(f"{key} = {shortened(value)} is not allowed: it takes {allowed}.")
        return kind(value)

    return check


def check_max_waiting(key: str, value: Any) -> int | Mapping[str, int] | None:
    """Return how many jobs may wait: a number for each queue, or one by its name."""
    if value is None:
        return None
    check = check_number(int, 1, 1_000_000_000)
    if not isinstance(value, Mapping):
        number: int = check(key, value)
        return number
    return {check_queue_name(key, name): check(f"{key}[{name!r}]", most) for name, most in value.items()}


def check_push_limit(key: str, value: Any) -> Rate | None:
    """Return a rate, or None."""
    rate = Rate.read(value)
    if value is not None and rate is None:
        raise ConfigError(f"{key} = {shortened(value)} is not allowed: it takes a rate, such as {RATE_RULE}.")
    return rate


def check_zone(key: str, value: Any) -> str:
    """Return the name of a time zone that this machine knows."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # a megabyte in every process of a worker

    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise ConfigError(f"{key} = {shortened(value)} is not a time zone such as Europe/Berlin.") from error


def check_flag(key: str, value: Any) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise ConfigError(f"{key} = {shortened(value)} is not allowed: it takes True or False.")
    return value


def check_prefix(key: str, value: Any) -> str:
    """Return a URL prefix."""
    if not isinstance(value, str) or not URL_PREFIX.fullmatch(value):
        raise ConfigError(f"{key} = {shortened(value)} is not allowed: it takes a path such as /queues.")
    return value


def check_callable(key: str, value: Any) -> Callable[[], Any] | None:
    """Return something to call without arguments, or None."""
    if value is not None and not callable(value):
        raise ConfigError(f"{key} = {shortened(value)} is not allowed: it takes a function without arguments.")
    return value  # type: ignore[no-any-return]


def check_alerts(key: str, value: Any) -> dict[str, Thresholds]:
    """Return thresholds by queue."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key} = {shortened(value)} is not allowed: it takes thresholds by queue.")
    return {
        queue if queue == EVERY else check_queue_name(key, queue): read_thresholds(f"{key}[{queue!r}]", given)
        for queue, given in value.items()
    }


def check_retention(key: str, value: Any) -> dict[str, Retention]:
    """Return by job type for how long, and how many, ended jobs are kept."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name for name in value):
        raise ConfigError(f"{key} = {shortened(value)} is not allowed: it takes hours and numbers of jobs by job type.")
    return {name: read_retention(f"{key}[{name!r}]", given) for name, given in value.items()}


def check_receiver(key: str, value: Any) -> Callable[[Any], Any] | str | None:
    """Return something to call with an alert or its name, `package.module:function`, or None."""
    named = isinstance(value, str) and CLASS_NAME.fullmatch(value)
    if value is not None and not callable(value) and not named:
        raise ConfigError(
            f"{key} = {shortened(value)} is not allowed: it takes a function of one argument, the alert, or its name: "
            "package.module:function."
        )
    return value  # type: ignore[no-any-return]


def check_template(key: str, value: Any) -> str | None:
    """Return the name of a template, or None."""
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigError(f"{key} = {shortened(value)} is not allowed: it takes the name of a template.")
    return value


def check_release(key: str, value: Any) -> str | None:
    """Return the name of a release, or None."""
    if value is not None and (not isinstance(value, str) or not RELEASE.fullmatch(value)):
        raise ConfigError(
            f"{key} = {shortened(value)} is not allowed: it takes 1 to 64 letters, digits or . _ + / : @ -."
        )
    return value


def release_of(config: Config, environment: Mapping[str, str]) -> str:
    """The release of the application: what is configured, or what its platform tells; empty where nobody does."""
    if config.release is not None:
        return config.release
    told = (environment.get(name, "") for name in RELEASES)
    return next((text[:64] for text in told if RELEASE.fullmatch(text[:64])), "")


def check_token(key: str, value: Any) -> str | None:
    """Return a token, or None; what is wrong with one is told without showing it."""
    if value is not None and (not isinstance(value, str) or not TOKEN.fullmatch(value)):
        raise ConfigError(f"{key} is not allowed: it takes at least 16 letters, digits or - . _ ~ + / =, and no blank.")
    return value


def check_class_name(key: str, value: Any) -> str | None:
    """Return where a class is to be imported from, or None."""
    if value is not None and (not isinstance(value, str) or not CLASS_NAME.fullmatch(value)):
        raise ConfigError(f"{key} = {shortened(value)} is not allowed: it takes package.module:Class.")
    return value


def check_encryption_keys(key: str, value: Any) -> tuple[str, ...]:
    """Return keys given as a list or as one text with commas; what is wrong with one is told without showing it."""
    keys = value.split(",") if isinstance(value, str) else value or ()
    if not isinstance(keys, (list, tuple)):
        raise ConfigError(f"{key} is not allowed: it takes a list of keys.")
    texts = [one.decode("ascii", "replace") if isinstance(one, bytes) else str(one) for one in keys]
    for n, text in enumerate(texts, 1):
        if not FERNET_KEY.fullmatch(text.strip()):
            raise ConfigError(
                f"{key}: key {n} is none of Fernet: 32 bytes as 44 characters of URL-safe base64. Make one with "
                'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
            )
    return tuple(text.strip() for text in texts if text.strip())


def shortened(value: Any) -> str:
    """Show a value in a message without flooding it, or telling the password of an address in the wrong key."""
    text = CREDENTIALS.sub(r"\1…@", repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _checks() -> dict[str, Any]:
    checks: dict[str, Any] = {
        "default": check_queue_name,
        "names": check_queue_names,
        "timezone": check_zone,
        "overlap": check_flag,
        "after_commit": check_flag,
        "url_prefix": check_prefix,
        "admin": check_callable,
        "layout": check_template,
        "max_waiting": check_max_waiting,
        "push_limit": check_push_limit,
        "release": check_release,
        "storage": check_class_name,
        "metrics_token": check_token,
        "alerts": check_alerts,
        "retention": check_retention,
        "alert_receiver": check_receiver,
        "encryption_keys": check_encryption_keys,
    }
    for one in fields(Config):
        if "range" in one.metadata:
            checks[one.name] = check_number(int if one.type == "int" else float, *one.metadata["range"])
    return checks


CHECKS = _checks()

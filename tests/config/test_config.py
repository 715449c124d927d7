"""The configuration: checked at once, and every mistake named with what is right."""

from __future__ import annotations

import pytest

from flask_queues.config import Config, release_of
from flask_queues.config.alertkeys import Thresholds, thresholds_of
from flask_queues.errors import ConfigError


def test_an_empty_configuration_is_complete() -> None:
    """Nothing has to be configured; the defaults are the documented ones."""
    config = Config.read({"SECRET_KEY": "x", "CACHE_TYPE": "SimpleCache"})

    assert (config.default, config.names) == ("default", ("default", "high", "low"))
    assert (config.timeout, config.memory, config.sleep, config.tries) == (60, 128, 5, 3)
    assert (config.backoff, config.max_jobs, config.lease, config.grace) == (60, 1000, 30, 30)
    assert (config.retention_completed, config.retention_failed) == (24, 168)
    assert config.cache == {}


def test_cache_keys_lose_our_prefix_and_the_hosts_are_left_alone() -> None:
    """`QUEUES_CACHE_X` is flask-caching's `CACHE_X` for our cache; the host's own never gets in."""
    config = Config.read({"QUEUES_CACHE_DIR": "/a", "QUEUES_CACHE_MINE": 1, "CACHE_DIR": "/host"})

    assert config.cache == {"CACHE_DIR": "/a", "CACHE_MINE": 1}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("QUEUES_TIMOUT", 3, "Did you mean QUEUES_TIMEOUT?"),
        ("QUEUES_CACHE_TPYE", "x", "Did you mean QUEUES_CACHE_TYPE?"),
        ("QUEUES_XYZZY", 3, "QUEUES_XYZZY is not a setting of Flask-Queues."),
        ("QUEUES_TRIES", "3", "QUEUES_TRIES = '3' is not allowed: it takes a whole number from 1 to 1,000."),
        ("QUEUES_TRIES", True, "QUEUES_TRIES = True"),
        ("QUEUES_TRIES", 1.5, "QUEUES_TRIES = 1.5"),
        ("QUEUES_TRIES", 0, "QUEUES_TRIES = 0"),
        ("QUEUES_TIMEOUT", -1, "QUEUES_TIMEOUT = -1 is not allowed: it takes a number from 0.001 to 2,592,000."),
        ("QUEUES_TIMEOUT", float("nan"), "QUEUES_TIMEOUT = nan"),
        ("QUEUES_LEASE", None, "QUEUES_LEASE = None"),
        ("QUEUES_DEFAULT", "", "QUEUES_DEFAULT: '' is not a queue name"),
        ("QUEUES_DEFAULT", "a" * 65, "is not a queue name"),
        ("QUEUES_NAMES", ["ok", "not ok"], "QUEUES_NAMES: 'not ok' is not a queue name"),
        ("QUEUES_NAMES", [], "QUEUES_NAMES: [] is not a list of queue names."),
        ("QUEUES_NAMES", 5, "QUEUES_NAMES: 5 is not a list of queue names."),
        ("QUEUES_TIMEZONE", "Europe/Berln", "QUEUES_TIMEZONE = 'Europe/Berln' is not a time zone"),
        ("QUEUES_TIMEZONE", 5, "is not a time zone"),
        ("QUEUES_OVERLAP", 1, "QUEUES_OVERLAP = 1 is not allowed: it takes True or False."),
        ("QUEUES_URL_PREFIX", "queues", "it takes a path such as /queues"),
        ("QUEUES_ADMIN", "ada", "it takes a function without arguments"),
        ("QUEUES_METRICS_TOKEN", "short", "QUEUES_METRICS_TOKEN is not allowed: it takes at least 16 letters"),
        ("QUEUES_METRICS_TOKEN", 5, "QUEUES_METRICS_TOKEN is not allowed"),
        ("QUEUES_RETENTION", 5, "QUEUES_RETENTION = 5 is not allowed: it takes hours and numbers of jobs by job type."),
        ("QUEUES_RETENTION", {5: {"failed": 1}}, "it takes hours and numbers of jobs by job type"),
        (
            "QUEUES_RETENTION",
            {"a": {}},
            "QUEUES_RETENTION['a'] is not allowed: it takes hours or numbers by name: comp",
        ),
        (
            "QUEUES_RETENTION",
            {"a": {"falied": 1}},
            "QUEUES_RETENTION['a']: 'falied' is not known. Did you mean failed?",
        ),
        (
            "QUEUES_RETENTION",
            {"a": {"failed": -1}},
            "['a']['failed'] = -1 is not allowed: it takes hours from 0 to 87,6",
        ),
        (
            "QUEUES_RETENTION",
            {"a": {"failed_count": 1.5}},
            "= 1.5 is not allowed: it takes a whole number of jobs from 0",
        ),
        (
            "QUEUES_RELEASE",
            "",
            "QUEUES_RELEASE = '' is not allowed: it takes 1 to 64 letters, digits or . _ + / : @ -.",
        ),
        ("QUEUES_RELEASE", "a b", "QUEUES_RELEASE = 'a b' is not allowed"),
        ("QUEUES_ALERTS", 5, "QUEUES_ALERTS = 5 is not allowed: it takes thresholds by queue."),
        ("QUEUES_ALERTS", {"not ok": {"pending": 1}}, "QUEUES_ALERTS: 'not ok' is not a queue name"),
        ("QUEUES_ALERTS", {"*": {}}, "QUEUES_ALERTS['*'] is not allowed: it takes thresholds by name: longest_wait,"),
        ("QUEUES_ALERTS", {"a": {"longest_wiat": 1}}, "'longest_wiat' is not known. Did you mean longest_wait?"),
        (
            "QUEUES_ALERTS",
            {"a": {"grows": "yes"}},
            "QUEUES_ALERTS['a']['grows'] = yes is not allowed: it takes True, False",
        ),
        ("QUEUES_ALERTS", {"a": {"pending": -1}}, "QUEUES_ALERTS['a']['pending'] = -1 is not allowed: it takes a num"),
        ("QUEUES_ALERTS", {"a": {"pending": True}}, "QUEUES_ALERTS['a']['pending'] = True is not allowed"),
        ("QUEUES_ALERTS", {"a": {"no_worker": "yes"}}, "it takes True, False or a number of seconds."),
        ("QUEUES_ALERT_RECEIVER", "mail", "it takes a function of one argument, the alert, or its name"),
        ("QUEUES_REFRESH", 0, "QUEUES_REFRESH = 0 is not allowed"),
        ("QUEUES_LAYOUT", "", "it takes the name of a template"),
        ("QUEUES_MAX_WAITING", 0, "QUEUES_MAX_WAITING = 0 is not allowed: it takes a whole number from 1"),
        ("QUEUES_MAX_WAITING", {"mail": "9"}, "QUEUES_MAX_WAITING['mail'] = '9' is not allowed"),
        ("QUEUES_MAX_WAITING", {"no name": 9}, "QUEUES_MAX_WAITING: 'no name' is not a queue name"),
        ("QUEUES_PUSH_LIMIT", "fast", "QUEUES_PUSH_LIMIT = 'fast' is not allowed: it takes a rate, such as '100/s'"),
        ("QUEUES_PUSH_LIMIT", "0/m", "it takes a rate"),
        ("QUEUES_REDIS_WAIT", -1, "a whole number from 0 to 100"),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_name(key: str, value: object, said: str) -> None:
    """The message names the key, the value and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        Config.read({key: value})

    assert said in str(caught.value)


def test_thresholds_are_read_by_queue() -> None:
    """True stands for half a minute without a worker; None switches off what holds for every queue."""
    alerts = Config.read({"QUEUES_ALERTS": {"*": {"pending": 10, "no_worker": True}, "a": {"pending": None}}}).alerts

    assert (alerts["*"].pending, alerts["*"].no_worker, alerts["*"].longest_wait) == (10, 30, None)
    assert thresholds_of(alerts, "a") == Thresholds()
    assert thresholds_of(alerts, "b") == alerts["*"]


def test_none_switches_off() -> None:
    """A configuration that asks for nothing is accepted."""
    Config.read({"QUEUES_ENCRYPTION_KEYS": None, "QUEUES_PUSH_LIMIT": None, "QUEUES_MAX_WAITING": None})


def test_a_worker_serves_high_first_and_low_last() -> None:
    """Queues that hold jobs without being configured come between."""
    config = Config.read({"QUEUES_NAMES": "low, mail, high", "QUEUES_DEFAULT": "mail"})

    assert config.ordered_names(["zebra", "ape"]) == ["high", "mail", "ape", "zebra", "low"]


def test_the_release_is_what_is_configured_or_what_the_platform_says() -> None:
    """What cannot be a name is passed over, and a long one cut."""
    unset, told = Config.read({}), {"SOURCE_VERSION": "two words", "GIT_SHA": "a" * 80}

    assert release_of(Config.read({"QUEUES_RELEASE": "1"}), told) == "1"
    assert release_of(unset, told) == "a" * 64
    assert release_of(unset, {}) == ""

"""A failed job becomes a test of the application, and that test fails as the job did."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from flask_queues import OptionError, Queues, Status
from flask_queues.record import JobError, JobRecord
from flask_queues.reproducing import as_test, expected_of, pattern

ROOT = Path(__file__).resolve().parents[1]
SHOP = """
from flask import Flask

from flask_queues import GatheredJob, Queues

queues = Queues()


class Refused(Exception):
    class ByTheBank(Exception):
        pass


@queues.job("shop:pay", queue="money", tries=5, sensitive={"iban"})
def pay(order: int, iban: str, note: dict, password: int = 0) -> None:
    if note["kind"] == "key":
        raise KeyError(order)
    raise Refused.ByTheBank(f"order {order} (of 3?) is refused: {iban}" if note["kind"] == "told" else "no [sic]")


@queues.register
class Digest(GatheredJob):
    type = "shop:digest"
    window = 30
    tries = 1

    def handle(self, payloads: list[dict]) -> None:
        raise ZeroDivisionError(f"{len(payloads)} payloads")


def create_app(folder) -> Flask:
    app = Flask("shop", instance_path=str(folder))
    queues.init_app(app)
    return app
"""
CONFTEST = """
import pytest
from shop import create_app


@pytest.fixture
def app(tmp_path):
    return create_app(tmp_path)
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application, in a folder with nothing but a fixture for its tests."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    yield importlib.import_module("shop")
    monkeypatch.delitem(sys.modules, "shop")


def written(module: Any, folder: Path, job: Any, payload: dict[str, Any], **options: Any) -> str:
    """The test of a job that has failed."""
    app = module.create_app(folder)
    queues: Queues = module.queues
    with queues.fake(app, raises=False) as fake:
        handle = queues.push(job, payload, **options)
        fake.drain(within=3600)
        return as_test(app.extensions["queues"], handle.record)


def run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Let pytest run it in the application's folder."""
    (folder / "test_it.py").write_text(text)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "pytest_flask_queues",
        "-W",
        "error",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [*command, "test_it.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["told", "short", "key"])
def test_the_test_fails_as_the_job_did(shop: Any, tmp_path: Path, kind: str) -> None:
    """Whatever its class, nested ones too, and whatever stands in its message."""
    payload = {"order": 7, "iban": "DE0212", "note": {"kind": kind, "ä": [None, True, "'\"\n"]}, "password": 1234}
    text = written(shop, tmp_path, "shop:pay", payload, tries=1, tags=["a b"], priority=3)
    done = run(tmp_path, text)
    assert done.returncode == 0, done.stdout + text
    (tmp_path / "shop.py").write_text(SHOP.replace("raise ", "return "))
    assert "DID NOT RAISE" in run(tmp_path, text).stdout


@pytest.mark.slow
def test_a_gathered_job_is_awaited(shop: Any, tmp_path: Path) -> None:
    """Its window has to pass."""
    text = written(shop, tmp_path, "shop:digest", {"n": 1})
    assert "queues_fake.drain(within=30)" in text
    done = run(tmp_path, text)
    assert done.returncode == 0, done.stdout + text


def test_secrets_are_left_out_and_named(shop: Any, tmp_path: Path) -> None:
    """Something of their kind stands in their place; a message that repeats one is not expected."""
    payload = {"order": 7, "iban": "DE0212", "note": {"kind": "told", "tokens": ["abcd"]}, "password": 1234}
    text = written(shop, tmp_path, "shop:pay", payload, tries=1)
    assert "DE0212" not in text
    assert "1234" not in text
    assert "abcd" not in text
    assert "'iban': '<iban>'" in text
    assert "'password': 0" in text
    for place in ("payload['iban']", "payload['password']", "payload['note']['tokens']"):
        assert f"# {place} was secret: put in what reproduces the failure.\n" in text
    assert "with pytest.raises(Refused.ByTheBank):  # in shop.py:pay\n" in text
    assert "from shop import Refused\n" in text


def test_a_job_that_has_not_failed_cannot_be_reproduced(shop: Any, tmp_path: Path) -> None:
    """That is said."""
    app = shop.create_app(tmp_path)
    handle = shop.queues.push("shop:digest", {"n": 1})
    with pytest.raises(OptionError, match="has no error that could be reproduced; it is scheduled"):
        as_test(app.extensions["queues"], handle.record)


@pytest.mark.parametrize(
    ("message", "pattern_"),
    [
        ("as asked", "'as asked'"),
        ("a.b (c) 'd'", """r"a\\.b \\(c\\) 'd'\""""),
        ('say "no".', "'say \"no\"\\\\.'"),
        ("two\nlines\\", "'two\\nlines\\\\\\\\'"),
    ],
)
def test_a_message_is_expected_as_it_was(message: str, pattern_: str) -> None:
    """As code that finds it, and is read easily where it can be."""
    assert pattern(message) == pattern_
    assert re.fullmatch(ast.literal_eval(pattern_), message)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ValueError", ("ValueError", "")),
        ("no_such_builtin", None),
        ("print", None),
        ("json.decoder.JSONDecodeError", ("JSONDecodeError", "from json.decoder import JSONDecodeError")),
        ("never.imported.Error", ("Error", "from never.imported import Error")),
        ("shop.make.<locals>.Error", None),
        ("a.b; import os", None),
        ("flask_queues.errors.WorkerLost", None),
    ],
)
def test_only_what_can_be_named_is_expected(kind: str, expected: Any) -> None:
    """And nothing is imported to find out."""
    assert expected_of(JobError(kind, "no")) == expected
    assert "never" not in sys.modules


def test_nothing_that_was_stored_is_code_or_paints_a_terminal(shop: Any, tmp_path: Path) -> None:
    """Ids, names and messages may be of anybody who can write to the storage, or of whoever pushed."""
    app = shop.create_app(tmp_path)
    error = JobError("ValueError", "\x1b[2J\x00\u202e" + evil("message"))
    record = JobRecord(
        id="x" + evil("id"), type=evil("type"), queue=evil("queue"), status=Status.FAILED, tags=(evil("tag"),),
        payload={evil("name"): 1, "token" + evil("secret"): {evil("inner"): "s"}},
        created=datetime.now(timezone.utc), due=datetime.now(timezone.utc), error=error,
    )  # fmt: skip
    text = as_test(app.extensions["queues"], record)
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    assert set(calls) == {"pytest.raises", "queues_app.app_context", "current_queues.push", "queues_fake.drain"}
    assert text.replace("\n", "").isprintable()


def evil(where: str) -> str:
    """A text that would be code wherever it stood as it is."""
    return f"\n\r'\"\"\"); exit('{where}')\\"

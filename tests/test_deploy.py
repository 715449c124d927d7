"""The examples for systemd and containers: what they name is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from flask_queues.cli.work import work
from flask_queues.health.__main__ import main

DEPLOY = Path(__file__).parent.parent / "deploy"


def parsed(command: click.Command, arguments: list[str]) -> dict[str, Any]:
    """What a command takes a command line for; raises where it does not understand it."""
    return command.make_context(command.name, arguments).params


def test_the_unit_is_one_that_systemd_understands(tmp_path: Path) -> None:
    """Every line of it, with a program that exists."""
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        pytest.skip("No systemd here.")
    text = (DEPLOY / "queues-worker.service").read_text("utf-8")
    (command,) = (line for line in text.splitlines() if line.startswith("ExecStart="))
    program, *arguments = command.removeprefix("ExecStart=").split()
    assert parsed(work, arguments[4:])["processes"] == 4
    unit = tmp_path / "queues-worker.service"
    unit.write_text(text.replace(program, "/bin/true").replace("/srv/shop", "/"), "utf-8")
    done = subprocess.run([systemd, "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    assert [line for line in done.stderr.splitlines() if "queues-worker" in line] == []


def test_the_compose_file_probes_with_a_command_that_exists() -> None:
    """And gives the worker more time to stop than it takes."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    worker = services["worker"]
    assert parsed(work, worker["command"][5:])["processes"] == 4
    assert worker["healthcheck"]["test"][:4] == ["CMD", "python", "-m", "flask_queues.health"]
    probe = parsed(main, [*worker["healthcheck"]["test"][4:], worker["environment"]["QUEUES_PLACE"]])
    assert (probe["place"], probe["name"], probe["here"]) == ("redis://redis:6379/0", "shop", True)
    assert worker["environment"]["FLASK_QUEUES_CACHE_REDIS_URL"] == probe["place"]
    assert int(worker["stop_grace_period"].removesuffix("s")) >= 30 + 5

"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from importlib import metadata
from pathlib import Path

from flask_queues.storage.sqlite.database import file_system_of

DISTRIBUTIONS = {
    "Flask-Queues": "flask-queues-panel",
    "Huey": "huey",
    "RQ": "rq",
    "Celery": "celery",
    "Dramatiq": "dramatiq",
    "taskiq": "taskiq",
    "redis-py": "redis",
}


def describe(folder: Path) -> dict[str, str | int | float]:
    """Describe the machine and the versions; `folder` is where the files of the storages are."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "load before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "file system": file_system_of(folder) or "unknown",
        "Redis": redis_version(),
        **versions(),
    }


def versions() -> dict[str, str]:
    """What is installed of what is measured: the soak needs none of the others."""
    there = {distribution.name: distribution.version for distribution in metadata.distributions()}
    return {name: there[distribution] for name, distribution in DISTRIBUTIONS.items() if distribution in there}


def processor() -> str:
    """Name the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def redis_version() -> str:
    """The version of the server that would be started."""
    try:
        said = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    except OSError:
        return "not installed"
    return next((word.removeprefix("v=") for word in said.split() if word.startswith("v=")), "unknown")

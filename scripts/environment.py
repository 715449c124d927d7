#!/usr/bin/env python3
"""Makes an environment for the example, the tests or the checks, where there is Python and nothing else.

    python3 scripts/environment.py .venv-tests requirements/dev.txt requirements/example.txt

makes .venv-tests (a second time: only looks whether it is still right), installs exactly these versions and
the project itself, editable. It uses nothing but the standard library. From Python, ``ensure`` does the same
and returns the environment's Python.
"""

import sys

if sys.version_info < (3, 10):  # before anything an older Python would stumble over
    sys.exit(
        "Flask-Queues needs Python 3.10 or newer, and this is Python {}.{} ({}).\n"
        "Start it with a newer one, for example: python3.12 {}".format(
            sys.version_info[0], sys.version_info[1], sys.executable, " ".join(sys.argv)
        )
    )

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Installed into every environment first, so that the project is built with pinned tools too.
BUILD_REQUIREMENTS = "requirements/build.txt"

#: What the built project depends on beside its code, which an editable install follows by itself.
PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "translations/*/LC_MESSAGES/*.po")


class SetupError(Exception):
    """The environment cannot be made; the message says what to do about it."""


def ensure(name: str, requirements: Iterable[str]) -> Path:
    """Return the Python of the environment `name` (a folder in the project), made or renewed first."""
    folder = ROOT / name
    files = [BUILD_REQUIREMENTS, *(file for file in requirements if file != BUILD_REQUIREMENTS)]
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = {"requirements": _hash_of_requirements(folder, files), "project": _hash_of_files(PROJECT_FILES)}
    with _lock(folder):
        stamp = folder / "stamp.json"
        found = _read(stamp)
        if found == wanted and python.exists():
            return python
        stamp.unlink(missing_ok=True)  # what is interrupted from here on begins anew the next time
        if found.get("requirements") != wanted["requirements"] or not python.exists():
            _create(folder)
            _install(python, files)
        _install_project(python)
        stamp.write_text(json.dumps(wanted))
        say(f"{name} is ready")
    return python


def say(line: str) -> None:
    """Print one line about a step, at once even into a pipe."""
    print(f"-- {line}", flush=True)


def install_system_packages(packages: list[str], why: str) -> None:
    """Install Debian packages where that is possible: as root, with apt-get. Otherwise say how to."""
    command = f"apt-get update && apt-get install -y {' '.join(packages)}"
    if os.name != "posix" or not shutil.which("apt-get"):
        raise SetupError(f"{why}. Please install it and start again; on Debian and Ubuntu: {command}")
    if os.geteuid() != 0:
        raise SetupError(f'{why}. Please run this and start again: sudo sh -c "{command}"')
    say(f"installing {' '.join(packages)} with apt-get, because: {why}")
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    surroundings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # One package list that cannot be fetched need not be the one we want: the installation itself decides.
    run([*apt, "update"], surroundings)
    failure = run([*apt, "install", "-y", "--no-install-recommends", *packages], surroundings)
    if failure:
        raise SetupError(f"{failure}\n{why}, and apt-get could not install it: see above.")


def _create(folder: Path) -> None:
    if not all(importlib.util.find_spec(module) for module in ("venv", "ensurepip")):
        # Debian keeps these two out of its python3 package.
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        install_system_packages([package], f"{sys.executable} cannot make environments without {package}")
    say(f"making {folder.name} with Python {sys.version.split()[0]}")
    failure = run([sys.executable, "-m", "venv", "--clear", str(folder)])
    if failure:
        raise SetupError(f"{failure}\n{folder} could not be made: see above.")


def _install(python: Path, files: list[str]) -> None:
    say(f"installing {', '.join(files)}")
    arguments = [argument for file in files for argument in ("--requirement", str(ROOT / file))]
    failure = run([*pip(python, "install"), "--require-hashes", *arguments])
    if failure:
        raise SetupError(f"{failure}\nThe requirements could not be installed: see above.")


def _install_project(python: Path) -> None:
    say("installing the project, editable")
    # The requirements hold everything it needs, its build tools included.
    failure = run([*pip(python, "install"), "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    if failure:
        raise SetupError(f"{failure}\nThe project could not be installed: see above.")


def pip(python: Path, command: str) -> list[str]:
    """Return the start of a command line of the environment's pip."""
    return [str(python), "-I", "-m", "pip", command, "--quiet", "--no-input", "--disable-pip-version-check"]


def run(command: list[str], surroundings: dict[str, str] | None = None) -> str:
    """Run a command silently; return what it printed if it failed, or an empty string."""
    done = subprocess.run(
        command,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return ""
    return f"{done.stdout.strip()}\n{' '.join(command)}: exit {done.returncode}"


def _hash_of_requirements(folder: Path, files: list[str]) -> str:
    """Change with the pins, with the Python, and with the place: an environment cannot be moved."""
    return _hash_of_files(sorted(files), sys.version, os.path.realpath(sys.executable), str(folder))


def _hash_of_files(patterns: Iterable[str], *words: str) -> str:
    parts = [word.encode() for word in words]
    for pattern in patterns:
        paths = sorted(ROOT.glob(pattern))
        if not paths and "*" not in pattern:
            raise SetupError(f"{ROOT / pattern} is not there.")
        parts += [part for path in paths for part in (path.name.encode(), path.read_bytes())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _read(stamp: Path) -> dict[str, str]:
    try:
        content = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Let one process at a time make the environment; the others wait, and then find it made."""
    try:
        import fcntl
    except ImportError:  # Windows: whoever starts two at once there is on their own
        yield
        return
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that makes {folder.name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        print(__doc__)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    try:
        ensure(arguments[0], arguments[1:])
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

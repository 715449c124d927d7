"""The documents hold: their code runs, their commands exist, their tables say what the code says."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask
from sybil import Document, Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

import flask_queues
from flask_queues import Queues
from flask_queues.cli import queues_group
from flask_queues.config import PREFIX, Config

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
#: Programs that the pages name beside ours, where no test can look for an option.
FOREIGN = {"curl", "docker", "git", "pytest", "python", "redis-cli", "sqlite3", "sudo", "supervisorctl", "systemctl"}
FINDING = re.compile(
    "(alert|batch|config|worker|clock|jobs|queue|type|storage|cache|lease|grace|retention|memory|memcached|move|redis|sqlite|files)"
    "-[a-z-]+"
)


def text_of(page: str) -> str:
    """A page as it is written."""
    return (DOCS / page).read_text("utf-8")


# What a page says to Python


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Make a module in which the blocks of a page run, with an application whose jobs are kept in the test's folder."""
    monkeypatch.setattr("flask.Flask.auto_find_instance_path", lambda _self: str(tmp_path / "instance"))
    monkeypatch.chdir(tmp_path)

    def make(page: str) -> dict[str, Any]:
        name = "page_" + re.sub(r"\W", "_", page)
        module = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        space = vars(module)
        app = Flask("shop", root_path=str(tmp_path))
        space.update(app=app, queues=Queues(app), drain=lambda: drain(space["app"]), here=tmp_path)
        return space

    return make


def drain(app: Flask) -> list[str]:
    """Run everything that waits, one by one as `flask queues run` does; answers with the status of each."""
    manager = app.extensions["queues"]
    ended = []
    while waiting := manager.jobs_of(statuses=["pending"]).jobs:
        for job in reversed(waiting):
            app.test_cli_runner().invoke(args=["queues", "run", job.id])
            ended.append(str(manager.find(job.id).status))
    return ended


def parsed(page: str) -> Document:
    """A page with its blocks of Python."""
    return Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], path=str(DOCS)).parse(DOCS / page)


@pytest.mark.parametrize("page", [page for page in PAGES if "python" in text_of(page)])
def test_the_code_of_a_page_runs(page: str, make_module: Callable[[str], dict[str, Any]]) -> None:
    """Block by block in one module; what is in an invisible block asserts what the page says of it."""
    document = parsed(page)
    document.namespace = make_module(page)

    for example in document.examples():
        example.evaluate()


# What it says to a shell


def shell_lines(text: str) -> Iterator[str]:
    """The commands of a page, those that go over several lines as one."""
    for block in re.findall(r"```(?:shell|bash|console)\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and not line.startswith("#"):
                yield line.partition("  #")[0].partition(" > ")[0].strip()


@pytest.mark.parametrize("page", [page for page in PAGES if re.search("```(shell|bash|console)", text_of(page))])
def test_the_commands_of_a_page_exist(page: str) -> None:
    """With these arguments and options; of other programs only the name is looked at."""
    for line in shell_lines(text_of(page)):
        check_command(shlex.split(line))


def check_command(words: list[str]) -> None:
    """Raise an error unless this may be typed."""
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    match words:
        case ["flask", "queues", *rest]:
            check_ours(queues_group, rest)
        case ["flask", "--app", _, *rest]:
            check_command(["flask", *rest])
        case ["flask", "run", *_]:
            pass
        case ["pip", "install", *wanted]:
            check_requirements(wanted)
        case ["make", target, *_]:
            assert f"\n{target}:" in (ROOT / "Makefile").read_text(), target
        case ["python", "-c", code]:
            compile(code, "-c", "exec")
        case [program, *_] if "/" in program:
            assert (ROOT / program).exists(), program
        case [program, *_]:
            assert program in FOREIGN, program


def check_ours(command: click.Command, words: list[str]) -> None:
    """Go down to the command that is meant, and have it read its arguments."""
    context = click.Context(command)
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(context, words[0])
        assert inner is not None, f"{command.name} {words[0]}"
        check_ours(inner, words[1:])
        return
    if "--help" not in words:
        command.make_context(command.name, list(words))


def check_requirements(wanted: list[str]) -> None:
    """Of what is installed, extras of ours exist and the distribution is named rightly."""
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    for one in wanted:
        name, _, asked = one.rstrip("]").partition("[")
        assert name != "flask-queues", "the distribution of that name is somebody else's"
        assert not asked or set(asked.split(",")) <= set(extras), one


# What it says of the code


def rows_of(text: str) -> Iterator[list[str]]:
    """The cells of each row of its tables."""
    for line in text.splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_every_key_is_documented_with_its_default() -> None:
    """And no key that there is not."""
    documented = {
        cells[0].strip("`"): cells[1]
        for cells in rows_of(text_of("configuration.md"))
        if re.fullmatch(r"`QUEUES_[A-Z_]+`", cells[0])
    }
    known = {f"{PREFIX}{one.name.upper()}": one for one in fields(Config) if one.name != "cache"}

    assert {key for key in documented if not key.startswith("QUEUES_CACHE_")} == known.keys()
    for key, one in known.items():
        shown = ast.literal_eval(documented[key].strip("`")) if documented[key] else None
        assert shown == (None if one.default in ((), MISSING) else one.default), key


def test_every_command_is_documented() -> None:
    """With those below `schedule`."""
    documented = set(re.findall(r"flask queues ([a-z-]+(?: [a-z-]+)?)", text_of("commands.md")))
    schedule = queues_group.commands["schedule"]
    assert isinstance(schedule, click.Group)

    assert {one.split()[0] for one in documented} >= queues_group.commands.keys()
    assert documented >= {f"schedule {name}" for name in schedule.commands}


def strings() -> Iterator[str]:
    """Every text in the code as it is printed, with `…` for what is put in."""
    for path in (ROOT / "flask_queues").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"%\(\w+\)s|\{where\}|%s", "…", node.value)


def test_the_messages_that_trouble_begins_with_are_printed() -> None:
    """Each heading of troubleshooting is a sentence of the code, `…` in it what varies."""
    headings = re.findall(r"^### `(.+)`$", text_of("troubleshooting.md"), re.MULTILINE)
    known = list(strings())
    assert len(headings) > 20

    for heading in headings:
        wanted = re.compile(".*".join(map(re.escape, heading.split("…"))), re.DOTALL)
        assert any(wanted.search(text) for text in known), heading


def test_the_findings_of_doctor_are_listed() -> None:
    """Each code, and none that there is not."""
    listed = {code for cells in rows_of(text_of("doctor.md")) for code in re.findall(r"`([a-z]+-[a-z-]+)`", cells[0])}

    assert listed == set(codes())


def codes() -> Iterator[str]:
    """The codes of all findings, as they stand in the code."""
    for folder in ("doctor", "storage"):
        for path in (ROOT / "flask_queues" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and FINDING.fullmatch(node.value):
                    yield node.value


# The pages themselves


def test_no_page_is_out_of_reach() -> None:
    """Each stands in the index."""
    index = text_of("index.md")

    assert [page for page in PAGES if page != "index.md" and page.removesuffix(".md") not in index] == []


def test_every_room_is_on_the_map() -> None:
    """Whoever reads CONTRIBUTING learns what each module and package of ours is for."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rooms = (ROOT / "flask_queues").glob("[!._]*")
    names = [f"{path.name}/" if path.is_dir() else path.name for path in rooms if path.suffix in ("", ".py")]

    assert len(names) > 30
    assert [name for name in names if name not in text] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md", "example/README.md"])
def test_links_between_files_lead_somewhere(name: str) -> None:
    """Those that Sphinx does not see, pictures too."""
    text = (ROOT / name).read_text("utf-8")
    links = re.findall(r"\]\(([^)#:\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", text)

    assert [link for link in map("".join, links) if not (ROOT / name).parent.joinpath(link).exists()] == []


@pytest.mark.slow
def test_the_documents_build(tmp_path: Path) -> None:
    """Without a warning: every link leads somewhere, every docstring can be set, and every public name is described."""
    pytest.importorskip("myst_parser", reason="the documents are made with Python 3.11 or newer")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "--doctree-dir"]
    built = subprocess.run(
        [*command, tmp_path / "trees", DOCS, tmp_path / "pages"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
    assert {f"flask_queues.{name}" for name in flask_queues.__all__} <= described(tmp_path / "pages")


def described(pages: Path) -> set[str]:
    """The names that the reference has."""
    from sphinx.util.inventory import InventoryFile

    with (pages / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: f"{base}/{path}")
    return {name for kind in inventory.values() for name in kind}

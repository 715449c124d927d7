"""Tracebacks, read back from the text that is kept, so that the application's own code stands first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import PurePosixPath
from typing import NamedTuple

from ..causes import FOREIGN

FRAME = re.compile(r'  File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<name>.+)')
HEAD = "Traceback (most recent call last):"
PACKAGE = re.compile(r"(?:site-packages|dist-packages|python3(?:\.\d+)?)[/\\]([^/\\.]+)")
MARKS = re.compile(r"[ ~^]+")


class Frame(NamedTuple):
    """One place that the exception went through."""

    file: str
    line: int
    name: str
    #: As it was written there, without its indentation; empty where it was not to be read.
    source: str
    own: bool


class Run(NamedTuple):
    """Frames that follow each other, all our own or all of libraries."""

    own: bool
    frames: tuple[Frame, ...]
    #: The libraries that they are of.
    packages: tuple[str, ...]


class Block(NamedTuple):
    """One exception with its frames, the innermost first."""

    runs: tuple[Run, ...]
    #: The exception with its message.
    last: str
    #: Python's words for how it led to the exception in the block before.
    link: str


def blocks(text: str, root: str) -> list[Block]:
    """Read a traceback: the exception that left the job first, then what had led to it.

    Empty where the text is not one, such as that of an exception group. `root` is the folder of the application.
    """
    parts = text.split(HEAD + "\n")
    if len(parts) < 2 or parts[0].strip():
        return []
    found: list[Block] = []
    for part in parts[1:]:
        body, _, after = part.rstrip("\n").rpartition("\n\n")
        is_linked = after.startswith(("The above exception", "During handling"))
        lines = (body if is_linked else part).rstrip("\n").split("\n")
        found.insert(0, block(lines, root, after.strip() if is_linked else ""))
    return found if any(one.runs for one in found) else []


def block(lines: list[str], root: str, link: str) -> Block:
    """Read the lines of one exception."""
    end = next((n for n, line in enumerate(lines) if not line.startswith(" ")), len(lines))
    frames = list(frames_in(lines[:end], root))[::-1]
    runs = []
    for own, group in groupby(frames, key=lambda frame: frame.own):
        members = tuple(group)
        runs.append(Run(own, members, tuple(dict.fromkeys(package_of(frame.file) for frame in members))))
    return Block(tuple(runs), "\n".join(lines[end:]), link)


def frames_in(lines: list[str], root: str) -> Iterator[Frame]:
    """Read frames, each with the first line of its source."""
    for n, line in enumerate(lines):
        if not (match := FRAME.fullmatch(line)):
            continue
        after = lines[n + 1] if n + 1 < len(lines) else ""
        source = after.strip() if after.startswith("    ") and not MARKS.fullmatch(after) else ""
        file = match["file"]
        yield Frame(shortened(file, root), int(match["line"]), match["name"], source, not FOREIGN.search(file))


def shortened(file: str, root: str) -> str:
    """A path from the folder that holds the application on, or from the library on."""
    if file.startswith(root):
        return file[len(root) :].lstrip("/\\")
    if match := PACKAGE.search(file):
        return file[match.start(1) :]
    return file


def package_of(file: str) -> str:
    """The library that a file belongs to."""
    return PurePosixPath(file.replace("\\", "/")).parts[0].removesuffix(".py")

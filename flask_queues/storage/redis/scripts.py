"""The scripts, each a file beside this one, behind those words of `lib.lua` that it uses.

A server makes the functions of a script anew each time it runs it, so those it does not call are left out: a push is
a sixth cheaper for the server without them.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from textwrap import indent
from typing import Any

#: A function of `lib.lua` with the comment in front of it.
_FUNCTION = re.compile(r"(?:^--[^\n]*\n)*^local function (\w+)\(.*?^end\n", re.MULTILINE | re.DOTALL)
_INCLUDE = re.compile(r"^( *)-- include (\w+)\.lua\n", re.MULTILINE)


class Script:
    """One script: its text, and the name under which a server knows it once it has run it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = with_words(read(name)).encode()
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()

    def head(self, *, known: bool) -> list[Any]:
        """The beginning of the command that runs it; a server that does not know it must be sent the text."""
        return [b"EVALSHA", self.sha] if known else [b"EVAL", self.text]


@cache
def read(name: str) -> str:
    """The text of a file of Lua."""
    return resources.files(__package__).joinpath(f"{name}.lua").read_text("utf-8")


def with_words(script: str) -> str:
    """Put in front of a script what it uses of `lib.lua`, in that file's order."""
    text = script
    for function in reversed(list(_FUNCTION.finditer(words()))):
        if re.search(rf"\b{function[1]}\(", text):
            text = f"{function[0]}\n{text}"
    return f"{_FUNCTION.sub('', words())}\n{text}"


@cache
def words() -> str:
    """The text of `lib.lua`, with the files that it includes in their places."""
    return _INCLUDE.sub(lambda found: indent(read(found[2]), found[1]), read("lib"))


DELIVER = Script("deliver")
PUSH = Script("push")
STEP = Script("step")
CLAIM = Script("claim")
NOTE = Script("note")
KEEP = Script("keep")
REWRITE = Script("rewrite")
BEAT = Script("beat")
CLAIMS = Script("claims")
HOLD = Script("hold")
RELEASE = Script("release")
CHANGE = Script("change")
SAID = Script("said")
DELETE = Script("delete")
READ = Script("read")
PAGE = Script("page")
LINE = Script("line")
PLACES = Script("places")
OLD = Script("old")
OUTDATED = Script("outdated")
LOOK = Script("look")
SCHEDULE = Script("schedule")
ROOT = Script("root")
LEAVING = Script("leaving")
LEAVE = Script("leave")
ARRIVE = Script("arrive")
LETGO = Script("letgo")
WHICH = Script("which")
FORGET = Script("forget")
REVISIONS = Script("revisions")
STOP = Script("stop")
ENDED = Script("ended")
OLDEST = Script("oldest")
SHEETS = Script("sheets")

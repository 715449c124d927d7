"""The scripts, each a file beside this one, with `lib.lua` in front."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any


class Script:
    """One script: its text, and the name under which a server knows it once it has run it."""

    def __init__(self, name: str) -> None:
        folder = resources.files(__package__)
        texts = [folder.joinpath(f"{one}.lua").read_text("utf-8") for one in ("lib", name)]
        self.name = name
        self.text = "\n".join(texts).encode()
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()

    def head(self, *, known: bool) -> list[Any]:
        """The beginning of the command that runs it; a server that does not know it must be sent the text."""
        return [b"EVALSHA", self.sha] if known else [b"EVAL", self.text]


DELIVER = Script("deliver")
PUSH = Script("push")
STEP = Script("step")
CLAIM = Script("claim")
NOTE = Script("note")
BEAT = Script("beat")
CLAIMS = Script("claims")
HOLD = Script("hold")
RELEASE = Script("release")
CHANGE = Script("change")
DELETE = Script("delete")
READ = Script("read")
PAGE = Script("page")
OLD = Script("old")
LOOK = Script("look")
SCHEDULE = Script("schedule")
ROOT = Script("root")
LEAVING = Script("leaving")
LEAVE = Script("leave")
ARRIVE = Script("arrive")
LETGO = Script("letgo")

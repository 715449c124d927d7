"""The scripts of the Redis engine as they are sent."""

from __future__ import annotations

import re

import pytest

from flask_queues.storage.redis import scripts
from flask_queues.storage.redis.scripts import Script, read, with_words

SCRIPTS = [one for one in vars(scripts).values() if isinstance(one, Script)]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
class TestWhatIsSent:
    """A server makes each function of a script anew whenever it runs it."""

    def test_holds_every_word_it_uses(self, script: Script) -> None:
        """A script that lacked one would fail only when it comes to that line."""
        text = script.text.decode()
        words = re.findall(r"^local function (\w+)", read("lib"), re.MULTILINE)
        used = {word for word in words if re.search(rf"(?<!function )\b{word}\(", uncommented(text))}
        assert used <= set(re.findall(r"^local function (\w+)", text, re.MULTILINE))

    def test_holds_no_word_that_it_does_not_use(self, script: Script) -> None:
        """What is not called costs the server time at each run all the same."""
        text = uncommented(script.text.decode())
        for word in re.findall(r"^local function (\w+)", text, re.MULTILINE):
            assert len(re.findall(rf"\b{word}\b", text)) > 1, word


def test_words_stand_in_their_order() -> None:
    """A function of Lua sees only what stands before it."""
    sent = re.findall(r"^local function (\w+)", with_words("finish() wake() store()"), re.MULTILINE)
    order = re.findall(r"^local function (\w+)", read("lib"), re.MULTILINE)
    assert sent == [word for word in order if word in sent]


def uncommented(text: str) -> str:
    return re.sub(r"--[^\n]*", "", text)

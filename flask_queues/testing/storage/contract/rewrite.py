"""The contract: what putting other words into stored texts promises."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ....record import Outcome, Progress, Status
from ....storage import Storage
from ..fixtures import OpenedTwice
from .words import LONG, complete, counted, error_text, everything, fill, line, new, settle, take_one, the


def put(old: str, other: str) -> Callable[[str], str]:
    """Put one word in the place of another."""
    return lambda text: text.replace(old, other)


class RewriteContract(OpenedTwice):
    """What putting other words into stored texts promises."""

    def test_every_text_of_a_job_gets_the_other_words(self, storage: Storage, other: Storage) -> None:
        """Payload, options, errors of each run, progress, log, what it keeps, result; all else stays."""
        options = json.dumps({"tries": 3, "rest": json.dumps(["old-word"])})
        storage.push([new("a", payload='{"p":"old-word"}', options=options, tags=("x",))])
        for n in (1, 2):
            claim = take_one(storage)
            assert storage.note("a", claim.token, Progress(n, "old-word"), [line("old-word", n), line("else", n)])
            assert storage.keep("a", claim.token, '"old-word"')
            settle(storage, claim, Status.PENDING, Outcome.FAILED, counted=True, error=error_text("old-word"))
        complete(storage, take_one(storage), result='"old-word"', progress=Progress(2, "old-word"))
        before, counts = the(storage, "a"), storage.counts().cells

        assert other.rewrite("a", put("old-word", "new_word=="))

        after = the(storage, "a")
        assert (after.payload, after.result) == ({"p": "new_word=="}, "new_word==")
        assert [run.error and run.error.message for run in after.history] == ["new_word==", "new_word==", None]
        assert after.progress == Progress(2, "new_word==")
        assert [one.message for one in storage.logs("a")] == ["new_word==", "else", "new_word==", "else"]
        assert storage.kept("a") == '"new_word=="'
        assert storage.retry("a") is Status.COMPLETED
        for name in ("tags", "status", "created", "due", "started", "finished", "attempts", "tries", "worker"):
            assert getattr(after, name) == getattr(before, name), name
        assert storage.counts().cells == counts == counted(storage)
        assert everything(storage, tag="x") == [after]

    def test_what_travels_with_a_job_gets_them_too(self, storage: Storage) -> None:
        """The worker that claims it reads the other words, in its options as well."""
        options = json.dumps({"rest": json.dumps(["old-word"])})
        storage.push([new("a", payload='{"p":"old-word"}', options=options)])
        assert storage.rewrite("a", put("old-word", "new_word"))
        claim = take_one(storage)
        assert (claim.payload, json.loads(claim.options or "")["rest"]) == ('{"p":"new_word"}', '["new_word"]')

    def test_a_job_that_runs_goes_on(self, storage: Storage, other: Storage) -> None:
        """Its claim stays in force, and what it says and ends in is kept as ever."""
        fill(storage, "a", payload='{"p":"old-word"}')
        claim = take_one(storage)
        assert storage.note("a", claim.token, Progress(5, "old-word"), [line("old-word")])
        assert other.rewrite("a", put("old-word", "new_word"))
        assert the(storage, "a").progress == Progress(5, "new_word")
        assert storage.note("a", claim.token, None, [line("more")])
        assert complete(storage, claim, result="1").lost == []
        assert [one.message for one in storage.logs("a")] == ["new_word", "more"]
        assert the(other, "a").progress == Progress(5, "new_word")

    @pytest.mark.parametrize("delay", [0, LONG])
    def test_its_place_in_the_line_stays(self, storage: Storage, delay: int) -> None:
        """The first is still the first."""
        fill(storage, "a", "b", "c", payload='{"p":"old-word"}', delay=delay)
        before = [job.id for job in everything(storage)]
        for job_id in "cba":
            assert storage.rewrite(job_id, put("old-word", "new_word"))
        assert [job.id for job in everything(storage)] == before

    def test_nothing_to_change_is_told(self, storage: Storage) -> None:
        """Where no text has the words, and where there is no such job."""
        fill(storage, "a", payload='{"p":"else"}')
        before = the(storage, "a")
        assert not storage.rewrite("a", put("old-word", "new_word"))
        assert not storage.rewrite("b", put("old-word", "new_word"))
        assert the(storage, "a") == before

    def test_a_piece_that_was_changed_meanwhile_stays_as_it_is(self, storage: Storage, other: Storage) -> None:
        """Nothing that is said while the words are looked for is lost."""
        fill(storage, "a", payload='{"p":"old-word"}')
        claim = take_one(storage)
        told: list[bool] = []

        def turn(text: str) -> str:
            if not told:
                told.append(complete(other, claim, result='"said meanwhile"').lost == [])
            return text.replace("old-word", "new_word")

        storage.rewrite("a", turn)
        assert told == [True]
        after = the(storage, "a")
        assert (after.status, after.result) == (Status.COMPLETED, "said meanwhile")
        storage.rewrite("a", put("old-word", "new_word"))
        assert the(storage, "a").payload == {"p": "new_word"}

    def test_sheets_are_listed_by_name(self, storage: Storage) -> None:
        """All of them."""
        assert storage.sheet_names() == []
        assert storage.write_sheets(("b", None), {"b": "1", "a": "2"})
        assert storage.sheet_names() == ["a", "b"]

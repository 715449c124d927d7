"""The contract: which jobs are claimed next, and where each stands."""

from __future__ import annotations

import itertools

import pytest

from ....errors import OptionError
from ....record import Status
from ....storage import Storage
from ....storage.limits import CONCURRENCY, Limit
from ....storage.values import Query
from ..engine import Clock
from ..fixtures import OpenedTwice
from .words import LONG, complete, everything, fill, ids, new, settle, take, take_one, the

LIMITS = (1, 2, 3, 50)


def places(storage: Storage, *job_ids: str, queue: str = "q") -> list[int]:
    """The places of jobs that all stand in a line."""
    found = storage.places(queue, job_ids)
    for job_id in job_ids:
        assert storage.places(queue, [job_id]) == {job_id: found[job_id]}
    return [found[job_id] for job_id in job_ids]


class LineContract(OpenedTwice):
    """Which jobs are claimed next, and where each stands."""

    def test_a_line_is_read_as_it_is_claimed(self, storage: Storage, clock: Clock) -> None:
        """By priority, by when it was due, as pushed; what was hurried is before all of them, the last first."""
        for n, name in enumerate("abcdefgh"):
            fill(storage, name, priority=(0, 5, -5)[n % 3])
            clock.advance(n % 2)
        fill(storage, *"ijk")
        fill(storage, "late", delay=LONG)
        storage.hurry("c")
        storage.hurry("k")
        settle(storage, take_one(storage), Status.PENDING)
        line = ids(everything(storage, line=["q"]))
        assert line[:3] == ["c", "b", "e"]
        for limit in LIMITS:
            found = everything(storage, limit, line=["q"])
            assert ids(found) == line
            assert found == [the(storage, name) for name in line]
        assert places(storage, *line) == list(range(1, 12))
        assert storage.places("q", ["late", "none", "d"]) == {"d": line.index("d") + 1}
        assert storage.places("r", line) == storage.places("r", ["d"]) == storage.places("q", []) == {}
        assert storage.places("q", ["late"]) == {}
        assert [take_one(storage).id for _ in line] == line
        assert storage.places("q", line) == {}

    def test_lines_are_read_in_the_order_of_their_queues(self, storage: Storage) -> None:
        """As a worker serves them: what is of no such queue is not there, and a queue may hold nothing."""
        for n, queue in enumerate(["b", "a", "c:d.e%", "b", "a", "c:d.e%", "other"]):
            fill(storage, f"{n}", queue=queue, priority=n)
        for line, limit in itertools.product((["b", "none", "c:d.e%", "a"], ["none", "a"], ["none"]), LIMITS):
            found = {"a": ["4", "1"], "b": ["3", "0"], "c:d.e%": ["5", "2"], "none": []}
            assert ids(everything(storage, limit, line=line)) == [one for queue in line for one in found[queue]]
        assert places(storage, "1", "4", queue="a") == [2, 1]

    def test_nothing_else_of_a_query_counts_beside_a_line(self, storage: Storage) -> None:
        """Neither its filters nor its end."""
        fill(storage, *"abc", tags=("x",))
        others = {"queue": "r", "type": "u", "tag": "y", "statuses": [Status.FAILED], "oldest": True, "begin": 1}
        assert ids(everything(storage, 2, line=["q"], **others)) == list("abc")

    def test_what_is_held_back_stands_behind_all_lines(self, storage: Storage) -> None:
        """By queue, each once, whatever holds it, also where a page ends among it; and it has no place."""
        for queue in "qr":
            for key in "kl":
                one = Limit(CONCURRENCY, key, 1)
                storage.push([new(f"{queue}{key}{n}", queue=queue, priority=9, limits=(one,)) for n in range(4)])
            storage.push([new(f"{queue}u{n}", queue=queue, priority=8, type="unknown") for n in range(3)])
            fill(storage, *[f"{queue}{n}" for n in range(3)], queue=queue)
        for queue in "qr":
            claims = [take_one(storage, queue) for _ in range(3)]
            assert ids(claims)[2] == f"{queue}0"
        free = [f"{queue}{n}" for queue in "qr" for n in (1, 2)]
        for limit in LIMITS:
            found = everything(storage, limit, line=["q", "r"])
            assert ids(found)[:4] == free
            held = found[4:]
            assert all(job.held for job in held)
            assert [job.queue for job in held] == ["q"] * 9 + ["r"] * 9
            assert len({job.id for job in held}) == 18
            only = everything(storage, limit, line=["r"])
            assert ids(only) == [*free[2:], *ids(held[9:])]
        everyone = [f"q{name}" for name in ("1", "2", "k1", "l3", "u0")]
        assert storage.places("q", everyone) == {"q1": 1, "q2": 2}
        assert storage.places("q", ["qk1"]) == storage.places("q", ["qu0"]) == {}

    def test_what_may_go_on_has_its_place_again(self, storage: Storage) -> None:
        """Behind an open gate it stands in its line as before, and what was hurried before it."""
        limit = Limit(CONCURRENCY, "k", 1)
        storage.push([new(name, limits=(limit,)) for name in "abc"])
        fill(storage, "d")
        first = take_one(storage)
        second = take_one(storage)
        assert (first.id, second.id) == ("a", "d")
        assert take(storage) == []
        storage.hurry("c")
        complete(storage, second)
        complete(storage, first)
        assert take_one(storage).id == "c"

    def test_many_of_one_moment_are_read_in_pages(self, storage: Storage) -> None:
        """Hurried ones too, of which more stand first than have a place of their own."""
        names = [f"{n:03}" for n in range(230)]
        storage.push([new(name) for name in names])
        assert ids(everything(storage, 7, line=["q"])) == names
        assert places(storage, "000", "100", "229") == [1, 101, 230]
        for name in names[:220]:
            storage.hurry(name)
        line = ids(everything(storage, 60, line=["q"]))
        assert line == ids(everything(storage, 7, line=["q"]))
        assert line[220:] == names[220:]
        assert line[21:220] == names[198::-1]
        assert storage.places("q", line) == {name: n for n, name in enumerate(line, 1)}

    def test_a_page_goes_on_where_it_ended_whatever_is_gone(self, storage: Storage) -> None:
        """What was claimed or deleted since is not there, and nothing is left out or comes twice."""
        fill(storage, *"abcd", queue="q")
        fill(storage, *"efgh", queue="r")
        page = storage.page(Query(line=["q", "r"], limit=3))
        for name in "cd":
            storage.delete(name)
        second = storage.page(Query(line=["q", "r"], limit=3, after=page.after))
        assert ids([*page.jobs, *second.jobs]) == list("abcefg")
        take(storage, "q", limit=2)
        assert ids(storage.page(Query(line=["q", "r"], limit=3, after=second.after)).jobs) == ["h"]

    @pytest.mark.parametrize("after", ["", "1:2", "x", "next", "next:1:2", "next:x::q", "next:1.2.3.4.5::q"])
    def test_what_is_no_end_of_a_page_is_refused(self, storage: Storage, after: str) -> None:
        """Like the end of a list in another order, or one in a queue that is not asked for."""
        fill(storage, *"abc")
        with pytest.raises(OptionError):
            storage.page(Query(line=["q"], after=after))
        end = storage.page(Query(line=["q"], limit=1)).after
        with pytest.raises(OptionError):
            storage.page(Query(line=["r"], after=end))
        with pytest.raises(OptionError):
            storage.page(Query(after=end))

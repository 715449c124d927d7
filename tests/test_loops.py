"""Loops with a cursor, and steps that are not repeated, without a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from flask_queues import OptionError, PayloadError, Retry, StorageUnavailable, loops
from flask_queues.loops import Kept


class Run:
    """A run in memory; `next` is the one after it, as after a kill."""

    def __init__(self, text: str | None = None, timeout: float = 1000.0) -> None:
        self.text = text
        self.timeout = timeout
        self.stopping = False
        self.lost = False
        self.told: list[tuple[int, int | None]] = []
        self.state = Kept(self, "t:long")

    def keep(self, text: str) -> bool:
        if self.lost:
            return False
        self.text = text
        return True

    def kept(self) -> str | None:
        return self.text

    def passed(self, count: int, total: int | None) -> None:
        self.told.append((count, total))

    def next(self) -> Run:
        return Run(self.text, self.timeout)

    def walk(self, source: Any, stop_at: Any = None, key: Any = None, name: str = "loop") -> list[Any]:
        """Walk until the worker is asked to stop at an item; what was seen."""
        seen = []

        def see(item: Any) -> None:
            seen.append(item)
            self.stopping = item == stop_at

        self.each(source, key, name, see)
        return seen

    def each(self, source: Any, key: Any, name: str, act: Callable[[Any], object]) -> bool:
        """Walk, and tell whether that came to its end; put off, the job would go on at once."""
        try:
            for item in self.state.iterate(source, key, None, name):
                act(item)
        except Retry as put_off:
            return bool(put_off.delay)
        return True


@pytest.fixture
def run() -> Run:
    return Run()


class TestLoop:
    @pytest.mark.parametrize("make", [lambda: [*"abcde"], lambda: iter("abcde"), lambda: "abcde"])
    def test_a_stopped_loop_goes_on_behind_its_last_item(self, run: Run, make: Callable[[], Any]) -> None:
        """Lists and whatever gives the same each time."""
        assert run.walk(make(), stop_at="b") == ["a", "b"]
        again = run.next()
        assert again.walk(make(), stop_at="d") == ["c", "d"]
        assert again.next().walk(make()) == ["e"]

    def test_a_loop_that_is_over_is_not_begun_again(self, run: Run) -> None:
        """A job that failed behind it does not repeat it."""
        assert run.walk("abc") == ["a", "b", "c"]
        assert run.next().walk("abc") == []

    def test_several_loops_have_their_own_cursors(self, run: Run) -> None:
        """By their names."""
        run.walk("abc", stop_at="b", name="letters")
        assert run.next().walk("123", name="digits") == ["1", "2", "3"]
        assert run.next().walk("abc", name="letters") == ["c"]

    def test_a_function_gets_the_cursor(self, run: Run) -> None:
        """A key, whatever is asked by it."""
        asked = []

        def people_after(name: str | None) -> Iterator[dict[str, str]]:
            asked.append(name)
            return ({"name": one} for one in ("ada", "bob", "eve") if name is None or one > name)

        seen = run.walk(people_after, stop_at={"name": "ada"}, key=lambda person: person["name"])
        assert seen == [{"name": "ada"}]
        assert len(run.next().walk(people_after, key=lambda person: person["name"])) == 2
        assert asked == [None, "ada"]

    def test_a_run_ends_before_its_timeout(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """After four fifths of it, between two items."""
        now = 0.0
        monkeypatch.setattr("flask_queues.loops.time.monotonic", lambda: now)
        run = Run(timeout=10.0)
        seen = []

        def see(item: int) -> None:
            nonlocal now
            seen.append(item)
            now += 1

        assert not run.each(range(100), None, "loop", see)
        assert seen == [0, 1, 2, 3, 4, 5, 6, 7, 8]
        assert next(run.next().state.iterate(range(100), None, None, "loop")) == 9

    def test_the_cursor_is_kept_once_a_second(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A kill repeats what came after; keeping each item would cost more than many an item."""
        now = 0.0
        monkeypatch.setattr("flask_queues.loops.time.monotonic", lambda: now)
        run = Run()
        repeated = []
        for n in run.state.iterate(range(50), None, 50, "loop"):
            repeated.append(n - next(run.next().state.iterate(range(50), None, 50, "loop")))
            now += 0.4
        assert max(repeated) == 2
        assert run.told[-1] == (50, 50)
        assert len(run.told) < 20

    def test_an_outage_does_not_end_a_loop(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only a kill then repeats more."""

        def fail(_text: str) -> bool:
            raise StorageUnavailable("away")

        monkeypatch.setattr(run, "keep", fail)
        assert run.walk("abc") == ["a", "b", "c"]

    def test_a_lost_claim_ends_it(self, run: Run) -> None:
        """Somebody else goes on with the job."""
        run.lost = True
        with pytest.raises(Retry):
            list(run.state.iterate("abc", None, None, "loop"))

    def test_a_function_needs_a_key(self, run: Run) -> None:
        """Without it there is no cursor."""
        with pytest.raises(OptionError, match="key is a function"):
            run.walk(lambda _after: [])


class TestStep:
    def test_a_step_is_done_once(self, run: Run) -> None:
        """A later run gets what it returned."""
        assert run.state.step("charge", lambda: {"id": 7}) == {"id": 7}
        assert run.next().state.step("charge", lambda: pytest.fail("repeated")) == {"id": 7}

    def test_a_step_that_fails_is_repeated(self, run: Run) -> None:
        """Nothing of it is kept."""
        with pytest.raises(ZeroDivisionError):
            run.state.step("charge", lambda: 1 // 0)
        assert run.next().state.step("charge", lambda: 5) == 5

    def test_what_cannot_be_kept_is_an_error(self, run: Run) -> None:
        """As JSON, and within 64 KiB."""
        with pytest.raises(PayloadError, match="step charge"):
            run.state.step("charge", object)
        with pytest.raises(OptionError, match=r"more than 65,536 bytes"):
            run.state.step("large", lambda: "x" * 70_000)


@pytest.fixture
def site(tmp_path) -> Iterator[tuple[SQLAlchemy, Any]]:
    app = Flask("site", instance_path=str(tmp_path))
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db = SQLAlchemy()

    class User(db.Model):  # type: ignore[name-defined]
        id: Mapped[int] = mapped_column(primary_key=True)
        active: Mapped[bool]

    db.init_app(app)
    with app.app_context():
        db.create_all()
        yield db, User
        db.session.remove()
        db.engine.dispose()


class TestQuery:
    def test_a_query_is_walked_in_slices(self, run: Run, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """By the key's column, whatever its own order; rows that were passed are not read again."""
        db, user = site
        monkeypatch.setattr(loops, "SLICE", 3)
        db.session.add_all([user(id=n, active=n != 4) for n in range(1, 11)])
        db.session.commit()
        query = select(user).where(user.active).order_by(user.id.desc())
        seen = []

        def see(one: Any) -> None:
            seen.append(one.id)
            run.stopping = one.id == 5

        assert not run.each(query, user.id, "loop", see)
        assert seen == [1, 2, 3, 5]
        assert [one.id for one in run.next().state.iterate(query, user.id, None, "loop")] == [6, 7, 8, 9, 10]

    def test_a_query_needs_a_column(self, run: Run, site: Any) -> None:
        """There is no cursor without it."""
        with pytest.raises(OptionError, match=r"such as User.id"):
            run.walk(select(site[1]))

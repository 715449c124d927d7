"""Pushes that wait for the commit of a database session, with Flask-SQLAlchemy itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from flask_queues import BatchHandle, BatchNotFound, Job, Queues
from flask_queues.errors import (
    ConfigError,
    JobNotFound,
    OptionError,
    PayloadError,
    ScheduleError,
    StorageUnavailable,
    TransitionError,
)


class Mail(Job):
    type = "t:mail"

    def handle(self, to: str) -> None: ...


@pytest.fixture
def queues() -> Queues:
    queues = Queues()
    queues.register(Mail)
    return queues


@pytest.fixture
def db() -> SQLAlchemy:
    return SQLAlchemy()


@pytest.fixture
def site(tmp_path, queues: Queues, db: SQLAlchemy) -> Iterator[Flask]:
    app = Flask("site", instance_path=str(tmp_path))
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/site.db"
    queues.init_app(app)
    db.init_app(app)
    with app.app_context():
        db.session.execute(text("CREATE TABLE orders (id INTEGER)"))
        db.session.commit()
        yield app
        db.session.remove()
        db.engine.dispose()


def write(db: SQLAlchemy) -> None:
    """Begin a transaction, as any work with the database does."""
    db.session.execute(text("INSERT INTO orders VALUES (1)"))


def push(queues: Queues, to: str = "a", **options: Any) -> Any:
    return queues.push(Mail, {"to": to}, after_commit=True, **options)


def stored(queues: Queues) -> list[str]:
    """To whom the stored mails go, oldest first."""
    return [job.payload["to"] for job in reversed(queues.jobs_of().jobs)]


@pytest.mark.usefixtures("site")
class TestCommit:
    def test_a_push_is_stored_when_the_session_commits(self, queues: Queues, db: SQLAlchemy) -> None:
        """A worker never sees a job whose rows are not there yet."""
        write(db)
        handle = push(queues)
        with pytest.raises(JobNotFound):
            _ = handle.status
        db.session.commit()
        assert handle.record.payload == {"to": "a"}

    def test_pushes_keep_their_order(self, queues: Queues, db: SQLAlchemy) -> None:
        """What was pushed first is claimed first."""
        write(db)
        for to in "abc":
            push(queues, to)
        db.session.commit()
        assert stored(queues) == ["a", "b", "c"]

    def test_a_commit_pushes_once(self, queues: Queues, db: SQLAlchemy) -> None:
        """The next transaction of the same session has nothing to do with it."""
        write(db)
        push(queues)
        db.session.commit()
        write(db)
        db.session.commit()
        assert stored(queues) == ["a"]

    def test_without_a_transaction_it_is_pushed_at_once(self, queues: Queues, db: SQLAlchemy) -> None:
        """There is nothing to wait for, and perhaps never a commit."""
        assert not db.session().in_transaction()
        push(queues)
        assert stored(queues) == ["a"]

    def test_several_wait_as_one(self, queues: Queues, db: SQLAlchemy) -> None:
        """`push_many` takes the same word."""
        write(db)
        queues.push_many([(Mail, {"to": to}) for to in "ab"], after_commit=True)
        assert stored(queues) == []
        db.session.commit()
        assert stored(queues) == ["a", "b"]

    def test_an_instance_says_it_too(self, queues: Queues, db: SQLAlchemy) -> None:
        """As every other option of a push."""
        write(db)
        queues.push(Mail().with_payload(to="a").using(after_commit=True))
        assert stored(queues) == []
        db.session.commit()
        assert stored(queues) == ["a"]

    def test_the_commit_tells_who_holds_a_unique_key(self, queues: Queues, db: SQLAlchemy) -> None:
        """The handles become those of the holder, of a job stored before and of one in the same transaction."""
        holder = queues.push(Mail, {"to": "a"}, unique="a")
        write(db)
        late, first, second = (push(queues, to, unique=to) for to in "abb")
        assert holder.id not in (late.id, first.id, second.id)
        db.session.commit()
        assert (late.id, late.created, late.status) == (holder.id, False, "pending")
        assert (first.created, second.created, second.id) == (True, False, first.id)
        assert stored(queues) == ["a", "b"]

    def test_an_id_may_be_repeated_within_and_after_it(self, queues: Queues, db: SQLAlchemy) -> None:
        """As with a push at once."""
        job_id = queues.new_id(Mail)
        write(db)
        first, second = push(queues, id=job_id), push(queues, id=job_id)
        db.session.commit()
        assert (first.created, second.created) == (True, False)
        assert not push(queues, id=job_id).created
        assert stored(queues) == ["a"]

    def test_the_delay_counts_from_the_commit(self, queues: Queues, db: SQLAlchemy) -> None:
        """It is stored with its options."""
        write(db)
        handle = push(queues, delay=60)
        db.session.commit()
        assert (handle.record.due - handle.record.created).total_seconds() == 60


@pytest.mark.usefixtures("site")
class TestRollback:
    def test_a_rollback_drops_it(self, queues: Queues, db: SQLAlchemy, caplog: pytest.LogCaptureFixture) -> None:
        """Work on rows that were never there is never pushed, and the log says so."""
        caplog.set_level("INFO", "flask_queues")
        write(db)
        push(queues)
        db.session.rollback()
        db.session.commit()
        assert stored(queues) == []
        assert "1 jobs are not pushed: their transaction was rolled back." in caplog.text

    def test_a_session_that_is_let_go_of_drops_it(self, queues: Queues, db: SQLAlchemy) -> None:
        """The end of a request that did not commit is a rollback."""
        write(db)
        push(queues)
        db.session.remove()
        write(db)
        db.session.commit()
        assert stored(queues) == []

    def test_a_failed_commit_drops_it(self, queues: Queues, db: SQLAlchemy) -> None:
        """A constraint that is checked last."""
        db.session.execute(text("CREATE TABLE parents (id INTEGER PRIMARY KEY)"))
        db.session.execute(
            text("CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)")
        )
        db.session.commit()
        db.session.execute(text("PRAGMA foreign_keys = ON"))
        db.session.commit()
        db.session.execute(text("INSERT INTO children VALUES (7)"))
        push(queues)
        with contextlib.suppress(Exception):
            db.session.commit()
        db.session.rollback()
        there = db.session.execute(text("SELECT count(*) FROM children")).scalar()
        assert len(stored(queues)) == there


@pytest.mark.usefixtures("site")
class TestSavepoints:
    def test_a_released_savepoint_waits_for_the_whole(self, queues: Queues, db: SQLAlchemy) -> None:
        """Its rows are not seen by others before."""
        write(db)
        with db.session.begin_nested():
            write(db)
            push(queues)
        assert stored(queues) == []
        db.session.commit()
        assert stored(queues) == ["a"]

    def test_a_savepoint_that_is_rolled_back_drops_its_own_pushes(self, queues: Queues, db: SQLAlchemy) -> None:
        """What was pushed around it stays."""
        write(db)
        push(queues, "before")
        nested = db.session.begin_nested()
        push(queues, "inside")
        nested.rollback()
        push(queues, "after")
        db.session.commit()
        assert stored(queues) == ["before", "after"]

    def test_a_rollback_takes_released_savepoints_with_it(self, queues: Queues, db: SQLAlchemy) -> None:
        """Released is not committed."""
        write(db)
        with db.session.begin_nested(), db.session.begin_nested():
            push(queues)
        db.session.rollback()
        assert stored(queues) == []


class TestConfiguration:
    def test_the_default_can_be_set(self, site: Flask, queues: Queues, db: SQLAlchemy, tmp_path) -> None:
        """`QUEUES_AFTER_COMMIT`; a push that says otherwise is stored at once."""
        app = Flask("second", instance_path=str(tmp_path / "second"))
        app.config.update(QUEUES_AFTER_COMMIT=True, SQLALCHEMY_DATABASE_URI=site.config["SQLALCHEMY_DATABASE_URI"])
        queues.init_app(app)
        db.init_app(app)
        with app.app_context():
            write(db)
            queues.push(Mail, {"to": "later"})
            queues.push(Mail, {"to": "now"}, after_commit=False)
            assert stored(queues) == ["now"]
            db.session.commit()
            assert stored(queues) == ["now", "later"]
            db.session.remove()
            db.engine.dispose()

    def test_without_flask_sqlalchemy_it_is_refused(self, queues: Queues, tmp_path) -> None:
        """Pushed at once, it would break the promise; never pushed, too."""
        app = Flask("plain", instance_path=str(tmp_path))
        queues.init_app(app)
        with app.app_context(), pytest.raises(ConfigError, match="Flask-SQLAlchemy, which the application plain has"):
            push(queues)

    def test_outside_an_application_context_it_is_refused(self, queues: Queues, db: SQLAlchemy, tmp_path) -> None:
        """There is no session."""
        app = Flask("only", instance_path=str(tmp_path))
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
        queues.init_app(app)
        db.init_app(app)
        with pytest.raises(ConfigError, match="application context"):
            push(queues)

    def test_a_schedule_does_not_take_it(self, site: Flask, queues: Queues) -> None:
        """Its jobs are pushed by a worker, which has no session."""
        with pytest.raises(ScheduleError, match="after_commit"):
            queues.schedule("0 0 * * *", Mail, {"to": "a"}, after_commit=True)

    def test_another_value_is_refused(self, site: Flask, queues: Queues) -> None:
        """The word is yes or no."""
        with pytest.raises(OptionError, match="after_commit: 'yes' is not True or False"):
            queues.push(Mail, {"to": "a"}, after_commit="yes")


@pytest.mark.usefixtures("site")
class TestErrors:
    def test_a_wrong_payload_is_told_at_the_push(self, queues: Queues, db: SQLAlchemy) -> None:
        """Not at the commit, when it is too late to roll back."""
        write(db)
        with pytest.raises(PayloadError):
            queues.push(Mail, {}, after_commit=True)

    def test_a_storage_that_fails_is_told_by_the_commit(
        self, queues: Queues, db: SQLAlchemy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The rows are there, the job is not, and the caller knows; the session goes on."""
        write(db)
        push(queues)

        def fail(_jobs: Any) -> list[bool]:
            raise StorageUnavailable("gone")

        with monkeypatch.context() as patch:
            patch.setattr(queues.manager.storage, "push", fail)
            with pytest.raises(StorageUnavailable):
                db.session.commit()
        assert db.session.execute(text("SELECT count(*) FROM orders")).scalar() == 1
        db.session.commit()
        assert stored(queues) == []


@pytest.mark.usefixtures("site")
class TestBatches:
    """A batch waits as a whole."""

    def batch(self, queues: Queues, *to: str, **options: Any) -> BatchHandle:
        return queues.batch([(Mail, {"to": one}) for one in to]).then(Mail, {"to": "then"}).push(**options)

    def test_a_batch_is_stored_when_the_session_commits(self, queues: Queues, db: SQLAlchemy) -> None:
        """With its jobs, in their place among other pushes; nobody knows it before."""
        write(db)
        push(queues, "a")
        batch = self.batch(queues, "b", "c", after_commit=True)
        push(queues, "d")
        with pytest.raises(BatchNotFound):
            _ = batch.status
        assert stored(queues) == []
        db.session.commit()
        assert stored(queues) == ["a", "b", "c", "d"]
        assert (batch.record.total, batch.record.growing) == (2, False)

    def test_an_empty_batch_is_stored_too(self, queues: Queues, db: SQLAlchemy) -> None:
        """It reports at once, after the commit."""
        write(db)
        batch = self.batch(queues, after_commit=True)
        db.session.commit()
        queues.manager.tend_batches(at_once=True)
        assert (batch.record.fired, stored(queues)) == (("then",), ["then"])

    def test_a_rollback_drops_it(self, queues: Queues, db: SQLAlchemy, caplog: pytest.LogCaptureFixture) -> None:
        """Nothing of it was ever there; the log says how many jobs that were."""
        caplog.set_level("INFO", "flask_queues")
        write(db)
        self.batch(queues, "a", "b", after_commit=True)
        db.session.rollback()
        db.session.commit()
        assert (stored(queues), queues.batches.all()) == ([], ([], None, 0))
        assert "2 jobs are not pushed" in caplog.text

    def test_a_savepoint_that_is_rolled_back_drops_its_own(self, queues: Queues, db: SQLAlchemy) -> None:
        """The one around it stays; one that is released waits for the whole."""
        write(db)
        self.batch(queues, "before", after_commit=True)
        nested = db.session.begin_nested()
        self.batch(queues, "inside", after_commit=True)
        nested.rollback()
        with db.session.begin_nested():
            self.batch(queues, "released", after_commit=True)
        assert stored(queues) == []
        db.session.commit()
        assert stored(queues) == ["before", "released"]

    def test_it_is_pushed_at_once_where_nothing_is_open_or_it_says_so(self, queues: Queues, db: SQLAlchemy) -> None:
        """As any push."""
        self.batch(queues, "a", after_commit=True)
        write(db)
        self.batch(queues, "b", after_commit=False)
        self.batch(queues, "c")
        assert stored(queues) == ["a", "b", "c"]

    def test_what_cannot_be_pushed_is_told_at_the_push(self, queues: Queues, db: SQLAlchemy) -> None:
        """While the transaction can be rolled back, and before there is a batch."""
        write(db)
        with pytest.raises(PayloadError):
            queues.batch([(Mail, {"to": "a"}), (Mail, {})]).push(after_commit=True)
        with pytest.raises(PayloadError):
            queues.batch([(Mail, {"to": "a"})]).then(Mail).push(after_commit=True)
        db.session.commit()
        assert (stored(queues), queues.batches.all()) == ([], ([], None, 0))

    def test_what_is_added_waits_too(self, queues: Queues, db: SQLAlchemy) -> None:
        """Also to a batch that is stored by the same commit; where it is over by then, the commit says so."""
        write(db)
        batch = self.batch(queues, "a", after_commit=True)
        assert batch.add([(Mail, {"to": "b"}), (Mail, {"to": "c"})], after_commit=True) == 2
        assert stored(queues) == []
        db.session.commit()
        assert (stored(queues), batch.record.total) == (["a", "b", "c"], 3)
        write(db)
        batch.add([(Mail, {"to": "d"})], after_commit=True)
        batch.cancel()
        with pytest.raises(TransitionError, match="is cancelled"):
            db.session.commit()

    def test_one_of_its_jobs_cannot_wait_alone(self, queues: Queues, db: SQLAlchemy) -> None:
        """It would be stored at once, against its word; with the word of the batch it waits."""
        jobs = [Mail().with_payload(to="a").using(after_commit=True)]
        write(db)
        with pytest.raises(OptionError, match="say after_commit=True to it"):
            queues.batch(jobs).push()
        queues.batch(jobs).push(after_commit=True)
        db.session.commit()
        assert stored(queues) == ["a"]

    def test_the_default_holds_for_batches(self, site: Flask, queues: Queues, db: SQLAlchemy, tmp_path: Path) -> None:
        """`QUEUES_AFTER_COMMIT`, for chains too."""
        app = Flask("second", instance_path=str(tmp_path / "second"))
        app.config.update(QUEUES_AFTER_COMMIT=True, SQLALCHEMY_DATABASE_URI=site.config["SQLALCHEMY_DATABASE_URI"])
        queues.init_app(app)
        db.init_app(app)
        with app.app_context():
            write(db)
            self.batch(queues, "a")
            queues.chain([(Mail, {"to": "b"}), (Mail, {"to": "c"})]).push()
            assert stored(queues) == []
            db.session.commit()
            assert stored(queues) == ["a", "b"]
            db.session.remove()
            db.engine.dispose()

    def test_one_that_fails_takes_no_other_along(
        self, queues: Queues, db: SQLAlchemy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The commit raises the first error once all were tried, and the batch that could not be is cancelled."""
        write(db)
        batch = self.batch(queues, "a", after_commit=True)
        push(queues, "b")
        place = queues.manager.storage.push

        def fail(jobs: Any, *more: Any) -> list[bool]:
            if jobs[0].batch is not None:
                raise StorageUnavailable("gone")
            return place(jobs, *more)

        monkeypatch.setattr(queues.manager.storage, "push", fail)
        with pytest.raises(StorageUnavailable):
            db.session.commit()
        assert stored(queues) == ["b"]
        assert batch.record.reason == "Its push broke off."

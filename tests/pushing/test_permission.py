"""Who may push what: a job type's `authorize`, asked in requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin, login_user

from flask_queues import ConfigError, Job, NotAllowed, Queues, QueuesError, Status
from flask_queues.testing.storage.contract.words import fail


class User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


class Refund(Job):
    type = "t:refund"

    def handle(self, amount: int) -> None: ...

    @classmethod
    def authorize(cls, user: Any, payload: dict[str, Any]) -> bool:
        return bool(user.is_authenticated and (user.id == "boss" or payload["amount"] < 100))


@pytest.fixture
def queues() -> Queues:
    queues = Queues()
    queues.register(Refund)

    @queues.job("t:free")
    def free() -> None: ...

    @queues.job("t:broken", authorize=lambda user, payload: payload["no such key"])
    def broken() -> None: ...

    @queues.job("t:vague", authorize=lambda user, payload: "yes")
    def vague() -> None: ...

    return queues


@pytest.fixture
def shop(tmp_path, queues: Queues) -> Flask:
    """An application with a login; a request names its user in the address."""
    app = Flask("shop", instance_path=str(tmp_path))
    app.secret_key = "for tests"
    queues.init_app(app)
    LoginManager(app).user_loader(User)

    @app.post("/refund/<int:amount>")
    def refund(amount: int) -> str:
        return queues.push("t:refund", {"amount": amount}).id

    return app


@pytest.fixture
def clerk(shop: Flask) -> Iterator[None]:
    with shop.test_request_context():
        login_user(User("clerk"))
        yield


@pytest.mark.usefixtures("clerk")
class TestInARequest:
    def test_the_type_decides_by_user_and_payload(self, queues: Queues) -> None:
        """It gets both."""
        assert queues.push("t:refund", {"amount": 99}).status is Status.PENDING
        with pytest.raises(NotAllowed, match=r"may not push t:refund: its authorize\(\) says no"):
            queues.push("t:refund", {"amount": 100})
        login_user(User("boss"))
        assert queues.push("t:refund", {"amount": 100}).status is Status.PENDING

    def test_a_refused_push_stores_nothing(self, queues: Queues) -> None:
        """Of several, none."""
        with pytest.raises(NotAllowed):
            queues.push_many([("t:refund", {"amount": 1}), ("t:refund", {"amount": 1000})])
        assert not queues.jobs_of().jobs

    def test_a_type_without_the_word_is_free(self, queues: Queues) -> None:
        """Nothing is asked for what nobody guards."""
        assert queues.push("t:free").status is Status.PENDING

    def test_an_exception_is_a_refusal(self, queues: Queues, caplog: pytest.LogCaptureFixture) -> None:
        """Closed where it cannot be told; the log has the reason."""
        with pytest.raises(NotAllowed):
            queues.push("t:broken")
        assert "authorize() of t:broken failed" in caplog.text

    def test_only_true_is_a_permission(self, queues: Queues) -> None:
        """A text that says no is true as well."""
        with pytest.raises(NotAllowed):
            queues.push("t:vague")

    def test_a_retry_is_asked_for_again(self, queues: Queues) -> None:
        """With the payload that is stored."""
        login_user(User("boss"))
        handle = queues.push("t:refund", {"amount": 500})
        storage = queues.manager.storage
        claim = storage.claim("worker", handle.id, 60_000)
        assert claim is not None
        fail(storage, claim)
        login_user(User("clerk"))
        with pytest.raises(NotAllowed):
            queues.manager.retry(handle.id)
        with pytest.raises(NotAllowed):
            queues.manager.push_again(handle.id)
        assert handle.status == "failed"
        login_user(User("boss"))
        queues.manager.retry(handle.id)
        assert handle.status is Status.PENDING


def test_outside_a_request_nobody_is_asked(shop: Flask, queues: Queues) -> None:
    """What the application does by itself, a worker or the terminal, has no user."""
    with shop.app_context():
        assert queues.push("t:refund", {"amount": 1000}).status is Status.PENDING


def test_a_refusal_is_a_403(shop: Flask) -> None:
    """Where the view does not catch it; an anonymous user is a user, too."""
    answer = shop.test_client().post("/refund/5")
    assert answer.status_code == 403
    assert issubclass(NotAllowed, QueuesError)


def test_without_a_login_manager_the_user_is_none(tmp_path) -> None:
    """The type may decide by the payload alone, or by the request."""
    queues = Queues()

    @queues.job("t:guarded", authorize=lambda user, payload: user is None)
    def guarded() -> None: ...

    app = Flask("plain", instance_path=str(tmp_path))
    queues.init_app(app)
    with app.test_request_context():
        assert guarded.push().created


def test_a_method_of_an_instance_is_refused() -> None:
    """There is no instance when a push is made."""

    class Wrong(Job):
        type = "t:wrong"

        def handle(self) -> None: ...

        def authorize(self, user: Any, payload: dict[str, Any]) -> bool:
            return True

    with pytest.raises(ConfigError, match="t:wrong: authorize must be a static or class method"):
        Queues().register(Wrong)

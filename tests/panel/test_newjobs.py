"""A new job from the panel: a form of the handler's signature, checked as any push, kept with who pushed it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_queues import Job, Status
from flask_queues.record import JobRecord

from .conftest import Shop, post
from .test_changes import Report, fields_of


class Guarded(Job):
    """Only for Ada, and one at a time."""

    type = "shop:guarded"
    unique = "one"

    @staticmethod
    def authorize(user: Any, payload: dict[str, Any]) -> bool:
        return bool(user.name == "anna" and payload["to"] == "ada")

    def handle(self, to: str) -> None: ...


@pytest.fixture
def client(shop: Shop) -> FlaskClient:
    shop.queues.register(Report)
    shop.queues.register(Guarded)
    return shop.client()


def form_of(client: FlaskClient, type_string: str) -> dict[str, str]:
    """What a browser would send of the form of a job type."""
    return fields_of(client.get(f"/queues/push?type={type_string}").text)


def send(client: FlaskClient, type_string: str, **typed: str) -> TestResponse:
    """Fill in the form; names are written with `_` for the first dot."""
    answers = {name.replace("_", ".", 1): value for name, value in typed.items()}
    return client.post("/queues/push", data={**form_of(client, type_string), **answers})


def pushed(shop: Shop) -> list[JobRecord]:
    return list(shop.manager.every())


def test_from_the_list_over_the_type_to_the_form(shop: Shop, client: FlaskClient) -> None:
    """By links and buttons alone; the list hands its filter on."""
    listed = client.get("/queues/jobs?queue=images").text
    chosen = client.get("/queues/push").text
    form = client.get("/queues/push?type=shop:mail").text

    assert 'href="/queues/push?queue=images"' in listed
    assert '<option value="shop:mail">Send mail (shop:mail)</option>' in chosen
    assert "queues:" not in chosen  # nobody pushes what is our own
    assert re.search(r"<option>mail</option>", form)  # first, so it is chosen
    assert client.get("/queues/push?type=no:such").status_code == 404


def test_a_job_is_pushed_as_it_was_typed(shop: Shop, client: FlaskClient) -> None:
    """Each argument in its own kind, defaults left to the handler; who pushed what is kept, without secrets."""
    answer = send(
        client, "shop:report", value_title="Q1 <b>", value_pages="3", value_to='["a"]', value_pin="4711"
    )  # fmt: skip
    [job] = pushed(shop)

    assert (answer.status_code, answer.location) == (303, f"/queues/jobs/{job.id}")
    assert job.payload == {"title": "Q1 <b>", "pages": 3, "to": ["a"], "pin": 4711}
    assert (job.status, job.queue, job.priority) == (Status.PENDING, "default", 0)
    [act] = shop.manager.acts_on("job", job.id)
    assert (act.who, act.action) == ("anna", "new")
    assert 'title: \N{EN DASH} → "Q1 <b>"' in act.reason
    assert "4711" not in act.reason
    assert "The job was pushed." in client.get(answer.location).text


def test_queue_delay_and_priority(shop: Shop, client: FlaskClient) -> None:
    """Over what the job type says."""
    send(client, "shop:mail", value_to="ada", option_queue="low", option_delay="600", option_priority="-7")
    [job] = pushed(shop)

    assert (job.status, job.queue, job.priority) == (Status.SCHEDULED, "low", -7)
    assert job.due - job.created == timedelta(minutes=10)
    assert job.tags == ("news",)


def test_tries_and_tags(shop: Shop, client: FlaskClient) -> None:
    """Tags beside those of the job type, which the form names; tries over its own, which stand in the empty field."""
    form = client.get("/queues/push?type=shop:mail").text
    assert re.search(r'placeholder="3"[^>]*name="option.tries"', form)
    assert "Its job type adds news." in form
    send(client, "shop:mail", value_to="ada", option_tries="7", option_tags=" vip , ü,vip,")
    [job] = pushed(shop)

    assert (job.tries, job.tags) == (7, ("news", "vip", "ü"))


def test_a_form_that_is_sent_twice_pushes_once(shop: Shop, client: FlaskClient) -> None:
    """Also to another queue than its type's own, and after a mistake; a form that is opened anew pushes another."""
    form = {**form_of(client, "shop:mail"), "value.to": "ada", "option.queue": "low"}
    wrong = client.post("/queues/push", data={**form, "option.tries": "none"})
    assert fields_of(wrong.text)["id"] == form["id"]
    first, second = (client.post("/queues/push", data=form) for _ in range(2))
    [job] = pushed(shop)

    assert first.location == second.location == f"/queues/jobs/{job.id}"
    assert (job.queue, job.id == form["id"]) == ("low", False)
    assert "its job was pushed once" in client.get(second.location).text
    assert [act.action for act in shop.manager.acts()] == ["new"]
    send(client, "shop:mail", value_to="ada", option_queue="low")
    client.post("/queues/push", data={**form, "id": "typed by hand"})
    assert len(pushed(shop)) == 3


def test_a_time_is_of_the_readers_zone(shop: Shop, client: FlaskClient) -> None:
    """The one that the footer names."""
    client.set_cookie("queues_zone", "Asia/Tokyo", path="/queues/")
    year = datetime.now(timezone.utc).year + 1
    send(client, "shop:mail", value_to="ada", option_at=f"{year}-06-01T09:30")
    [job] = pushed(shop)

    assert job.due == datetime(year, 6, 1, 0, 30, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"value_pages": "many"}, "A whole number is needed."),
        ({"value_to": '"a"'}, "This does not fit the job type: it has to be array | null, not str."),
        ({"value_pages": ""}, "pages"),
        ({"option_queue": "typo"}, "There is no such queue."),
        ({"option_delay": "-1"}, "A number of seconds is needed"),
        ({"option_delay": "nan"}, "A number of seconds is needed"),
        ({"option_at": "tomorrow"}, "A date with a time is needed."),
        ({"option_at": "2031-01-01T10:00", "option_delay": "5"}, "A time or a delay, not both."),
        ({"option_at": "9999-12-31T23:59"}, "The job cannot be pushed like this."),
        ({"option_priority": "101"}, "A whole number from -100 to 100 is needed."),
        ({"option_tries": "0"}, "A whole number from 1 to 1000 is needed."),
        ({"option_tries": "two"}, "A whole number from 1 to 1000 is needed."),
        ({"option_tags": "x" * 129}, "At most 20 tags of up to 128 characters can be given."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_pushed(
    shop: Shop, client: FlaskClient, typed: dict[str, str], words: str
) -> None:
    """Beside the field; what was typed stays, but no secret."""
    answer = send(client, "shop:report", **{"value_title": "kept", "value_pages": "3", "value_pin": "4711", **typed})

    assert answer.status_code == 422
    assert words in answer.text
    assert 'value="kept"' in answer.text
    assert "4711" not in answer.text
    assert pushed(shop) == []
    assert list(shop.manager.acts()) == []


def test_the_job_type_is_asked_whether_this_person_may(shop: Shop, client: FlaskClient) -> None:
    """`authorize`, with the user who has signed in."""
    refused = send(client, "shop:guarded", value_to="bob")
    allowed = send(client, "shop:guarded", value_to="ada")

    assert refused.status_code == 403
    assert allowed.status_code == 303
    assert [job.payload for job in pushed(shop)] == [{"to": "ada"}]


def test_one_that_is_there_already_is_shown(shop: Shop, client: FlaskClient) -> None:
    """A unique job is not pushed twice, and nobody is said to have done so."""
    first, second = (send(client, "shop:guarded", value_to="ada") for _ in range(2))

    assert first.location == second.location
    assert "this job is there already" in client.get(second.location).text
    assert len(list(shop.manager.acts())) == 1


def test_bounds_hold_here_too(make_shop: Any) -> None:
    """A full queue, and the limit of pushes in requests."""
    full, limited = make_shop(QUEUES_MAX_WAITING=1), make_shop(QUEUES_PUSH_LIMIT="1/h")
    answers = [
        [send(shop.client(), "shop:mail", value_to="a").status_code for _ in range(2)] for shop in (full, limited)
    ]

    assert answers == [[303, 409], [303, 429]]
    assert [len(pushed(shop)) for shop in (full, limited)] == [1, 1]


def test_it_is_stored_at_once_where_pushes_wait_for_a_commit(make_shop: Any) -> None:
    """Nobody commits for the panel."""
    shop = make_shop(QUEUES_AFTER_COMMIT=True)
    send(shop.client(), "shop:mail", value_to="a")

    assert len(pushed(shop)) == 1


def test_only_who_may_change_things_gets_it(shop: Shop, client: FlaskClient) -> None:
    """A reader is shown no button and no form, and refused a push; so is one without a token."""
    reader = shop.client("rita")

    assert "/queues/push" not in reader.get("/queues/jobs").text
    assert reader.get("/queues/push?type=shop:mail").status_code == 303
    assert reader.post("/queues/push", data=form_of(client, "shop:mail")).status_code == 403
    assert client.post("/queues/push", data={"type": "shop:mail", "value.to": "a"}).status_code == 400
    assert post(client, "/queues/push", type="shop:mail", **{"value.to": "a"}).status_code == 303
    assert len(pushed(shop)) == 1


@dataclass
class Address:
    """Within a payload."""

    street: str


def test_a_field_that_there_is_not_is_told_at_its_argument(shop: Shop, client: FlaskClient) -> None:
    """Nothing is pushed, and what was typed stays."""

    @shop.queues.job("shop:send")
    def deliver(to: list[Address]) -> None: ...

    answer = send(client, "shop:send", value_to='[{"street": "x", "stret": "y"}]')
    assert (answer.status_code, pushed(shop)) == (422, [])
    assert "There is no field stret in to[0]." in answer.text
    assert "stret&#34;: &#34;y" in answer.text

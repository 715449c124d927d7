"""Another payload: a form of the signature, checked, kept with who did it, refused where somebody was quicker."""

from __future__ import annotations

import html
import json
import re
from typing import Annotated, Any

import pytest
from flask.testing import FlaskClient
from flask_login import current_user

from flask_queues import Job, Secret, Status, current_queues
from flask_queues.errors import PayloadError
from flask_queues.masking import MASK
from flask_queues.panel.payloads import Form, misfit
from flask_queues.payload import Shape

from .conftest import Shop, post

FIELD = re.compile(r'<(input|textarea)((?: [\w-]+(?:="[^"]*")?)*)>(?:\n([^<]*))?')


def fields_of(text: str) -> dict[str, str]:
    """What a browser would send, were the form sent as it is."""
    found: dict[str, str] = {}
    form = text[text.index('class="q-card q-confirm q-form"') :]
    for tag, attributes, inside in FIELD.findall(form[: form.index("</form>")]):
        of = dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))
        if "name" in of and (of.get("type") != "checkbox" or " checked" in attributes):
            found[html.unescape(of["name"])] = html.unescape(inside if tag == "textarea" else of.get("value", ""))
    return found


def form_of(client: FlaskClient, job_id: str) -> dict[str, str]:
    return fields_of(client.get(f"/queues/jobs/{job_id}/payload").text)


def send(client: FlaskClient, job_id: str, typed: dict[str, str], way: str) -> Any:
    return client.post(f"/queues/jobs/{job_id}/payload", data={**typed, "way": way, "sure": "1"})


class Report(Job):
    """Every kind of argument."""

    type = "shop:report"
    name = "Write report"

    def handle(
        self,
        title: str,
        pages: int,
        factor: float = 1.5,
        urgent: bool = True,
        to: list[str] | None = None,
        api: dict[str, str] | None = None,
        note: str = "",
        pin: Annotated[int, Secret] = 0,
    ) -> None: ...


PAYLOAD = {
    "title": 'Q1 "büro" <b>', "pages": 12345678901234567890, "factor": 2, "urgent": False,
    "to": ["a", "b"], "api": {"url": "x", "token": "hunter2"}, "pin": 4711,
}  # fmt: skip


@pytest.fixture
def report(shop: Shop) -> str:
    """A job with every kind of argument that waits."""
    shop.queues.register(Report)
    return shop.queues.push("shop:report", PAYLOAD).id


def test_a_failed_job_gets_another_payload_and_is_retried(shop: Shop) -> None:
    """One step; the job keeps its id, and who changed what stands on its page and in the activity."""
    job_id = shop.failed(to="ada@exmaple.org")
    client = shop.client()
    assert "Retry with changed payload" in client.get(f"/queues/jobs/{job_id}").text
    typed = form_of(client, job_id)
    assert typed["value.to"] == "ada@exmaple.org"
    answer = send(client, job_id, {**typed, "value.to": "ada@example.org"}, "retry")

    assert (answer.status_code, answer.location) == (303, f"/queues/jobs/{job_id}")
    record = shop.manager.find(job_id)
    assert (record.status, record.payload) == (Status.PENDING, {"to": "ada@example.org"})
    change = 'to: "ada@exmaple.org" → "ada@example.org"'
    assert [(act.who, act.action, act.reason) for act in shop.manager.acts()] == [
        ("anna", "retry", ""), ("anna", "change", change),
    ]  # fmt: skip
    for page in (f"/queues/jobs/{job_id}", "/queues/activity"):
        text = html.unescape(client.get(page).text)
        assert change in text
        assert "anna" in text
    assert shop.claim().payload == '{"to":"ada@example.org"}'


def test_a_form_that_is_sent_as_it_is_changes_nothing(shop: Shop, report: str) -> None:
    """Whatever the payload is: large numbers, texts, lists, secrets, what is left out."""
    client = shop.client()
    assert send(client, report, form_of(client, report), "save").status_code == 303
    assert shop.manager.find(report).payload == PAYLOAD
    assert list(shop.manager.acts()) == []
    assert "nothing was changed" in client.get(f"/queues/jobs/{report}").text


def test_each_kind_of_argument_has_its_field(shop: Shop, report: str) -> None:
    """Text, whole number, number, check box, JSON; a secret is never in the page."""
    client = shop.client()
    text = client.get(f"/queues/jobs/{report}/payload").text
    assert "hunter2" not in text
    assert "4711" not in text
    typed = fields_of(text)
    kinds = {name[5:]: kind for name, kind in typed.items() if name.startswith("kind.")}
    assert kinds == {
        "title": "text", "pages": "whole", "factor": "number", "urgent": "yes", "to": "json", "api": "json",
        "note": "text", "pin": "whole",
    }  # fmt: skip
    assert json.loads(typed["value.api"]) == {"url": "x", "token": MASK}
    new = {
        "value.title": "Q2\r\nsecond line", "value.pages": "7", "value.factor": "0.25", "value.urgent": "1",
        "value.to": "", "value.api": json.dumps({"url": "y", "token": MASK}), "value.note": "new", "value.pin": "12",
    }  # fmt: skip
    assert send(client, report, {**typed, **new}, "save").status_code == 303
    assert shop.manager.find(report).payload == {
        "title": "Q2\nsecond line", "pages": 7, "factor": 0.25, "urgent": True,
        "api": {"url": "y", "token": "hunter2"}, "note": "new", "pin": 12,
    }  # fmt: skip
    kept = next(shop.manager.acts()).reason
    assert f"pin: {MASK} → {MASK}" in kept
    assert 'to: ["a", "b"] → \N{EN DASH}' in kept
    assert "hunter2" not in kept


@pytest.mark.parametrize(
    ("typed", "name", "said"),
    [
        ({"value.pages": "1.5"}, "pages", "A whole number is needed."),
        ({"value.pages": "1_000"}, "pages", "A whole number is needed."),
        ({"value.factor": "much"}, "factor", "A number is needed."),
        ({"value.to": "[1"}, "to", "This is no JSON; look at line 1, column 3."),
        ({"value.to": "[" * 100_000}, "to", "This is no JSON."),
        ({"value.to": "[1]"}, "to", "This does not fit the job type."),
        ({"value.pages": ""}, "pages", "A value is needed here."),
        ({"value.to": "NaN"}, "", "This does not fit the job type."),
        ({"value.api": json.dumps({"password": MASK})}, "api", "A hidden value stands where none was before."),
        (
            {"kind.title": "json", "value.title": "5"},
            "title",
            "This does not fit the job type: it has to be str, not int.",
        ),
    ],
)
def test_what_does_not_fit_is_said_at_its_field(
    shop: Shop, report: str, typed: dict[str, str], name: str, said: str
) -> None:
    """422, with everything else as it was typed, but secrets; nothing is changed."""
    client = shop.client()
    typed = {**form_of(client, report), "value.title": "mine", "value.pin": "5150", **typed}
    answer = send(client, report, typed, "save")
    assert answer.status_code == 422
    assert said in answer.text
    marked = re.findall(r'name="value\.(\w*)"[^>]*aria-invalid', answer.text)
    assert marked == ([name] if name else [])
    assert fields_of(answer.text)["value.title"] == typed["value.title"]
    assert "5150" not in answer.text
    assert shop.manager.find(report).payload == PAYLOAD


def test_a_job_that_has_started_is_left_alone(shop: Shop) -> None:
    """409, and since when it runs."""
    job_id = shop.pending()
    client = shop.client()
    typed = form_of(client, job_id)
    shop.claim()
    answer = send(client, job_id, {**typed, "value.to": "bert"}, "save")
    assert answer.status_code == 409
    assert "This job started" in answer.text
    assert fields_of(answer.text)["value.to"] == "bert"
    assert shop.manager.find(job_id).payload == {"to": "ada@example.org"}
    assert client.get(f"/queues/jobs/{job_id}/payload").location == f"/queues/jobs/{job_id}"
    assert "Change the payload" not in client.get(f"/queues/jobs/{job_id}").text


def test_of_two_people_the_second_is_refused(shop: Shop) -> None:
    """409 for who has filled in a form of what is no more, also with the mark that another form had."""
    job_id = shop.failed()
    anna, client = shop.client(), shop.client()
    first, second = form_of(anna, job_id), form_of(client, job_id)
    assert send(anna, job_id, {**first, "value.to": "one"}, "save").status_code == 303
    answer = send(client, job_id, {**second, "value.to": "two"}, "save")
    assert answer.status_code == 409
    assert "Somebody has changed the payload meanwhile" in answer.text
    assert send(client, job_id, {**fields_of(answer.text), "value.to": "two"}, "save").status_code == 409
    assert shop.manager.find(job_id).payload == {"to": "one"}


def test_what_has_ended_well_is_pushed_again_with_another_payload(shop: Shop) -> None:
    """A new job; the old one stays as it ran."""
    job_id = shop.completed()
    client = shop.client()
    assert "Push again with changed payload" in client.get(f"/queues/jobs/{job_id}").text
    assert send(client, job_id, {**form_of(client, job_id), "value.to": "bert"}, "push").status_code == 303
    assert shop.manager.find(job_id).payload == {"to": "ada@example.org"}
    (new,) = shop.manager.jobs_of(statuses=[Status.PENDING]).jobs
    assert new.payload == {"to": "bert"}
    assert [(act.action, act.name) for act in shop.manager.acts()] == [("push", new.id)]
    for way in ("save", "retry", "run", "", "explode"):
        assert send(client, job_id, form_of(client, job_id), way).status_code == 409


def test_a_scheduled_job_may_be_changed_and_run_now(shop: Shop) -> None:
    """Or only changed."""
    job_id = shop.scheduled()
    client = shop.client()
    send(client, job_id, {**form_of(client, job_id), "value.to": "bert"}, "save")
    assert shop.status(job_id) is Status.SCHEDULED
    send(client, job_id, {**form_of(client, job_id), "value.to": "carla"}, "run")
    record = shop.manager.find(job_id)
    assert (record.status, record.payload["to"]) == (Status.PENDING, "carla")


def test_a_pending_job_may_be_changed_and_put_first(shop: Shop) -> None:
    """Before a job that came earlier."""
    shop.pending()
    job_id = shop.pending()
    client = shop.client()
    send(client, job_id, {**form_of(client, job_id), "value.to": "carla"}, "run")
    claim = shop.claim()
    assert (claim.id, shop.manager.find(job_id).payload["to"]) == (job_id, "carla")


def test_authorize_is_asked_for_the_new_payload(shop: Shop) -> None:
    """403, and the form again."""

    @shop.queues.job("shop:refund", authorize=lambda _user, payload: payload["amount"] < 100)
    def refund(amount: int) -> None: ...

    job_id = refund.push(amount=5).id
    client = shop.client()
    answer = send(client, job_id, {**form_of(client, job_id), "value.amount": "500"}, "save")
    assert (answer.status_code, shop.manager.find(job_id).payload) == (403, {"amount": 5})
    assert "does not allow this" in html.unescape(answer.text)


def test_readers_have_no_form(shop: Shop) -> None:
    """Neither the button nor the page."""
    job_id = shop.failed()
    client = shop.client("rita")
    assert "changed payload" not in client.get(f"/queues/jobs/{job_id}").text
    assert client.get(f"/queues/jobs/{job_id}/payload").location == f"/queues/jobs/{job_id}"


def test_the_form_needs_its_token(shop: Shop) -> None:
    """400 without one."""
    job_id = shop.failed()
    typed = form_of(shop.client(), job_id)
    client = shop.client()
    del typed["csrf_token"]
    assert send(client, job_id, {**typed, "value.to": "bert"}, "save").status_code == 400
    assert post(client, f"/queues/jobs/{job_id}/payload", **typed, way="save").status_code == 303


def test_a_job_of_a_type_that_is_not_known_here_has_no_form(shop: Shop) -> None:
    """It cannot be checked."""
    job_id = shop.failed()
    shop.manager.jobs._types.pop("shop:mail")
    client = shop.client()
    assert "changed payload" not in client.get(f"/queues/jobs/{job_id}").text
    assert client.get(f"/queues/jobs/{job_id}/payload").location == f"/queues/jobs/{job_id}"


def anything(n: int = 1, **more: Any) -> None: ...


def plain(to: str) -> None: ...


@pytest.mark.parametrize(
    ("function", "payload"),
    [
        (anything, {"n": 5, "x": [1, {"password": "hunter2"}], "y": None}),
        (anything, {"x": "only"}),
        (plain, {"to": 5}),
        (plain, {"to": "a\r\nb"}),
        (plain, {"to": "zero\u200bwidth\u2028"}),
        (plain, {"to": "\n leading"}),
        (plain, {"to": "a", "gone": 1}),
        (plain, {}),
    ],
)
def test_whatever_is_stored_comes_back_as_it_was(function: Any, payload: dict[str, Any]) -> None:
    """Also what fits the signature no longer, so that it can be repaired."""
    form = Form(Shape("t", function, method=False), payload, frozenset())
    entries = form.entries()
    assert not any("hunter2" in entry.value for entry in entries)
    typed = {f"kind.{entry.name}": entry.kind for entry in entries}
    typed |= {f"value.{entry.name}": entry.value.replace("\n", "\r\n") for entry in entries}
    missing = {"to": ""} if function is plain and not payload else {}
    with_order = form.read(typed)[0]
    assert (with_order, list(with_order)) == ({**payload, **missing}, [*payload, *missing])


def test_names_that_have_a_field_are_not_given_twice(shop: Shop) -> None:
    """What stands beside the arguments is an object, and names none of them."""
    form = Form(Shape("t", anything, method=False), {"n": 5}, frozenset())
    with shop.flask.test_request_context():
        said = [form.read({"value.n": "5", "value.": text})[1] for text in ('{"n":1}', "[1]", '{"m":1}')]
    assert [list(wrong) for wrong in said] == [[""], [""], []]


def test_the_person_of_the_request_is_the_one_who_is_asked(shop: Shop) -> None:
    """`authorize` gets the user of the panel."""
    asked: list[str] = []

    def may(user: Any, _payload: dict[str, Any]) -> bool:
        asked.append(user.id)
        return True

    @shop.queues.job("shop:own", authorize=may)
    def own(n: int) -> None: ...

    job_id = own.push(n=1).id
    client = shop.client()
    send(client, job_id, {**form_of(client, job_id), "value.n": "2"}, "save")
    assert asked == ["anna"]
    with shop.flask.test_request_context():
        assert current_queues.find(job_id).payload == {"n": 2}
        assert not current_user.is_authenticated


def test_a_hidden_text_is_made_empty_by_its_box(shop: Shop) -> None:
    """Leaving the field empty keeps it; only texts have the box, and what it was stands nowhere."""
    job_id = shop.pending(password="hunter2")
    client = shop.client()
    typed = form_of(client, job_id)
    assert "empty.password" not in typed
    text = client.get(f"/queues/jobs/{job_id}/payload").text
    assert 'name="empty.password"' in text
    send(client, job_id, {**typed, "empty.password": "1"}, "save")
    assert shop.manager.find(job_id).payload["password"] == ""
    assert "hunter2" not in client.get(f"/queues/jobs/{job_id}").text
    shop.queues.register(Report)
    number = shop.queues.push("shop:report", PAYLOAD).id
    text = client.get(f"/queues/jobs/{number}/payload").text
    assert 'name="empty.' not in text
    send(client, number, {**form_of(client, number), "empty.pin": "1"}, "save")
    assert shop.manager.find(number).payload["pin"] == 4711


def test_a_change_is_shown_before_it_is_made(shop: Shop, report: str) -> None:
    """In two columns; nothing is changed until then, a secret is typed again, and what was typed is still there."""
    client = shop.client()
    typed = {**form_of(client, report), "value.title": "Quarter 2 <b>", "value.pin": "4711", "way": "save"}
    asked = client.post(f"/queues/jobs/{report}/payload", data=typed)
    assert asked.status_code == 200
    assert '<td class="q-wrap q-mono" data-label="After">&#34;Quarter 2 &lt;b&gt;&#34;</tr>' in asked.text
    assert "4711" not in asked.text
    assert "pin, typed again" in asked.text
    assert shop.manager.find(report).payload == PAYLOAD
    carried = fields_of(asked.text)
    assert (carried["sure"], carried["value.title"], carried["value.pin"]) == ("1", "Quarter 2 <b>", "")
    back = client.post(f"/queues/jobs/{report}/payload", data={**carried, "again": "1"})
    assert fields_of(back.text)["value.title"] == "Quarter 2 <b>"
    done = client.post(f"/queues/jobs/{report}/payload", data={**carried, "value.pin": "4711", "way": "save"})
    assert done.status_code == 303
    assert shop.manager.find(report).payload == {**PAYLOAD, "title": "Quarter 2 <b>", "pin": 4711}


@pytest.mark.parametrize(
    ("text", "argument", "words", "detail"),
    [
        ("shop:x: argument 'n': expected int >= 1.", "n", "Das passt nicht zum Jobtyp: int >= 1 wird gebraucht.", ""),
        (
            "shop:x: argument 'n': expected int, got str.",
            "n",
            "Das passt nicht zum Jobtyp: int wird gebraucht, nicht str.",
            "",
        ),
        ("shop:x: the argument 'n' is missing; it takes n.", "n", "Hier wird ein Wert gebraucht.", ""),
        (
            "shop:x: argument 'n.at[1]': there is no field 'stret'; Address has street.",
            "n",
            "In n.at[1] gibt es kein Feld stret.",
            "",
        ),
        ("shop:x: argument 'n[...]': expected str, got int.", "n", "Das passt nicht zum Jobtyp.", "whole"),
        ("shop:x: there is no argument 'm'; it takes n.", None, "Das passt nicht zum Jobtyp.", "whole"),
    ],
)
def test_what_does_not_fit_is_said_in_the_readers_language(
    shop: Shop, text: str, argument: str | None, words: str, detail: str
) -> None:
    """As far as there are words for it; the rest of the check is English, and said beside it."""
    error = PayloadError(text)
    error.argument = argument
    with shop.flask.test_request_context(headers={"Accept-Language": "de"}):
        assert misfit(error) == (words, text if detail else "")

"""What people do in the panel: by row, by check marks, with all that match; and what is asked before."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from flask_queues import Status

from .conftest import Shop, post


def flashed(shop: Shop, client: object, page: str = "/queues/jobs") -> str:
    """What the next page says."""
    text = re.sub(r"<svg.*?</svg>", "", client.get(page).text, flags=re.DOTALL)  # type: ignore[attr-defined]
    return " ".join(said.strip() for said in re.findall(r'role="(?:status|alert)"[^>]*>\s*<p>([^<]*)', text))


def test_a_failed_job_is_retried_and_the_person_is_back_where_they_were(shop: Shop) -> None:
    """303 to the same address, with filters and place; the sentence is said once."""
    job_id = shop.failed()
    client = shop.client()
    back = "/queues/failed/jobs?queue=mail&after=5:5&before=50"
    answer = post(client, "/queues/actions/retry", id=job_id, back=back)

    assert (answer.status_code, answer.location) == (303, back)
    assert shop.status(job_id) is Status.PENDING
    assert flashed(shop, client) == "1 job was pushed again."
    assert flashed(shop, client) == ""


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example/queues/jobs",
        "/\\evil.example",
        "/sign-in",
        "javascript:alert(1)",
        "/queues/../admin",
        "/queues/%2e%2E/admin",
        "/queues/.%2e",
        "/queuesque",
        "/queues/jobs\r\nSet-Cookie: a=b",
    ],
)
def test_the_way_back_never_leaves_the_panel(shop: Shop, back: str) -> None:
    """Whatever a forged form says."""
    answer = post(shop.client(), "/queues/actions/retry", id=shop.failed(), back=back, status="failed")

    assert answer.location == "/queues/failed/jobs"


def test_each_action_does_what_it_says(shop: Shop) -> None:
    """Run now, cancel, delete, push again; a cancellation keeps who asked for it."""
    jobs = shop.one_of_each()
    client = shop.client()

    post(client, "/queues/actions/run", id=jobs[Status.SCHEDULED])
    assert shop.status(jobs[Status.SCHEDULED]) is Status.PENDING
    post(client, "/queues/actions/cancel", id=jobs[Status.PENDING])
    assert shop.manager.find(jobs[Status.PENDING]).reason == "cancelled by anna in the panel"
    post(client, "/queues/actions/delete", id=jobs[Status.FAILED])
    assert client.get(f"/queues/jobs/{jobs[Status.FAILED]}").status_code == 404
    before = shop.manager.counts().statuses["pending"]
    post(client, "/queues/actions/push", id=jobs[Status.COMPLETED])
    assert shop.manager.counts().statuses["pending"] == before + 1
    again = shop.manager.jobs_of(statuses=[Status.PENDING], limit=1).jobs[0]
    old = shop.manager.find(jobs[Status.COMPLETED])
    assert (again.type, again.payload, again.queue, again.tags) == (old.type, old.payload, old.queue, old.tags)


def next_ones(shop: Shop, number: int) -> list[str]:
    """The jobs that a worker would get one after another."""
    return [shop.claim().id for _ in range(number)]


def test_run_now_puts_jobs_first_in_the_order_of_the_list(shop: Shop) -> None:
    """Checked rows and all that match, pending or scheduled; each says so, and the activity has it."""
    urgent = shop.mail.using(priority=9).push(to="x@example.org").id
    first, second, third = (shop.pending() for _ in range(3))
    client = shop.client()
    assert client.get("/queues/jobs").text.count(">Run now<i> Send mail</i></button>") == 4
    post(client, "/queues/actions/run", id=[second, third], status="pending")
    assert flashed(shop, client) == "2 jobs are the first in their lines."
    assert next_ones(shop, 2) == [second, third]
    post(client, "/queues/actions/run", id=first)
    assert flashed(shop, client) == "1 job is the first in its line."
    act = next(shop.manager.acts())
    assert (act.action, act.name) == ("run", first)
    assert next_ones(shop, 2) == [first, urgent]
    late = [shop.scheduled() for _ in range(2)]
    ready = [shop.pending() for _ in range(2)]
    post(client, "/queues/actions/run", all=1, status="pending", seen=2)
    assert next_ones(shop, 2) == ready
    post(client, "/queues/actions/run", all=1, status="scheduled", seen=2)
    assert next_ones(shop, 2) == late


def test_what_is_put_first_in_a_paused_queue_waits_all_the_same(shop: Shop) -> None:
    """The page says so, of a queue and of a job type."""
    job_id = shop.pending()
    shop.manager.pause(shop.manager.find(job_id).queue, by="ben")
    client = shop.client()
    post(client, "/queues/actions/run", id=job_id)
    assert "is paused: nothing of it begins until it goes on." in flashed(shop, client)
    shop.manager.resume(shop.manager.find(job_id).queue)
    shop.manager.pause(type="shop:mail", by="ben")
    post(client, "/queues/actions/run", id=job_id)
    assert "The job type shop:mail is paused" in flashed(shop, client)


def test_checked_jobs_are_changed_together(shop: Shop) -> None:
    """What has changed meanwhile is left alone and said."""
    first, second = shop.failed(), shop.failed()
    done = shop.completed()
    client = shop.client()
    post(client, "/queues/actions/retry", id=[first, second, done, "none"])

    assert {shop.status(first), shop.status(second)} == {Status.PENDING}
    assert shop.status(done) is Status.COMPLETED
    said = flashed(shop, client)
    assert "2 jobs were pushed again." in said
    assert "no longer there" in said
    post(client, "/queues/actions/retry", id="none")
    page = client.get("/queues/jobs").text
    assert "no longer there" in page
    assert "/queues/jobs/none" not in page


def test_a_danger_is_asked_about_on_a_page_of_its_own(shop: Shop) -> None:
    """It names the number and what is lost; nothing is done by looking at it."""
    ids = [shop.failed() for _ in range(2)]
    client = shop.client()
    text = client.get("/queues/actions/delete/confirm?" + urlencode({"id": ids, "status": "failed"}, doseq=True)).text

    assert "<h1>Delete 2 jobs?</h1>" in text
    assert "cannot be brought back" in text
    assert "Keep them" in text
    assert all(shop.status(one) is Status.FAILED for one in ids)
    assert client.get("/queues/actions/delete/confirm?status=failed").location == "/queues/failed/jobs"
    assert flashed(shop, client) == "No job was chosen."
    assert post(client, "/queues/actions/delete", status="failed").location == "/queues/failed/jobs"
    assert flashed(shop, client) == "No job was chosen."
    assert client.get("/queues/actions/explode/confirm").status_code == 404


def test_all_that_match_are_changed_only_if_no_more_match_than_were_seen(shop: Shop) -> None:
    """The confirmation states a number; where more have come, it asks again."""
    for _ in range(3):
        shop.failed()
    client = shop.client()
    confirm = client.get("/queues/actions/retry/confirm?all=1&status=failed&queue=mail").text
    assert "Retry 3 jobs?" in confirm
    shop.failed()
    form = {"all": 1, "status": "failed", "queue": "mail"}

    assert "More jobs match now" in post(client, "/queues/actions/retry", **form, seen=3).text
    assert shop.manager.counts().statuses["failed"] == 4
    assert "Confirm this first" in post(client, "/queues/actions/retry", **form).text
    assert post(client, "/queues/actions/retry", **form, seen=4).location == "/queues/failed/jobs?queue=mail"
    assert shop.manager.counts().statuses["failed"] == 0
    assert flashed(shop, client) == "4 jobs were pushed again."


def test_more_than_a_hundred_are_deleted_only_with_the_number_typed(shop: Shop) -> None:
    """What is deleted does not come back."""
    shop.queues.push_many([("shop:resize", {"file_id": n}) for n in range(150)])
    client = shop.client()
    form = {"all": 1, "status": "pending", "queue": "images", "seen": 150}

    assert 'name="typed"' in client.get("/queues/actions/delete/confirm?all=1&status=pending&queue=images").text
    assert "Type the number" in post(client, "/queues/actions/delete", **form, typed="100").text
    assert shop.manager.counts().statuses["pending"] == 150
    assert post(client, "/queues/actions/delete", **form, typed="150").status_code == 303
    assert shop.manager.counts().statuses["pending"] == 0


def test_what_is_not_offered_in_a_status_is_not_done(shop: Shop) -> None:
    """A running job is not deleted, a pending one not retried; the person is told."""
    running, pending = shop.running(), shop.pending()
    client = shop.client()
    post(client, "/queues/actions/delete", id=running)
    post(client, "/queues/actions/retry", id=pending)

    assert (shop.status(running), shop.status(pending)) == (Status.RUNNING, Status.PENDING)
    assert "has changed its status" in flashed(shop, client)


def test_a_job_of_an_unknown_type_is_not_pushed_again(shop: Shop) -> None:
    """The sentence says why."""
    done = shop.completed()
    del shop.manager.jobs._types["shop:mail"]
    client = shop.client()
    post(client, "/queues/actions/push", id=done)

    assert "job type is not known" in flashed(shop, client)


def test_the_hosts_messages_and_ours_stay_apart(shop: Shop) -> None:
    """Neither page takes what belongs to the other."""
    from flask import flash, get_flashed_messages

    @shop.flask.get("/say")
    def say() -> str:
        flash("of the shop")
        return ""

    @shop.flask.get("/said")
    def said() -> str:
        return " ".join(map(str, get_flashed_messages()))

    client = shop.client()
    post(client, "/queues/actions/retry", id=shop.failed())
    client.get("/say")
    assert flashed(shop, client) == "1 job was pushed again."
    assert client.get("/said").text == "of the shop"


def test_preferences_are_kept_in_cookies_below_the_panel(shop: Shop) -> None:
    """Language and theme; anything else is ignored."""
    client = shop.client()
    post(client, "/queues/preferences", theme="dark", language="de")
    text = client.get("/queues/jobs").text

    assert '<html lang="de" data-theme="dark">' in text
    post(client, "/queues/preferences", theme="pink", language="xx")
    assert '<html lang="de" data-theme="dark">' in client.get("/queues/jobs").text


def test_a_full_queue_is_named(make_shop: Callable[..., Shop]) -> None:
    """What was not pushed, and where it would have gone."""
    shop = make_shop(QUEUES_MAX_WAITING={"mail": 1})
    ended = shop.completed()
    shop.pending()
    client = shop.client()
    post(client, "/queues/actions/push", id=ended)
    assert flashed(shop, client) == "The job cannot be pushed: the queue mail is full (jobs that wait: 1)."


def test_a_button_at_the_end_of_a_row_does_it_with_what_stands_in_it(shop: Shop) -> None:
    """Its name says what, its value with what, and the page's form where to go back to."""
    first, second, checked = shop.failed(), shop.failed(), shop.failed()
    place = "/queues/failed/jobs?queue=mail&sort=oldest"
    client = shop.client()
    text = client.get(place).text
    assert text.count(f'name="retry" value="{first}"') == 1
    answer = post(client, "/queues/actions", retry=first, back=place)
    assert (answer.status_code, answer.location) == (303, place)
    assert shop.status(first) is Status.PENDING
    assert post(client, "/queues/actions", back=place).status_code == 404
    assert post(client, "/queues/actions", **{"burn:queue": "mail"}).status_code == 404

    asked = client.get("/queues/actions/confirm", query_string={"back": place, "id": checked, "delete": second})
    assert "Delete 1 job?" in asked.text
    assert f'name="id" value="{second}"' in asked.text
    assert f'value="{checked}"' not in asked.text
    assert 'href="/queues/failed/jobs?queue=mail&amp;sort=oldest"' in asked.text
    asked = client.get(
        "/queues/actions/confirm", query_string={"status": "failed", "id": [second, checked], "delete": ""}
    )
    assert "Delete 2 jobs?" in asked.text
    assert client.get("/queues/actions/confirm", query_string={"burn": second}).status_code == 404


def test_a_button_in_the_row_of_a_cause_is_about_all_its_jobs(shop: Shop) -> None:
    """In the queue and of the type that the page is narrowed to."""
    for _ in range(3):
        shop.failed(KeyError("a"))
    shop.failed(ValueError("b"))
    shop.count()
    client = shop.client()
    text = client.get("/queues/failed?queue=mail").text
    button = re.search(
        r'<button form="q-ask" name="delete" value="(cause:\w+)">[^/]*/></svg>Delete all 3 …<i> KeyError', text
    )
    assert button is not None, text
    asked = client.get("/queues/actions/confirm", query_string={"delete": button[1], "queue": "mail"})
    assert "Delete 3 jobs?" in asked.text
    assert 'name="queue" value="mail"' in asked.text
    asked = client.get("/queues/actions/confirm", query_string={"delete": button[1], "queue": "none"})
    assert "Delete 3 jobs?" not in asked.text

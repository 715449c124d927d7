"""One job's page: the verdict, the error with the application's own code first, the attempts, the log."""

from __future__ import annotations

import builtins
import json
import re
from datetime import datetime, timezone
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from flask_queues import Job, Status, transitions
from flask_queues.chains import followed
from flask_queues.ids import new_id
from flask_queues.masking import MASK
from flask_queues.panel.payloads import Difference, differences, in_lines, read_lines
from flask_queues.panel.trace import blocks
from flask_queues.pushing.whence import program_here
from flask_queues.record import LogLine, Memory, Origin
from flask_queues.storage.values import NewJob, Wanted
from flask_queues.transitions import dump_error
from tests.support.runs import run_next

from .conftest import TOKEN, Shop


def plain(text: str) -> str:
    """A page's text without its tags."""
    main = text[text.index("<main") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main)).replace("\u00a0", " ").replace("&#39;", "'")


def test_each_status_says_what_happens_next(shop: Shop) -> None:
    """In one sentence."""
    jobs = shop.one_of_each()
    client = shop.client()
    sentences = {
        Status.PENDING: "no worker runs.",
        Status.RUNNING: "on host (process 42); is stopped after 1 min. Attempt 1 of 3.",
        Status.SCHEDULED: "Runs in 50 minutes: delayed when it was pushed.",
        Status.COMPLETED: "Is deleted in 24 hours.",
        Status.FAILED: "after 1 of 3 attempts. Nothing more happens by itself; is deleted in 7 days.",
        Status.CANCELLED: "Cancelled by anna",
    }
    for status, sentence in sentences.items():
        assert sentence in plain(client.get(f"/queues/jobs/{jobs[status]}").text), status


#: What can be done with a job of each status, in its order; dots say that a question follows.
BUTTONS = {
    Status.PENDING: ["Run now", "Cancel …", "Delete …"],
    Status.SCHEDULED: ["Run now", "Cancel …", "Delete …"],
    Status.RUNNING: ["Cancel …"],
    Status.FAILED: ["Retry now", "Delete …"],
    Status.COMPLETED: ["Push again", "Delete …"],
    Status.CANCELLED: ["Push again", "Delete …"],
}


def test_each_status_offers_what_can_be_done_with_it(shop: Shop) -> None:
    """In words that say what follows."""
    client = shop.client()
    for status, job_id in shop.one_of_each().items():
        [actions] = re.findall(r'<p class="q-actions">(.*?)</p>', client.get(f"/queues/jobs/{job_id}").text, re.DOTALL)
        assert re.findall(r"<span>([^<]+)</span>", actions) == BUTTONS[status]


def test_the_page_shows_attempts_payload_result_and_log(shop: Shop) -> None:
    """All that is kept of it."""
    line = LogLine(datetime.now(timezone.utc), "warning", "slow server", {"seconds": 3}, 1)
    failed = shop.failed(logs=(line,))
    done = shop.completed()
    client = shop.client()
    text = plain(client.get(f"/queues/jobs/{failed}").text)

    assert "ValueError: the mail server said no" in text
    assert "1 · Failed ValueError" in text
    assert "warning slow server seconds=3" in text
    assert "&#34;to&#34;: &#34;ada@example.org&#34;" in client.get(f"/queues/jobs/{failed}").text
    assert "Result" in plain(client.get(f"/queues/jobs/{done}").text)


def test_a_failed_job_can_be_reproduced(shop: Shop) -> None:
    """With a test that can be copied, without secrets; any other job has nothing of the kind."""
    failed, done = shop.failed(password="hunter22"), shop.completed()
    client = shop.client()
    text = client.get(f"/queues/jobs/{failed}").text
    assert f"def test_shop_mail_{failed}(queues_app, queues_fake):" in text
    assert 'data-copy="q-test-text"' in text
    assert "hunter22" not in text
    assert "q-test" not in client.get(f"/queues/jobs/{done}").text
    assert "q-test" not in client.get(f"/queues/jobs/{shop.failed(to='x' * 70_000)}").text
    client.set_cookie("queues_language", "de")
    assert "Nachstellen" in plain(client.get(f"/queues/jobs/{failed}").text)


def test_where_a_running_job_is_can_be_asked(shop: Shop) -> None:
    """Its worker answers a moment later; who may only read is refused, and a job that has ended is said."""
    job, done = shop.running(), shop.completed()
    shop.manager.pause("mail")
    client = shop.client()
    page = client.get(f"/queues/jobs/{job}").text
    assert "The stacks of its process" in page
    token = {"csrf_token": TOKEN.search(page)[1]}  # type: ignore[index]
    assert client.post(f"/queues/actions/stacks/{job}", data=token).location.endswith(f"/queues/jobs/{job}#q-stacks")
    assert "answers in a second or two" in client.get(f"/queues/jobs/{job}").text
    picture = shop.manager.orders().pictures[job]
    shop.manager.keep_picture(job, picture._replace(taken=picture.asked + 1, text='File "<shop.py>", line 7 in wait'))
    assert "File &#34;&lt;shop.py&gt;&#34;, line 7 in wait" in client.get(f"/queues/jobs/{job}").text
    shop.manager.keep_picture(job, picture._replace(taken=picture.asked + 1))
    assert "did not answer" in client.get(f"/queues/jobs/{job}").text
    after = client.post(f"/queues/actions/stacks/{done}", data=token, follow_redirects=True)
    assert "The job does not run any more." in after.text
    assert [act.action for act in shop.manager.acts()] == ["stacks"]
    reader = shop.client("rita")
    assert "/queues/actions/stacks/" not in reader.get(f"/queues/jobs/{job}").text


def test_the_page_says_of_which_request_a_job_is(shop: Shop) -> None:
    """With its id, which anybody may have made up, and its language; in the reader's own."""
    options = json.dumps({"request_id": "<b>r-1</b>", "locale": "de_AT"})
    job = NewJob(new_id("default:0"), "default", "shop:mail", '{"to":"ada@example.org"}', options=options)
    shop.manager.storage.push([job])
    client = shop.client()
    text = client.get(f"/queues/jobs/{job.id}").text
    assert "&lt;b&gt;r-1&lt;/b&gt;" in text
    assert "Request &lt;b&gt;r-1&lt;/b&gt; Language de_AT" in plain(text)
    client.set_cookie("queues_language", "de")
    assert "Anfrage &lt;b&gt;r-1&lt;/b&gt; Sprache de_AT" in plain(client.get(f"/queues/jobs/{job.id}").text)


def test_the_page_says_what_makes_a_job_unique(shop: Shop) -> None:
    """Its key; one that repeats a secret of the payload, or is a digest of one, is hidden, also from programs."""
    client = shop.client()

    def shown(unique: bool | str, **payload: str) -> tuple[str, str]:
        job = shop.queues.push("shop:mail", payload, unique=unique).id
        fact = re.search(r'<dt>Unique key</dt><dd class="q-mono">([^<]*)<', client.get(f"/queues/jobs/{job}").text)
        assert fact is not None
        return fact[1], client.get(f"/queues/api/jobs/{job}").json["unique_key"]  # type: ignore[index]

    assert shown("order 7", to="ada") == ("shop:mail:order 7",) * 2
    assert shown("of hunter22 <b>", to="ada", password="hunter22") == (
        "shop:mail:of •••••••• &lt;b&gt;",
        "shop:mail:of •••••••• <b>",
    )
    assert shown(True, to="ben", password="hunter22") == ("shop:mail:••••••••",) * 2
    assert re.fullmatch("shop:mail:[0-9a-f]{32}", shown(True, to="cid")[1])
    assert "Unique key" not in client.get(f"/queues/jobs/{shop.pending()}").text


def test_a_trace_is_read_with_own_code_first() -> None:
    """Frames of libraries are folded, the innermost stands on top, a cause is a block of its own."""
    text = ""
    try:
        try:
            json.loads("{")
        except ValueError as cause:
            raise RuntimeError("two\nlines") from cause
    except RuntimeError as error:
        text = json.loads(transitions.describe_exception(error))[2]
    outer, inner = blocks(text, str(Path(__file__).parent))

    assert outer.last == "RuntimeError: two\nlines"
    assert [(run.own, run.frames[0].file) for run in outer.runs] == [(True, "test_one_job.py")]
    assert "raise RuntimeError" in outer.runs[0].frames[0].source
    assert inner.link.startswith("The above exception")
    assert [run.own for run in inner.runs] == [False, True]
    assert inner.runs[0].packages == ("json",)
    assert len(inner.runs[0].frames) >= 3


def test_what_is_no_trace_is_shown_as_it_is(shop: Shop) -> None:
    """Such as that of an exception group, or of a process that died."""
    group = getattr(builtins, "ExceptionGroup", None)
    error = group("several", [ValueError("one")]) if group else ValueError("one")
    text = json.loads(transitions.describe_exception(error))[2]
    assert blocks("", "/") == []
    assert blocks("Segmentation fault", "/") == []
    assert "one" in text
    assert "one" in shop.client().get(f"/queues/jobs/{shop.failed(error)}").text


def test_a_job_that_is_gone_says_how_long_jobs_are_kept(shop: Shop) -> None:
    """404, with the two spans."""
    answer = shop.client().get("/queues/jobs/06h11fsrfpop75mm1f82tprv9g")

    assert answer.status_code == 404
    assert "Completed jobs are kept for 24 hours, failed ones for 7 days." in plain(answer.text)
    assert '<form method="get" action="/queues/search">' in answer.text
    assert "/queues/search" not in shop.client(None).get("/queues/jobs/06h11fsrfpop75mm1f82tprv9g").text


def test_a_long_payload_is_folded(shop: Shop) -> None:
    """Over 4 kB."""
    text = shop.client().get(f"/queues/jobs/{shop.pending(to='x' * 5000)}").text
    payload = text[text.index('id="q-payload"') :]

    assert "<details>" in payload[: payload.index("</section>")]


def test_who_deletes_a_waiting_link_is_told_that_its_chain_ends(shop: Shop) -> None:
    """Of the last link nothing is said; among many jobs there may be one."""
    manager, client = shop.manager, shop.client()
    chain = manager.chain([("shop:mail", {"to": "anna"})]).then("shop:mail", {"to": "bert"}).push()
    alone = manager.push("shop:mail", {"to": "carl"})
    ask = "/queues/actions/delete/confirm?status=pending"
    assert "nothing that comes after it runs" in client.get(f"{ask}&id={chain.id}").text
    assert "chain" not in plain(client.get(f"{ask}&id={alone.id}").text)
    assert "the chain ends with it" in client.get(f"{ask}&id={chain.id}&id={alone.id}").text
    chain.cancel()
    assert "chain" not in plain(client.get(f"/queues/actions/delete/confirm?status=cancelled&id={chain.id}").text)


def test_a_link_of_a_chain_leads_to_its_neighbours(shop: Shop) -> None:
    """What it came after, and what has come of it so far."""
    manager = shop.manager
    chain = manager.chain([("shop:mail", {"to": "anna"})]).then("shop:mail", {"to": "bert"}, queue="slow").push()
    text = shop.client().get(f"/queues/jobs/{chain.id}").text
    assert "Chain link 1 of 2" in plain(text)
    (claim,) = manager.step("child", (), Wanted(manager.queue_order(), manager.jobs.keys(), 30_000)).claims
    manager.step("child", [followed(claim, transitions.completed(claim, None))])
    after = chain.current.id
    first, second = (shop.client().get(f"/queues/jobs/{job}").text for job in (chain.id, after))
    assert "Chain link 1 of 2 then" in plain(first)
    assert f'href="/queues/jobs/{after}"' in first
    assert "Chain link 2 of 2 after" in plain(second)
    assert f'href="/queues/jobs/{chain.id}"' in second


def test_a_job_tells_what_was_let_follow_it(shop: Shop) -> None:
    """What has come of it leads there; what may come is named."""
    first = shop.manager.push("shop:mail", {"to": "anna"})
    second = first.then("shop:mail", {"to": "bert"})
    third = second.then("shop:mail", {"to": "carl"}, on="end")
    told = shop.client().get(f"/queues/api/jobs/{first.id}").get_json()
    assert told["followers"] == [
        {"id": second.id, "type": "shop:mail", "on": "success", "after": None, "dropped": False},
        {"id": third.id, "type": "shop:mail", "on": "end", "after": second.id, "dropped": False},
    ]
    assert "Followed by" in plain(shop.client().get(f"/queues/jobs/{first.id}").text)
    ask = shop.client().get(f"/queues/actions/delete/confirm?status=pending&id={first.id}").text
    assert "Other jobs follow it, and will not run." in plain(ask)
    assert first.cancel()
    text = shop.client().get(f"/queues/jobs/{first.id}").text
    assert (f'href="/queues/jobs/{second.id}"' in text, f'href="/queues/jobs/{third.id}"' in text) == (False, True)


def test_a_log_is_read_by_run_and_by_level_and_as_text(shop: Shop) -> None:
    """Each run by itself, from a level on, everything as text; never a secret."""
    said = datetime(2030, 1, 2, tzinfo=timezone.utc)
    first = (LogLine(said, "info", "one, hunter2 in it", {}, 1), LogLine(said, "error", "two", {"try": 1}, 1))
    job_id = shop.failed(logs=first, password="hunter2")
    shop.manager.retry(job_id)
    claim = shop.claim()
    shop.manager.note(claim, None, [LogLine(said, "info", "three", {}, 2)])
    shop.settle(transitions.completed(claim, None))
    client = shop.client()

    def lines(query: str) -> list[str]:
        text = client.get(f"/queues/jobs/{job_id}{query}").text
        return [word for word in ("one, ", "two", "three") if f"<span>{word}" in text]

    assert lines("") == ["one, ", "two", "three"]
    assert lines("?run=1") == ["one, ", "two"]
    assert lines("?run=2") == ["three"]
    assert lines("?run=1&level=warning") == ["two"]
    assert lines("?run=7&level=loud") == ["one, ", "two", "three"]
    text = client.get(f"/queues/jobs/{job_id}?run=2").text
    assert f'<a href="/queues/jobs/{job_id}?run=1#q-log">Run 1</a>' in text
    assert "<strong>Run 2</strong>" in text
    whole = client.get(f"/queues/jobs/{job_id}/log.txt")
    assert whole.mimetype == "text/plain"
    said_there = [re.split(" {2,}", line)[3] for line in whole.text.splitlines()]
    assert said_there == ["one, •••••••• in it", "two", "three"]
    assert "try=1" in whole.text
    assert client.get("/queues/jobs/none/log.txt").status_code == 404


def test_a_job_that_is_retried_for_a_time_says_until_when(shop: Shop) -> None:
    """On its page and in lists, where "3 of 3" would say again and again that it is the last."""
    job = shop.queues.push("shop:mail", {"to": "ada"}, retry_for=3600).id
    for _ in range(4):
        claim = shop.manager.claim("host:42:1", job)
        error = transitions.describe_exception(OSError("no"))
        shop.settle(transitions.failed(claim, shop.manager.terms(claim), error))
    until = shop.manager.retry_until_of(shop.manager.find(job))
    client = shop.client()
    page = plain(client.get(f"/queues/jobs/{job}").text)

    assert until is not None
    assert f"No failure ends it before {until:%b %-d, %Y, %H:%M:%S}." in page
    assert f"{until:%b %-d, %Y, %H:%M:%S}" in page.partition("Retried until")[2]
    assert "No failure ends it" not in plain(client.get(f"/queues/jobs/{shop.backing_off()}").text)

    shop.manager.claim("host:42:1", job)
    assert f"run 5, until {until:%b %-d, %Y, %H:%M:%S}" in plain(client.get("/queues/running").text)
    assert f'"retry_until":"{until:%Y-%m-%dT%H:%M}' in client.get(f"/queues/api/jobs/{job}").text


def test_a_job_stands_beside_others_of_its_type(shop: Shop) -> None:
    """How long it waited, and what runs of its type take; nothing where none was counted."""
    shop.count()
    client = shop.client()
    job_id = shop.completed()
    assert "Same type" not in client.get(f"/queues/jobs/{job_id}").text
    shop.count()
    assert "of 1 run in 24 hours" in client.get(f"/queues/jobs/{job_id}").text


def test_a_chain_has_a_page_to_which_its_jobs_lead(shop: Shop) -> None:
    """How far it is, where it stopped, its jobs page by page."""
    chain = shop.queues.chain([("shop:mail", {"to": f"{n}@example.org"}) for n in range(60)]).push(tries=1)
    for _ in range(55):
        claim = shop.claim()
        settled = followed(claim, transitions.completed(claim, None))
        shop.settle(shop.manager.read_out([settled])[0])
    client = shop.client()
    assert f"/queues/chains/{chain.id}" in client.get(f"/queues/jobs/{chain.id}").text
    page = client.get(f"/queues/chains/{chain.current.id}").text
    assert "Link 56 of 60" in page
    assert "4 more follow." in page
    assert page.count('<tr id="row-') == 50
    following = re.search(r'href="(/queues/chains/[^"]*after=[^"]*)"', page)
    assert following is not None
    assert client.get(following[1].replace("&amp;", "&")).text.count('<tr id="row-') == 6
    assert client.get("/queues/chains/nobody").status_code == 404
    told = client.get(f"/queues/api/chains/{chain.id}").get_json()
    assert (told["at"], told["of"], told["status"], told["current"]) == (56, 60, "pending", chain.current.id)
    shop.manager.cancel(chain.current.id)
    assert "4 links were never started." in client.get(f"/queues/chains/{chain.id}").text
    assert "56 of 60" not in client.get("/queues/jobs?text=chain:nobody").text
    assert chain.current.id[-8:] in client.get("/queues/cancelled?text=chain:*").text
    assert "A chain is there as long as one of its jobs is." in client.get("/queues/search?q=chain:nobody").text
    assert "A chain is there" not in client.get("/queues/search?q=tag:nobody").text


def test_a_job_whose_place_was_taken_says_that_nothing_follows(shop: Shop) -> None:
    """Beside what would have."""
    first = shop.queues.push("shop:mail", {"to": "ada@example.org"}, unique="k", replace=True, delay=60)
    first.then("shop:resize")
    said = "does not come: another job took the place"
    assert said not in shop.client().get(f"/queues/jobs/{first.id}").text
    shop.queues.push("shop:mail", {"to": "ada@example.org"}, unique="k", replace=True)
    assert said in shop.client().get(f"/queues/jobs/{first.id}").text
    page = shop.client().get(f"/queues/jobs/{first.id}", headers={"Accept-Language": "de"}).text
    assert "Ersetzt durch Job " in page


def test_a_failed_job_says_how_many_others_failed_the_same_way(shop: Shop) -> None:
    """With a link to the cause; nothing where it is the only one, or they are not counted yet."""
    shop.count()
    job_id = shop.failed()
    client = shop.client()
    assert "the same way" not in client.get(f"/queues/jobs/{job_id}").text
    shop.failed()
    shop.count()
    (key,) = (one.cause.key for one in shop.manager.causes())
    assert (
        f'<a href="/queues/failed/{key}">1 other failed the same way.</a>' in client.get(f"/queues/jobs/{job_id}").text
    )
    shop.failed()
    shop.count()
    assert "2 others failed the same way." in client.get(f"/queues/jobs/{job_id}").text


def test_the_first_line_says_who_pushed_a_job(shop: Shop) -> None:
    """A person in the panel, before whatever else is known; nothing where nothing is."""
    client = shop.client()
    job_id = new_id("mail:0")
    shop.manager.storage.push([NewJob(job_id, "mail", "shop:mail", '{"to": "x"}')])
    assert "Pushed by" not in plain(client.get(f"/queues/jobs/{job_id}").text)
    shop.manager.note_act("otto", "new", "job", job_id, 1)
    assert "Pushed by otto" in plain(client.get(f"/queues/jobs/{job_id}").text)


def test_the_trace_of_an_error_can_be_copied(shop: Shop) -> None:
    """All of it, as text; what the button names is there once."""
    page = shop.client().get(f"/queues/jobs/{shop.failed()}").text
    assert page.count('data-copy="q-error-text"') == 1
    assert page.count('id="q-error-text"') == 1
    text = page[page.index('id="q-error-text"') :]
    assert "Traceback (most recent call last)" in text[: text.index("</pre>")]


def test_a_changed_payload_says_who_changed_what_and_before_which_attempt(shop: Shop) -> None:
    """Below the payload, in two columns; an arrow within a value divides nothing."""
    job_id = shop.backing_off()
    client = shop.client()
    assert "changed by" not in client.get(f"/queues/jobs/{job_id}").text
    told = in_lines(differences({"to": "a → b", "n": 1}, {"to": "c", "n": 2, "password": "x"}, frozenset()))
    shop.manager.note_act("otto", "change", "job", job_id, reason="\n".join(told))
    page = unescape(client.get(f"/queues/jobs/{job_id}").text)
    assert "changed by otto before attempt 2, " in page
    found = re.findall(r"<strong>(\w+)</strong><td[^>]*>([^<]*)<td[^>]*>([^<]*)</tr>", page)
    assert found == [("to", '"a → b"', '"c"'), ("n", "1", "2"), ("password", "\N{EN DASH}", MASK)]


CUT = ('"' + "long → " * 30)[:120] + "…"


@pytest.mark.parametrize("old", ['"x"', "1", MASK, "\N{EN DASH}", '"a → b"', '"1 → 2: 3"', CUT, '" → "'])
@pytest.mark.parametrize("new", ["[1, 2]", '"y → z"', MASK])
def test_what_is_kept_of_a_change_is_read_again(old: str, new: str) -> None:
    """Whatever stands in the values."""
    assert list(read_lines("\n".join(in_lines([Difference("n", old, new)])))) == [Difference("n", old, new)]


def test_hidden_values_are_said_to_be_hidden(shop: Shop) -> None:
    """In a word, and only where there are some."""
    client = shop.client()
    assert f"{MASK} hidden</small>" in client.get(f"/queues/jobs/{shop.pending(password='x')}").text
    assert f"{MASK} hidden" not in client.get(f"/queues/jobs/{shop.pending()}").text


def test_the_facts_tell_the_backoff(shop: Shop) -> None:
    """Of the push before that of the type, and that before the configuration's; a method's is its own affair."""

    @shop.queues.register
    class Slow(Job):
        type = "shop:slow"

        def backoff(self, attempt: int) -> float:
            return attempt

        def handle(self) -> None: ...

    def told(job_id: str) -> str:
        found = re.search(r"<dt>Backoff</dt><dd>([^<]*)</dd>", shop.client().get(f"/queues/jobs/{job_id}").text)
        assert found is not None
        return unescape(found[1]).replace("\N{NO-BREAK SPACE}", " ")

    assert told(shop.pending()) == "10 min"
    assert told(shop.mail.using(backoff=[1, 60]).push(to="x").id) == "1 s, 1 min"
    assert told(shop.resize.push().id) == "1 min"
    assert told(shop.queues.push(Slow).id) == "as the job type's code says"


def test_the_first_line_says_which_occurrence_or_which_job_pushed_it(shop: Shop) -> None:
    """A job of a schedule, and a link of a chain."""
    due, client = datetime(2026, 11, 30, 2, 30, tzinfo=timezone.utc), shop.client()
    kept = json.dumps({"occurrence": round(due.timestamp() * 1000)})
    shop.manager.storage.push([NewJob(new_id("mail"), "mail", "shop:mail", '{"to": "x"}', options=kept)])
    [job] = shop.manager.jobs_of().jobs
    assert job.occurrence == due
    assert "Pushed by a schedule, for Nov 30, 2026, 02:30:00" in plain(client.get(f"/queues/jobs/{job.id}").text)
    assert client.get(f"/queues/api/jobs/{job.id}").get_json()["occurrence"] == "2026-11-30T02:30:00.000Z"
    shop.settle(transitions.completed(shop.claim(), None))
    shop.queues.chain([("shop:mail", {"to": "x"}), ("shop:resize", {})]).push()
    claim = shop.claim()
    shop.settle(followed(claim, transitions.completed(claim, None)))
    [second] = shop.manager.jobs_of(type="shop:resize").jobs
    assert "Pushed by the job Send mail" in plain(client.get(f"/queues/jobs/{second.id}").text)


def first_line(client: FlaskClient, job_id: str, language: str = "en") -> str:
    """What a job's page says of its push, without the time."""
    client.set_cookie("queues_language", language)
    page = client.get(f"/queues/jobs/{job_id}").text
    found = re.search('<strong>(?:Pushed|Eingereiht)</strong>(.*?)<span class="q-when">', page, re.DOTALL)
    assert found is not None
    return plain(f"<main>{found[1]}").strip()


def test_the_first_line_says_what_pushed_a_job(shop: Shop) -> None:
    """A request by its route, a command, a program; in the reader's language."""
    shop.flask.add_url_rule("/reset/<token>", "reset", lambda token: shop.pending(), methods=["POST"])
    client = shop.client()
    requested = client.post("/reset/hunter22?key=hunter22").text
    assert shop.manager.find(requested).origin == Origin("request", "POST /reset/<token>")
    assert first_line(client, requested) == "in the request POST /reset/&lt;token&gt;"
    assert first_line(client, requested, "de") == "in der Anfrage POST /reset/&lt;token&gt;"
    assert "hunter22" not in client.get(f"/queues/jobs/{requested}").text
    push = ["queues", "push", "shop:mail", "--payload", '{"to": "hunter22"}']
    commanded = shop.flask.test_cli_runner().invoke(args=push).output.strip()
    assert first_line(client, commanded) == f"by the command {shop.flask.name} queues push"
    assert first_line(client, commanded, "de") == f"vom Befehl {shop.flask.name} queues push"
    programmed = shop.pending()
    assert first_line(client, programmed) == f"by the program {program_here().removeprefix('program ')}"


def test_the_first_line_leads_to_what_pushed_a_job(shop: Shop) -> None:
    """To the job that pushed it, or to the schedule, as long as that is there."""

    @shop.queues.job("shop:parent", name="Parent")
    def parent() -> str:
        return shop.pending()

    client = shop.client()
    above = parent.push().id
    run_next(shop.manager)
    below = shop.manager.find(above).result
    assert first_line(client, below) == "by the job Parent"
    assert f'<a href="/queues/jobs/{above}">by the job Parent</a>' in client.get(f"/queues/jobs/{below}").text
    shop.manager.delete(above)
    assert first_line(client, below) == f"by the job {above}"
    again = shop.manager.push_again(shop.completed()).id
    like = shop.manager.find(again).origin
    assert first_line(client, again) == f"again, like {like and like.name}"
    shop.schedule("bericht")
    [occurred] = [job for job in shop.manager.jobs_of().jobs if job.occurrence]
    assert first_line(client, occurred.id).startswith("by the schedule bericht, for ")
    assert '<a href="/queues/schedules/bericht">by the schedule' in client.get(f"/queues/jobs/{occurred.id}").text
    shop.manager.scheduler.remove("bericht")
    assert "<span>by the schedule bericht, for " in client.get(f"/queues/jobs/{occurred.id}").text


def test_a_wait_is_told_to_be_a_backoff(shop: Shop) -> None:
    """Of the next try after a failure; not where somebody has retried the job meanwhile, nor before the first run."""
    client, job_id = shop.client(), shop.pending()
    told: list[bool] = []
    for tries in (3, 2, 3):
        shop.tick()
        claim = shop.claim()
        told.append("(backoff)" in client.get(f"/queues/jobs/{job_id}").text)
        if told[-1]:
            client.set_cookie("queues_language", "de")
            assert "gewartet (Aufschub)" in plain(client.get(f"/queues/jobs/{job_id}").text)
            client.set_cookie("queues_language", "en")
        failed = transitions.failed(claim, shop.manager.terms(claim)._replace(tries=tries), dump_error("E", "no"))
        shop.settle(failed._replace(delay=0))
        if failed.status is Status.FAILED:
            shop.tick()
            shop.manager.retry(job_id)
    assert told == [False, True, False]


def test_a_callback_is_pushed_by_its_batch(shop: Shop) -> None:
    """With a link to it."""
    client = shop.client()
    batch = shop.manager.batches.find(shop.batch())
    callback = next(job for job in shop.manager.jobs_of(type="shop:resize").jobs)
    assert (
        f'<a href="/queues/batches/{batch.id}">by the batch Rundbrief</a>'
        in client.get(f"/queues/jobs/{callback.id}").text
    )


def test_the_person_who_pushed_again_stands_with_the_new_job(shop: Shop) -> None:
    """Not with the old one, which somebody or something else has pushed."""
    client, old = shop.client(), shop.completed()
    token = TOKEN.search(client.get(f"/queues/jobs/{old}").text)[1]  # type: ignore[index]
    client.post("/queues/actions/push", data={"csrf_token": token, "id": old})
    [new] = [job.id for job in shop.manager.jobs_of(type="shop:mail").jobs if job.id != old]
    assert "by anna" in plain(client.get(f"/queues/jobs/{new}").text)
    assert "by anna" not in plain(client.get(f"/queues/jobs/{old}").text)


def test_each_attempt_tells_its_memory(shop: Shop) -> None:
    """At its highest, and how much more that was than before; where it was measured."""
    client, job_id = shop.client(), shop.pending()
    for memory in (Memory(1187.4, 120.3), Memory(64.0, 0.2), None):
        shop.settle(transitions.put_off(shop.claim(), 0)._replace(memory=memory, status=Status.PENDING))
    text = plain(client.get(f"/queues/jobs/{job_id}").text)
    assert "process 42 · up to 1,187 MB, 120 MB more than before" in text
    assert "process 42 · up to 64 MB </p>" in client.get(f"/queues/jobs/{job_id}").text.replace("</p>", " </p>")
    assert text.count("up to ") == 2
    client.set_cookie("queues_language", "de")
    assert "Prozess 42 · bis zu 1.187 MB, 120 MB mehr als davor" in plain(client.get(f"/queues/jobs/{job_id}").text)
    runs = client.get(f"/queues/api/jobs/{job_id}").get_json()["history"]
    told = [(run["memory_mb"], run["memory_more_mb"]) for run in runs]
    assert told == [(1187.4, 120.3), (64.0, 0.2), (None, None)]
    shown = shop.flask.test_cli_runner().invoke(args=["queues", "show", job_id]).output
    assert "put off  (up to 1,187 MB, 120 MB more than before)" in shown

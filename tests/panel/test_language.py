"""English and German: complete, ours alone, and without the other language's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from flask import g, request
from flask_babel import Babel
from jinja2 import Environment

from flask_queues import Status
from flask_queues.builtin import ClearCache
from flask_queues.panel import formats

from .conftest import PAGES, Shop, post

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "flask_queues" / "panel" / "templates" / "flask_queues"
METHODS = [("**/templates/**.html", "jinja2"), ("**.py", "python")]
#: English words that would stand on a German page if a message had been forgotten. Job and Worker are German words.
ENGLISH = re.compile(
    r"\b(the|and|of|is|are|were|no|not|all|any|with|for|from|when|after|before|now|first|next|newest|latest|waits?|"
    r"waiting|runs?|running|pending|scheduled|failed|completed|cancelled|delete[ds]?|retry|cancel|push(ed)?|queues?|"
    r"types?|tags?|priority|attempts?|error|payload|result|log|started|ended|worker(?=s)s|memory|heartbeat|busy|clear|"
    r"page|show|copy|skip|menu|light|dark|automatic|pause|refresh|seconds?|minutes?|hours?|days?|ago)\b",
    re.IGNORECASE,
)
#: What a page says in English whatever its language: names, code, what people and programs wrote.
NAMES = re.compile(
    r"Send mail|Resize image|flask queues work( --queue \w+)?|Flask-Queues|ValueError|the mail server said no|"
    r"half of it|Connecting|English|[\w.]*line \d+|<pre.*?</pre>|<code.*?</code>|<script.*?>|<i>.*?</i>|<svg.*?</svg>",
    re.DOTALL,
)


def words_of(text: str) -> Iterator[str]:
    """Everything on a page that a person reads or hears."""
    text = NAMES.sub(" ", text)
    yield from re.findall(r'(?:aria-label|title|placeholder|alt|data-[a-z]+-word|data-one|data-other)="([^"]*)"', text)
    yield from re.sub(r"<[^>]+>", "\n", text[text.index("<body") :]).split("\n")


def places(text: str) -> list[str]:
    """Where values are filled in."""
    return sorted(set(re.findall(r"%\(\w+\)s", text)))


def test_every_message_is_translated() -> None:
    """None is missing, fuzzy, left over or with other places for values."""
    found = {
        (message if isinstance(message, str) else message[0])
        for _, _, message, _, _ in extract_from_dir(
            str(ROOT / "flask_queues"), METHODS, keywords={"_": None, "_l": None, "gettext": None, "ngettext": (1, 2)}
        )
    }
    with (ROOT / "translations" / "de" / "LC_MESSAGES" / "flask_queues.po").open("rb") as file:
        german = read_po(file, "de")
    with (ROOT / "translations" / "flask_queues.pot").open("rb") as file:
        template = read_po(file)
    ids = {message.id if isinstance(message.id, str) else message.id[0] for message in german if message.id}

    assert found == ids, "run: make messages"
    assert {message.id if isinstance(message.id, str) else message.id[0] for message in template if message.id} == found
    for message in german:
        if message.id:
            strings = [message.string] if isinstance(message.string, str) else list(message.string or ())
            texts = [message.id] if isinstance(message.id, str) else list(message.id)
            assert all(strings), message.id
            assert not message.fuzzy, message.id
            assert [places(text) for text in texts] == [places(string) for string in strings], message.id


def test_no_template_holds_a_text_outside_of_a_message() -> None:
    """Neither between tags nor in what is read aloud."""
    for path in TEMPLATES.glob("*.html"):
        data = "".join(
            value if kind == "data" else "\x00" if kind == "variable_begin" else ""
            for _, kind, value in Environment().lex(path.read_text("utf-8"))
        )
        data = re.sub(r"<(pre|code)[^>]*>.*?</\1>", "", data, flags=re.DOTALL)
        between = re.sub(r"<[^>]*>", "", data)
        assert re.findall(r"[A-Za-zÄ-ü]{2,}", between.replace("MB", "")) == [], path.name
        spoken = re.findall(r'(?:aria-label|title|placeholder|alt)="([^"\x00]*[A-Za-z][^"]*)"', data)
        assert spoken == [], path.name


def test_german_pages_hold_no_english_word(shop: Shop) -> None:
    """Every page, in every state, but for names and what programs wrote."""
    jobs = shop.one_of_each()
    shop.backing_off()
    shop.schedule()
    client = shop.client()
    post(client, "/queues/preferences", language="de")
    post(client, "/queues/actions/retry", id=shop.failed())
    pages = [*PAGES, *(f"/jobs/{one}" for one in jobs.values()), "/jobs/none", "/nothing", "/queues/none"]
    batch = shop.batch()
    member = next(shop.queues.batches.jobs(batch)).id
    pages += ["/schedules/bericht", "/schedules/none", f"/batches/{batch}", "/batches/none", f"/jobs/{member}"]
    pages += [
        f"/actions/{name}/confirm?id={jobs[Status.FAILED]}" for name in ("delete", "cancel", "run", "push", "retry")
    ]
    pages += ["/preferences", "/actions/delete/confirm?all=1&status=failed&text=x"]
    pages += [f"/jobs/{one}/payload" for status, one in jobs.items() if status is not Status.RUNNING]
    pages += ["/push", "/push?type=shop:mail"]
    pages += ["/actions/delete/confirm?all=1&status=failed&tag=news", "/jobs?queue=low", "/failed/jobs?tag=x"]
    offered = {"cancel": "pending", "run": "scheduled", "push": "completed", "retry": "failed"}
    pages += [f"/actions/{name}/confirm?all=1&status={status}&text=ada" for name, status in offered.items()]
    pages += ["/jobs?after=nonsense"]
    for page in pages:
        for text in words_of(client.get(f"/queues{page}").text):
            assert not ENGLISH.search(text), (page, text)
    with shop.flask.test_request_context():
        links = [shop.queues.link(one, result=True, cancel=True) for one in jobs.values()]
    for link in [*links, "/queues/links/wrong"]:
        for text in words_of(client.get(link).text):
            assert not ENGLISH.search(text), (link, text)
    empty = shop.client()
    shop.manager.flush()
    for page in PAGES:
        for text in words_of(empty.get(f"/queues{page}", headers={"Accept-Language": "de"}).text):
            assert not ENGLISH.search(text), (page, text)


def test_the_language_is_the_browsers_without_anything_else(shop: Shop) -> None:
    """The host has no Babel; what is not spoken here is answered in English."""
    client = shop.client()
    for asked, spoken in {"de-AT,en;q=0.5": "de", "fr,en;q=0.5": "en", "": "en", "fr": "en"}.items():
        assert f'<html lang="{spoken}">' in client.get("/queues/jobs", headers={"Accept-Language": asked}).text


def test_the_application_is_asked_where_it_has_babel(shop: Shop) -> None:
    """Its selector counts before the browser, and is still its own afterwards."""
    Babel(shop.flask, locale_selector=lambda: request.args.get("speak", "de"))
    client = shop.client()
    english = {"Accept-Language": "en"}

    assert '<html lang="de">' in client.get("/queues/jobs", headers=english).text
    assert '<html lang="en">' in client.get("/queues/jobs?speak=en", headers=english).text
    assert '<html lang="en">' in client.get("/queues/jobs?speak=fr", headers=english).text
    post(client, "/queues/preferences", language="en")
    assert '<html lang="en">' in client.get("/queues/jobs").text


def test_times_are_of_the_browsers_zone(shop: Shop) -> None:
    """A cookie of the script's names it, the footer says it; nonsense is ignored."""
    client = shop.client()
    for told, shown in {"America/New_York": "America/New_York", "../../etc/passwd": "UTC", "Nowhere": "UTC"}.items():
        client.set_cookie("queues_zone", told, path="/queues")
        assert f">{shown}<" in client.get("/queues/jobs").text


@pytest.mark.parametrize(
    ("seconds", "english", "german"),
    [
        (0.2124, "212 ms", "212 ms"),
        (1.44, "1.4 s", "1,4 s"),
        (59.6, "1 min", "1 min"),
        (252, "4 min 12 s", "4 min 12 s"),
        (11_100, "3 h 5 min", "3 h 5 min"),
        (187_300, "2 d 4 h", "2 d 4 h"),
        (86_400, "1 d", "1 d"),
        (86_401, "1 d", "1 d"),
        (-3, "0 ms", "0 ms"),
    ],
)
def test_durations_have_two_units_at_most(shop: Shop, seconds: float, english: str, german: str) -> None:
    """In SI symbols, with the language's comma."""
    for language, shown in {"en": english, "de": german}.items():
        with shop.flask.test_request_context(headers={"Accept-Language": language}):
            assert formats.duration(seconds) == shown.replace(" ", "\u00a0")


def test_moments_and_numbers_are_of_the_language(shop: Shop) -> None:
    """Relative up to seven days, then a date; 24 hours in both; a per cent to one decimal."""
    shown = {}
    for language in ("en", "de"):
        with shop.flask.test_request_context(headers={"Accept-Language": language}):
            now = formats.now()
            shown[language] = [
                formats.ago(now - timedelta(minutes=2)),
                formats.ago(now - timedelta(minutes=47)),
                formats.ago(now + timedelta(hours=3)),
                formats.number(1204),
                formats.short_number(12_345),
                formats.percent(1.2),
            ]
            assert "ago" not in formats.ago(now - timedelta(days=30))
    assert shown["en"] == ["2 minutes ago", "47 minutes ago", "in 3 hours", "1,204", "12.3\u00a0k", "1.2%"]
    assert shown["de"] == ["vor 2 Minuten", "vor 47 Minuten", "in 3 Stunden", "1.204", "12,3\u00a0k", "1,2\u00a0%"]


def test_a_date_in_a_sentence_and_a_moment_ago_are_said_as_people_say_them(shop: Shop) -> None:
    """A far day stands behind "on", what was less than a second ago is "just now"; zones have names of the language."""
    shown = {}
    for language in ("en", "de"):
        headers = {"Accept-Language": language, "Cookie": "queues_zone=Europe/Berlin"}
        with shop.flask.test_request_context(headers=headers):
            now = g.queues_now = datetime(2026, 6, 1, 12, 0, 0, tzinfo=timezone.utc)
            shown[language] = [
                formats.when(now + timedelta(days=30)),
                formats.when(now - timedelta(minutes=2)),
                formats.ago(now - timedelta(milliseconds=3)),
                formats.ago(now),
                formats.with_zone(now),
                formats.with_zone(now + timedelta(days=200)),
            ]
    moments = {
        "en": ["on Jul 1, 2026", "2 minutes ago", "just now", "now", "Jun 1, 2026, 14:00:00 CEST"],
        "de": ["am 1. Juli 2026", "vor 2 Minuten", "gerade eben", "jetzt", "1. Juni 2026, 14:00:00 MESZ"],
    }
    winter = {"en": "Dec 18, 2026, 13:00:00 CET", "de": "18. Dez. 2026, 13:00:00 MEZ"}
    assert shown == {language: [*moments[language], winter[language]] for language in moments}


@pytest.mark.parametrize(
    ("hours", "english", "german"),
    [
        (1, "1 hour", "1 Stunde"),
        (24, "24 hours", "24 Stunden"),
        (36, "36 hours", "36 Stunden"),
        (48, "2 days", "2 Tage"),
        (168, "7 days", "7 Tage"),
        (0, "0 hours", "0 Stunden"),
        (0.5, "30 min", "30 min"),
    ],
)
def test_how_long_something_is_kept_is_said_in_words(shop: Shop, hours: float, english: str, german: str) -> None:
    """In hours, and in days from two on; less than an hour as any other span."""
    for language, said in {"en": english, "de": german}.items():
        with shop.flask.test_request_context(headers={"Accept-Language": language}):
            assert formats.kept(hours).replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 6 1 1,4,7,10 *", "Um 06:00, am 1. des Monats, nur im Januar, April, Juli und Oktober"),
        ("0 6 1,15 * *", "Um 06:00, am 1. und 15. des Monats"),
        ("0 12 1-7 * *", "Um 12:00, vom 1. bis 7. des Monats"),
        ("0 8 * * 1-5", "Um 08:00, Montag bis Freitag"),
    ],
)
def test_a_schedule_is_told_in_german_as_germans_write(shop: Shop, expression: str, words: str) -> None:
    """Days are ordinals, and a list has no comma before its last part."""
    shop.manager.scheduler.add(expression, "shop:mail", {"to": "ada@example.org"}, name="bericht")
    client = shop.client()
    assert words in client.get("/queues/schedules/bericht", headers={"Accept-Language": "de"}).text


def test_a_button_says_to_those_who_hear_it_what_it_is_for(shop: Shop) -> None:
    """The verb and the name of the job, in the order of the language."""
    shop.failed()
    for language, label in {"en": "Retry<i> Send mail</i>", "de": "Wiederholen<i>: Send mail</i>"}.items():
        page = shop.client().get("/queues/failed/jobs", headers={"Accept-Language": language})
        assert f">{label}</button>" in page.text


def test_our_own_job_types_are_named_in_the_language_of_the_reader(shop: Shop) -> None:
    """Those of the application say themselves what they are called."""
    shop.queues.register(ClearCache)
    job_id = shop.queues.push(ClearCache).id
    for language, name in {"en": "Clear a cache", "de": "Cache leeren"}.items():
        assert name in shop.client().get(f"/queues/jobs/{job_id}", headers={"Accept-Language": language}).text

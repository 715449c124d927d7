"""Circuit breakers on the page of the queues and in the panel's JSON."""

from __future__ import annotations

import json

import msgspec

from flask_queues import Breaker, Job
from flask_queues.panel.answers import StatusOfAll
from flask_queues.transitions import failed

from .conftest import Shop, post


class News(Job):
    type = "shop:news"
    name = "Send news"
    breaker = Breaker(failures=1, pause=600)

    def handle(self) -> None: ...


def opened(shop: Shop) -> None:
    """A breaker that holds its type."""
    shop.queues.register(News)
    shop.queues.push(News)
    claim = shop.claim()
    settlement = failed(claim, shop.manager.terms(claim), json.dumps(["smtplib.SMTPException", "busy", ""]))
    shop.manager.breakers.learn(claim, settlement)
    shop.settle(settlement)


def test_the_queues_show_what_is_held_and_let_it_go(shop: Shop) -> None:
    """With its state, the failures and the last error; in English and German. Resumed, it is closed and gone."""
    client = shop.client()
    assert "Circuit breakers" not in client.get("/queues/queues").text
    opened(shop)
    page = client.get("/queues/queues").text
    assert all(word in page for word in ("Circuit breakers", "Send news", "Holds jobs back", "SMTPException"))
    german = client.get("/queues/queues", headers={"Accept-Language": "de"}).text
    assert all(word in german for word in ("Sicherungen", "Hält Jobs zurück", "Fehlschläge in Folge"))
    post(client, "/queues/actions/queue/resume?type=shop:news")
    assert "Circuit breakers" not in client.get("/queues/queues").text
    assert shop.manager.pauses() == []


def test_programs_read_what_is_held(shop: Shop) -> None:
    """The breaker, and the pause that it has made."""
    opened(shop)
    answer = msgspec.json.decode(shop.client().get("/queues/api/status").data, type=StatusOfAll)
    (breaker,), (pause,) = answer.breakers, answer.paused
    assert (breaker.type, breaker.state, breaker.failures) == ("shop:news", "open", 1)
    assert (pause.type, breaker.until and pause.until and pause.until >= breaker.until) == ("shop:news", True)

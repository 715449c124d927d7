"""What lists weigh: a page of 50 rows as they are in earnest, with long ids, names, payloads and errors."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from flask_queues import activity, transitions
from flask_queues.record import ChildRecord, Progress, WorkerRecord

from .conftest import Shop, raised
from .test_metrics import count, done

#: Bytes of a page, of a page as it travels, and of what the script asks for again, as that travels.
PAGE, PACKED, LIVE = 60_000, 10_000, 8_000
LANGUAGES = ("en", "de")
#: How many of everything, more than stand on a page.
MANY = 51
#: The same list, filtered, sorted and turned over: all that stands in the addresses of its buttons.
FILTERED = "?queue=rechnungsversand&type=shop.billing.jobs:SendInvoiceReminder&sort={sort}"
#: Where a row shows an error and tells the rest of it, or several exact times, or what a worker or a schedule is, 60 kB
#: have no room for it: the figure that was reached, with room for times that take more words on a slow machine, so that
#: they grow no further. (As they travel all are well below what a page may have.)
HEAVY = {
    "/jobs": 66_000,  # with the column that comes when a start can be expected
    "/scheduled": 72_000,
    "/failed/jobs": 80_000,
    "/completed": 63_000,  # where jobs waited for minutes: else it is below
    f"/jobs{FILTERED.format(sort='newest')}": 68_000,
    f"/failed/jobs{FILTERED.format(sort='oldest')}&attempts=1&text=antwortet": 83_000,
    "/failed": 72_000,
    "/schedules": 81_000,
    "/queues": 65_000,  # of 56 queues
    "/workers": 75_000,
}
PATHS = (*HEAVY, "/cancelled", "/search?q=tag:rechnung", "/running", "/batches", "/activity")
#: What pages weigh that are no lists: a day of which each half hour was measured, a queue of it, and one job.
OTHERS = {"/metrics": (98_000, 13_000), "/queues/mail": (60_000, 9_500), "/jobs/{job}": (17_500, 5_000)}


class Busy:
    """A shop of which every list is longer than a page."""

    def __init__(self, folder: Path) -> None:
        self.shop = shop = Shop(folder)
        self.mail = shop.queues.job(
            "shop.billing.jobs:SendInvoiceReminder", queue="rechnungsversand", tries=3, backoff=600,
            name="Zahlungserinnerung", tags=["rechnung", "mahnung"],
        )(self.send)  # fmt: skip
        for n in range(MANY):
            self.jobs(n)
            self.insight(n)
        for n in range(MANY):
            self.last(n)
        shop.count()

    @staticmethod
    def send(customer: str, invoice: int, subject: str) -> None: ...

    def push(self, n: int, **options: object) -> str:
        return self.mail.using(priority=n % 3, **options).push(
            customer=f"anneliese.müller-{n:04}@example.org",
            invoice=20_260_000 + n,
            subject=f"Ihre Rechnung Nr. 2026-{n:05} & „Mahnung“",
        ).id  # fmt: skip

    def jobs(self, n: int) -> None:
        """A completed, a failed, a scheduled and a cancelled one."""
        manager = self.shop.manager
        self.push(n)
        self.shop.settle(transitions.completed(self.shop.claim(), '{"bytes": 12345}'))
        self.push(n)
        claim = self.shop.claim()
        terms = manager.terms(claim)._replace(tries=1)
        error = type(f"MailServerRefused{n}", (ConnectionError,), {})(
            f"<smtp-{n}.example.org:587> antwortet nicht auf “EHLO” nach 30 s"
        )
        self.shop.settle(transitions.failed(claim, terms, transitions.describe_exception(raised(error))))
        self.push(n, delay=3000 + n)
        manager.cancel(self.push(n), "cancelled by anneliese.müller@example.org in the panel")

    def insight(self, n: int) -> None:
        """A schedule, a batch and an entry of the activity, and a queue."""
        shop = self.shop
        name = f"wöchentlicher-umsatzbericht-{n:02}"
        payload = {"customer": "all", "invoice": n, "subject": "Bericht"}
        shop.manager.scheduler.add(f"{n} 2 * * 1", self.mail, payload, name=name)
        for _ in range(3):
            shop.manager.cancel(shop.manager.scheduler.run(name))
        shop.mail.using(queue=f"warteschlange-filiale-{n:02}", delay=9000).push(to="ada@example.org")
        shop.queues.batch(
            [("shop:mail", {"to": f"{n}@example.org"})] * 2, name=f"Rundbrief der Filiale {n}"
        ).push(delay=9000)  # fmt: skip
        person = f"anneliese.müller-{n:02}@buchhandlung-am-marktplatz.example.org"
        activity.note(shop.manager.storage, person, "retry", "job", self.push(n, delay=9000), 1, "payload was changed")

    def last(self, n: int) -> None:
        """A running one with its worker, and one that waits."""
        shop, now = self.shop, self.shop.manager.now()
        self.push(n)
        claim = shop.claim()
        shop.manager.note(claim, Progress(n, f"Seite {n} von 1.204 wird geschrieben"), [])
        host = f"app-server-{n:02}"
        child = ChildRecord(name=f"{host}:{4000 + n}:1", pid=4000 + n, jobs=(claim.id,), memory=118.0)
        shop.manager.heartbeat(
            WorkerRecord(
                name=f"{host}:9:1",
                host=host,
                pid=9,
                started=now,
                heartbeat=now,
                queues=("rechnungsversand", "images"),
                types=(),
                children=(child,),
            )
        )
        self.push(n)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Filled once: it is only looked at."""
    return Busy(tmp_path_factory.mktemp("busy")).shop


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", PATHS)
def test_a_list_of_fifty_is_light(busy: Shop, path: str, language: str) -> None:
    """As it is, as it travels, and what is asked for again every few seconds."""
    client = busy.client()
    client.set_cookie("queues_language", language, path="/queues")
    page = client.get(f"/queues{path}")
    live = client.get(f"/queues{path}", headers={"X-Queues-Live": "1"})

    assert f'lang="{language}"' in page.text
    assert page.text.count("<tr") > 50
    assert len(page.data) <= HEAVY.get(path, PAGE)
    assert len(gzip.compress(page.data)) <= PACKED
    assert len(gzip.compress(live.data)) <= LIVE


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", OTHERS)
def test_a_page_of_figures_and_that_of_a_job_are_light(shop: Shop, path: str, language: str) -> None:
    """As heavy as was reached, with all that a chart can have: bars, lines, and links to the jobs behind them."""
    count(shop, *((30 * n, done(40 + n, n % 5)) for n in range(48)))
    client = shop.client()
    client.set_cookie("queues_language", language, path="/queues")
    job = shop.failed(ConnectionError("smtp.example.org antwortet nicht"))
    page = client.get(f"/queues{path.format(job=job)}")
    assert f'lang="{language}"' in page.text
    whole, packed = OTHERS[path]
    assert len(page.data) <= whole
    assert len(gzip.compress(page.data)) <= packed

"""Figures: what the pages draw and the JSON tells, from what was counted."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest

from flask_queues.metrics import Bucket
from flask_queues.metrics.ledger import INDEX, MINUTE, Index, add_start, sheet
from flask_queues.panel import charts, words
from flask_queues.panel.charts import HEIGHT, Scale
from flask_queues.record import ChildRecord, WorkerRecord

from .conftest import Shop

RANGES = {"1h": 1, "24h": 30, "7d": 120}


def count(shop: Shop, *buckets: tuple[int, Bucket]) -> None:
    """Store what was done so many minutes ago, for each span."""
    storage = shop.manager.storage
    now = storage.now() // MINUTE
    index, sheets = Index(storage.now(), {}), dict[str, str | None]()
    for span in RANGES.values():
        for ago, bucket in sorted(buckets, key=lambda one: -one[0]):
            start = (now - ago) - (now - ago) % span
            add_start(index, span, start)
            sheets[sheet(span, start)] = bucket.dump()
    current = now - now % 30
    if not buckets or min(ago for ago, _ in buckets) > 0:
        add_start(index, 1, now)
        sheets[sheet(1, now)] = Bucket().dump()
        sheets.setdefault(sheet(30, current), Bucket().dump())
    assert storage.write_sheets((INDEX, None), {**sheets, INDEX: index.dump()})


def done(completed: int, failed: int = 0, takes: int = 400, waits: int = 90, queue: str = "mail") -> Bucket:
    """A bucket of mails that took so long."""
    bucket = Bucket()
    cell = bucket.cells[queue, "shop:mail"]
    cell.completed, cell.failed, cell.came = completed, failed, completed + failed
    cell.runs, cell.total = completed + failed, (completed + failed) * takes
    cell.process.add(takes, completed + failed)
    cell.wait.add(waits, completed + failed)
    bucket.look({queue: 7}, 4, 3)
    return bucket


@pytest.fixture
def working(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The shop with a worker of two processes that listens to mail, and is not taken for silent meanwhile."""
    monkeypatch.setattr("flask_queues.metrics.forecast.SILENCE", 3600.0)
    now = shop.manager.now()
    children = tuple(ChildRecord(name=f"host:{n}:1", pid=n) for n in (1, 2))
    worker = WorkerRecord(
        name="host:9:1", host="host", pid=9, started=now, heartbeat=now, queues=("mail",), children=children
    )
    shop.manager.heartbeat(worker)
    return shop


@pytest.mark.parametrize("range_", RANGES)
def test_the_page_shows_what_was_counted(shop: Shop, range_: str) -> None:
    """Sums with those of the time before, percentiles, each chart with its table."""
    count(shop, (RANGES[range_] * 84, done(50)), (3, done(1200, 34)))
    text = shop.client().get(f"/queues/metrics?range={range_}").text
    tiles = text[text.index("q-tiles") : text.index("</dl>")]
    assert "1,200" in tiles
    assert "2.8%" in tiles
    assert re.search(r"[34]\d\d\N{NO-BREAK SPACE}ms", tiles)
    assert text.count("<figure") == text.count("<table>") == 6
    assert len(re.findall(r'<svg viewBox[^>]* role="(?:img|group)" aria-label="[^"]', text)) == 6
    assert "Busiest: " in text
    assert "with 1,234." in text
    assert "Send mail" in text


def test_the_time_before_stands_beside(shop: Shop) -> None:
    """And is no zero where nothing was measured in it."""
    count(shop, (90, done(50)), (3, done(5)))
    assert "before: 50" in shop.client().get("/queues/metrics?range=1h").text
    assert "before:" not in shop.client().get("/queues/metrics?range=7d").text


def test_figures_are_filtered_by_queue_and_type(shop: Shop) -> None:
    """Each on its own and both; the filter survives another range."""
    mails, images = done(10), done(3, queue="images")
    mails.merge(images)
    count(shop, (3, mails))
    client = shop.client()
    for query, completed in (("", 13), ("queue=mail", 10), ("queue=images&type=shop:mail", 3), ("type=none", 0)):
        found = client.get(f"/queues/api/metrics?range=1h&{query}").get_json()
        assert found["whole"]["completed"] == completed, query
    assert "range=7d&amp;queue=mail" in client.get("/queues/metrics?queue=mail").text


def test_the_json_tells_slots_with_gaps(shop: Shop) -> None:
    """In seconds; a minute in which nobody counted says so, the last one is not over."""
    count(shop, (5, done(8, 2, takes=250, waits=1000)), (0, done(1)))
    found = shop.client().get("/queues/api/metrics?range=1h").get_json()
    assert (found["range"], found["minutes"], len(found["slots"])) == ("1h", 1, 60)
    place = next(n for n, slot in enumerate(found["slots"]) if slot.get("completed") == 8)
    slot = found["slots"][place]
    assert (slot["completed"], slot["failed"], slot["failure_rate"], slot["runs"]) == (8, 2, 0.2, 10)
    assert slot["seconds"] == 2.5
    assert slot["process"]["p95"] == pytest.approx(0.25, rel=0.05)
    assert slot["wait"]["p50"] == pytest.approx(1, rel=0.05)
    gap = found["slots"][place - 1]
    assert gap == {"measured": False, "over": True, "start": gap["start"]}
    assert found["slots"][-1]["over"] is False
    assert list(found["types"]) == ["shop:mail"]
    assert shop.client().get("/queues/api/metrics?range=nonsense").get_json()["range"] == "24h"


def test_before_anything_was_measured_the_page_says_when_it_will_be(shop: Shop) -> None:
    """Not zeros."""
    text = shop.client().get("/queues/metrics").text
    assert "Nothing was measured yet." in text
    assert "<figure" not in text


def test_queues_say_when_they_will_be_empty(working: Shop) -> None:
    """From what was done in the last minutes; what nobody can tell is a word."""
    count(working, *((ago, done(150)) for ago in range(1, 6)))
    for _ in range(100):
        working.pending()
    working.resize.push()
    rows = {row["name"]: row for row in working.client().get("/queues/api/queues").get_json()["queues"]}
    mail = rows["mail"]
    assert (mail["pushed_per_minute"], mail["ended_per_minute"]) == (150, 150)
    assert mail["outlook"]["what"] == "in"
    assert mail["outlook"]["value"] == pytest.approx(100 / (2 * 150 - 150) * 60)
    assert mail["oldest"] is not None
    assert rows["images"]["outlook"]["what"] == "no worker"
    assert rows["default"]["outlook"]["what"] == "empty"
    text = working.client().get("/queues/queues").text
    assert "\N{ALMOST EQUAL TO} 40\N{NO-BREAK SPACE}s" in text
    assert 'aria-label="level, 150 to 150 a minute"' in text


def test_a_job_that_waits_has_an_expected_start(working: Shop) -> None:
    """Its place in the line, times what a job takes, by the processes that listen."""
    count(working, (1, done(300, takes=2000)))
    jobs = [working.pending() for _ in range(60)]
    for job, order, start in ((jobs[0], "", "1 s"), (jobs[-1], "?sort=newest", "1 min")):
        text = working.client().get(f"/queues/jobs{order}").text
        row = re.search(rf'<tr id="row-{job}">.*?</tr>', text, re.DOTALL)
        assert row is not None
        assert f"\N{ALMOST EQUAL TO} {start}" in row[0].replace("\N{NO-BREAK SPACE}", " ")
        assert "Expected start" in text
    for filtered in ("type=shop:mail", "text=ada", "type=shop:mail&sort=newest"):
        assert "Expected start" in working.client().get(f"/queues/jobs?{filtered}").text
    working.manager.pause(type="shop:mail")
    assert "Expected start" not in working.client().get("/queues/jobs").text
    working.manager.resume(type="shop:mail")
    working.manager.pause("mail")
    assert "Expected start" not in working.client().get("/queues/jobs").text


def test_what_waits_is_told_at_one_glance(working: Shop) -> None:
    """Longest wait, time to empty, busy processes, failures of the last hour."""
    count(working, (2, done(20, 3)), (70, done(1, 9)))
    working.pending()
    tiles = re.search(r'<dl class="q-tiles.*?</dl>', working.client().get("/queues/jobs").text, re.DOTALL)
    assert tiles is not None
    said = re.sub(r"<[^>]+>|\s+", " ", tiles[0])
    assert re.search(r"Longest wait +\d+", said)
    assert re.search("Time to empty +\N{ALMOST EQUAL TO} 1 s +mail", said)
    assert re.search(r"Processes busy +0 +of 2", said)
    assert re.search(r"Failed in the last hour +3 ", said)


def test_nothing_that_a_job_type_is_called_is_taken_for_html(shop: Shop) -> None:
    """Nor what a queue is called."""
    bucket = Bucket()
    bucket.cells["<b>q</b>", "<script>x</script>"].completed = 5
    bucket.look({"<b>q</b>": 3}, 1, 1)
    count(shop, (3, bucket))
    text = shop.client().get("/queues/metrics?range=1h").text
    assert "<script>x" not in text
    assert "<b>q" not in text
    assert "&lt;script&gt;x" in text


class TestCharts:
    def test_bars_stand_on_each_other_with_a_gap(self) -> None:
        """What failed stands at the bottom."""
        bar, missing = charts.bars([25, None], [50, None], Scale(100))
        assert missing is None
        assert bar is not None
        assert bar.low == (120.0, 40.0)
        assert bar.high == (40.0, 78.0)

    def test_a_line_ends_at_a_gap_and_begins_anew_behind_it(self) -> None:
        """A missing value is not zero."""
        assert charts.lines([0, 10, None, 5], Scale(10)) == ["M125,160 375,0", "M750,80 1000,80"]
        assert charts.steps([10, None], Scale(10)) == ["M0,0 500,0"]
        assert charts.areas([10, 5], Scale(10)) == ["M250,0 750,80 750,160 250,160z"]

    @pytest.mark.parametrize(("most", "top"), [(0, 4), (3, 4), (5, 6), (11, 20), (155, 200), (4001, 6000)])
    def test_an_axis_ends_at_a_round_number_that_can_be_halved(self, most: float, top: float) -> None:
        """Whatever the values are."""
        assert charts.scale_of([None, most]).marks == (top, top / 2, 0)

    def test_an_axis_of_times_goes_by_powers_where_the_slow_would_flatten_the_rest(self) -> None:
        """From more than fifty times on."""
        assert charts.times_scale([100.0, None], [4000.0, None]) == Scale(5000)
        uneven = charts.times_scale([100.0], [60_000.0])
        assert uneven.bottom == 100
        assert uneven.height(100) == 0
        assert uneven.height(uneven.top) == HEIGHT
        assert uneven.height(1) == 0


def test_a_pending_job_says_its_place_and_when_it_should_start(working: Shop) -> None:
    """From what was done lately; where its queue is paused, that."""
    count(working, *((ago, done(150)) for ago in range(1, 6)))
    job_id = working.pending()
    client = working.client()
    text = client.get(f"/queues/jobs/{job_id}").text
    assert "in mail, as about number 1 in line; should start in \N{ALMOST EQUAL TO} 1\N{NO-BREAK SPACE}s." in text
    working.manager.pause("mail", by="anna")
    assert ": mail is paused." in client.get(f"/queues/jobs/{job_id}").text


def test_queues_and_job_types_stand_below_the_charts(working: Shop) -> None:
    """Queues as they are now, types with their share of failures and of the time; a type alone has no queue."""
    count(working, (3, done(30, 10)))
    working.pending()
    client = working.client()
    text = client.get("/queues/metrics?range=1h").text
    assert re.search(r'id="line-mail".*?>1<', text)
    assert "25%" in text[text.index('id="row-shop:mail"') :]
    assert re.search(r"\d an hour on average\.", text)
    assert 'id="line-' not in client.get("/queues/metrics?range=1h&type=shop:mail").text
    found = client.get("/queues/metrics?range=1h&queue=low").text
    assert re.findall(r'id="line-(\w+)', found) == ["low"]


def test_the_depths_of_more_than_eight_queues_are_drawn_when_asked_for(shop: Shop) -> None:
    """The longest eight before; a link says how many there are."""
    bucket = done(1)
    bucket.depth |= {f"queue-{n}": n + 1 for n in range(11)}
    count(shop, (3, bucket))
    client = shop.client()
    queues = len(bucket.depth)
    text = client.get("/queues/metrics?range=1h").text
    assert text.count('id="q-chart-depth') == 8
    assert f"All {queues}</a>" in text
    assert client.get("/queues/metrics?range=1h&depths=all").text.count('id="q-chart-depth') == queues


def test_a_queue_shows_its_charts_and_what_failed_in_it_in_a_day(shop: Shop) -> None:
    """Its own figures; nothing is drawn before anything was measured."""
    client = shop.client()
    shop.pending()
    assert "<figure" not in client.get("/queues/queues/mail").text
    count(shop, (3, done(30, 7)))
    assert client.get("/queues/queues/mail").text.count("<figure") >= 2
    row = client.get("/queues/queues").text
    row = row[row.index('<tr id="row-mail"') :]
    assert re.search(r'<td class="q-number q-wide"><a href="/queues/failed/jobs\?queue=mail">7</a>', row)


def test_each_bucket_leads_to_the_list_of_its_jobs(shop: Shop) -> None:
    """From its bar and from its numbers; where it counts none there is nothing to open."""
    shop.completed()
    shop.failed()
    shop.failed(ValueError("another"))
    shop.count()
    client = shop.client()
    for page in ("/queues/metrics?range=1h", "/queues/queues/mail", "/queues/metrics?queue=images"):
        text = unescape(client.get(page).text)
        links = re.findall(r'<a href="(/queues/(completed|failed/jobs)\?[^"]*since=[^"]*)"', text)
        counted = {status: 0 for _address, status in links}
        for address, status in set(links):
            found = client.get(address.replace("/queues/", "/queues/api/", 1)).json
            assert found is not None
            counted[status] += len(found["jobs"])
        assert counted == ({} if "images" in page else {"completed": 1, "failed/jobs": 2}), page


def test_a_small_chart_says_which_way_it_goes(shop: Shop) -> None:
    """By its later half beside its earlier one."""
    cases = {"level": ([1], [5, 5, 6], [0, 0]), "rising": ([1, 2, 9], [0, 1]), "falling": ([9, 3, 1], [4, 0])}
    with shop.flask.test_request_context():
        assert {word: {words.way_of(one) for one in some} for word, some in cases.items()} == {
            word: {word} for word in cases
        }


def test_metrics_say_what_ran_and_what_the_terminal_says(shop: Shop) -> None:
    """The same numbers on the page, in its JSON, in `flask queues status --json`, and of the jobs that were run."""
    for _ in range(7):
        shop.completed()
    for _ in range(3):
        shop.failed()
    for _ in range(2):
        shop.pending()
    shop.count()
    told = json.loads(shop.flask.test_cli_runner().invoke(args=["queues", "status", "--json"]).output)
    assert {name: n for name, n in told["statuses"].items() if n} == {"completed": 7, "failed": 3, "pending": 2}

    client = shop.client()
    text = client.get("/queues/metrics").text
    for name, number in (("Completed", 7), ("Failed", 3)):
        assert number == told["statuses"][name.lower()]
        assert re.search(rf"<dt>{name}</dt><dd>{number}\s", text)
    assert re.search(rf'data-label="Pending">{told["queues"]["mail"]["pending"]}<', text)
    whole = client.get("/queues/api/metrics").get_json()
    assert [sum(slot.get(name, 0) for slot in whole["slots"]) for name in ("completed", "failed")] == [7, 3]


def test_a_queue_that_grows_is_said_on_every_page(working: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an alert that somebody has set, where more comes than can be done and many wait."""
    client = working.client()
    count(working, *((ago, done(400, takes=400)) for ago in range(1, 6)))
    for _ in range(99):
        working.pending()
    assert "more comes than" not in client.get("/queues/jobs").text
    working.pending()
    assert "more comes than" not in client.get("/queues/jobs").text, "it is looked at once in a while"
    monkeypatch.setattr("flask_queues.panel.trends.HOLDS", -1)
    for page in ("/queues/jobs", "/queues/schedules", "/queues/workers"):
        assert "mail grows by 100/min: more comes than can be done." in client.get(page).text

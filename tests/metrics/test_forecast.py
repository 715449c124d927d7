"""What may be expected, and figures of a range beside those of the range before."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from flask_queues import WorkerRecord
from flask_queues.metrics import Bucket, Forecast, Ledger, Outlook, report
from flask_queues.metrics.ledger import INDEX, MINUTE, Index, add_start, sheet
from flask_queues.record import to_datetime
from flask_queues.storage import Storage
from flask_queues.testing.storage.contract import a_worker
from tests.storage.engines import SQLiteEngine

NOW = 30_000_000 * MINUTE + 20_000


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    """A storage for sheets."""
    storage = SQLiteEngine(tmp_path).open()
    yield storage
    storage.close()


def keep(storage: Storage, buckets: dict[int, Bucket], span: int = 1) -> Ledger:
    """Store buckets by how many minutes ago they began; returns who reads them."""
    text = storage.sheets([INDEX]).get(INDEX)
    index = Index(NOW, {}) if text is None else Index.load(text)
    sheets: dict[str, str | None] = {}
    for ago, bucket in sorted(buckets.items(), reverse=True):
        start = NOW // MINUTE - ago
        add_start(index, span, start - start % span)
        sheets[sheet(span, start - start % span)] = bucket.dump()
    storage.write_sheets((INDEX, text), {**sheets, INDEX: index.dump()})
    return Ledger(storage)


def bucket(completed: int = 0, failed: int = 0, takes: int = 100, came: int | None = None, queue: str = "q") -> Bucket:
    """A bucket with jobs that took so long each."""
    made = Bucket()
    cell = made.cells[queue, "t"]
    cell.completed, cell.failed = completed, failed
    cell.came = completed + failed if came is None else came
    cell.runs, cell.total = completed + failed, (completed + failed) * takes
    cell.process.add(takes, completed + failed)
    return made


def worker(n: int = 2, *queues: str) -> WorkerRecord:
    """A worker with so many processes."""
    return a_worker("w", *(f"c{k}" for k in range(n)), queues=queues, heartbeat=to_datetime(NOW))


def forecast(ledger: Ledger, *workers: WorkerRecord, paused: tuple[str, ...] = ()) -> Forecast:
    """What may be expected now."""
    return Forecast(ledger, workers, to_datetime(NOW), paused)


def test_a_queue_is_empty_when_what_is_left_over_has_done_its_work(storage: Storage) -> None:
    """Two processes do 1,200 jobs of 100 ms a minute; 600 come, so 1,200 pending ones take two minutes."""
    ledger = keep(storage, {ago: bucket(600) for ago in range(1, 6)})
    outlook = forecast(ledger, worker()).outlook("q", 1200)
    assert outlook.what == "in"
    assert outlook.value == pytest.approx(120)


def test_a_queue_grows_where_more_comes_than_can_be_done(storage: Storage) -> None:
    """By what comes beyond that, a minute."""
    ledger = keep(storage, {ago: bucket(1200, came=1500) for ago in range(1, 6)})
    outlook = forecast(ledger, worker()).outlook("q", 9000)
    assert (outlook.what, round(outlook.value)) == ("grows", 300)


@pytest.mark.parametrize(("came", "grows"), [(1140, False), (1200, True), (1500, True)])
def test_the_load_tells_how_far_a_queue_is_from_growing(storage: Storage, came: int, grows: bool) -> None:
    """From 1 on it grows, as the outlook has it; nothing is told of what is paused or served by nobody."""
    ledger = keep(storage, {ago: bucket(1200, came=came) for ago in range(1, 6)})
    seen = forecast(ledger, worker())
    assert seen.load("q", 9000) == pytest.approx(came / 1200)
    assert (seen.outlook("q", 9000).what == "grows") is grows
    assert seen.load("q", 0) == 0
    assert seen.load("other", 5) is None
    assert forecast(ledger).load("q", 9000) is None
    assert forecast(ledger, worker(), paused=("q",)).load("q", 9000) is None


def test_what_cannot_be_told_is_a_word(storage: Storage) -> None:
    """Never a number."""
    ledger = keep(storage, {ago: bucket(1 if ago == 1 else 0) for ago in range(1, 6)})
    found = forecast(ledger, worker(2, "q"), paused=("p",))
    assert found.outlook("q", 0) == Outlook("empty")
    assert found.outlook("p", 5) == Outlook("paused")
    assert found.outlook("r", 5) == Outlook("no worker")
    assert found.outlook("q", 5) == Outlook("unknown")
    assert (found.start_of("q", 1), found.start_of("p", 1), found.start_of("r", 1)) == (None, None, None)


def test_a_silent_worker_is_none(storage: Storage) -> None:
    """It may come back; nothing is expected of it."""
    ledger = keep(storage, {1: bucket(100)})
    silent = a_worker("w", "c", queues=(), heartbeat=to_datetime(NOW - 20_000))
    assert forecast(ledger, silent).outlook("q", 5) == Outlook("no worker")


def test_a_job_starts_when_those_before_it_have_run(storage: Storage) -> None:
    """Ten before it, 100 ms each, two at a time."""
    ledger = keep(storage, {1: bucket(100)})
    assert forecast(ledger, worker()).start_of("q", 10) == pytest.approx(0.5)


def test_where_little_ran_lately_the_last_hour_tells_how_long_jobs_take(storage: Storage) -> None:
    """A quiet queue has an outlook too."""
    ledger = keep(storage, {50: bucket(100, takes=2000), 1: bucket(1, takes=5)})
    assert forecast(ledger, worker()).pace("q").mean == pytest.approx((100 * 2000 + 5) / 101)


def test_the_last_hour_minute_by_minute(storage: Storage) -> None:
    """With its gaps."""
    ledger = keep(storage, {3: bucket(5), 2: bucket(1, 1), 1: Bucket()})
    found = forecast(ledger)
    assert found.last_hour("q")[-4:] == [None, 5, 2, 0]
    assert found.last_hour("other")[-3:] == [0, 0, 0]
    assert (found.failed(), found.failed("q"), found.failed("other")) == (1, 1, 0)


@pytest.mark.parametrize(("range_", "span", "n"), [("1h", 1, 60), ("24h", 30, 48), ("7d", 120, 84)])
def test_a_range_is_read_beside_the_range_before(storage: Storage, range_: str, span: int, n: int) -> None:
    """Slot by slot up to now; a gap is None, the last one is not over."""
    ledger = keep(storage, {span * n: bucket(7), 0: bucket(2, 1)}, span)
    if span != 1:
        keep(storage, {0: bucket(2, 1)})
        storage.write_sheets(
            (INDEX, storage.sheets([INDEX])[INDEX]), {sheet(span, NOW // MINUTE // span * span): Bucket().dump()}
        )
    found = report(ledger, to_datetime(NOW), range_)
    assert (len(found.slots), len(found.before), found.span) == (n, n, span)
    assert [slot.over for slot in found.slots] == [True] * (n - 1) + [False]
    assert found.slots[-1].start <= to_datetime(NOW) < found.slots[-1].end
    assert found.whole.some().completed == 2
    assert found.whole_before is not None
    assert found.whole_before.some().completed == 7
    assert found.slots[0].bucket is None


def test_buckets_of_the_past_are_read_once(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what may still change is asked for again."""
    ledger = keep(storage, {2: bucket(1), 1: bucket(2), 0: bucket(3)})
    first = report(ledger, to_datetime(NOW)).whole.some().completed
    asked: list[str] = []
    read = storage.sheets

    def note_and_read(names: Collection[str]) -> dict[str, str]:
        asked.extend(names)
        return read(names)

    monkeypatch.setattr(storage, "sheets", note_and_read)
    assert report(ledger, to_datetime(NOW)).whole.some().completed == first == 6
    assert asked == [INDEX, sheet(1, NOW // MINUTE)]


def test_nothing_measured_is_said(storage: Storage) -> None:
    """Before the first worker has counted."""
    found = report(Ledger(storage), to_datetime(NOW))
    assert all(slot.bucket is None for slot in found.slots)
    assert found.whole_before is None


def test_what_is_written_is_read_as_it_was() -> None:
    """A bucket as text."""
    made = bucket(3, 1)
    made.look({"q": 4}, 3, 2)
    made.cells["q", "t"].cancelled = 2
    assert Bucket.load(made.dump()).dump() == made.dump()

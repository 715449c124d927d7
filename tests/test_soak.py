"""What judges a soak in `benchmarks/soak` finds what is missing; the soak itself takes half an hour and is no test."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from benchmarks.soak.fleet import Fleet
from benchmarks.soak.ledger import DONE, FOLDER, PROMISED, Balance, gaps
from benchmarks.soak.used import answer_of, objects, others, tell
from benchmarks.soak.watch import Series

NOON = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
BATCH = ["member 3.0", "member 3.1", "then 3", "finally 3"]
ALL = ["job 1", "link 2.0", "link 2.1", *BATCH, "gathered 4"]


def balance(folder: Path, done: list[str]) -> Balance:
    """Of a job, a chain of two, a batch of two and a gathered payload that were promised."""
    (folder / PROMISED).write_text("job 1\nchain 2 2\nbatch 3 2\ngathered 4\n")
    (folder / DONE).write_text("".join(f"{line}\n" for line in done))
    return Balance(folder)


def test_nothing_is_missing_where_all_ran(tmp_path: Path) -> None:
    found = balance(tmp_path, ALL)
    assert (found.expected, found.missing, found.twice) == (8, [], 0)


@pytest.mark.parametrize("lost", ALL)
def test_whatever_did_not_run_is_named(tmp_path: Path, lost: str) -> None:
    """A job, a link, a member, a callback, a payload."""
    assert balance(tmp_path, [mark for mark in ALL if mark != lost]).missing == [lost]


def test_what_ran_twice_is_counted_and_not_taken_for_another(tmp_path: Path) -> None:
    found = balance(tmp_path, [*ALL[1:], "link 2.0", "link 2.0"])
    assert (found.missing, found.twice) == (["job 1"], 2)


def test_an_occurrence_that_was_left_out_is_seen(tmp_path: Path) -> None:
    """One that ran twice does not stand in for it."""
    moments = [NOON + timedelta(seconds=n) for n in (0, 1, 3, 3)]
    found = balance(tmp_path, [f"occurrence second {moment.isoformat()}" for moment in moments])
    assert gaps(found.fired("second"), timedelta(seconds=1)) == 1
    assert gaps(found.fired("seven"), timedelta(seconds=7)) == 1, "none at all"


def test_what_grows_slopes_and_what_only_wavers_does_not() -> None:
    """A megabyte an hour is seen within ten minutes of noise that is larger than it."""
    chance = random.Random(9)
    leak, steady = Series("MB"), Series("MB")
    for at in range(0, 600, 3):
        noise = chance.uniform(-0.2, 0.2)
        leak.add(at, 40 + at / 3600 * 6 + noise)
        steady.add(at, 40 + noise)
    assert leak.slope - leak.noise > 0
    assert abs(leak.slope - 6) < leak.noise
    assert abs(steady.slope) < steady.noise * 1.5
    assert leak.growth > 0.5 > steady.growth


def wandering(grown: float, seed: int) -> Series:
    """What a process has in use for 18 minutes, which grows by so much; a moment is much like the one before."""
    chance = random.Random(seed)
    series, burst = Series("MB"), 0.0
    for at in range(0, 18 * 60, 3):
        burst = 0.8 * burst + chance.gauss(0, 0.01)
        series.add(at, 40 + grown * at / (18 * 60) + burst)
    return series


def test_a_leak_of_a_tenth_of_a_megabyte_is_a_fault_and_what_wanders_is_none() -> None:
    """Whatever the noise happens to be; its moments know of each other."""
    assert sum(wandering(0.1, seed).grows for seed in range(100)) > 95
    assert not any(wandering(0.0, seed).grows for seed in range(100))
    assert not any(wandering(0.02, seed).grows for seed in range(100)), "less than matters"


@pytest.mark.parametrize("size", [100, 100_000], ids=["small objects", "large ones"])
def test_what_is_in_use_is_told_and_goes_down_again(size: int) -> None:
    """Unlike what a process holds; small objects are Python's own to count, larger ones the library's."""
    before = objects() + others()
    kept = [bytes(size) for _ in range(3_000_000 // size)]
    grown = objects() + others() - before
    assert 2_900_000 < grown < 6_000_000
    kept.clear()
    assert objects() + others() - before < grown - 2_500_000


def test_the_latest_answer_is_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is said where the folder is gone, as when all is over."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    tell()
    assert int(answer_of(tmp_path, os.getpid()).read_text("ascii")) > 1_000_000
    monkeypatch.setenv(FOLDER, str(tmp_path / "gone"))
    tell()


#: What a worker says that finds no server, and what is said of one that was started again.
AWAY = "Error: Redis at 127.0.0.1:6379 cannot be reached: Connection refused."
AGAIN = "worker started again, having found no server"


class Ended(Fleet):
    """Workers that say something and end with a code, but for those that are started again: these only wait."""

    def __init__(self, folder: Path, words: str, code: int) -> None:
        self._left = 2
        self._begun: list[subprocess.Popen[bytes]] = []
        self._code = f"print({words!r}); raise SystemExit({code})"
        super().__init__(folder, {}, 2, random.Random(1))
        self.workers.append(self._start_worker(1))
        for worker in self.workers:
            worker.wait()

    def _start_worker(self, n: int) -> subprocess.Popen[bytes]:
        self._left -= 1
        return self._start(f"worker-{n}", "-c", self._code if self._left >= 0 else "input()")

    def _start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._begun.append(subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE, stdout=log))
        return self._begun[-1]

    def close(self) -> None:
        """End all."""
        for process in self._begun:
            process.kill()
            process.communicate()


def test_a_worker_that_found_no_server_is_started_again_and_has_not_fallen(tmp_path: Path) -> None:
    """Each of them, once: it is another process then, which is looked at as the first was."""
    fleet = Ended(tmp_path, AWAY, 1)
    before = list(fleet.workers)
    try:
        assert fleet.fallen() == []
        assert all(now is not then and now.poll() is None for now, then in zip(fleet.workers, before, strict=True))
        assert fleet.blows[AGAIN] == 2
        assert fleet.fallen() == []
        assert fleet.blows[AGAIN] == 2
    finally:
        fleet.close()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (AWAY, 2),
        ("Error: something else.", 1),
        ("12:00 problem Redis at 127.0.0.1:1 cannot be reached: no.", 1),
        ("", 1),
    ],
)
def test_a_worker_that_ended_otherwise_has_fallen(tmp_path: Path, words: str, code: int) -> None:
    """With another code, other last words, as after it had run, or none."""
    fleet = Ended(tmp_path, words, code)
    try:
        assert fleet.fallen() == [f"worker-{n} ended with code {code}: {words}" for n in range(2)]
        assert fleet.blows[AGAIN] == 0
    finally:
        fleet.close()


def test_who_pushes_is_never_started_again(tmp_path: Path) -> None:
    """It waits for the server by itself."""
    fleet = Ended(tmp_path, "", 0)
    fleet.pusher = fleet._start("pusher", "-c", f"print({AWAY!r}); raise SystemExit(1)")
    fleet.pusher.wait()
    try:
        assert fleet.fallen() == [f"pusher ended with code 1: {AWAY}"]
    finally:
        fleet.close()

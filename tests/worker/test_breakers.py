"""Circuit breakers with real workers, on each kind of storage."""

from __future__ import annotations

from typing import Any

from flask_queues import Status
from flask_queues.breakers import BreakerState
from tests.support.site import Site, eventually

#: What all processes may have begun and not yet told the end of.
IN_HAND = 4


def breaker(site: Site) -> BreakerState | None:
    """The breaker, where it has anything to tell."""
    return next(iter(site.manager.breakers.states()), None)


def failures(site: Site, at_least: int) -> int:
    """Wait until so many failures were counted; returns how many."""
    eventually(lambda: (state := breaker(site)) is not None and state.failures >= at_least, what=f"{at_least} failures")
    state = breaker(site)
    assert state is not None
    return state.failures


def test_a_type_that_fails_is_held_and_tried_until_it_goes_well(make_site: Any, place: dict[str, Any]) -> None:
    """One run in each pause, whoever is killed meanwhile; then everything is done, and nothing stays held."""
    site = make_site(**place, QUEUES_LEASE=2)
    jobs = [site.push("outage") for _ in range(30)]
    workers = [site.work("--processes", "2") for _ in range(2)]
    counted = failures(site, 4)
    ran = len(site.runs())
    later = failures(site, counted + 2)
    assert abs(len(site.runs()) - ran - (later - counted)) <= IN_HAND
    workers[0].kill_all()
    failures(site, later + 1)
    free = site.push("noop")
    assert site.ended(free).status is Status.COMPLETED
    site.open("up")
    assert {site.ended(job).status for job in jobs} == {Status.COMPLETED}
    assert (breaker(site), site.manager.pauses()) == (None, [])
    words = [run.word for run in site.runs() if run.word != "ran"]
    assert words.count("went-well") == 30
    assert 0 <= sum(site.job(job).attempts for job in jobs) - len(words) <= IN_HAND  # killed before its first word

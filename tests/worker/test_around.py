"""What an application puts around runs, in real workers: with their limits, and whatever interrupts a job."""

from __future__ import annotations

import pytest

from flask_queues import Outcome
from tests.support.site import Site

#: Each job in the child's main thread, or several in threads of their own.
ARGUMENTS = [(), ("--threads", "2")]


@pytest.fixture
def site(make_site) -> Site:
    site: Site = make_site(QUEUES_LEASE=2, QUEUES_GRACE=0, SAMPLE_AROUND=True)
    return site


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_every_attempt_is_inside(site, arguments):
    """Each in the process of its run; the exception passes through, `failed` runs outside."""
    job = site.push("flaky", {"failures": 9}, tries=2)
    asynchronous = site.push("async")
    site.work(*arguments)
    site.ended(job)
    site.ended(asynchronous)
    assert site.words(job) == [*["in", "ran", "out:ValueError"] * 2, "failed:ValueError"]
    assert site.words(asynchronous) == ["in", "ran", "out"]


def test_what_interrupts_the_job_passes_through(site):
    """It can put away what it holds, and the run ends as it does without it."""
    late = site.push("doomed", {"how": "sleep"}, tries=1, timeout=2)
    unwanted = site.push("polite")
    given_back = site.push("polite")
    worker = site.work("--processes", "3")
    assert site.ended(late).history[-1].outcome is Outcome.TIMED_OUT
    assert site.words(late) == ["in", "ran", "out:TimeUp", "failed:JobTimeout"]
    site.began(unwanted)
    site.began(given_back)
    site.manager.cancel(unwanted)
    assert site.ended(unwanted).history[-1].outcome is Outcome.CANCELLED
    assert site.words(unwanted)[-1] == "out:CancelNow"
    worker.stop()
    assert site.words(given_back)[-1] == "out:StopNow"
    assert site.job(given_back).history[-1].outcome is Outcome.GIVEN_BACK


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_its_time_counts(site, arguments):
    """One that does not get to its job is stopped by the job's timeout."""
    job = site.push("noop", tags=["slow"], tries=1, timeout=0.3)
    site.work(*arguments)
    assert site.ended(job).history[-1].outcome is Outcome.TIMED_OUT
    assert "ran" not in site.words(job)

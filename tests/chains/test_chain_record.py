"""Chains as people read them: found from any of their jobs, short or long, without anything kept for that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask

from flask_queues import JobNotFound, Queues, Status

from .test_chains import end


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    queues = Queues(Flask("shop", instance_path=str(tmp_path)))

    @queues.job("any")
    def anything(n: int = 0) -> None: ...

    return queues


def pushed(queues: Queues, links: int) -> str:
    """Push a chain; returns its id."""
    return queues.chain([("any", {"n": n + 1}) for n in range(links)]).push().id


@pytest.mark.parametrize("links", [5, 35])
def test_any_job_leads_to_its_chain(queues: Queues, links: int) -> None:
    """It says how far that is; its jobs are those that exist, the last first."""
    chain_id = pushed(queues, links)
    other = pushed(queues, links)
    ended: list[str] = []
    while len(ended) < 3:
        ended += [job_id for job_id in [end(queues.manager)] if queues.manager.find(job_id).chain.id == chain_id]  # type: ignore[union-attr]
    for job_id in (chain_id, *ended):
        found = queues.manager.chain_with(job_id)
        assert (found.id, found.at, found.of, found.status) == (chain_id, 4, links, Status.PENDING)
        assert [job.payload["n"] for job in found.jobs] == [4, 3, 2, 1]
        assert found.current == found.jobs[0]
    assert queues.manager.chain_with(other).id == other


@pytest.mark.parametrize(("links", "how"), [(5, Status.FAILED), (35, Status.FAILED), (5, Status.CANCELLED)])
def test_a_chain_that_stopped_says_where(queues: Queues, links: int, how: Status) -> None:
    """The job that it has come to, and that it goes no further."""
    chain_id = pushed(queues, links)
    end(queues.manager)
    if how is Status.FAILED:
        end(queues.manager, Status.FAILED)
    else:
        queues.manager.cancel(queues.manager.chain_with(chain_id).current.id, "enough")
    found = queues.manager.chain_with(chain_id)
    assert (found.at, found.status, found.current.status) == (2, how, how)


def test_a_long_chain_is_read_page_by_page(queues: Queues) -> None:
    """Each costs its page; what the chain has come to is told on all of them."""
    chain_id = pushed(queues, 30)
    for _ in range(20):
        end(queues.manager)
    after, seen = None, []
    while True:
        found = queues.manager.chain_with(chain_id, 8, after)
        assert found.at == 21
        seen += [job.payload["n"] for job in found.jobs]
        after = found.after
        if after is None:
            break
    assert seen == list(range(21, 0, -1))


def test_a_chain_is_found_whose_first_jobs_are_deleted(queues: Queues) -> None:
    """By its own id too, and from any job that is left; where none is, that is said, with what would have kept it."""
    short, long = pushed(queues, 5), pushed(queues, 30)
    while any(queues.manager.find(one).status is not Status.COMPLETED for one in (short, long)):
        end(queues.manager)
    left = queues.manager.chain_with(short).current.id
    for job_id in (short, long):
        queues.manager.delete(job_id)
    assert queues.manager.chain_with(long).id == long
    assert queues.manager.chain_with(left).id == short
    assert queues.manager.chain_with(short).current.id == left
    for job in queues.manager.chain_with(short).jobs:
        queues.manager.delete(job.id)
    with pytest.raises(JobNotFound, match=r"A chain is there as long as .*: keep those of a job type longer"):
        queues.manager.chain_with(short)
    said = queues.manager.app.test_cli_runner().invoke(args=["queues", "chain", short])
    assert (said.exit_code != 0, "as long as one of its jobs is" in said.output) == (True, True)


def test_a_job_that_is_no_link_is_told_as_that(queues: Queues) -> None:
    """It is there, unlike a chain that is gone."""
    with pytest.raises(JobNotFound, match="is no link of a chain"):
        queues.manager.chain_with(queues.push("any").id)


def test_what_was_let_follow_is_a_chain_behind_its_job(queues: Queues) -> None:
    """That job is the first of it."""
    first = queues.push("any", {"n": 1})
    second = first.then("any", {"n": 2})
    with pytest.raises(JobNotFound):
        queues.manager.chain_with(first.id)
    end(queues.manager)
    found = queues.manager.chain_with(second.id)
    assert (found.id, found.at, found.of) == (first.id, 2, 2)
    assert [job.id for job in found.jobs] == [second.id, first.id]


def test_links_of_chains_are_found_among_all_jobs(queues: Queues) -> None:
    """Those of one, or of any: which have failed?"""
    chains = [pushed(queues, 3) for _ in range(4)]
    queues.push("any")
    for _ in range(3):
        end(queues.manager, Status.FAILED)
    failed = queues.jobs_of(chain="*", statuses=[Status.FAILED]).jobs
    assert sorted(job.id for job in failed) == sorted(chains[:3])
    assert [job.id for job in queues.jobs_of(chain=chains[3]).jobs] == [chains[3]]
    assert len(queues.jobs_of(statuses=[Status.PENDING]).jobs) == 2


def test_the_terminal_shows_a_chain(queues: Queues) -> None:
    """For people and for programs."""
    with queues.manager.app.app_context():
        chain_id = pushed(queues, 3)
        end(queues.manager)
        run = queues.manager.app.test_cli_runner().invoke
        said = run(args=["queues", "chain", chain_id])
        assert (said.exit_code, "link 2 of 3" in said.output) == (0, True)
        told = json.loads(run(args=["queues", "chain", chain_id, "--json"]).output)
        assert (told["status"], told["at"], [job["status"] for job in told["jobs"]]) == (
            "pending",
            2,
            ["pending", "completed"],
        )
        assert run(args=["queues", "chain", "nobody"]).exit_code == 1

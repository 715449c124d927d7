"""Chains, batches and gathered jobs in a fake: asked after, and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from flask_queues import GatheredJob, Status
from tests.testing.shop import Shop, make_shop


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_chain_is_asked_after_and_run(tmp_path: Path, encrypted: bool) -> None:
    """As it was pushed, links that did not run among them."""
    keys = {"QUEUES_ENCRYPTION_KEYS": [Fernet.generate_key().decode()]} if encrypted else {}
    shop = make_shop(tmp_path, **keys)
    with shop.queues.fake() as fake:
        chain = shop.queues.chain([("shop:order", {"customer": "ada"})]).then("shop:discard", on="failure")
        pushed = chain.then("shop:mail", {"to": "bert"}).push()
        [first] = fake.chained("shop:order", "shop:discard", "shop:mail")
        assert first.id == pushed.id
        with pytest.raises(AssertionError, match=r"No chain of shop:mail was pushed\. Chained were:\n  shop:order, "):
            fake.chained("shop:mail")
        fake.drain()
        assert shop.done == ["order of ada", "ada", "bert"]
        assert pushed.result() == "BERT"


def test_a_batch_is_asked_after_and_reports(shop: Shop) -> None:
    """Its callbacks run in the same drain."""
    with shop.queues.fake() as fake:
        with pytest.raises(AssertionError, match="No batch was"):
            fake.batched()
        jobs = [("shop:mail", {"to": str(n)}) for n in range(3)]
        shop.queues.batch(jobs, name="News").then("shop:mail", {"to": "all"}, queue="later").push()
        [batch] = fake.batched("News", times=1)
        assert batch.total == 3
        with pytest.raises(AssertionError, match=r"The batch 'Other' was not pushed\. Batches were: 'News'\."):
            fake.batched("Other")
        fake.drain()
        assert shop.done == ["0", "1", "2", "all"]
        assert fake.batched()[0].status is Status.COMPLETED


def test_gathered_payloads_come_at_once_when_there_are_enough(shop: Shop) -> None:
    """Without moving the clock; the rest when their window is over."""

    @shop.queues.register
    class Digest(GatheredJob):
        type = "shop:digest"
        window = 30
        size = 3

        def handle(self, payloads: list[dict[str, Any]]) -> None:
            shop.done.append([payload["n"] for payload in payloads])

    with shop.queues.fake() as fake:
        for n in range(4):
            shop.queues.push(Digest, {"n": n})
        fake.drain()
        assert shop.done == [[0, 1, 2]]
        shop.queues.push(Digest, {"n": 4})
        fake.drain(within=31)
        assert shop.done == [[0, 1, 2], [3, 4]]


def test_gathered_payloads_come_as_one_list_when_their_window_is_over(shop: Shop) -> None:
    """By key; what fails is run again together, after its backoff."""

    @shop.queues.register
    class Digest(GatheredJob):
        type = "shop:digest"
        window = 30
        backoff = 60

        def key(self, payload: dict[str, Any]) -> Any:
            return payload["to"]

        def handle(self, payloads: list[dict[str, Any]]) -> int:
            shop.done.append([payload["n"] for payload in payloads])
            if self.attempt == 1 and payloads[0]["to"] == "bert":
                raise OSError("not yet")
            return len(payloads)

    with shop.queues.fake(raises=False) as fake:
        for n in range(6):
            shop.queues.push(Digest, {"to": "ada" if n % 2 else "bert", "n": n})
        fake.pushed(Digest, times=6)
        assert fake.drain() == []
        fake.drain(within=31)
        assert sorted(shop.done) == [[0, 2, 4], [1, 3, 5]]
        fake.drain(within=90)
        assert sorted(shop.done) == [[0, 2, 4], [0, 2, 4], [1, 3, 5]]
        assert {job.status for job in fake.jobs} == {Status.COMPLETED}

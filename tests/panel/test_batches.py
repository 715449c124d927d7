"""The pages of batches: how far the whole is, what broke it, and what can be done."""

from __future__ import annotations

import re

from flask_queues import Status

from .conftest import Shop, post


def plain(text: str) -> str:
    """A page's text without its tags."""
    main = text[text.index("<main") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main)).replace("\u00a0", " ")


def test_the_list_tells_how_far_each_is(shop: Shop) -> None:
    """With what has failed, and where the whole stands."""
    assert "No batches." in shop.client().get("/queues/batches").text
    batch = shop.batch()
    page = shop.client().get("/queues/batches").text
    assert f'href="/queues/batches/{batch}"' in page
    assert "Rundbrief" in page
    assert "2 of 3 · 1 failed Running" in plain(page)


def test_one_batch_shows_its_jobs_and_callbacks(shop: Shop) -> None:
    """Each status leads to the list of these jobs alone."""
    batch = shop.batch()
    text = shop.client().get(f"/queues/batches/{batch}").text
    assert "1 job has not ended." in plain(text)
    assert "With the first failure Resize image Pending When all have ended not pushed" in plain(text)
    link = re.search(r'href="(/queues/failed/jobs\?tag=[^"]+)"', text)
    assert link
    assert "1 shown" in plain(shop.client().get(link[1]).text)
    member = next(shop.queues.batches.jobs(batch))
    assert f'href="/queues/batches/{batch}"' in shop.client().get(f"/queues/jobs/{member.id}").text


def test_failures_are_retried_and_the_rest_is_cancelled(shop: Shop) -> None:
    """And who did it is kept."""
    batch = shop.batch()
    client = shop.client()
    post(client, "/queues/actions/batch/retry", batch=batch)
    assert shop.queues.batches.find(batch).counts["failed"] == 0
    answer = post(client, "/queues/actions/batch/cancel", batch=batch)
    assert answer.location == f"/queues/batches/{batch}"
    record = shop.queues.batches.find(batch)
    assert (record.counts["cancelled"], record.reason) == (2, "cancelled by anna in the panel")
    shop.manager.tend_batches(at_once=True)
    assert shop.queues.batches.find(batch).status is Status.CANCELLED
    assert "Cancelled by anna" in plain(client.get(f"/queues/batches/{batch}").text)
    acts = [(act.who, act.action, act.kind, act.number) for act in shop.manager.acts()]
    assert acts == [("anna", "cancel", "batch", 2), ("anna", "retry", "batch", 1)]
    assert batch[-8:] in client.get("/queues/activity").text
    assert post(client, "/queues/actions/batch/explode", batch=batch).status_code == 404


def test_batches_are_found_by_name_and_status(shop: Shop) -> None:
    """Of what is no status nothing is taken over."""
    shop.batch()
    shop.queues.batch([("shop:resize", {})], name="Bilder").push()
    client = shop.client()

    def found(query: str) -> list[str]:
        return [batch["name"] for batch in client.get(f"/queues/api/batches?{query}").get_json()["batches"]]

    assert found("") == ["Bilder", "Rundbrief"]
    assert found("text=rund") == ["Rundbrief"]
    assert found("status=pending") == ["Bilder"]
    assert found("status=running&text=bild") == []
    assert found("status=nonsense") == ["Bilder", "Rundbrief"]
    assert "Nothing matches the filter." in client.get("/queues/batches?text=none").text


def test_the_bar_of_a_batch_has_a_part_for_what_failed(shop: Shop) -> None:
    """One of three has failed, one is completed: the bar says so beside the words."""
    shop.batch()
    text = shop.client().get("/queues/batches").text
    assert '<rect width="33.33" height="6" fill="var(--q-failed)"/>' in text
    assert '<rect x="34.33" width="32.33" height="6" fill="var(--q-completed)"/>' in text
    assert "2 of 3 · 1 failed" in text

"""Not now, not for ever: delay, Retry, expires and retry_for; and a coroutine."""

import asyncio

from flask_queues import Retry, current_job
from pictures.extensions import queues


@queues.job("pictures:develop", name="Develop a film", retry_for=600)
async def develop(film: int) -> str:
    """Comes back until the film is dry. That is no failure and costs no try."""
    if len(current_job.job.history) < 3:
        raise Retry(delay=2)
    await asyncio.sleep(0.1)
    return f"film {film} is dry"


def develop_now() -> str:
    develop.push(film=1)
    return "It is put off a few times, for two seconds each."


def develop_later() -> str:
    develop.using(delay=15, expires=30).push(film=2)
    return "It starts in 15 s; if no worker has begun it 30 s after that, it is cancelled."

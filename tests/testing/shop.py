"""A small application, made anew for each test, whose jobs do what tests of a fake need."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from flask import Flask, has_request_context

from flask_queues import Discard, Queues, Retry, Secret, current_job


@dataclass
class Shop:
    """The application, its queues, and what its jobs have done."""

    app: Flask
    queues: Queues
    done: list[Any] = field(default_factory=list)


def make_shop(folder: Path, **settings: Any) -> Shop:
    """Make one."""
    app = Flask("shop", instance_path=str(folder))
    app.config |= settings
    shop = Shop(app, Queues(app))
    add_jobs(shop, shop.queues)
    add_words(shop, shop.queues)
    return shop


def add_jobs(shop: Shop, queues: Queues) -> None:
    """Jobs that do something."""

    @queues.job("shop:mail", queue="mail")
    def mail(to: str, card: Annotated[str, Secret] = "") -> str:
        logging.getLogger("shop").warning("mail to %s", to)
        current_job.progress(50, "half")
        shop.done.append(to)
        return to.upper()

    @queues.job("shop:flaky", tries=3, backoff=60)
    def flaky(good_at: int) -> int:
        if current_job.attempt < good_at:
            raise OSError(f"attempt {current_job.attempt}")
        return current_job.attempt

    @queues.job("shop:order", tags=["order"])
    def order(customer: str) -> None:
        queues.push("shop:mail", {"to": customer})
        shop.done.append(f"order of {customer}")

    @queues.job("shop:context")
    def context() -> list[Any]:
        return [has_request_context(), os.getpid()]

    @queues.job("shop:later")
    async def later() -> str:
        await asyncio.sleep(0)
        return "async"


def add_words(shop: Shop, queues: Queues) -> None:
    """Jobs that say what becomes of them."""

    @queues.job("shop:discard")
    def discard() -> None:
        raise Discard("no")

    @queues.job("shop:retry")
    def retry() -> None:
        if not shop.done:
            shop.done.append("put off")
            raise Retry(delay=30)
        shop.done.append("ran")

    @queues.job("shop:endless")
    def endless() -> None:
        queues.push("shop:endless")

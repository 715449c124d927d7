"""How many at once, and how many a minute, over all workers: concurrency and rate."""

import time

from flask import current_app

from pictures.extensions import queues


@queues.job("pictures:print", name="Print a page", concurrency=1, limit_key=lambda payload: payload["printer"])
def print_page(printer: str, page: int) -> str:
    """One page at a time on each printer, however many processes there are."""
    time.sleep(3 * current_app.config["PACE"])
    return f"page {page} on {printer}"


@queues.job("pictures:postcard", name="Order a postcard", rate="20/m", burst=3)
def order_postcard(to: str) -> str:
    """The printing house takes twenty orders a minute, and three at once."""
    return f"ordered for {to}"


def print_six() -> str:
    queues.push_many([(print_page, {"printer": f"printer {n % 2 + 1}", "page": n}) for n in range(6)])
    return "Six pages for two printers: never two at once on one of them."


def order_ten() -> str:
    queues.push_many([(order_postcard, {"to": f"guest {n}"}) for n in range(10)])
    return "Ten postcards: three go now, then one every three seconds; waiting costs nothing."

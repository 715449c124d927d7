"""Hold what keeps failing, each place by itself: a circuit breaker."""

from flask_queues import Breaker
from pictures.extensions import queues


@queues.job(
    "pictures:publish",
    name="Publish a picture",
    tries=10,
    backoff=2,
    breaker=Breaker(failures=3, within=60, pause=30, key=lambda payload: payload["site"]),
)
def publish(site: str, picture: int) -> str:
    """After three failures in a row a site is left in peace for half a minute; then one job tries it."""
    if site.endswith(".invalid"):
        raise ConnectionError(f"{site} does not answer")
    return f"picture {picture} is on {site}"


def publish_eight() -> str:
    sites = ("down.invalid", "up.example")
    queues.push_many([(publish, {"site": site, "picture": n}) for n in range(4) for site in sites], tags=["publish"])
    return "Four pictures for a site that is down, four for one that is up: only the first site is held."


def give_up() -> str:
    waiting = queues.every(type="pictures:publish", statuses=["pending", "scheduled"])
    count = sum(queues.cancel(job.id) for job in waiting)
    return f"Cancelled {count} jobs. Resume the job type in the panel to close the circuit at once."

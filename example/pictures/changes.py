"""What has changed in somebody's library, told at once instead of one by one: a gathered job."""

from collections import Counter
from dataclasses import dataclass

from flask_queues import GatheredJob

from . import database
from .database import Row
from .extensions import queues


@dataclass(frozen=True)
class Change:
    """The payload of one push."""

    owner_id: int
    #: "added", "removed", or what could not be sent
    what: str


@queues.register
class Digest(GatheredJob):
    """Gets all changes of one owner within a minute as one list."""

    type = "pictures:digest"
    name = "Tell of changes"
    window = 60
    size = 1000

    def key(self, payload: dict[str, object]) -> object:
        return payload["owner_id"]

    def handle(self, payloads: list[Change]) -> str:
        text = told([change.what for change in payloads])
        database.change(
            "insert or replace into digests (job_id, owner_id, text) values (?, ?, ?)",
            self.job.id,
            payloads[0].owner_id,
            text,
        )
        return text


def note(owner_id: int, what: str) -> None:
    queues.push(Digest, {"owner_id": owner_id, "what": what})


def told(changes: list[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(Counter(changes).items()))


def newest(owner_id: int, limit: int = 5) -> list[Row]:
    return database.rows(
        "select * from digests where owner_id = ? order by created desc, rowid desc limit ?", owner_id, limit
    )

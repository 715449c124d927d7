"""Who may push a job is said by the job: authorize."""

from typing import Any

from flask_queues import Job
from pictures import database, library
from pictures.extensions import queues


@queues.register
class RemoveBroken(Job):
    """Removes all pictures that cannot be read."""

    type = "pictures:remove-broken"
    name = "Remove broken pictures"

    @staticmethod
    def authorize(user: Any, payload: dict[str, Any]) -> bool:  # noqa: ARG004 - it may depend on the payload, too
        return user is not None and user.is_admin

    def handle(self) -> dict[str, int]:
        broken = database.rows("select * from pictures where state = 'broken'")
        for picture in broken:
            library.remove(picture)
        return {"removed": len(broken)}


def remove() -> str:
    queues.push(RemoveBroken)  # NotAllowed for all but admins, which is a page that says so
    return "You are an admin, so it was pushed."

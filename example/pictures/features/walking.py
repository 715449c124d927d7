"""A long loop that goes on where it was interrupted, and a step that is not repeated: iterate and step."""

import time

from flask import current_app

from flask_queues import current_job
from pictures import database, files, library, watching
from pictures.database import Row
from pictures.extensions import queues


@queues.job("pictures:check", name="Check all files", timeout=4, tries=3)
def check_files() -> str:
    """Its time is four seconds. It puts itself off when most of that is over, which costs no try."""
    for picture in current_job.iterate(behind, key=lambda row: row["id"], total=library.count()):
        if not files.original(picture["file"]).exists():
            library.mark_broken(picture["id"], "Its file is gone.")
        time.sleep(current_app.config["PACE"])
    return current_job.step("tell", tell)  # once, over all runs of this job


def behind(cursor: int | None) -> list[Row]:
    """The pictures that come after this one."""
    return database.rows("select * from pictures where id > ? order by id limit 1000", cursor or 0)


def tell() -> str:
    text = f"All {library.count()} files were looked for."
    watching.note(text)
    return text


def check() -> str:
    check_files.push()
    return "Watch how it comes back: it goes on with the next picture each time."

"""What is done by itself: a report every night, and the removal of files that nobody needs any more."""

from datetime import datetime, timedelta
from pathlib import Path

from flask_queues import Job

from . import database, files
from .database import Row
from .extensions import queues

DAY = timedelta(days=1)
FACTS = """
    select
        (select count(*) from pictures where created > :since and created <= :until) as pictures,
        (select count(*) from pictures where state = 'broken' and created > :since and created <= :until) as broken,
        (select count(*) from mails where sent > :since and sent <= :until) as mails
"""


@queues.register
class NightlyReport(Job):
    """Tells what happened in the 24 hours before it was due, however late it runs."""

    type = "pictures:report"
    name = "Write the nightly report"

    def handle(self) -> str:
        assert self.occurrence is not None, "only a schedule pushes this job"
        text = told(facts(self.occurrence - DAY, self.occurrence))
        database.change("insert or replace into reports (due, text) values (?, ?)", sql_time(self.occurrence), text)
        return text


@queues.register
class RemoveOrphans(Job):
    """Removes thumbnails and looks of pictures that were removed while a job still worked on them."""

    type = "pictures:cleanup"
    name = "Remove files without a picture"

    def handle(self) -> dict[str, int]:
        orphans = orphaned_files()
        for path in orphans:
            path.unlink(missing_ok=True)
        return {"removed": len(orphans)}


queues.schedule("0 2 * * *", NightlyReport, name="nightly report", timezone="Europe/Berlin")
queues.schedule("* * * * *", RemoveOrphans, name="cleanup", catch_up="none")


def orphaned_files() -> list[Path]:
    """Files that are named after a picture which is not there; files first, so that no new one is among them."""
    found = [path for folder in ("thumbnails", "looks") for path in files.folder(folder).glob("[0-9]*-*.webp")]
    known = {str(row["id"]) for row in database.rows("select id from pictures")}
    return [path for path in found if path.name.partition("-")[0] not in known]


def facts(since: datetime, until: datetime) -> Row:
    times = {"since": sql_time(since), "until": sql_time(until)}
    row: Row = database.connection().execute(FACTS, times).fetchone()
    return row


def told(row: Row) -> str:
    return f"{row['pictures']} pictures came, {row['broken']} of them broken; {row['mails']} mails were sent."


def newest_report() -> Row | None:
    return database.one("select * from reports order by due desc limit 1")


def sql_time(moment: datetime) -> str:
    """As the database writes times: in UTC, which an occurrence is in already."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")

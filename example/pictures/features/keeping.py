"""For how long jobs are kept, and what is taken from them before they are deleted: retention and before_deleting."""

from flask_queues import JobRecord
from pictures import files
from pictures.extensions import queues


@queues.job("pictures:sample", name="Take a sample", retention={"completed": 1, "completed_count": 3})
def take_sample(number: int) -> int:
    """Kept for an hour, and only the three that ended last; `QUEUES_RETENTION` may say otherwise."""
    return number * number


@queues.before_deleting
def archive(jobs: list[JobRecord]) -> None:
    """Gets each job at least once, in a worker; what it raises keeps them."""
    with files.archive().open("a") as file:
        file.writelines(f"{job.finished:%Y-%m-%d %H:%M} {job.status} {job.type} {job.result}\n" for job in jobs)


def take_ten() -> str:
    queues.push_many([(take_sample, {"number": number}) for number in range(10)])
    return "Ten samples: seven of them are soon lines in the file archive.txt and gone from the panel."

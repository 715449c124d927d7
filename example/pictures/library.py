"""The pictures and their looks, as rows."""

from dataclasses import dataclass
from pathlib import PurePath
from uuid import uuid4

from . import database, files, imaging
from .database import Row

PAGE = 60


@dataclass(frozen=True)
class NewPicture:
    """A checked file that is about to join the library."""

    content: bytes
    kind: str
    title: str


def checked(content: bytes, name: str) -> NewPicture:
    """What an upload or an import brings. The name it had is only ever shown, never a path."""
    return NewPicture(content, imaging.kind_of(content), title_from(name))


def title_from(name: str) -> str:
    words = PurePath(name.replace("\\", "/")).stem.replace("_", " ").replace("-", " ")
    shown = "".join(letter for letter in words if letter.isprintable()).strip(" .")[:80]
    return shown[:1].upper() + shown[1:] or "Untitled"


def add(new: NewPicture, owner_id: int, import_id: int | None = None, source: str | None = None) -> int:
    """Keep the file under a name of our own, then its row. Answers with the picture's id."""
    file = f"{uuid4().hex}.{new.kind}"
    files.write(files.original(file), new.content)
    return database.change(
        "insert into pictures (owner_id, import_id, source, title, file, bytes) values (?, ?, ?, ?, ?, ?)",
        owner_id,
        import_id,
        source,
        new.title,
        file,
        len(new.content),
    )


def find(picture_id: int) -> Row | None:
    return database.one(
        "select pictures.*, users.name as owner from pictures join users on users.id = owner_id where pictures.id = ?",
        picture_id,
    )


def page(before: int | None = None) -> list[Row]:
    """The newest pictures, or those older than `before`."""
    return database.rows("select * from pictures where id < coalesce(?, id + 1) order by id desc limit ?", before, PAGE)


def count() -> int:
    row = database.one("select count(*) as n from pictures")
    return row["n"] if row else 0


def newest_ready() -> int | None:
    row = database.one("select max(id) as id from pictures where state = 'ready'")
    return row["id"] if row else None


def remember_job(picture_id: int, job_id: str) -> None:
    database.change("update pictures set job_id = ? where id = ?", job_id, picture_id)


def mark_ready(picture_id: int, width: int, height: int) -> None:
    database.change(
        "update pictures set state = 'ready', problem = null, width = ?, height = ? where id = ?",
        width,
        height,
        picture_id,
    )


def mark_broken(picture_id: int, problem: str) -> None:
    database.change("update pictures set state = 'broken', problem = ? where id = ?", problem, picture_id)


def mark_waiting(picture_id: int) -> None:
    database.change("update pictures set state = 'waiting', problem = null where id = ?", picture_id)


def remove(picture: Row) -> None:
    """The row first: a job that comes later finds none and gives up."""
    names = [row["name"] for row in looks(picture["id"])]
    database.change("delete from pictures where id = ?", picture["id"])
    for path in (
        files.original(picture["file"]),
        *(files.thumbnail(picture["id"], size) for size in imaging.SIZES),
        *(files.look(picture["id"], name) for name in names),
    ):
        path.unlink(missing_ok=True)


def looks(picture_id: int) -> list[Row]:
    return database.rows("select * from looks where picture_id = ? order by rowid", picture_id)


def find_look(picture_id: int, name: str) -> Row | None:
    return database.one(
        "select looks.*, file from looks join pictures on id = picture_id where picture_id = ? and looks.name = ?",
        picture_id,
        name,
    )


def mark_look(picture_id: int, name: str, state: str) -> None:
    database.change("update looks set state = ? where picture_id = ? and name = ?", state, picture_id, name)

"""Imports: a folder whose pictures join the library, and how far that is."""

from dataclasses import dataclass
from pathlib import Path

from flask import current_app

from . import database, imaging, library
from .database import Row

ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


class FolderError(Exception):
    """Raised when a folder may not be imported or does not exist; the message says which of the two."""


def tag(import_id: int) -> str:
    """The tag that all jobs of one import carry."""
    return f"import:{import_id}"


def allowed_folder(wanted: str) -> Path:
    """The folder, with every link followed, if it is one of `IMPORT_FOLDERS` or below one of them."""
    folder = Path(wanted).resolve()
    if not any(folder.is_relative_to(root) for root in roots()):
        raise FolderError(f"{wanted} is not below a folder that IMPORT_FOLDERS allows")
    if not folder.is_dir():
        raise FolderError(f"There is no folder {wanted}")
    return folder


def allowed_file(wanted: str) -> Path:
    """A picture directly or further below one of `IMPORT_FOLDERS`."""
    path = Path(wanted).resolve()
    allowed_folder(str(path.parent))
    if path.suffix.lower() not in ENDINGS or not path.is_file():
        raise FolderError(f"There is no picture {wanted}")
    return path


def roots() -> list[Path]:
    return [Path(root).resolve() for root in current_app.config["IMPORT_FOLDERS"]]


def pictures_in(folder: Path) -> list[Path]:
    """The pictures below the folder, by name. Links that lead out of it are left out."""
    found = (
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in ENDINGS and path.is_file() and path.resolve().is_relative_to(folder)
    )
    return sorted(found)[: current_app.config["IMPORT_LIMIT"]]


def add(owner_id: int, folder: Path, looks: int) -> int:
    return database.change(
        "insert into imports (owner_id, folder, looks) values (?, ?, ?)",
        owner_id,
        str(folder),
        max(0, min(looks, len(imaging.LOOKS))),
    )


def find(import_id: int) -> Row | None:
    return database.one("select * from imports where id = ?", import_id)


def newest(limit: int = 20) -> list[Row]:
    return database.rows("select * from imports order by id desc limit ?", limit)


def mark(import_id: int, state: str, problem: str | None = None) -> None:
    database.change("update imports set state = ?, problem = ? where id = ?", state, problem, import_id)


def remember_batch(import_id: int, batch_id: str) -> None:
    database.change(
        "insert into import_batches (import_id, batch_id) values (?, ?)"
        " on conflict (import_id) do update set batch_id = excluded.batch_id",
        import_id,
        batch_id,
    )


def batch(import_id: int) -> Row | None:
    """The batch of its jobs, and what was noted of it."""
    return database.one("select * from import_batches where import_id = ?", import_id)


def note(import_id: int, text: str) -> None:
    database.change("update import_batches set note = ? where import_id = ?", text, import_id)


def give_up_waiting(import_id: int) -> None:
    """What waits for jobs that were cancelled waits no more."""
    database.change(
        "update looks set state = 'failed' where state = 'waiting'"
        " and picture_id in (select id from pictures where import_id = ?)",
        import_id,
    )
    database.change(
        "update pictures set state = 'broken', problem = 'The import was cancelled.'"
        " where state = 'waiting' and import_id = ?",
        import_id,
    )


def take(row: Row, path: Path) -> None:
    """Add one picture with its looks, unless an earlier run of the import has added it."""
    source = str(path.relative_to(row["folder"]))
    if database.one("select 1 from pictures where import_id = ? and source = ?", row["id"], source):
        return
    if path.stat().st_size > current_app.config["MAX_CONTENT_LENGTH"]:
        raise imaging.PictureError("The file is too large")
    new = library.checked(path.read_bytes(), path.name)
    with database.transaction() as open_database:
        picture_id = library.add(new, row["owner_id"], row["id"], source)
        open_database.executemany(
            "insert into looks (picture_id, name) values (?, ?)",
            [(picture_id, name) for name in imaging.LOOKS[: row["looks"]]],
        )


def waiting_pictures(import_id: int) -> list[int]:
    found = database.rows("select id from pictures where import_id = ? and state = 'waiting' order by id", import_id)
    return [row["id"] for row in found]


def waiting_looks(import_id: int) -> list[Row]:
    return database.rows(
        "select looks.* from looks join pictures on id = picture_id"
        " where import_id = ? and looks.state = 'waiting' order by looks.name, picture_id",
        import_id,
    )


def pictures(import_id: int) -> list[Row]:
    return database.rows("select * from pictures where import_id = ? order by id", import_id)


@dataclass(frozen=True)
class Standing:
    """How far an import is, in pieces of work: a picture's thumbnails are one, each look is one."""

    total: int
    ready: int
    failed: int

    @property
    def waiting(self) -> int:
        return self.total - self.ready - self.failed

    @property
    def percent(self) -> int:
        return 100 * (self.total - self.waiting) // self.total if self.total else 0


def standing(import_id: int) -> Standing:
    """Counted in this application's own tables: they stay when the records of the jobs are cleared."""
    row = database.one(
        "select count(*) as total, coalesce(sum(state = 'ready'), 0) as ready,"
        " coalesce(sum(state in ('broken', 'failed')), 0) as failed from ("
        " select state from pictures where import_id = ?1 union all"
        " select looks.state from looks join pictures on id = picture_id where import_id = ?1)",
        import_id,
    )
    assert row is not None
    return Standing(row["total"], row["ready"], row["failed"])

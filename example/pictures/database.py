"""One SQLite file, one connection per application context, safe with several processes."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask, current_app, g

Row = sqlite3.Row


def init_app(app: Flask) -> None:
    app.teardown_appcontext(close)
    with app.app_context():
        connection().executescript((Path(__file__).parent / "schema.sql").read_text())


def connection() -> sqlite3.Connection:
    """The connection of this request or job. Outside `transaction()` each statement is one of its own."""
    if "database" not in g:
        g.database = connect(Path(current_app.instance_path) / "pictures.sqlite3")
    return g.database  # type: ignore[no-any-return]


def connect(path: Path) -> sqlite3.Connection:
    """Writers wait up to 20 seconds for each other; readers never wait (WAL)."""
    made = sqlite3.connect(path, timeout=20, isolation_level=None)
    made.row_factory = sqlite3.Row
    made.execute("pragma journal_mode = wal")
    made.execute("pragma foreign_keys = on")
    return made


def close(_: BaseException | None = None) -> None:
    opened: sqlite3.Connection | None = g.pop("database", None)
    if opened is not None:
        opened.close()


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """All of it or nothing. The write lock is taken first, so that nothing read inside changes meanwhile."""
    database = connection()
    database.execute("begin immediate")
    try:
        yield database
    except BaseException:
        database.execute("rollback")
        raise
    database.execute("commit")


def one(sql: str, *values: object) -> Row | None:
    row: Row | None = connection().execute(sql, values).fetchone()
    return row


def rows(sql: str, *values: object) -> list[Row]:
    return connection().execute(sql, values).fetchall()


def change(sql: str, *values: object) -> int:
    """Run one writing statement; answers with the id of the row it added."""
    return connection().execute(sql, values).lastrowid or 0

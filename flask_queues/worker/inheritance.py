"""What a forked process has from its parent and must not use."""

from __future__ import annotations

from flask import Flask


def leave_connections(app: Flask) -> None:
    """Leave the open connections of Flask-SQLAlchemy to the parent: two processes on one read each other's rows.

    This process makes its own. A database in memory is left as it is: it is another one in each process anyway.
    """
    extension = app.extensions.get("sqlalchemy")
    if extension is None:
        return
    with app.app_context():
        engines = getattr(extension, "engines", {})  # something else may have that name
        for engine in engines.values():
            if engine.url.database not in (None, "", ":memory:"):
                engine.pool = engine.pool.recreate()  # as dispose(close=False), which SQLAlchemy has since 1.4.33 only

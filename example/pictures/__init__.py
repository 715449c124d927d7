"""Daylight, a small picture library: an application that uses Flask-Queues the way a real one would."""

import os
from collections.abc import Mapping
from pathlib import Path

from flask import Flask

from . import commands, database, features, pages, secret, security, users, views, watching
from .extensions import csrf, db, login_manager, queues

EXAMPLE = Path(__file__).resolve().parent.parent

DEFAULTS: dict[str, object] = {
    #: the folders whose pictures an admin may import, and everything below them
    "IMPORT_FOLDERS": [str(EXAMPLE / "sample")],
    #: at most so many pictures of one folder
    "IMPORT_LIMIT": 2000,
    #: every n-th attempt to send a mail fails, so that a retry can be seen; 0 for never
    "MAIL_FAILS_EVERY": 3,
    #: seconds to wait between two sizes of a picture, so that a person can watch; 0 in earnest
    "PACE": 0.0,
    #: the queues in the order in which a worker looks into them
    "QUEUES_NAMES": ("mail", "default", "images"),
    #: megabytes; a picture of 4000 pixels takes some while it is made smaller
    "QUEUES_MEMORY": 300,
    #: who is told of these: `note_alert` in watching.py
    "QUEUES_ALERTS": {
        "*": {"no_worker": True, "longest_wait": 300},
        "mail": {"no_worker": True, "failures_per_hour": 0, "pending": 1000},
    },
    #: hours, and how many, that jobs of a type are kept; "*" is for all others
    "QUEUES_RETENTION": {"pictures:look": {"completed": 1}, "*": {"failed_count": 1000}},
    #: the guest book, in the data folder
    "SQLALCHEMY_DATABASE_URI": "sqlite:///guests.sqlite3",
    #: seconds after which a run is called slow in the log
    "SLOW": 10.0,
    #: fetched every five minutes by a job, for a watchdog elsewhere
    "HEARTBEAT_URL": None,
    "MAX_CONTENT_LENGTH": 20 * 1024 * 1024,
    "SESSION_COOKIE_NAME": "daylight",
    "SESSION_COOKIE_SAMESITE": "Lax",
    "WTF_CSRF_TIME_LIMIT": None,
}


def create_app(config: Mapping[str, object] | None = None) -> Flask:
    """Build the application. `config` counts before the environment (`PICTURES_*`), that before DEFAULTS."""
    app = Flask(__name__, instance_path=data_folder(config))
    app.config.from_mapping(DEFAULTS)
    app.config.from_prefixed_env("PICTURES")
    app.config.from_mapping(config or {})
    Path(app.instance_path).mkdir(parents=True, exist_ok=True)
    data = Path(app.instance_path)
    app.secret_key = app.config["SECRET_KEY"] or secret.kept_in(data / "secret-key", secret.for_sessions)
    app.config.setdefault("QUEUES_ENCRYPTION_KEYS", [secret.kept_in(data / "queues-key", secret.for_jobs)])

    csrf.init_app(app)
    login_manager.init_app(app)
    db.init_app(app)
    queues.init_app(app)
    for part in (database, users, security, pages, views, commands, watching, features):
        part.init_app(app)
    return app


def data_folder(config: Mapping[str, object] | None) -> str:
    """Where everything is kept: setting `DATA`, variable `PICTURES_DATA`, or `example/instance`."""
    chosen = (config or {}).get("DATA") or os.environ.get("PICTURES_DATA") or EXAMPLE / "instance"
    return str(Path(str(chosen)).resolve())

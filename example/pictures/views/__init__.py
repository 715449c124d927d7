"""The pages, one blueprint for each subject."""

from flask import Flask

from . import account, imports, library, operations, outbox


def init_app(app: Flask) -> None:
    for part in (account, library, outbox, imports, operations):
        app.register_blueprint(part.blueprint)

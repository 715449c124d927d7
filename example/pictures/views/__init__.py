"""The pages, one blueprint for each subject."""

from flask import Flask

from . import account, features, imports, library, operations, outbox


def init_app(app: Flask) -> None:
    for part in (account, library, outbox, imports, operations, features):
        app.register_blueprint(part.blueprint)

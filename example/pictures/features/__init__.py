"""What Flask-Queues can do, one idea a file, each with buttons on the page `/features/`."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

from flask import Flask

from flask_queues import JobRecord
from pictures.extensions import queues

from . import breaking, committing, following, hiding, keeping, once, rights, turns, waiting, walking


class Feature(NamedTuple):
    """What the page shows of one file."""

    title: str
    module: ModuleType
    #: the job types whose jobs are shown below the buttons
    types: tuple[str, ...]
    #: each pushes something, and answers with what to look for
    buttons: dict[str, Callable[[], str]]

    @property
    def name(self) -> str:
        return self.module.__name__.rpartition(".")[2]

    @property
    def what(self) -> str:
        return inspect.getdoc(self.module) or ""

    @property
    def code(self) -> str:
        """The whole file but for its docstring, which stands above."""
        return inspect.getsource(self.module).partition('"""\n\n')[2].strip()

    def jobs(self, limit: int = 6) -> list[JobRecord]:
        """Its newest jobs."""
        found = [job for type_string in self.types for job in queues.jobs_of(type=type_string, limit=limit).jobs]
        return sorted(found, key=lambda job: job.created, reverse=True)[:limit]


FEATURES = (
    Feature(
        "Only once",
        once,
        ("pictures:index", "pictures:tell-follower"),
        {"Change five pictures": once.change_five, "Tell two followers": once.tell_three},
    ),
    Feature(
        "One after the other, not too many",
        turns,
        ("pictures:print", "pictures:postcard"),
        {"Print six pages": turns.print_six, "Order ten postcards": turns.order_ten},
    ),
    Feature(
        "A site that is down",
        breaking,
        ("pictures:publish",),
        {"Publish eight pictures": breaking.publish_eight, "Give up": breaking.give_up},
    ),
    Feature("How far is my album?", following, ("pictures:album",), {}),
    Feature("Who may", rights, ("pictures:remove-broken",), {"Remove what is broken": rights.remove}),
    Feature("A long walk", walking, ("pictures:check",), {"Check all files": walking.check}),
    Feature(
        "After the commit",
        committing,
        ("pictures:welcome",),
        {"Sign the guest book": committing.sign, "Change one's mind": committing.change_mind},
    ),
    Feature("Not now", waiting, ("pictures:develop",), {"Now": waiting.develop_now, "In 15 s": waiting.develop_later}),
    Feature("Secrets", hiding, ("pictures:buy",), {"Buy a print": hiding.buy_one, "Mistype": hiding.mistype}),
    Feature("What is kept", keeping, ("pictures:sample",), {"Take ten samples": keeping.take_ten}),
)


def init_app(app: Flask) -> None:
    committing.init_app(app)
    app.register_blueprint(following.blueprint)


def find(name: str) -> Feature | None:
    return next((feature for feature in FEATURES if feature.name == name), None)

"""The browser's face: pages for admins, mounted at `QUEUES_URL_PREFIX` on every application, and closed by default."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint

from ..config import Config
from . import (
    access,
    actions,
    activity,
    api,
    batches,
    causes,
    chains,
    changes,
    csrf,
    document,
    emptying,
    headers,
    links,
    metrics,
    mistakes,
    monitoring,
    newjobs,
    pages,
    pausing,
    preferences,
    rows,
    schedules,
    search,
    stacks,
    workers,
)

HERE = Path(__file__).parent


def make_blueprint(config: Config) -> Blueprint:
    """Build the panel of one application; it connects to nothing and imports nothing optional."""
    blueprint = Blueprint(
        "queues",
        __name__,
        url_prefix=config.url_prefix,
        template_folder=str(HERE / "templates"),
        static_folder=str(HERE / "static"),
        static_url_path="/static",
    )
    blueprint.before_request(access.check)
    blueprint.before_request(csrf.check)
    blueprint.after_request(headers.add)
    for part in (
        document,
        causes,
        batches,
        chains,
        search,
        pages,
        metrics,
        activity,
        actions,
        changes,
        newjobs,
        pausing,
        emptying,
        stacks,
        workers,
        schedules,
        rows,
        preferences,
        api,
        monitoring,
        links,
        mistakes,
    ):
        part.add_to(blueprint)
    return blueprint

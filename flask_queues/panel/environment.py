"""Jinja for the panel's templates: the application's own, but for what they could not be read with."""

from __future__ import annotations

from typing import Any

from flask import Flask
from jinja2 import Environment, Undefined, defaults

#: Where the application keeps it.
KEY = "queues.jinja"
#: How templates are written; that of an application may be another one, as `[[ … ]]` beside Vue.
SYNTAX = {
    "block_start_string": defaults.BLOCK_START_STRING,
    "block_end_string": defaults.BLOCK_END_STRING,
    "variable_start_string": defaults.VARIABLE_START_STRING,
    "variable_end_string": defaults.VARIABLE_END_STRING,
    "comment_start_string": defaults.COMMENT_START_STRING,
    "comment_end_string": defaults.COMMENT_END_STRING,
    "line_statement_prefix": defaults.LINE_STATEMENT_PREFIX,
    "line_comment_prefix": defaults.LINE_COMMENT_PREFIX,
}


def environment_of(app: Flask, *, inside: bool) -> Environment:
    """What reads our templates: in them, a value that is missing is empty, also where the application is strict.

    `inside` its layout they share the application's syntax, since both are read as one.
    """
    wanted: dict[str, Any] = {"undefined": Undefined, **({} if inside else SYNTAX)}
    env = app.jinja_env
    if all(getattr(env, name) == value for name, value in wanted.items()):
        return env
    known: dict[bool, Environment] = app.extensions.setdefault(KEY, {})
    if inside not in known:
        known[inside] = env.overlay(**wanted)
    return known[inside]

"""What a person prefers: language, theme. Kept in cookies below the panel's own path."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from .address import way_back
from .language import COOKIE, LANGUAGES

THEME_COOKIE = "queues_theme"
THEMES = ("auto", "light", "dark")
YEAR = 365 * 24 * 3600
CHOICES = {"language": (COOKIE, tuple(LANGUAGES)), "theme": (THEME_COOKIE, THEMES)}


def add_to(blueprint: Blueprint) -> None:
    """Add the route."""
    blueprint.add_url_rule("/preferences", "set_preferences", set_preferences, methods=["POST"])


def set_preferences() -> ResponseReturnValue:
    """Keep what was chosen and go back; anything else is ignored."""
    response = redirect(way_back(url_for("queues.list_pending")), 303)
    for name, (cookie, allowed) in CHOICES.items():
        if (value := request.form.get(name)) in allowed:
            path = url_for("queues.root")
            response.set_cookie(
                cookie, value, max_age=YEAR, path=path, samesite="Lax", httponly=True, secure=request.is_secure
            )
    return response


def theme() -> str:
    """The theme of this person: light, dark, or as the system has it."""
    chosen = request.cookies.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"

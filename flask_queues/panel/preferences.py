"""What a person prefers: language, theme, density, zone, keys. Kept in cookies below the panel's own path."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from . import flashes
from .address import way_back
from .formats import CHOSEN_ZONE_COOKIE, zone_of
from .language import COOKIE, LANGUAGES
from .language import gettext as _

YEAR = 365 * 24 * 3600
THEME_COOKIE, DENSITY_COOKIE, KEYS_COOKIE = "queues_theme", "queues_density", "queues_keys"
THEMES = ("auto", "light", "dark")
DENSITIES = ("comfortable", "compact")
#: Off at first: a key that stands for something harms whoever speaks to the browser, or types in the wrong place.
KEYS = ("off", "on")
CHOICES = {
    "language": (COOKIE, tuple(LANGUAGES)),
    "theme": (THEME_COOKIE, THEMES),
    "density": (DENSITY_COOKIE, DENSITIES),
    "keys": (KEYS_COOKIE, KEYS),
}


def add_to(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.add_url_rule("/preferences", "set_preferences", set_preferences, methods=["POST"])
    blueprint.add_url_rule("/preferences", "preferences", show)


def show() -> ResponseReturnValue:
    """The form in which a zone is named."""
    from zoneinfo import available_timezones

    from .render import page

    names = sorted(name for name in available_timezones() if "/" in name or name == "UTC")
    return page("preferences.html", zones=names, chosen=request.cookies.get(CHOSEN_ZONE_COOKIE, ""))


def set_preferences() -> ResponseReturnValue:
    """Keep what was chosen and go back; anything else is ignored, but for a zone that there is not."""
    kept = {
        cookie: value for name, (cookie, allowed) in CHOICES.items() if (value := request.form.get(name, "")) in allowed
    }
    zone = request.form.get("zone")
    if zone is not None:
        zone = zone.strip()
        if zone and zone_of(zone) is None:
            flashes.add(_("There is no time zone %(name)s.", name=zone[:80]), wrong=True)
            return redirect(url_for("queues.preferences"), 303)
        kept[CHOSEN_ZONE_COOKIE] = zone
    response = redirect(way_back(url_for("queues.list_pending")), 303)
    path = url_for("queues.root")
    for cookie, value in kept.items():
        response.set_cookie(
            cookie,
            value,
            max_age=YEAR if value else 0,
            path=path,
            samesite="Lax",
            httponly=True,
            secure=request.is_secure,
        )
    return response


def theme() -> str:
    """The theme of this person: light, dark, or as the system has it."""
    return chosen(THEME_COOKIE, THEMES)


def density() -> str:
    """How much room a row of a list has for this person."""
    return chosen(DENSITY_COOKIE, DENSITIES)


def keys() -> str:
    """Whether single keys do something for this person."""
    return chosen(KEYS_COOKIE, KEYS)


def chosen(cookie: str, choices: tuple[str, ...]) -> str:
    """What a cookie says, the first choice where it says nothing that can be chosen."""
    value = request.cookies.get(cookie, "")
    return value if value in choices else choices[0]

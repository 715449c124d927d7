"""English and German, with Babel itself and a domain of our own: what the application does with Babel is its matter."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import current_app, g, request

if TYPE_CHECKING:
    from babel import Locale
    from babel.support import NullTranslations

DOMAIN = "flask_queues"
LANGUAGES = {"en": "English", "de": "Deutsch"}
COOKIE = "queues_language"
PACKAGE = Path(__file__).parent.parent
#: In the wheel; in a clone.
FOLDERS = (PACKAGE / "translations", PACKAGE.parent / "translations")


def _l(message: str) -> str:
    """Mark a message that is translated where it is shown."""
    return message


def locale() -> Locale:
    """The language of this request: the person's choice, the application's, the browser's, or English."""
    found: Locale | None = g.get("queues_locale")
    if found is None:
        found = g.queues_locale = choose_locale()
    return found


def choose_locale() -> Locale:
    """See `locale`."""
    from babel import Locale

    chosen = request.cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return Locale(chosen)
    hosts = locale_of_application()
    if hosts is not None:
        return hosts if hosts.language in LANGUAGES else Locale("en")
    wanted = (tag.partition("-")[0].lower() for tag in request.accept_languages.values())
    return Locale(next((language for language in wanted if language in LANGUAGES), "en"))


def locale_of_application() -> Locale | None:
    """What Flask-Babel answers, if the application has set it up."""
    if "babel" not in current_app.extensions:
        return None
    from flask_babel import get_locale

    found: Locale | None = get_locale()
    return found


@cache
def catalogue(language: str) -> NullTranslations:
    """The messages in a language; in a clone, whatever was compiled is older than what is written."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po
    from babel.support import NullTranslations, Translations

    for folder in FOLDERS:
        written = folder / language / "LC_MESSAGES" / f"{DOMAIN}.po"
        if written.exists():
            compiled = io.BytesIO()
            with written.open("rb") as file:
                write_mo(compiled, read_po(file, language))
            compiled.seek(0)
            return Translations(compiled, domain=DOMAIN)
        if written.with_suffix(".mo").exists():
            return Translations.load(str(folder), [language], DOMAIN)
    return NullTranslations()


def gettext(message: str, /, **values: Any) -> str:
    """Translate a message and fill in its values."""
    text: str = catalogue(locale().language).gettext(message)
    return text % values if values else text


def ngettext(one: str, other: str, number: int, /, **values: Any) -> str:
    """Translate a message about a number; `%(n)s` is the number as it is written in the language."""
    from .formats import number as written

    text: str = catalogue(locale().language).ngettext(one, other, number)
    return text % {"n": written(number), **values}

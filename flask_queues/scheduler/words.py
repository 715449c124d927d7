"""When a schedule is due, in words and in the language of who reads them."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources

from .cron import DAY, MACROS, WEEKDAY
from .timing import Every, Timing

ENGLISH = "en_US"
#: How `cron-descriptor` is asked about time spans, by seconds of one step.
SPANS = ((3_600, "0 */{} * * *"), (60, "*/{} * * * *"), (1, "*/{} * * * * *"))


@lru_cache(4096)
def in_words(timing: Timing, language: str = "en") -> str:
    """Describe a timing, in English where the language is not known; what words cannot tell stays as it is."""
    text = span_of(timing.seconds) if isinstance(timing, Every) else MACROS.get(timing.text.lower(), timing.text)
    if text is None or not can_be_told(text):
        return timing.text
    from cron_descriptor import FormatError, Options, get_description  # only where somebody reads

    code = locale_of(language)
    try:
        words = get_description(text, Options(locale_code=code, use_24hour_time_format=True))
    except FormatError:
        return timing.text
    words = with_names(words, code)
    return in_better_german(words) if code.startswith("de") else words


def span_of(seconds: float) -> str | None:
    """Write a time span as an expression that is described in the same words."""
    step, text = next((one for one in SPANS if seconds % one[0] == 0), (1, None))
    number = int(seconds // step)
    return text and text.format(number).replace("*/1 ", "* ")


def can_be_told(expression: str) -> bool:
    """Whether cron-descriptor's words are true: two day fields are alternatives to it, `#` in a list confuses it."""
    day, weekday = expression.split()[DAY : WEEKDAY + 1 : 2]
    both = day not in "*?" and weekday not in "*?" and (day[0] == "*" or weekday[0] == "*")
    return not both and not ("," in weekday and re.search("#|L[0-9]", weekday, re.IGNORECASE))


@lru_cache(64)
def locale_of(language: str) -> str:
    """The nearest language that cron-descriptor speaks."""
    wanted = re.split("[.@]", language)[0].replace("-", "_")
    known = [one.name[:-3] for one in resources.files("cron_descriptor").joinpath("locale").iterdir()]
    spoken = sorted(name for name in known if name.lower().startswith(wanted.lower()[:2] + "_"))
    exact = [name for name in spoken if name.lower() == wanted.lower()]
    return next(iter(exact or spoken), ENGLISH)


def with_names(words: str, code: str) -> str:
    """Put in the names of days and months, which cron-descriptor takes from the process's own locale."""
    if code.startswith("en"):
        return words
    try:
        from babel.dates import get_day_names, get_month_names
    except ImportError:
        return words
    for names in (get_day_names, get_month_names):
        for n, name in names(locale=ENGLISH).items():
            words = re.sub(rf"\b{name}\b", names(locale=code)[n], words)
    return words


def in_better_german(words: str) -> str:
    """Write days as ordinals, and lists without a comma before their last part: cron-descriptor thinks in English."""
    words = re.sub(r"am (\d[\d, und]*) Tag des Monats", with_dots, words)
    words = re.sub(r"zwischen Tag (\d+) und (\d+) des Monats", r"vom \1. bis \2. des Monats", words)
    return words.replace(", und ", " und ")


def with_dots(days: re.Match[str]) -> str:
    """Days of a month as German counts them."""
    ordinals = re.sub(r"(\d+)", r"\1.", days[1])
    return f"am {ordinals} des Monats"

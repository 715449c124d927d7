"""Templates, with what every one of them needs handed in: the application's own globals are not relied on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from flask import current_app, g, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from markupsafe import Markup, escape

from ..errors import QueuesError
from ..manager import Manager, current_queues
from ..masking import masked
from ..record import JobRecord, Status
from ..scheduler import ScheduleRecord
from . import access, csrf, flashes, formats, preferences, sentences, words
from .address import here, way_back
from .asked import asked_for_live, is_for_holders
from .environment import environment_of
from .language import LANGUAGES, gettext, locale, ngettext
from .listing import Listing
from .reads import Overview, known_queues
from .routes import ADDRESSES
from .sorting import address_of

if TYPE_CHECKING:
    from jinja2 import Template

    from .deeds import Action

STATIC = Path(__file__).parent / "static"
#: Characters of a payload that stand in a list.
SUMMARY = 160
#: Of an error: what stands in a list, what its tooltip tells, and what two lines have room for anyway.
REASON, TOOLTIP, ROOMY = 200, 600, 80
#: What ends where the next begins or what holds it ends.
ENDS = ("</td>", "</th>", "</li>")
LIVE_CLOCK = "X-Queues-Clock"
LIVE_TOKEN = "X-Queues-Token"  # noqa: S105 - the name of a header


def page(template: str, **values: Any) -> ResponseReturnValue:
    """Answer with a page, or with its live regions alone where the script asks for them."""
    overview = values.pop("overview", None) or Overview.read(current_queues, formats.now())
    text = render(template, overview=overview, **values)
    response = current_app.make_response(text)
    return live_answer(response) if asked_for_live() else response


def live_answer(response: Response) -> Response:
    """Let the browser keep what has not changed; the clock and a fresh token go beside it."""
    response.headers[LIVE_CLOCK] = formats.clock(formats.now())
    response.headers[LIVE_TOKEN] = csrf.token()
    response.add_etag()
    response.make_conditional(request)
    return response


def render(template: str, **values: Any) -> str:
    """Render a template of ours."""
    base = "flask_queues/live.html" if asked_for_live() else "flask_queues/page.html"
    frame = "flask_queues/embedded.html" if current_queues.config.layout else "flask_queues/frame.html"
    context = dict(
        base=base,
        frame=frame,
        layout=current_queues.config.layout,
        _=sayer(),
        ngettext=say_number,
        q=Helpers(values.get("overview")),
        Status=Status,
        **values,
    )
    may_see = access.may_see()
    env = environment_of(current_app, inside=bool(may_see and current_queues.config.layout))
    found = env.get_template(f"flask_queues/{template}")
    if not may_see:
        return lean(render_for_strangers(found, context))
    text = render_template(found, **context)
    return text if current_queues.config.layout else lean(text)


def lean(text: str) -> str:
    """Leave out the end tags that HTML lets one leave out: a list has a thousand of them."""
    for end in ENDS:
        text = text.replace(f"{end}\n", end).replace(end, "")
    return text


def render_for_strangers(found: Template, context: dict[str, Any]) -> str:
    """Render without the application's layout and context processors: it may be they that cannot tell who this is."""
    frame = "flask_queues/link_frame.html" if is_for_holders() else "flask_queues/frame.html"
    return found.render({**context, "frame": frame, "layout": None})


def sayer() -> Callable[..., Markup]:
    """Make what translates for one answer: message and values are text, except for what is markup already."""
    texts: dict[str, Markup] = {}

    def say(message: str, /, **values: Any) -> Markup:
        text = texts.get(message)
        if text is None:  # a list says the same in each of its rows
            text = texts[message] = escape(gettext(message))
        return text % values if values else text

    return say


def say_number(one: str, other: str, number: int, /, **values: Any) -> Markup:
    """Translate a message about a number for a template."""
    return escape(ngettext(one, other, number)) if not values else escape(ngettext(one, other, number, **values))


@cache
def version_of(filename: str) -> str:
    """Changes with the file, so that a browser may keep it for ever."""
    return hashlib.sha256((STATIC / filename).read_bytes()).hexdigest()[:12]


def base_url(endpoint: str, argument: str) -> str:
    """What the addresses of a route have in common, up to their last part; asked once a request."""
    known: dict[str, str] = g.setdefault("queues_urls", {})
    if endpoint not in known:
        known[endpoint] = url_for(endpoint, **{argument: "-"}).removesuffix("-")  # type: ignore[arg-type]
    return known[endpoint]


@cache
def version() -> str:
    """The version of Flask-Queues that runs here."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("flask-queues-panel")
    except PackageNotFoundError:
        return ""


def plain(text: object) -> Markup:
    """Text between tags, where quotes may stand as they are: a payload has many, and a list many payloads."""
    return Markup(str(escape(text)).replace("&#34;", '"').replace("&#39;", "'"))  # noqa: S704 - escaped


def stamp_of(moment: datetime) -> str:
    """A moment for programs, exact to what people are shown, no longer."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Helpers:
    """What templates call, for one answer."""

    def __init__(self, overview: Overview | None = None) -> None:
        self._overview = overview
        self._chips: dict[str, Markup] = {}
        #: Buttons, in front of the job's id and behind it: a list has many of each.
        self._buttons: dict[tuple[str, str], tuple[str, str]] = {}
        #: Itself: a row asks it often, and each look through the proxy costs.
        self._manager: Manager = current_queues._get_current_object()  # type: ignore[attr-defined]

    plain = staticmethod(plain)
    number = staticmethod(formats.number)
    short_number = staticmethod(formats.short_number)
    percent = staticmethod(formats.percent)
    size = staticmethod(formats.size)
    duration = staticmethod(formats.duration)
    ago = staticmethod(formats.ago)
    when = staticmethod(formats.when)
    exact = staticmethod(formats.exact)
    with_zone = staticmethod(formats.with_zone)
    clock = staticmethod(formats.clock)
    span_text = staticmethod(formats.span_text)
    axis_time = staticmethod(formats.axis_time)
    milliseconds = staticmethod(formats.milliseconds)
    now = staticmethod(formats.now)
    zone_name = staticmethod(formats.zone_name)
    status_word = staticmethod(words.status_word)
    status_label = staticmethod(words.status_label)
    outcome_label = staticmethod(words.outcome_label)
    state_label = staticmethod(words.state_label)
    breaker_label = staticmethod(words.breaker_label)
    reason_text = staticmethod(words.reason_text)
    error_name = staticmethod(words.error_name)
    process_of = staticmethod(words.process_of)
    ran_for = staticmethod(words.ran_for)
    waited = staticmethod(words.waited)
    ended = staticmethod(words.ended)
    label = staticmethod(words.label)
    for_holder = staticmethod(sentences.for_holder)
    occurrence_text = staticmethod(words.occurrence_text)
    catch_up_text = staticmethod(words.catch_up_text)
    pause_text = staticmethod(words.pause_text)
    outlook_text = staticmethod(words.outlook_text)
    about = staticmethod(words.about)
    act_word = staticmethod(words.act_word)
    memory_text = staticmethod(words.memory_text)
    doing = staticmethod(words.doing)
    callback_label = staticmethod(words.callback_label)
    paused_text = staticmethod(words.paused_text)
    way_of = staticmethod(words.way_of)
    spark_text = staticmethod(words.spark_text)
    here = staticmethod(here)
    sorted_by = staticmethod(address_of)
    alert_text = staticmethod(words.alert_text)
    alert_word = staticmethod(words.alert_word)
    take_flashes = staticmethod(flashes.take)
    csrf_token = staticmethod(csrf.token)
    csrf_field = staticmethod(csrf.field_name)
    csrf_for_host = staticmethod(csrf.token_for_host)
    may_change = staticmethod(access.may_change)
    may_see = staticmethod(access.may_see)
    theme = staticmethod(preferences.theme)
    density = staticmethod(preferences.density)
    keys = staticmethod(preferences.keys)
    addresses = ADDRESSES
    languages = LANGUAGES

    @property
    def language(self) -> str:
        """The language of the page."""
        return str(locale().language)

    @property
    def application(self) -> str:
        """What the application is called."""
        return current_app.name

    @property
    def product(self) -> str:
        """Our own name, and where the jobs are kept: never an address."""
        try:
            return f"Flask-Queues {version()} · {current_queues.engine}"
        except QueuesError:
            return f"Flask-Queues {version()}"

    @property
    def queues(self) -> int:
        """How many queues their page shows."""
        return len(known_queues(self._manager, self._overview.counts)) if self._overview is not None else 0

    @property
    def kept_failed(self) -> str:
        """How long failed jobs are kept."""
        return formats.kept(current_queues.config.retention_failed)

    @property
    def kept_completed(self) -> str:
        """How long completed and cancelled jobs are kept."""
        return formats.kept(current_queues.config.retention_completed)

    @property
    def grace(self) -> str:
        """How long a job may take to end when it is asked to."""
        return formats.duration(current_queues.config.grace)

    @property
    def refresh(self) -> float:
        """Seconds between two refreshes."""
        return current_queues.config.refresh

    @staticmethod
    def way_back() -> str:
        """The page that this one was opened from."""
        return way_back(url_for("queues.list_pending"))

    @staticmethod
    def asset(filename: str) -> str:
        """The address of a file of ours, new with each of its versions."""
        return url_for("queues.static", filename=filename, v=version_of(filename))

    @staticmethod
    def verb(action: Action) -> str:
        """The word on the button of an action."""
        return gettext(words.VERBS[action.name])

    @staticmethod
    def shortened(error: str) -> str:
        """What a row shows of an error: more than its two lines ever hold."""
        return error if len(error) <= REASON else f"{error[: REASON - 1]}…"

    @staticmethod
    def tooltip(error: str) -> Markup:
        """The attribute that tells the rest of an error, where a row may have no room for it."""
        if len(error) <= ROOMY:
            return Markup()
        title = escape(error if len(error) <= TOOLTIP else f"{error[: TOOLTIP - 1]}…")
        return Markup(f' title="{title}"')  # noqa: S704 - escaped

    def reason(self, error: str) -> Markup:
        """An error in a row."""
        return Markup(f"<span{self.tooltip(error)}>{plain(self.shortened(error))}</span>")  # noqa: S704 - escaped

    @staticmethod
    def icon(name: str) -> Markup:
        """One of the drawings that stand at the top of each page; pushing again looks like retrying."""
        shape = "retry" if name == "push" else name
        return Markup('<svg class="q-icon" aria-hidden="true"><use href="#q-i-%s"/></svg>') % shape

    @classmethod
    def row_icon(cls, name: str) -> Markup:
        """The same on a button at the end of a row, which is heard as a whole and gives it its style."""
        return Markup(cls.icon(name).replace(' class="q-icon" aria-hidden="true"', ""))  # noqa: S704 - of markup

    @staticmethod
    def time(moment: datetime, text: str | None = None) -> Markup:
        """A moment as a person says it, the exact one beside it. Of Python, since a list has a hundred of them."""
        shown, exact = escape(text or formats.ago(moment)), escape(formats.with_zone(moment))
        return Markup(f'<time datetime="{stamp_of(moment)}" title="{exact}">{shown}</time>')  # noqa: S704 - escaped

    @staticmethod
    def time_and_date(moment: datetime) -> Markup:
        """The same, where the exact one stands below for all to see."""
        shown, exact = escape(formats.ago(moment)), escape(formats.exact(moment))
        return Markup(f'<time datetime="{stamp_of(moment)}">{shown}</time><small class="q-under">{exact}</small>')  # noqa: S704 - escaped

    def chip(self, queue: str) -> Markup:
        """A queue by name, with a link to it, and whether it is paused; a list names the same few again and again."""
        if queue not in self._chips:
            self._chips[queue] = self._chip(queue)
        return self._chips[queue]

    def _chip(self, queue: str) -> Markup:
        name, address = escape(queue), escape(self.queue_url(queue))
        pause = self._overview.pause_of(queue) if self._overview is not None else None
        if pause is None:
            return Markup(f'<a class="q-chip" href="{address}">{name}</a>')  # noqa: S704 - escaped
        why, paused = escape(words.paused_text(pause)), escape(gettext("paused"))
        inside = f'{self.icon("pause")} {name}<span class="q-unseen"> {paused}</span>'
        return Markup(f'<a class="q-chip" href="{address}" title="{why}">{inside}</a>')  # noqa: S704 - escaped

    def job_cell(self, record: JobRecord) -> Markup:
        """The cell of a job in a list: its name, with a link to it, above its payload."""
        name, address, payload = (
            escape(self.name_of(record.type)),
            escape(self.job_url(record.id)),
            self.summary(record),
        )
        return Markup(  # noqa: S704 - escaped
            f'<th scope="row" class="q-main"><a href="{address}">{name}</a><code>{plain(payload)}</code></th>'
        )

    def row_button(self, action: Action, record: JobRecord) -> Markup:
        """What does something with the job of a row, or asks first."""
        key = (action.name, record.type)
        if key not in self._buttons:
            form = "q-ask" if action.danger else "q-act"
            self._buttons[key] = self._row_act(form, action.name, self.verb(action), self.name_of(record.type))
        before, behind = self._buttons[key]
        return Markup(f"{before}{escape(record.id)}{behind}")  # noqa: S704 - escaped

    def row_act(self, button: str, value: str, verb: str, name: str, icon: str = "", form: str = "q-act") -> Markup:
        """The same for what is no job."""
        before, behind = self._row_act(form, button, verb, name, icon)
        return Markup(f"{before}{escape(value)}{behind}")  # noqa: S704 - escaped

    def _row_act(self, form: str, button: str, verb: str, name: str, icon: str = "") -> tuple[str, str]:
        """A button at the end of a row, in front of its value and behind: see `rows.py`, which is asked by it."""
        drawing = self.row_icon(icon or button.partition(":")[0])
        return f'<button form="{form}" name="{button}" value="', f'">{drawing}{words.heard(verb, name)}</button>'

    def action_button(self, action: Action, record: JobRecord, back: str, class_: str) -> Markup:
        """What does something with a job on its own page: a button of the page's form, or a link to the question."""
        verb, address = words.verb_here(action.name), escape(self._action_url(action, record, back))
        label = escape(words.doing(verb, self.name_of(record.type)))
        shown = escape(words.asks_first(verb) if action.danger else verb)
        inside = f'aria-label="{label}">{self.icon(action.name)}<span>{shown}</span>'
        if action.danger:
            danger = " q-danger" if action.name == "delete" else ""
            return Markup(f'<a class="{class_}{danger}" href="{address}" data-confirm {inside}</a>')  # noqa: S704 - escaped
        return Markup(  # noqa: S704 - escaped
            f'<button class="{class_}" form="q-act" formaction="{address}" {inside}</button>'
        )

    def schedule_button(self, what: str, name: str, word: str, class_: str) -> Markup:
        """What does something with a schedule."""
        if not class_:
            return self.row_act(f"{what}:schedule", name, word, name)
        address = escape(f"{base_url('queues.act_on_schedule', 'what')}{what}?{urlencode({'schedule': name})}")
        inside = f'aria-label="{escape(words.doing(word, name))}">{self.icon(what)}<span>{escape(word)}</span></button>'
        return Markup(f'<button class="{class_}" form="q-act" formaction="{address}" {inside}')  # noqa: S704 - escaped

    @staticmethod
    def schedule_url(name: str) -> str:
        """The address of a schedule."""
        return f"{base_url('queues.schedule', 'schedule')}{quote(name)}"

    @staticmethod
    def job_url(job_id: str) -> str:
        """The address of a job; a list has many of them, and `url_for` is slow."""
        return f"{base_url('queues.job', 'job_id')}{quote(job_id)}"

    @staticmethod
    def queue_url(name: str) -> str:
        """The address of a queue."""
        return f"{base_url('queues.queue', 'name')}{quote(name)}"

    @staticmethod
    def _action_url(action: Action, record: JobRecord, back: str) -> str:
        """Where an action on a job is done, or asked about if it is a danger."""
        endpoint = f"{base_url('queues.act', 'name')}{action.name}"
        if not action.danger:  # where to go back to stands in the form
            return f"{endpoint}?id={quote(record.id)}"
        return f"{endpoint}/confirm?{urlencode({'back': back}, safe='/?:=')}&id={quote(record.id)}"

    @staticmethod
    def list_url(status: Status, **values: Any) -> str:
        """The address of a list."""
        return url_for(f"queues.list_{status}", **values)

    @staticmethod
    def order_of(listing: Listing, order: str = "") -> str:
        """What stands first on a list, or would in another order."""
        if listing.among is not None and not order:
            return words.slowest_word(listing.among)
        return words.order_word(listing.status, order or listing.order, tagged=listing.filters.tag is not None)

    def name_of(self, type_string: str) -> str:
        """The readable name of a job type; of our own, in the reader's language."""
        return words.job_type_name(self._manager.name_of(type_string), type_string)

    def timeout_of(self, record: JobRecord) -> float:
        """Seconds that one run may take."""
        return self._manager.timeout_of(record)

    def backoff_text(self, record: JobRecord) -> str:
        """How long it waits before it is tried again."""
        return words.backoff_text(self._manager, record)

    def tries_of(self, record: JobRecord) -> int:
        """How many runs may fail."""
        return self._manager.tries_of(record)

    def retry_until_of(self, record: JobRecord) -> datetime | None:
        """Until when no failure ends it."""
        return self._manager.retry_until_of(record)

    def attempt_text(self, record: JobRecord) -> str:
        """Which attempt this is, from the second on."""
        return words.attempt_text(self._manager, record)

    def because(self, record: JobRecord) -> str:
        """Why it waits for its time."""
        return words.because(self._manager, record)

    def verdict(self, record: JobRecord) -> str:
        """The reason of its status."""
        return sentences.verdict(self._manager, record)

    def progress_message(self, record: JobRecord) -> str:
        """What it says of how far it is."""
        return sentences.progress_message(self._manager, record)

    def deletion(self, record: JobRecord) -> Markup | str:
        """When it is deleted."""
        moment = words.deleted_at(self._manager, record)
        return self.time(moment) if moment is not None else words.when_or_never(moment)

    def summary(self, record: JobRecord | ScheduleRecord) -> str:
        """The payload in one line, its secrets hidden."""
        parts, length = [], 0
        for name, value in masked(record.payload, self._manager.sensitive(record.type)).items():
            parts.append(f"{name}={json.dumps(value, ensure_ascii=False)[: SUMMARY + 1]}")
            length += len(parts[-1]) + 1
            if length > SUMMARY:
                break
        line = " ".join(parts)
        return line if len(line) <= SUMMARY else f"{line[:SUMMARY]}…"

"""A person pushes a new job: its type is chosen, its payload typed into a form of the handler's signature."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from ..errors import NotAllowed, OptionError, PayloadError, PushLimited, QueueFull
from ..ids import id_in, is_id
from ..manager import current_queues
from ..options import Options
from ..pushing.intake import partition_of
from ..registry import JobType
from . import access, flashes
from .actions import explain
from .changes import Answer, keep
from .formats import zone
from .language import gettext as _
from .payloads import Form, WrongEntry, differences, in_lines, misfit
from .render import page


def add_to(blueprint: Blueprint) -> None:
    """Add the route."""
    blueprint.add_url_rule("/push", "push", push, methods=["GET", "POST"])


def push() -> ResponseReturnValue:
    """Let a type be chosen, show its form, or push what was typed into it."""
    if not access.may_change():
        return redirect(url_for("queues.list_pending"), 303)
    chosen = request.values.get("type", "")
    if not chosen:
        return page("push.html", types=types())
    if chosen not in {*current_queues.jobs}:
        raise NotFound
    job_type = current_queues.jobs[chosen]
    form = Form(job_type.shape, {}, job_type.sensitive)
    answer = push_typed(job_type, form) if request.method == "POST" else Answer()
    return show(job_type, form, answer) if isinstance(answer, Answer) else answer


def types() -> list[JobType]:
    """The job types of the application, as people read them."""
    return sorted((current_queues.jobs[one] for one in current_queues.jobs), key=lambda one: (one.name, one.type))


def queues_for(job_type: JobType) -> list[str]:
    """The queues that it may go to, its own first: what is known here, so that no slip makes a line nobody serves."""
    own = job_type.options.queue or current_queues.config.default
    known = {*current_queues.config.names, current_queues.config.default, *current_queues.counts().queues}
    return [own, *sorted(known - {own})]


def show(job_type: JobType, form: Form, answer: Answer) -> ResponseReturnValue:
    """Render the form, empty or as it was filled in."""
    typed = request.form if answer.code != 200 else None
    response = current_app.make_response(
        page(
            "push.html",
            job_type=job_type,
            entries=form.entries(typed, answer.fields),
            queues=queues_for(job_type),
            typed=request.values,
            job_id=id_of_form() or current_queues.new_id(),
            priority=job_type.options.priority or 0,
            tries=job_type.options.tries or current_queues.config.tries,
            person=access.name_of_person(),
            answer=answer,
        )
    )
    response.status_code = answer.code
    return response


def id_of_form() -> str | None:
    """The id that was fixed when the form was made: however often it is sent, one job is pushed."""
    said = request.form.get("id", "")
    return said if is_id(said) else None


def push_typed(job_type: JobType, form: Form) -> ResponseReturnValue | Answer:
    """Check what was typed as any push is checked, and push it."""
    payload, wrong = form.read(request.form)
    options, wrong_options = read_options(request.form, queues_for(job_type))
    if wrong or wrong_options:
        return Answer(422, fields={**wrong, **wrong_options})
    if (job_id := id_of_form()) is not None:
        options["id"] = id_in(partition_of(options.get("queue") or queues_for(job_type)[0]), job_id)
    try:
        return do(job_type, payload, options)
    except PayloadError as error:
        words, detail = misfit(error)
        where = {error.argument: words} if error.argument in form.names else {}
        return Answer(422, "" if where else words, where, detail)
    except OptionError as error:
        return Answer(422, _("The job cannot be pushed like this."), detail=str(error))
    except NotAllowed as error:
        return Answer(403, explain(error))
    except QueueFull as error:
        return Answer(409, explain(error))
    except PushLimited:
        return Answer(429, _("Too many jobs were pushed by this person; nothing was pushed now."))


def do(job_type: JobType, payload: dict[str, Any], options: dict[str, Any]) -> ResponseReturnValue:
    """Push it at once, keep who did so, and go to its page; or to that of the job that holds its unique key."""
    handle = current_queues.push(job_type.type, payload, after_commit=False, **options)
    if handle.created:
        keep(handle.id, "new", in_lines(differences({}, payload, job_type.sensitive)))
        flashes.add(_("The job was pushed."))
    elif handle.id == options.get("id"):
        sent = _("This form was sent before; its job was pushed once. Open the form anew to push another.")
        flashes.add(sent, wrong=True)
    else:
        flashes.add(_("Nothing was pushed: this job is there already."), wrong=True)
    return redirect(url_for("queues.job", job_id=handle.id), 303)


def read_options(typed: Mapping[str, str], queues: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The options of the push that somebody has typed, and what is wrong in which field, such as `option.at`."""
    options: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, value in filled_in(typed):
        try:
            options[name] = READ[name](value)
        except WrongEntry as error:
            wrong[f"option.{name}"] = str(error)
    if "queue" in options and options["queue"] not in queues:
        wrong["option.queue"] = _("There is no such queue.")
    if "at" in options and "delay" in options:
        wrong["option.at"] = _("A time or a delay, not both.")
    return options, wrong


def filled_in(typed: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The options that were not left empty."""
    for name in READ:
        if value := typed.get(f"option.{name}", "").strip():
            yield name, value


def read_delay(text: str) -> float:
    """Seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 315_360_000:
        raise WrongEntry(_("A number of seconds is needed, at most ten years."))
    return seconds


def read_at(text: str) -> datetime:
    """A time of the reader's zone, which the footer names."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone())
    except ValueError:
        raise WrongEntry(_("A date with a time is needed.")) from None


def read_priority(text: str) -> int:
    """-100 to 100."""
    try:
        priority = int(text)
    except ValueError:
        priority = 1000
    if not -100 <= priority <= 100:
        raise WrongEntry(_("A whole number from -100 to 100 is needed."))
    return priority


def read_tries(text: str) -> int:
    """1 to 1000."""
    try:
        return Options.of(tries=int(text)).tries or 1
    except (ValueError, OptionError):
        raise WrongEntry(_("A whole number from 1 to 1000 is needed.")) from None


def read_tags(text: str) -> tuple[str, ...]:
    """With commas between them."""
    try:
        return Options.of(tags=tuple(tag.strip() for tag in text.split(",") if tag.strip())).tags
    except OptionError:
        raise WrongEntry(_("At most 20 tags of up to 128 characters can be given.")) from None


#: How each option is read that the form has.
READ: dict[str, Callable[[str], Any]] = {
    "queue": str,
    "delay": read_delay,
    "at": read_at,
    "priority": read_priority,
    "tries": read_tries,
    "tags": read_tags,
}
